//! A move between two servers while two processes serve writers over HTTP: nothing is lost, nothing is written twice, and
//! nobody is refused.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use helixai::cli::private_postgres::{Options, PrivatePostgres};
use serde_json::json;
use tokio::task::JoinSet;

use super::{add, home_of, move_to, sound};
use crate::helpers::{Call, TestApp};
use crate::tenancy::snapshots::number;

/// Writers of each process.
const WRITERS: usize = 3;

/// Writes until told to stop; every answer must be good. Answers the names that were taken.
async fn write(post: Call, who: String, stop: Arc<AtomicBool>, made: Arc<AtomicU64>) -> Vec<String> {
    let mut names = Vec::new();
    while !stop.load(Ordering::SeqCst) {
        let name = format!("{who}-{}", names.len());
        let body = json!({"name": name, "notes": "x".repeat(names.len() % 700)});
        post.clone().json(&body).await.expect(201);
        made.fetch_add(1, Ordering::SeqCst);
        names.push(name);
    }
    names
}

/// Changes one row again and again: a change that is lost shows in its version.
async fn change(patch: Call, stop: Arc<AtomicBool>) -> i64 {
    let mut changes = 0;
    while !stop.load(Ordering::SeqCst) {
        let body = json!({"notes": format!("{changes}")});
        patch.clone().json(&body).await.expect(200);
        changes += 1;
    }
    changes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nobody_notices_a_move_between_servers() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = PrivatePostgres::start(Options {
        max_connections: 60,
        durable: false,
        ..Options::new(folder.path())
    })
    .await
    .expect("a second server");
    let app = TestApp::builder().set("database.master_pool", 16).start().await;
    let second = app.second_process().await;
    let platform = &app.test.platform;
    add(platform, "second", server.admin_url()).await;
    let garage = app.onboard("garage-alpha", "cars").await;
    let neighbour = app.onboard("sales-beta", "cars").await;
    let lead = app.post("/api/leads").by(&garage).json(&json!({"name": "Ana"}));
    let lead = lead.await.expect(201).json();
    let path = format!("/api/leads/{}", lead["id"].as_str().expect("an id"));

    let (stop, made) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let mut writers = JoinSet::new();
    let mut changers = JoinSet::new();
    let places: [SocketAddr; 2] = [app.address, second];
    for (number, at) in places.into_iter().enumerate() {
        for writer in 0..WRITERS {
            let post = app.post("/api/leads").by(&garage).at(at);
            let who = format!("w{number}{writer}");
            writers.spawn(write(post, who, Arc::clone(&stop), Arc::clone(&made)));
        }
        let patch = app.patch(&path).by(&garage).at(at);
        changers.spawn(change(patch, Arc::clone(&stop)));
        let post = app.post("/api/leads").by(&neighbour).at(at);
        let made = Arc::new(AtomicU64::new(0));
        writers.spawn(write(post, format!("neighbour{number}"), Arc::clone(&stop), made));
    }
    for shard in ["second", "local", "second"] {
        let from = made.load(Ordering::SeqCst);
        app.until("there are writers", || async {
            made.load(Ordering::SeqCst) > from + 20
        })
        .await;
        let moved = move_to(platform, "garage-alpha", shard).await.expect("it moves");
        assert_eq!(moved.to, shard);
        assert!(
            moved.amount.is_some_and(|amount| amount.rows > 20) && moved.pause_ms.is_some(),
            "{moved:?}"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    stop.store(true, Ordering::SeqCst);
    let mut names = HashSet::new();
    while let Some(made) = writers.join_next().await {
        for name in made.expect("no writer was refused") {
            assert!(names.insert(name));
        }
    }
    let mut changes = 0;
    while let Some(made) = changers.join_next().await {
        changes += made.expect("no change was refused");
    }

    let (shard, there) = home_of(platform, "garage-alpha").await;
    assert_eq!(shard, "second");
    let found = there
        .query(
            "select name from tenant_garage_alpha.leads where name <> 'Ana'",
            &[],
        )
        .await
        .unwrap();
    let written: Vec<&String> = names.iter().filter(|name| name.starts_with('w')).collect();
    assert_eq!(found.len(), written.len(), "each lead is there, and once");
    let found: HashSet<String> = found.iter().map(|row| row.get(0)).collect();
    assert!(written.iter().all(|name| found.contains(*name)));
    let version = "select version::int8 from tenant_garage_alpha.leads where name = 'Ana'";
    assert_eq!(number(&there, version).await, changes + 1);
    // One line of the audit for each.
    let audit = "select count(*) from tenant_garage_alpha.audit_log where action = 'lead.create'";
    let lines = number(&there, audit).await;
    assert_eq!(lines, written.len() as i64 + 1);
    sound(&app.test).await;
    app.test.platform.close().await;
    server.remove().await.expect("the second server is removed");
}
