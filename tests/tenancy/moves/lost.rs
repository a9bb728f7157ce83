//! A worker that has been killed, and what keeps others from taking its place: a lock, a statement, a shard that never comes back.

use std::time::Duration;

use helixai::cli::private_postgres::{Options, PrivatePostgres};
use helixai::db::shard::moving::{Wait, hold_tenant};
use helixai::db::tenant::Query;
use serde_json::Value;

use super::killed::settle;
use super::{Other, add, admin_of, home_of, move_to, sound};
use crate::helpers::tenant_db_of;
use crate::tenancy::killed::{Killed, ended, must_die};
use crate::tenancy::snapshots::{fill, number};

/// The phase of the one move and why it could not be settled.
async fn state(killed: &Killed) -> (String, Option<String>) {
    let admin = killed.test.admin().await;
    let row = admin
        .query_one("select phase, error from master.tenant_moves", &[])
        .await
        .unwrap();
    (row.get(0), row.get(1))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_outlives_a_worker_is_waited_for_and_not_for_ever() {
    let killed = Killed::start(250).await;
    let platform = &killed.test.platform;
    let other = Other::add(platform).await;
    let garage = killed.test.onboard("garage", "cars").await;
    must_die(
        killed.command(&["tenant", "move", "garage", other.name]),
        "move.prepared",
    )
    .await;
    let prepared =
        "select count(*) from pg_tables where schemaname = 'tenant_garage' and tablename = 'leads'";
    let mut there = admin_of(platform, other.name).await;
    // As a statement of the worker that its server has not ended yet.
    while hold_tenant(&there, garage.id, Wait::Briefly).await.is_err() {}
    while state(&killed).await.0 != "undoing" {
        assert_eq!(platform.mover.settle_abandoned().await.unwrap(), 0);
    }
    assert_eq!(platform.mover.settle_abandoned().await.unwrap(), 0);
    assert_eq!(number(&there, prepared).await, 1);
    assert_eq!(state(&killed).await.1, None, "somebody is at work");

    // Somebody reads there, and does not end.
    there = admin_of(platform, other.name).await;
    let reading = there.transaction().await.unwrap();
    reading
        .batch_execute("lock table tenant_garage.leads in access share mode")
        .await
        .unwrap();
    let tried = async {
        while state(&killed).await.1.is_none() {
            assert_eq!(platform.mover.settle_abandoned().await.unwrap(), 0);
        }
    };
    tokio::time::timeout(Duration::from_secs(60), tried)
        .await
        .expect("it is given up for the moment");
    reading.rollback().await.unwrap();
    settle(&killed).await;
    assert_eq!(number(&there, prepared).await, 0);
    sound(&killed.test).await;
}

/// `helixai tenant move KEY --abandon`: its exit code and what it printed.
async fn abandon(killed: &Killed, key: &str) -> (Option<i32>, Value) {
    loop {
        let run = ended(killed.command(&["tenant", "move", key, "--abandon", "--json"])).await;
        // Busy, while the server has not noticed that the worker is dead.
        if run.status.code() != Some(6) {
            return (
                run.status.code(),
                serde_json::from_slice(&run.stdout).unwrap_or_default(),
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_move_one_of_whose_shards_is_lost_is_given_up() {
    let folder = tempfile::tempdir().expect("a folder");
    let second = PrivatePostgres::start(Options {
        max_connections: 60,
        durable: false,
        ..Options::new(folder.path())
    })
    .await
    .expect("a second server");
    let killed = Killed::start(250).await;
    let (test, platform) = (&killed.test, &killed.test.platform);
    add(platform, "second", second.admin_url()).await;
    let admin = test.admin().await;
    for key in ["garage", "sales", "rentals"] {
        test.onboard(key, "cars").await;
        fill(&admin, &format!("tenant_{key}")).await;
    }
    for key in ["sales", "rentals"] {
        move_to(platform, key, "second").await.expect("it moves");
    }
    assert_eq!(abandon(&killed, "garage").await.0, Some(5), "it is not moved");
    // One on its way there, one that has come back, one that was about to.
    for (key, shard, point) in [
        ("garage", "second", "move.copied"),
        ("sales", "local", "move.switched"),
        ("rentals", "local", "move.near"),
    ] {
        must_die(killed.command(&["tenant", "move", key, shard]), point).await;
        assert_eq!(abandon(&killed, key).await.0, Some(5), "both answer: {key}");
    }
    second.stop().await.expect("the second server is stopped");

    for (key, lives_on, phase, rows_left_on) in [
        ("garage", "local", "copying", None),
        ("sales", "local", "switched", None),
        ("rentals", "second", "catching_up", Some("local")),
    ] {
        let (code, told) = abandon(&killed, key).await;
        assert_eq!(code, Some(0), "{key}");
        assert_eq!(told["lives_on"], lives_on, "{key}");
        assert_eq!(told["lost"], "second", "{key}");
        assert_eq!(told["phase"], phase, "{key}");
        assert_eq!(told["rows_left_on"].as_str(), rows_left_on, "{key}");
    }
    for key in ["garage", "sales"] {
        assert_eq!(home_of(platform, key).await.0, "local");
        let db = tenant_db_of(platform, key).await;
        let count = Query::<i64>::one("select count(*) from leads", |mut row| row.next());
        assert_eq!(
            db.run(&test.system(), count).await.expect("served").output,
            61,
            "{key}"
        );
    }
    // It may be all that there is of the tenant.
    assert_eq!(
        number(&admin, "select count(*) from tenant_rentals.leads").await,
        61
    );
    for (left, none) in [
        (
            "an unended move",
            "select count(*) from master.tenant_moves where ended_at is null",
        ),
        ("a publication", "select count(*) from pg_publication"),
        (
            "a slot",
            "select count(*) from pg_replication_slots where database = current_database()",
        ),
        (
            "a subscription",
            "select count(*) from pg_subscription s join pg_database d on d.oid = s.subdbid
             where d.datname = current_database()",
        ),
        (
            "a place that is counted wrongly",
            "select count(*) from master.lanes l where tenants_count <>
             (select count(*) from master.tenants t where t.shard_id = l.shard_id and t.lane = l.number)",
        ),
    ] {
        assert_eq!(number(&admin, none).await, 0, "{left}");
    }
    let audited =
        "select count(*) from master.audit_log where action = 'tenant.move_abandon' and actor_kind = 'cli'";
    assert_eq!(number(&admin, audited).await, 3);
}
