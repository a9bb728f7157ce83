//! Lanes: bounded waiting, one pool for as many tenants as there are, and no tenant's work under another login.

use std::time::{Duration, Instant};

use helixai::db::DbError;

use super::queries::{backend, whereabouts};
use crate::helpers::TestPlatform;

#[tokio::test]
async fn an_exhausted_pool_is_unavailable_after_the_wait() {
    let test = TestPlatform::builder()
        .lane_pool(1)
        .set("database.wait_timeout_secs", 1)
        .start()
        .await;
    let alpha = test.onboard("alpha", "cars").await;
    let beta = test.onboard("beta", "cars").await;
    let (db, other) = (test.tenant_db(&alpha).await, test.tenant_db(&beta).await);
    let (tx, _) = db.begin(&test.system(), ()).await.unwrap();
    let refused = db.run(&test.system(), ()).await.err();
    assert!(matches!(refused, Some(DbError::Crowded)), "{refused:?}");
    let started = Instant::now();
    let refused = other.run(&test.system(), ()).await;
    let waited = started.elapsed();
    assert!(
        matches!(refused, Err(DbError::Unavailable(_))),
        "{:?}",
        refused.err()
    );
    assert!((900..2500).contains(&waited.as_millis()), "{waited:?}");
    tx.rollback().await.unwrap();
    db.run(&test.system(), ()).await.unwrap();
}

#[tokio::test]
async fn one_tenant_leaves_a_connection_to_the_others() {
    let test = TestPlatform::builder()
        .lane_pool(3)
        .set("database.wait_timeout_secs", 1)
        .start()
        .await;
    let (alpha, beta) = (
        test.onboard("alpha", "cars").await,
        test.onboard("beta", "cars").await,
    );
    let (alpha, beta) = (test.tenant_db(&alpha).await, test.tenant_db(&beta).await);
    let (one, _) = alpha.begin(&test.system(), ()).await.unwrap();
    let (two, _) = alpha.begin(&test.system(), ()).await.unwrap();
    let refused = alpha.run(&test.system(), ()).await.err();
    assert!(matches!(refused, Some(DbError::Crowded)), "{refused:?}");
    for _ in 0..10 {
        beta.run(&test.system(), ()).await.unwrap();
    }
    // Dropped, not rolled back: the share is free as the connection is.
    drop(one);
    alpha.run(&test.system(), ()).await.unwrap();
    two.rollback().await.unwrap();
}

#[tokio::test]
async fn a_request_that_waits_gets_the_connection_when_it_is_free() {
    let test = TestPlatform::builder().lane_pool(1).start().await;
    let alpha = test.onboard("alpha", "cars").await;
    let db = test.tenant_db(&alpha).await;
    let (tx, _) = db.begin(&test.system(), ()).await.unwrap();
    let waiting = tokio::spawn({
        let (db, access) = (db.clone(), test.system());
        async move { db.run(&access, whereabouts()).await }
    });
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!waiting.is_finished());
    // Dropped, not rolled back: the place is free, and the connection another.
    drop(tx);
    waiting.await.unwrap().unwrap();
}

#[tokio::test]
async fn many_tenants_in_turn_share_the_connections_of_their_lane() {
    let test = TestPlatform::builder().lane_pool(2).start().await;
    let mut tenants = Vec::new();
    for number in 0..12 {
        let tenant = test.onboard(&format!("garage-{number}"), "general").await;
        tenants.push((tenant.schema_name.clone(), test.tenant_db(&tenant).await));
    }
    let mut pids = std::collections::HashSet::new();
    for _ in 0..5 {
        for (schema, db) in &tenants {
            let reply = db
                .run(&test.system(), (whereabouts(), backend()))
                .await
                .unwrap()
                .output;
            assert_eq!(reply.0.0.as_ref(), Some(schema));
            pids.insert(reply.1);
        }
    }
    assert!(pids.len() <= 2, "no connection was made anew: {pids:?}");
    let status = test.platform.lanes.status();
    assert_eq!(status.len(), 1, "one lane: {status:?}");
}

#[tokio::test]
async fn the_server_sees_tenants_only_under_lane_logins() {
    let test = TestPlatform::builder().lane_capacity(1).start().await;
    let (alpha, beta) = (
        test.onboard("alpha", "cars").await,
        test.onboard("beta", "cars").await,
    );
    let (alpha, beta) = (test.tenant_db(&alpha).await, test.tenant_db(&beta).await);
    let (one, _) = alpha.begin(&test.system(), whereabouts()).await.unwrap();
    let (two, _) = beta.begin(&test.system(), whereabouts()).await.unwrap();
    let admin = test.admin().await;
    let activity = admin
        .query(
            "select usename::text, state, usesuper from pg_stat_activity join pg_user using (usename)
             where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'",
            &[],
        )
        .await
        .unwrap();
    let mut in_transaction = Vec::new();
    for row in activity {
        let (login, state, superuser): (String, String, bool) = (row.get(0), row.get(1), row.get(2));
        assert!(!superuser, "{login} is a superuser");
        assert!(login.ends_with("_master") || login.contains("_lane_"), "{login}");
        if state == "idle in transaction" {
            in_transaction.push(login);
        }
    }
    in_transaction.sort();
    assert_eq!(in_transaction.len(), 2);
    assert!(in_transaction[0].ends_with("_lane_1") && in_transaction[1].ends_with("_lane_2"));
    one.rollback().await.unwrap();
    two.rollback().await.unwrap();
}
