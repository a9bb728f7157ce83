//! Who works on what was decided: attempts that fail, that others have taken over, that must wait, and that are stopped.

use std::sync::Arc;
use std::time::Duration;

use helixai::domain::ids::TenantId;
use helixai::tenancy::keeper::{AT_ONCE, Decided, OnProgress};
use helixai::tenancy::reconcile;
use tokio_postgres::Transaction;
use tokio_util::sync::CancellationToken;

use super::*;

async fn decide(platform: &Platform, key: &str) -> Decided {
    let key = tenant_key(key);
    let decided = platform.keeper.decide_archive(&key, Fate::Kept, cli_origin());
    decided.await.unwrap()
}

/// What cannot be put away.
async fn spoil(test: &TestPlatform, schema: &str) {
    let stranger = format!("create table {schema}.stranger (id int primary key)");
    test.admin().await.batch_execute(&stranger).await.unwrap();
}

/// What a worker leaves that dies before it has noted its snapshot, and one that dies before it is whole.
fn leave_attempts(test: &TestPlatform, tenant: TenantId) {
    let folder = test.settings.lifecycle.archives(&test.settings.storage.folder);
    std::fs::create_dir_all(&folder).unwrap();
    let whole = format!("{tenant}.{}.snapshot", "0".repeat(32));
    std::fs::write(folder.join(format!(".{whole}.x.partial")), "rows").unwrap();
    std::fs::write(folder.join(whole), "rows").unwrap();
}

/// A request that is inside of the tenant.
async fn enter(transaction: &Transaction<'_>, tenant: TenantId) {
    let lock = "select pg_advisory_xact_lock_shared($1)";
    transaction.execute(lock, &[&tenant.lock_key()]).await.unwrap();
}

async fn somebody_waits(test: &TestPlatform) {
    let admin = test.admin().await;
    let waits = "select exists (select from pg_locks l join pg_database d on d.oid = l.database
                                where d.datname = current_database() and l.locktype = 'advisory' and not l.granted)";
    while !admin.query_one(waits, &[]).await.unwrap().get::<_, bool>(0) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn attempts_that_failed_leave_no_snapshot_behind() {
    let (test, _, schema) = garage().await;
    spoil(&test, &schema).await;
    let tenant = decide(&test.platform, "garage").await.tenant;
    let keeper = &test.platform.keeper;
    leave_attempts(&test, tenant.id);
    let other = TenantId::new();
    leave_attempts(&test, other);
    keeper
        .put_away(&tenant, cli_origin(), &silent())
        .await
        .unwrap_err();
    assert_eq!(files(&test).len(), 2, "another tenant's");
    leave_attempts(&test, tenant.id);
    bring_back(&test.platform, "garage").await.unwrap();
    assert!(files(&test).iter().all(|file| file.contains(&other.to_string())));
    assert_eq!(archive_of(&test, "garage").await.0, TenantStatus::Active);
}

#[tokio::test]
async fn a_snapshot_that_another_worker_has_removed_is_not_noted() {
    let (test, _, schema) = garage().await;
    let tenant = decide(&test.platform, "garage").await.tenant;
    let folder = test.settings.lifecycle.archives(&test.settings.storage.folder);
    // It is open and being read back; nobody holds its name.
    let progress: OnProgress = Arc::new(move |step, _, _| {
        if step == "checking" {
            for file in std::fs::read_dir(&folder).expect("the folder") {
                std::fs::remove_file(file.expect("a file").path()).expect("ours");
            }
        }
    });
    let keeper = &test.platform.keeper;
    let late = keeper.put_away(&tenant, cli_origin(), &progress).await;
    assert!(matches!(late, Err(KeeperError::Busy)), "{late:?}");
    let (status, archive) = archive_of(&test, "garage").await;
    assert_eq!(status, TenantStatus::Archiving);
    assert!(archive.expect("it is known").snapshot.is_none());
    let leads = format!("select count(*) from {schema}.leads");
    assert_eq!(number(&test.admin().await, &leads).await, 61);
    keeper.put_away(&tenant, cli_origin(), &silent()).await.unwrap();
    bring_back(&test.platform, "garage").await.unwrap();
    assert_eq!(number(&test.admin().await, &leads).await, 61);
}

#[tokio::test]
async fn what_fails_slowly_is_tried_once_in_a_round() {
    let (test, clock, schema) = garage().await;
    spoil(&test, &schema).await;
    decide(&test.platform, "garage").await;
    clock.advance(TimeDelta::minutes(5));
    // Each step takes longer than a lease lasts.
    let running = tokio::spawn({
        let clock = clock.clone();
        async move {
            loop {
                clock.advance(TimeDelta::minutes(3));
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
    });
    let round = test.platform.keeper.finish_expired();
    let round = tokio::time::timeout(Duration::from_secs(60), round).await;
    running.abort();
    assert_eq!(round.expect("a round ends").unwrap(), 0);
    let error = archive_of(&test, "garage")
        .await
        .1
        .and_then(|archive| archive.error);
    assert!(error.is_some_and(|error| error.contains("stranger")));
}

#[tokio::test]
async fn only_so_many_are_put_away_at_once() {
    let test = TestPlatform::start().await;
    let second = test.second().await;
    for key in ["garage", "other"] {
        test.onboard(key, "cars").await;
    }
    let keeper = test.platform.keeper.clone();
    let permits = keeper.at_once.clone();
    let turns = permits.acquire_many_owned(AT_ONCE as u32).await.unwrap();
    let decided = decide(&test.platform, "garage").await;
    let waiting = tokio::spawn({
        let keeper = keeper.clone();
        async move { keeper.carry_out(&decided, cli_origin(), &silent()).await }
    });
    // Another process has turns of its own.
    let theirs = decide(&second, "other").await;
    second
        .keeper
        .carry_out(&theirs, cli_origin(), &silent())
        .await
        .unwrap();
    assert_eq!(archive_of(&test, "other").await.0, TenantStatus::Archived);
    assert_eq!(archive_of(&test, "garage").await.0, TenantStatus::Archiving);
    drop(turns);
    waiting.await.unwrap().unwrap();
    assert_eq!(archive_of(&test, "garage").await.0, TenantStatus::Archived);
    sound(&test).await;
}

#[tokio::test]
async fn a_process_that_ends_waits_for_no_archive() {
    let (test, clock, _) = garage().await;
    let tenant = decide(&test.platform, "garage").await.tenant;
    clock.advance(TimeDelta::minutes(5));
    let mut inside = test.admin().await;
    let transaction = inside.transaction().await.unwrap();
    enter(&transaction, tenant.id).await;
    let stop = CancellationToken::new();
    let (provisioner, keeper) = (test.platform.provisioner.clone(), test.platform.keeper.clone());
    let reconciler = reconcile::spawn(provisioner, keeper, Duration::from_secs(3600), stop.clone());
    somebody_waits(&test).await;
    stop.cancel();
    let ended = tokio::time::timeout(Duration::from_secs(60), reconciler).await;
    ended.expect("it ends").unwrap();
    let (status, archive) = archive_of(&test, "garage").await;
    let error = archive.expect("it is known").error;
    assert_eq!(
        (status, error),
        (TenantStatus::Archiving, None),
        "it is left, not failed"
    );
    transaction.commit().await.unwrap();
    clock.advance(TimeDelta::minutes(5));
    let second = test.second().await;
    // As long as the server has not seen that the first one is gone, the tenant is held.
    while second.keeper.finish_expired().await.unwrap() == 0 {
        clock.advance(TimeDelta::minutes(5));
    }
    assert_eq!(archive_of(&test, "garage").await.0, TenantStatus::Archived);
    sound(&test).await;
}
