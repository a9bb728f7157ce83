//! Everything that a request does in its tenant's schema costs one round trip.

use helixai::db::tenant::{Access, Actor};
use helixai::domain::rights::Need;
use helixai::domain::token::ParsedToken;
use uuid::Uuid;

use super::queries::{count_contacts, insert_contact, list_contacts, whereabouts};
use crate::helpers::TestPlatform;

#[tokio::test]
async fn one_statement_is_one_round_trip_cold_second_and_warm() {
    let test = TestPlatform::builder().proxied().lane_pool(1).start().await;
    let garage = test.onboard("garage-alpha", "cars").await;
    let lane = test.resolved(&garage).await.home.lane.login.clone();
    let db = test.tenant_db(&garage).await;
    test.proxy().take(&lane);

    let cold = {
        db.run(&test.system(), whereabouts()).await.unwrap();
        test.proxy().take(&lane)
    };
    assert_eq!((cold.connections, cold.round_trips), (1, 1), "{cold:?}");
    assert_eq!(
        cold.prepared.len(),
        1,
        "the guard, which each request needs: {cold:?}"
    );
    assert_eq!(
        cold.unprepared.len(),
        1,
        "nothing is kept that may never be used again: {cold:?}"
    );

    let second = {
        db.run(&test.system(), whereabouts()).await.unwrap();
        test.proxy().take(&lane)
    };
    assert_eq!((second.connections, second.round_trips), (0, 1), "{second:?}");
    assert_eq!(second.prepared.len(), 1, "the statement: {second:?}");
    assert_eq!(second.unprepared.len(), 0, "and it is parsed once: {second:?}");

    for _ in 0..3 {
        db.run(&test.system(), whereabouts()).await.unwrap();
        let warm = test.proxy().take(&lane);
        assert_eq!((warm.connections, warm.round_trips), (0, 1), "{warm:?}");
        assert_eq!(warm.prepared.len() + warm.unprepared.len(), 0, "{warm:?}");
        assert_eq!(warm.executed, 2, "guard and statement: {warm:?}");
        assert_eq!(warm.simple, [""; 0]);
    }
}

#[tokio::test]
async fn a_batch_with_credentials_is_one_round_trip() {
    let test = TestPlatform::builder().proxied().lane_pool(1).start().await;
    let garage = test.onboard("garage-alpha", "cars").await;
    let lane = test.resolved(&garage).await.home.lane.login.clone();
    let db = test.tenant_db(&garage).await;
    let token = ParsedToken::parse(&garage.api_key).unwrap();
    let access = Access::bearer(&token, Need::Write, test.clock.now()).unwrap();
    test.proxy().take(&lane);

    for round in 0..4_i64 {
        let batch = (
            insert_contact(Uuid::now_v7(), "Ana"),
            list_contacts(),
            count_contacts(),
        );
        let reply = db.run(&access, batch).await.unwrap();
        assert_eq!(reply.output.0, 1);
        assert_eq!(reply.output.1, vec!["Ana"; round as usize + 1]);
        assert_eq!(reply.output.2, round + 1);
        assert!(matches!(reply.identity.actor, Actor::ApiKey { .. }));
        let traffic = test.proxy().take(&lane);
        assert_eq!(traffic.round_trips, 1, "round {round}: {traffic:?}");
    }
}

#[tokio::test]
async fn a_transaction_is_as_many_round_trips_as_its_steps() {
    let test = TestPlatform::builder().proxied().lane_pool(1).start().await;
    let garage = test.onboard("garage-alpha", "cars").await;
    let lane = test.resolved(&garage).await.home.lane.login.clone();
    let db = test.tenant_db(&garage).await;
    test.proxy().take(&lane);

    let (mut tx, _) = db.begin(&test.system(), count_contacts()).await.unwrap();
    tx.run(insert_contact(Uuid::now_v7(), "Ana")).await.unwrap();
    assert_eq!(tx.commit(count_contacts()).await.unwrap(), 1);
    assert_eq!(test.proxy().take(&lane).round_trips, 3);

    let (tx, _) = db
        .begin(&test.system(), insert_contact(Uuid::now_v7(), "Bia"))
        .await
        .unwrap();
    tx.rollback().await.unwrap();
    assert_eq!(test.proxy().take(&lane).round_trips, 2);
    assert_eq!(
        db.run(&test.system(), list_contacts()).await.unwrap().output,
        ["Ana"]
    );
}
