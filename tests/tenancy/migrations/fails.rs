//! What goes wrong with one tenant is its own affair.

use helixai::db::shard::template::CORE;
use helixai::tenancy::migrator::MigrateError;

use super::{key, keys, lead, migrate, mirrored, more, newer, next, number, order, reached, try_migrate};
use crate::helpers::TestPlatform;

/// Holds for everybody but those who have a lead of this name.
const CHECK: &str = "alter table leads add constraint leads_name_odd_check check (name <> 'Fulano')";

async fn ten() -> TestPlatform {
    let test = TestPlatform::start().await;
    for tenant in 0..10 {
        test.onboard(&format!("garage-{tenant}"), "general").await;
    }
    test
}

#[tokio::test]
async fn one_of_ten_fails_and_nine_are_done() {
    let test = ten().await;
    let admin = test.admin().await;
    lead(&admin, "tenant_garage_4", "Fulano").await;
    let migrator = newer(&test, &[more(CORE, CHECK)]).await;
    let outcome = migrate(&migrator).await;
    assert_eq!((outcome.migrated, keys(&outcome.failed)), (9, vec!["garage-4"]));
    let error = &outcome.failed[0].error;
    for part in ["more", "23514", "leads_name_odd_check"] {
        assert!(error.contains(part), "{error}");
    }
    assert_eq!(reached(&admin, "garage-4").await, next(CORE) - 1);
    mirrored(&admin).await;
    let status = migrator.status().await.unwrap();
    assert_eq!(status.behind, ["garage-4"]);
    let failed = &status.failed[0];
    assert_eq!((failed.ledger.as_str(), failed.version), (CORE, next(CORE) - 1));
    assert_eq!(&failed.trouble.error, error);

    // Nothing is mended by repeating; the others are not touched again.
    let outcome = migrate(&migrator).await;
    assert_eq!((outcome.migrated, outcome.failed.len()), (0, 1));
    admin
        .batch_execute("delete from tenant_garage_4.leads")
        .await
        .unwrap();
    let outcome = migrate(&migrator).await;
    assert_eq!((outcome.migrated, outcome.failed.len()), (1, 0));
    assert_eq!(migrator.status().await.unwrap().failed.len(), 0);
    mirrored(&admin).await;
}

#[tokio::test]
async fn too_many_failures_end_a_run_and_a_cure_lets_it_go_on() {
    let test = ten().await;
    let admin = test.admin().await;
    for tenant in 0..10 {
        lead(&admin, &format!("tenant_garage_{tenant}"), "Fulano").await;
    }
    let migrator = newer(&test, &[more(CORE, CHECK)]).await;
    let mut one_by_one = order(2);
    one_by_one.jobs = std::num::NonZeroUsize::MIN;
    let outcome = try_migrate(&migrator, &one_by_one).await.unwrap();
    assert_eq!((outcome.failed.len(), outcome.not_begun), (3, 7), "{outcome:?}");
    for tenant in 0..10 {
        admin
            .batch_execute(&format!("delete from tenant_garage_{tenant}.leads"))
            .await
            .unwrap();
    }
    let outcome = try_migrate(&migrator, &one_by_one).await.unwrap();
    assert_eq!((outcome.migrated, outcome.failed.len()), (10, 0), "{outcome:?}");
    mirrored(&admin).await;
}

#[tokio::test]
async fn nobody_is_begun_before_every_canary_is_done() {
    let test = ten().await;
    let admin = test.admin().await;
    lead(&admin, "tenant_garage_7", "Fulano").await;
    let migrator = newer(&test, &[more(CORE, CHECK)]).await;
    let mut with_canaries = order(10);
    with_canaries.canaries = vec![key("garage-7"), key("garage-2"), key("nobody")];
    match try_migrate(&migrator, &with_canaries).await {
        Err(MigrateError::Unknown(unknown)) => assert_eq!(unknown.as_str(), "nobody"),
        other => panic!("{other:?}"),
    }
    with_canaries.canaries.pop();
    with_canaries.jobs = std::num::NonZeroUsize::MIN;
    let outcome = try_migrate(&migrator, &with_canaries).await.unwrap();
    assert_eq!((keys(&outcome.failed), outcome.not_begun), (vec!["garage-7"], 8));
    assert_eq!(outcome.migrated, 1, "the other canary came first");
    admin
        .batch_execute("delete from tenant_garage_7.leads")
        .await
        .unwrap();
    let outcome = try_migrate(&migrator, &with_canaries).await.unwrap();
    assert_eq!((outcome.migrated, outcome.not_begun), (9, 0));
}

#[tokio::test]
async fn an_error_tells_no_value_of_a_row() {
    let test = TestPlatform::start().await;
    test.onboard("garage", "general").await;
    let admin = test.admin().await;
    lead(&admin, "tenant_garage", "Fulano Secreto").await;
    for (sql, state) in [
        (
            "create table numbers (number integer not null, constraint numbers_pkey primary key (number));
             insert into numbers (number) select name::integer from leads",
            "22P02",
        ),
        (
            "create table names (name text not null, constraint names_pkey primary key (name));
             insert into names (name) select name from leads; insert into names (name) select name from leads",
            "23505",
        ),
    ] {
        let migrator = newer(&test, &[more(CORE, sql)]).await;
        let outcome = migrate(&migrator).await;
        let error = &outcome.failed[0].error;
        assert!(error.contains(state), "{error}");
        assert!(!error.contains("Secreto"), "{error}");
    }
    let kept = "select count(*) from master.tenant_migrations where error like '%Secreto%'";
    assert_eq!(number(&admin, kept).await, 0);
}

#[tokio::test]
async fn an_open_transaction_of_one_tenant_keeps_no_other_waiting() {
    let test = ten().await;
    let admin = test.admin().await;
    let sql = "alter table leads add column budget_cents bigint";
    let mut migrator = newer(&test, &[more(CORE, sql)]).await;
    let mut somebody = test.admin().await;
    let reading = somebody.transaction().await.unwrap();
    reading
        .query("select id from tenant_garage_3.leads", &[])
        .await
        .unwrap();
    let outcome = migrate(&migrator).await;
    assert_eq!(
        (outcome.migrated, keys(&outcome.waiting)),
        (9, vec!["garage-3"]),
        "{outcome:?}"
    );
    assert_eq!(outcome.failed.len(), 0, "nothing is wrong with it");
    mirrored(&admin).await;

    // Given more time, the run goes on until the other has ended.
    migrator.patience.rounds = 10_000;
    let run = tokio::spawn(async move { migrate(&migrator).await });
    let waits =
        "select count(*) from pg_locks where not granted and relation = 'tenant_garage_3.leads'::regclass";
    while number(&admin, waits).await == 0 {
        assert!(!run.is_finished(), "it cannot be done yet");
        tokio::task::yield_now().await;
    }
    reading.commit().await.unwrap();
    assert_eq!(run.await.unwrap().migrated, 1);
    mirrored(&admin).await;
}

#[tokio::test]
async fn a_shard_out_of_reach_keeps_no_other_waiting() {
    let test = TestPlatform::start().await;
    test.onboard("garage", "general").await;
    test.onboard("imob", "general").await;
    let admin = test.admin().await;
    // A second shard at an address where nobody answers.
    let id = uuid::Uuid::now_v7();
    let sealed = test
        .platform
        .key
        .seal(&format!("shard:{id}"), b"postgres://nobody@127.0.0.1:1/nothing");
    admin
        .execute(
            "insert into master.shards (id, name, kind, database_url_sealed, role_prefix, status, max_tenants, created_at, updated_at)
             values ($1, 'far', 'remote', $2, 'hxfaraway', 'closed', 10, now(), now())",
            &[&id, &sealed],
        )
        .await
        .unwrap();
    admin
        .batch_execute(&format!(
            "insert into master.lanes (shard_id, number, login, status, created_at, updated_at)
             values ('{id}', 1, 'hxfaraway_lane_1', 'open', now(), now());
             update master.tenants set shard_id = '{id}', lane = 1 where tenant_key = 'imob'"
        ))
        .await
        .unwrap();
    let sql = "alter table leads add column budget_cents bigint";
    let outcome = migrate(&newer(&test, &[more(CORE, sql)]).await).await;
    assert_eq!(
        (outcome.migrated, keys(&outcome.waiting)),
        (1, vec!["imob"]),
        "{outcome:?}"
    );
    assert_eq!(outcome.failed.len(), 0);
}
