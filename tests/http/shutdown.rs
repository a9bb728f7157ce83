//! A server that is asked to stop finishes what it has begun.

use std::time::Duration;

use serde_json::json;

use crate::helpers::TestApp;

#[tokio::test]
async fn what_is_in_flight_is_finished() {
    let app = TestApp::builder()
        .set("server.workers", 2)
        .set("database.lock_timeout_ms", 15_000)
        .start()
        .await;
    let garage = app.onboard("garage-alpha", "cars").await;
    let lead = app
        .post("/api/leads")
        .by(&garage)
        .json(&json!({"name": "Ana"}))
        .await
        .expect(201)
        .json();
    let path = format!("/api/leads/{}", lead["id"].as_str().expect("an id"));
    // Somebody holds the row, so the requests that change it wait.
    let mut admin = app.test.admin().await;
    let held = admin.transaction().await.expect("a transaction");
    let lock = format!("select id from {}.leads for update", garage.schema);
    held.query(&lock, &[]).await.expect("locked");
    let changes = ["Bia", "Cris", "Davi"].map(|name| {
        let call = app.patch(&path).by(&garage).json(&json!({"name": name}));
        tokio::spawn(async move { call.await })
    });
    let watcher = app.test.admin().await;
    app.until("all three wait for the row", || async {
        let waiting = "select count(*) from pg_stat_activity
                       where datname = current_database() and wait_event_type = 'Lock'";
        watcher
            .query_one(waiting, &[])
            .await
            .expect("counted")
            .get::<_, i64>(0)
            == 3
    })
    .await;

    let process = app.first_process().await;
    process.stop();
    app.until("nobody new is let in", || async {
        let fresh = reqwest::Client::builder()
            .timeout(Duration::from_secs(5))
            .build()
            .expect("a client");
        fresh
            .get(format!("http://{}/healthz", app.address))
            .send()
            .await
            .is_err()
    })
    .await;
    held.commit().await.expect("let go");
    for change in changes {
        let answer = change.await.expect("no panic");
        assert_eq!(answer.expect(200).json()["id"], lead["id"]);
    }
    process.ended().await;
    app.until("its connections are closed", || async {
        let open = "select count(*) from pg_stat_activity
                    where datname = current_database() and usename <> current_user";
        watcher
            .query_one(open, &[])
            .await
            .expect("counted")
            .get::<_, i64>(0)
            == 0
    })
    .await;
}
