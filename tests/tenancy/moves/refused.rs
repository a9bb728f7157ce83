//! What cannot be moved is refused before anything is done, and says why.

use std::str::FromStr as _;

use helixai::cli::private_postgres::{Options, PrivatePostgres};
use helixai::tenancy::keeper::Purge;
use helixai::tenancy::moving::MoveError;

use super::{Other, add, admin_of, move_to, sound};
use crate::helpers::{TestDb, TestPlatform, cli_origin};
use crate::tenancy::snapshots::{number, tenant_key};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_cannot_be_moved_says_why_and_stays() {
    let test = TestPlatform::start().await;
    let platform = &test.platform;
    let other = Other::add(platform).await;
    let garage = test.onboard("garage", "cars").await;
    let admin = test.admin().await;
    let why = async |shard: &str| {
        let refused = move_to(platform, "garage", shard)
            .await
            .expect_err("it is refused");
        refused.to_string()
    };

    let unknown = move_to(platform, "nobody", other.name).await;
    assert!(matches!(unknown, Err(MoveError::Unknown)), "{unknown:?}");
    let unknown = move_to(platform, "garage", "elsewhere").await;
    assert!(matches!(unknown, Err(MoveError::UnknownShard)), "{unknown:?}");

    platform
        .shards
        .set_open(other.name, false, cli_origin(), &platform.clock)
        .await
        .unwrap();
    let closed = move_to(platform, "garage", other.name).await;
    assert!(matches!(closed, Err(MoveError::Closed)), "{closed:?}");
    platform
        .shards
        .set_open(other.name, true, cli_origin(), &platform.clock)
        .await
        .unwrap();

    // An administrator of that database alone may not subscribe.
    let db = TestDb::create_empty().await;
    let url = db.owner_url().await;
    add(platform, "managed", &url).await;
    assert!(
        why("managed")
            .await
            .contains("may not make subscriptions on managed")
    );

    // What such an administrator may not revoke is another test's.
    admin
        .execute("delete from master.shards where name = 'managed'", &[])
        .await
        .unwrap();
    admin
        .batch_execute("create table tenant_garage.loose (n int)")
        .await
        .unwrap();
    assert!(
        why(other.name)
            .await
            .contains("tenant_garage.loose has no primary key")
    );
    admin
        .batch_execute("alter table tenant_garage.loose add primary key (n)")
        .await
        .unwrap();
    // A table that no template makes is found when the other side is made: the move is taken back.
    assert!(why(other.name).await.contains("loose is not as the template"));
    admin
        .batch_execute("drop table tenant_garage.loose")
        .await
        .unwrap();

    let there = admin_of(platform, other.name).await;
    there.batch_execute("create schema tenant_garage").await.unwrap();
    assert!(
        why(other.name)
            .await
            .contains("other has a schema tenant_garage already")
    );
    there.batch_execute("drop schema tenant_garage").await.unwrap();

    // While it is being moved, nobody restores, deletes or archives it.
    let id = garage.id.as_uuid();
    let moving = "insert into master.tenant_moves (id, tenant_id, phase, from_shard, from_lane, from_role, to_shard, to_lane,
                                                   to_role, created_at, updated_at)
                  select gen_random_uuid(), t.id, 'copying', t.shard_id, t.lane, t.role_name, l.shard_id, l.number, 'x', now(), now()
                  from master.tenants t, master.lanes l where t.id = $1 and l.shard_id <> t.shard_id limit 1";
    platform_lane(&test, other.name).await;
    assert_eq!(admin.execute(moving, &[&id]).await.unwrap(), 1);
    let deleted = platform
        .keeper
        .purge(&tenant_key("garage"), Purge::Anything, cli_origin())
        .await;
    assert!(
        matches!(deleted, Err(helixai::tenancy::keeper::KeeperError::Busy)),
        "{deleted:?}"
    );
    let restore =
        "insert into master.tenant_restores (id, tenant_id, mode, outcome, lease_expires_at, created_at)
                   values (gen_random_uuid(), $1, 'over', '{}', now(), now())";
    assert_eq!(
        admin
            .execute(restore, &[&id])
            .await
            .unwrap_err()
            .code()
            .unwrap()
            .code(),
        "55P03"
    );
    platform
        .lifecycle
        .suspend(&tenant_key("garage"), "a test", cli_origin())
        .await
        .expect("suspending is allowed");
    // Its worker never was: it is taken back, and stays suspended.
    assert_eq!(platform.mover.settle_abandoned().await.unwrap(), 1);
    admin
        .batch_execute(
            "update master.lanes set tenants_count = 0 where login like '%lane_1' and tenants_count < 0",
        )
        .await
        .unwrap();
    sound(&test).await;
}

/// A lane on this shard with one place taken, as a move that begins takes it.
async fn platform_lane(test: &TestPlatform, shard: &str) {
    let admin = test.admin().await;
    let lanes = format!(
        "select count(*) from master.lanes l join master.shards s on s.id = l.shard_id where s.name = '{shard}'"
    );
    // The refusals above came after the lane was opened.
    assert_eq!(number(&admin, &lanes).await, 1);
    admin
        .execute(
            "update master.lanes l set tenants_count = tenants_count + 1
             from master.shards s where s.id = l.shard_id and s.name = $1",
            &[&shard],
        )
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_server_without_logical_replication_takes_tenants_and_lets_none_go_and_logs_no_password() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = PrivatePostgres::start(Options {
        max_connections: 40,
        durable: false,
        settings: vec![
            ("wal_level".to_owned(), "replica".to_owned()),
            ("max_sync_workers_per_subscription".to_owned(), "4".to_owned()),
            // Whatever may log a statement does.
            ("log_statement".to_owned(), "all".to_owned()),
            ("log_min_duration_statement".to_owned(), "0".to_owned()),
            ("log_min_duration_sample".to_owned(), "0".to_owned()),
            ("log_transaction_sample_rate".to_owned(), "1".to_owned()),
            ("debug_print_parse".to_owned(), "on".to_owned()),
            ("debug_print_rewritten".to_owned(), "on".to_owned()),
        ],
        ..Options::new(folder.path())
    })
    .await
    .expect("a second server");
    let test = TestPlatform::start().await;
    let platform = &test.platform;
    add(platform, "second", server.admin_url()).await;
    test.onboard("garage", "cars").await;
    move_to(platform, "garage", "second")
        .await
        .expect("it may go there");
    let refused = move_to(platform, "garage", "local")
        .await
        .unwrap_err()
        .to_string();
    assert!(
        refused.contains("wal_level of the present shard is replica"),
        "{refused}"
    );
    assert!(
        !refused.contains("password") && !refused.contains("postgres://"),
        "{refused}"
    );
    sound(&test).await;
    let log = std::fs::read(server.log_file()).expect("the server's log");
    let log = String::from_utf8_lossy(&log);
    assert!(log.contains("drop subscription"), "statements are logged");
    let url = tokio_postgres::Config::from_str(&test.db().url()).expect("an address");
    let password = String::from_utf8_lossy(url.get_password().expect("a password")).into_owned();
    assert!(
        !log.contains(&password),
        "the password of the first server is in the log of the second one"
    );
    test.platform.close().await;
    server.remove().await.expect("the second server is removed");
}
