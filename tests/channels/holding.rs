//! Any number of processes share the bots; each bot has one owner, and another one soon after its owner is gone.

use std::time::Duration;

use helixai::db::tenant::held;
use helixai::domain::ids::InstanceId;
use uuid::Uuid;

use super::Bots;
use crate::helpers::{TestApp, cli_origin, resolved_by};
use crate::tenancy::moves::{Other, move_to};

#[tokio::test]
async fn a_bot_has_one_owner_and_the_next_when_it_ends() {
    let bots = Bots::start().await;
    let garage = bots.app.onboard("garage", "cars").await;
    let (_, token) = bots.greeting(&garage, 1).await;
    let second = bots.app.second_process().await;
    bots.telegram.person_starts(&token, 7, None);
    bots.telegram.await_sent(&token, 1).await;
    assert_eq!(bots.telegram.conflicts(&token), 0);
    let first = bots.app.first_process().await;
    first.stop();
    first.ended().await;
    // Given away at once, not after a lease.
    assert!(bots.telegram.await_polled(&token, true).await);
    bots.telegram.person_starts(&token, 8, None);
    bots.telegram.await_sent(&token, 2).await;
    assert_eq!(bots.telegram.conflicts(&token), 0);
    let list = bots.app.get("/api/bots/my").at(second).by(&garage).await;
    assert_eq!(list.expect(200).json()["items"][0]["state"], "connected");
}

#[tokio::test]
async fn who_is_not_heard_of_has_nothing_any_more() {
    let app = TestApp::builder()
        .set("server.background_work", false)
        .start()
        .await;
    let garage = app.onboard("garage", "cars").await;
    let body = serde_json::json!({"name": "Vendas", "token": super::token(1)});
    let bot = app
        .post("/api/bots")
        .by(&garage)
        .json(&body)
        .await
        .expect(201)
        .json();
    let id: InstanceId = bot["id"].as_str().unwrap().parse().unwrap();
    let (lanes, door) = (
        &app.test.platform.lanes,
        resolved_by(&app.test.platform, "garage").await.home.lane.clone(),
    );
    let (one, two) = (Uuid::now_v7(), Uuid::now_v7());
    let taken = held::beat(lanes, &door, one, 600, 10, &[]).await.unwrap();
    assert!(taken.anew);
    assert_eq!(
        taken.told.iter().map(|told| told.instance).collect::<Vec<_>>(),
        [id]
    );
    assert_eq!(
        held::beat(lanes, &door, two, 600, 10, &[]).await.unwrap().told,
        []
    );
    // An answer that was lost is given again, until it is said to have been heard.
    let again = held::beat(lanes, &door, one, 600, 10, &[]).await.unwrap();
    assert_eq!((again.anew, &again.told), (false, &taken.told));
    let heard = held::beat(lanes, &door, one, 600, 10, &again.told).await.unwrap();
    assert_eq!(heard.told, [], "no news");
    // Dead now: the other one has it, and the first is told so when it comes back.
    held::beat(lanes, &door, one, 0, 10, &[]).await.unwrap();
    assert_eq!(
        held::beat(lanes, &door, two, 600, 10, &[])
            .await
            .unwrap()
            .told
            .len(),
        1
    );
    let back = held::beat(lanes, &door, one, 600, 10, &[]).await.unwrap();
    assert_eq!((back.anew, back.told.len()), (true, 0));
    let spread = held::spread(lanes, &door, two).await.unwrap();
    assert_eq!((spread.held, spread.wanted, spread.workers), (1, 1, 2));
    // What is not to run is forgotten by whoever stops it.
    app.delete(&super::path_of(&bot)).by(&garage).await.expect(204);
    let told = held::beat(lanes, &door, two, 600, 10, &[]).await.unwrap().told;
    assert!(!told[0].wanted);
    held::leave(lanes, &door, two, vec![id]).await.unwrap();
    assert_eq!(held::spread(lanes, &door, two).await.unwrap().wanted, 0);
}

#[tokio::test]
async fn bots_are_spread_over_processes() {
    let bots = Bots::start().await;
    let garage = bots.app.onboard("garage", "cars").await;
    let admin = bots.app.test.admin().await;
    bots.grow(&garage).await;
    let mut tokens = Vec::new();
    for number in 0..2 {
        tokens.push(bots.greeting(&garage, number).await.1);
    }
    let imob = bots.app.onboard("imob", "real_estate").await;
    bots.grow(&imob).await;
    for number in 10..12 {
        tokens.push(bots.greeting(&imob, number).await.1);
    }
    bots.app.second_process().await;
    let held = "select count(*)::int from helixai.channel_instances group by held_by order by 1";
    bots.app
        .until("two processes have bots", async || {
            tokio::time::sleep(Duration::from_millis(50)).await;
            admin.query(held, &[]).await.unwrap().len() == 2
        })
        .await;
    for token in &tokens {
        assert!(bots.telegram.await_polled(token, true).await);
        bots.telegram.person_starts(token, 7, None);
        bots.telegram.await_sent(token, 1).await;
        assert_eq!(bots.telegram.conflicts(token), 0);
    }
}

#[tokio::test]
async fn bots_move_with_their_tenant() {
    let bots = Bots::start().await;
    let platform = &bots.app.test.platform;
    let other = Other::add(platform).await;
    let garage = bots.app.onboard("garage", "cars").await;
    let (_, token) = bots.greeting(&garage, 1).await;
    bots.telegram.person_starts(&token, 7, None);
    bots.telegram.await_sent(&token, 1).await;
    move_to(platform, "garage", other.name).await.expect("moved");
    bots.telegram.person_starts(&token, 8, None);
    let sent = bots.telegram.await_sent(&token, 2).await;
    assert_eq!(sent[1].chat(), 8);
    let inbox = bots
        .app
        .get("/api/conversations")
        .by(&garage)
        .await
        .expect(200)
        .json();
    assert_eq!(inbox["items"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_suspended_tenant_is_not_heard_and_loses_nothing() {
    let bots = Bots::start().await;
    let garage = bots.app.onboard("garage", "cars").await;
    let (_, token) = bots.greeting(&garage, 1).await;
    let key = helixai::domain::tenant_key::TenantKey::parse("garage").unwrap();
    let lifecycle = &bots.app.test.platform.lifecycle;
    lifecycle.suspend(&key, "unpaid", cli_origin()).await.unwrap();
    bots.telegram.person_starts(&token, 7, None);
    assert!(bots.telegram.await_polled(&token, false).await);
    assert_eq!(bots.telegram.pending(&token).len(), 1, "Telegram keeps it");
    lifecycle.activate(&key, cli_origin()).await.unwrap();
    bots.telegram.await_sent(&token, 1).await;
}
