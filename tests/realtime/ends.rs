//! When a socket is closed.

use serde_json::json;

use super::{RefusedWith, WebSocket, conversation};
use crate::helpers::TestApp;
use crate::tenancy::snapshots::{backup, restore};

#[tokio::test]
async fn a_socket_ends_with_its_session_or_key() {
    let app = TestApp::start().await;
    let garage = app.onboard("garage-alpha", "cars").await;
    let (first, other) = (app.log_in(&garage).await, app.log_in(&garage).await);
    let mut of_first = WebSocket::of(app.address, &garage, &first).await;
    let mut of_other = WebSocket::of(app.address, &garage, &other).await;
    let second = app.second_process().await;
    let mut elsewhere = WebSocket::of(second, &garage, &first).await;
    app.delete("/api/sessions/current")
        .of(&garage)
        .bearer(&first)
        .await
        .expect(204);
    assert_eq!(of_first.closed().await, 4401);
    assert_eq!(elsewhere.closed().await, 4401);
    // The same user's other session goes on.
    let id = conversation(&app, &garage).await;
    assert_eq!(of_other.event("conversation.updated").await["data"]["id"], id);

    let agent = app.add_user(&garage, "agent").await;
    let token = app.session_of(&garage, agent).await;
    let mut of_agent = WebSocket::of(app.address, &garage, &token).await;
    let path = format!("/api/users/{agent}");
    let disable = app
        .patch(&path)
        .of(&garage)
        .bearer(&other)
        .json(&json!({"status": "disabled"}));
    disable.await.expect(200);
    assert_eq!(of_agent.closed().await, 4401);

    let mut of_key = WebSocket::of(app.address, &garage, &garage.api_key).await;
    let keys = app
        .get("/api/api-keys")
        .of(&garage)
        .bearer(&other)
        .await
        .expect(200)
        .json();
    let key = keys["items"][0]["id"].as_str().expect("an id");
    let revoke = app
        .delete(&format!("/api/api-keys/{key}"))
        .of(&garage)
        .bearer(&other);
    revoke.await.expect(204);
    assert_eq!(of_key.closed().await, 4401);
}

/// Other rights count at a socket that is open: an agent who becomes a manager hears of all bots, and the other way round.
#[tokio::test]
async fn another_role_counts_at_once() {
    let app = TestApp::start().await;
    let garage = app.onboard("garage-alpha", "cars").await;
    let owner = app.log_in(&garage).await;
    let manager = app.add_user(&garage, "manager").await;
    let token = app.session_of(&garage, manager).await;
    let mut socket = WebSocket::of(app.address, &garage, &token).await;
    let bot =
        json!({"name": "Vendas", "token": format!("777777777:AA{}", "x".repeat(33)), "is_active": false});
    let bot = app
        .post("/api/bots")
        .of(&garage)
        .bearer(&owner)
        .json(&bot)
        .await
        .expect(201)
        .json();
    assert_eq!(socket.event("bot.state").await["data"]["id"], bot["id"]);
    let path = format!("/api/users/{manager}");
    let demote = app
        .patch(&path)
        .of(&garage)
        .bearer(&owner)
        .json(&json!({"role": "agent"}));
    demote.await.expect(200);
    let mut rename = async |name: &str| {
        let path = format!("/api/bots/{}", bot["id"].as_str().expect("an id"));
        app.put(&path)
            .of(&garage)
            .bearer(&owner)
            .json(&json!({ "name": name }))
            .await
            .expect(200);
        let id = conversation(&app, &garage).await;
        let mut heard_of_bot = false;
        loop {
            let event = socket.next().await;
            heard_of_bot |= event["type"] == "bot.state";
            if event["data"]["id"] == id {
                return heard_of_bot;
            }
        }
    };
    let mut names = 0;
    loop {
        names += 1;
        assert!(names < 2000, "an agent hears of somebody else's bot");
        if !rename(&format!("Vendas {names}")).await {
            break;
        }
    }
}

#[tokio::test]
async fn a_socket_ends_when_its_tenant_is_not_served() {
    let app = TestApp::start().await;
    let garage = app.onboard("garage-alpha", "cars").await;
    let imob = app.onboard("imob-beta", "real_estate").await;
    let mut at_garage = WebSocket::of(app.address, &garage, &garage.api_key).await;
    let second = app.second_process().await;
    let mut elsewhere = WebSocket::of(second, &garage, &garage.api_key).await;
    let mut at_imob = WebSocket::of(app.address, &imob, &imob.api_key).await;
    let suspend = app
        .post("/api/admin/tenants/garage-alpha/suspend")
        .bearer(&app.admin.token);
    suspend.await.expect(200);
    assert_eq!(at_garage.closed().await, 4403);
    assert_eq!(elsewhere.closed().await, 4403);
    let bearer = format!("Bearer {}", garage.api_key);
    let again = WebSocket::ask(app.address, &garage, "/ws", &[("authorization", &bearer)]).await;
    assert_eq!(again.err(), Some(RefusedWith(403, "tenant_suspended".to_owned())));

    let id = conversation(&app, &imob).await;
    assert_eq!(at_imob.next().await["data"]["id"], id);
    let cancel = "update master.subscriptions set status = 'canceled', canceled_at = now()
                  where tenant_id = (select id from master.tenants where tenant_key = 'imob-beta')";
    app.test
        .admin()
        .await
        .batch_execute(cancel)
        .await
        .expect("canceled");
    assert_eq!(at_imob.closed().await, 4403);
}

/// Sessions are in no snapshot: whoever was logged in is out.
#[tokio::test]
async fn a_socket_of_a_session_ends_with_a_restore() {
    let app = TestApp::start().await;
    let garage = app.onboard("garage-alpha", "cars").await;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("a");
    let platform = &app.test.platform;
    backup(platform, "garage-alpha", file.clone())
        .await
        .expect("a backup");
    let mut of_user = WebSocket::of(app.address, &garage, &app.log_in(&garage).await).await;
    let mut of_program = WebSocket::of(app.address, &garage, &garage.api_key).await;
    restore(platform, file, None).await.expect("a restore");
    assert_eq!(of_user.closed().await, 4401);
    of_program.event("resync").await;
    let id = conversation(&app, &garage).await;
    assert_eq!(of_program.event("conversation.updated").await["data"]["id"], id);
}

#[tokio::test]
async fn a_process_that_ends_says_so_and_does_not_wait() {
    let app = TestApp::start().await;
    let garage = app.onboard("garage-alpha", "cars").await;
    let mut socket = WebSocket::of(app.address, &garage, &garage.api_key).await;
    let process = app.first_process().await;
    process.stop();
    assert_eq!(socket.closed().await, 1001);
    process.ended().await;
    let admin = app.test.admin().await;
    let left = "select count(*) from helixai.socket_processes";
    assert_eq!(
        admin
            .query_one(left, &[])
            .await
            .expect("counted")
            .get::<_, i64>(0),
        0
    );
}
