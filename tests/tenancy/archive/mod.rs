//! Tenants that are put away, deleted with a grace, brought back, and gone in the end.

#[cfg(feature = "kill_points")]
mod killed;
mod restored;
mod worked;

use chrono::{TimeDelta, Utc};
use helixai::db::master::archives::{self, ArchiveRecord};
use helixai::domain::clock::Clock;
use helixai::domain::tenant::TenantStatus;
use helixai::platform::Platform;
use helixai::tenancy::keeper::{Fate, KeeperError, Purge};

use super::snapshots::{fill, findings, kept, number, silent, tenant_key};
use crate::helpers::{TestPlatform, cli_origin, tenant_db_of};

async fn put_away(platform: &Platform, key: &str, fate: Fate) -> Result<(), KeeperError> {
    let keeper = &platform.keeper;
    let decided = keeper
        .decide_archive(&tenant_key(key), fate, cli_origin())
        .await?;
    if decided.unfinished {
        keeper.put_away(&decided.tenant, cli_origin(), &silent()).await?;
    }
    Ok(())
}

async fn bring_back(platform: &Platform, key: &str) -> Result<(), KeeperError> {
    let keeper = &platform.keeper;
    let decided = keeper.decide_bring_back(&tenant_key(key), cli_origin()).await?;
    if decided.unfinished {
        keeper
            .bring_back(&decided.tenant, cli_origin(), &silent())
            .await?;
    }
    Ok(())
}

/// A platform with a garage that has rows in every table, and the garage's schema.
async fn garage() -> (TestPlatform, Clock, String) {
    let clock = Clock::fixed(Utc::now());
    let test = TestPlatform::builder().clock(clock.clone()).start().await;
    let schema = test.onboard("garage", "cars").await.schema_name;
    fill(&test.admin().await, &schema).await;
    (test, clock, schema)
}

async fn archive_of(test: &TestPlatform, key: &str) -> (TenantStatus, Option<ArchiveRecord>) {
    let master = &test.platform.master;
    let tenant = helixai::db::master::tenants::find_record(master, &tenant_key(key))
        .await
        .unwrap()
        .expect("a tenant");
    let archive = archives::find_all(master, &[tenant.id]).await.unwrap().pop();
    (tenant.status, archive)
}

fn files(test: &TestPlatform) -> Vec<String> {
    let folder = test.settings.lifecycle.archives(&test.settings.storage.folder);
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

async fn sound(test: &TestPlatform) {
    super::snapshots::sound(&test.settings).await;
}

async fn actions(test: &TestPlatform) -> Vec<String> {
    let rows = test
        .admin()
        .await
        .query("select action from master.audit_log order by id", &[])
        .await
        .unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

#[tokio::test]
async fn what_is_put_away_comes_back_row_by_row_and_has_no_place_meanwhile() {
    let (test, _, schema) = garage().await;
    test.onboard("other", "cars").await;
    let admin = test.admin().await;
    let before = kept(&admin, &schema).await;
    put_away(&test.platform, "garage", Fate::Kept).await.unwrap();
    let (status, archive) = archive_of(&test, "garage").await;
    let archive = archive.expect("it is known");
    assert_eq!((status, archive.purge_at), (TenantStatus::Archived, None));
    assert_eq!(files(&test), [archive.snapshot.expect("a snapshot").file]);
    for (sql, expected) in [
        ("pg_namespace where nspname = 'tenant_garage'", 0),
        (
            "pg_roles, helixai.shard where rolname = role_prefix || '_tenant_garage'",
            0,
        ),
        ("helixai.tenant_roles", 1),
        ("master.lanes where tenants_count = 1", 1),
        ("master.subscriptions", 2),
    ] {
        let found = number(&admin, &format!("select count(*) from {sql}")).await;
        assert_eq!(found, expected, "{sql}");
    }
    sound(&test).await;
    // Twice is once.
    put_away(&test.platform, "garage", Fate::Kept).await.unwrap();
    bring_back(&test.platform, "garage").await.unwrap();
    assert_eq!(kept(&admin, &schema).await, before);
    let (status, archive) = archive_of(&test, "garage").await;
    assert!(status == TenantStatus::Active && archive.is_none(), "{archive:?}");
    assert_eq!(files(&test), [""; 0], "nothing is kept of what came back");
    let db = tenant_db_of(&test.platform, "garage").await;
    db.run(&test.system(), ()).await.expect("it is served");
    bring_back(&test.platform, "garage").await.unwrap();
    sound(&test).await;
    let actions = actions(&test).await;
    assert_eq!(
        actions[2..],
        [
            "tenant.archive",
            "tenant.archived",
            "tenant.bring_back",
            "tenant.restore"
        ]
    );
}

#[tokio::test]
async fn a_deleted_tenant_is_gone_when_its_grace_is_over() {
    let (test, clock, _) = garage().await;
    test.onboard("other", "cars").await;
    let keeper = &test.platform.keeper;
    put_away(&test.platform, "garage", Fate::Deleted).await.unwrap();
    let until = archive_of(&test, "garage").await.1.unwrap().purge_at.unwrap();
    assert_eq!(until, clock.now() + TimeDelta::days(30));
    clock.set(clock.now() + TimeDelta::days(20));
    put_away(&test.platform, "garage", Fate::Deleted).await.unwrap();
    let still = archive_of(&test, "garage").await.1.unwrap().purge_at;
    assert_eq!(still, Some(until), "deleting it again gives it no more time");
    assert_eq!(keeper.finish_expired().await.unwrap(), 0);
    // Kept after all, and deleted after all.
    put_away(&test.platform, "garage", Fate::Kept).await.unwrap();
    clock.set(until);
    assert_eq!(keeper.finish_expired().await.unwrap(), 0);
    put_away(&test.platform, "garage", Fate::Deleted).await.unwrap();
    clock.set(clock.now() + TimeDelta::days(30));
    assert_eq!(keeper.finish_expired().await.unwrap(), 1);
    let admin = test.admin().await;
    for (sql, expected) in [
        ("master.tenants where tenant_key = 'garage'", 0),
        ("master.tenant_archives", 0),
        ("master.tenant_keys_reserved where tenant_key = 'garage'", 1),
        ("master.lanes where tenants_count = 1", 1),
    ] {
        let found = number(&admin, &format!("select count(*) from {sql}")).await;
        assert_eq!(found, expected, "{sql}");
    }
    assert_eq!(files(&test), [""; 0]);
    sound(&test).await;
    let actions = actions(&test).await;
    assert_eq!(
        actions[2..],
        [
            "tenant.delete",
            "tenant.archived",
            "tenant.archive",
            "tenant.delete",
            "tenant.purge",
            "tenant.purged"
        ]
    );
}

#[tokio::test]
async fn only_what_is_put_away_is_purged_unless_anything_is_meant() {
    let (test, _, _) = garage().await;
    let keeper = &test.platform.keeper;
    let refused = keeper
        .purge(&tenant_key("garage"), Purge::Archived, cli_origin())
        .await;
    assert!(
        matches!(refused, Err(KeeperError::WrongState(TenantStatus::Active))),
        "{refused:?}"
    );
    put_away(&test.platform, "garage", Fate::Kept).await.unwrap();
    keeper
        .purge(&tenant_key("garage"), Purge::Archived, cli_origin())
        .await
        .unwrap();
    assert_eq!(files(&test), [""; 0]);
    let gone = bring_back(&test.platform, "garage").await;
    assert!(matches!(gone, Err(KeeperError::Unknown)), "{gone:?}");
    sound(&test).await;
}

#[tokio::test]
async fn of_two_at_once_one_is_told_to_wait() {
    let (test, _, schema) = garage().await;
    let keeper = &test.platform.keeper;
    let second = test.second().await;
    let key = tenant_key("garage");
    let decided = keeper
        .decide_archive(&key, Fate::Kept, cli_origin())
        .await
        .unwrap();
    // A request that is inside of the tenant holds the first one up.
    let mut inside = test.admin().await;
    let transaction = inside.transaction().await.unwrap();
    transaction
        .execute(
            "select pg_advisory_xact_lock_shared($1)",
            &[&decided.tenant.id.lock_key()],
        )
        .await
        .unwrap();
    let first = tokio::spawn({
        let (keeper, tenant) = (keeper.clone(), decided.tenant.clone());
        async move { keeper.put_away(&tenant, cli_origin(), &silent()).await }
    });
    let admin = test.admin().await;
    let waits = "select exists (select from pg_locks where locktype = 'advisory' and not granted)";
    while !admin.query_one(waits, &[]).await.unwrap().get::<_, bool>(0) {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    for late in [
        put_away(&second, "garage", Fate::Kept).await,
        bring_back(&second, "garage").await,
        super::snapshots::backup(&second, "garage", "/nonexistent".into())
            .await
            .map(|_| ()),
    ] {
        assert!(
            matches!(
                late,
                Err(KeeperError::Busy | KeeperError::WrongState(TenantStatus::Archiving))
            ),
            "{late:?}"
        );
    }
    assert_eq!(
        number(&admin, &format!("select count(*) from {schema}.leads")).await,
        61
    );
    transaction.commit().await.unwrap();
    first.await.unwrap().unwrap();
    assert_eq!(archive_of(&test, "garage").await.0, TenantStatus::Archived);
    sound(&test).await;
}

#[tokio::test]
async fn what_cannot_be_put_away_says_why_and_can_be_served_again() {
    let (test, clock, schema) = garage().await;
    let admin = test.admin().await;
    let stranger = format!("create table {schema}.stranger (id int primary key)");
    admin.batch_execute(&stranger).await.unwrap();
    put_away(&test.platform, "garage", Fate::Deleted)
        .await
        .unwrap_err();
    let (status, archive) = archive_of(&test, "garage").await;
    let archive = archive.unwrap();
    let error = archive.error.unwrap_or_default();
    assert_eq!(status, TenantStatus::Archiving);
    assert!(error.contains("stranger"), "{error}");
    assert_eq!(files(&test), [""; 0], "no half of a snapshot is left");
    let told = findings(&test.settings).await;
    assert!(
        matches!(&told[..], [one] if one.starts_with("archives: garage is not served") && one.contains("stranger")),
        "{told:?}"
    );
    // Nothing has been removed: it is served as before.
    bring_back(&test.platform, "garage").await.unwrap();
    let db = tenant_db_of(&test.second().await, "garage").await;
    db.run(&test.system(), ()).await.expect("it is served");
    put_away(&test.platform, "garage", Fate::Deleted)
        .await
        .unwrap_err();
    admin
        .batch_execute(&format!("drop table {schema}.stranger"))
        .await
        .unwrap();
    // By the reconciler, once the lease is over.
    assert_eq!(test.platform.keeper.finish_expired().await.unwrap(), 0);
    clock.set(clock.now() + TimeDelta::minutes(5));
    assert_eq!(test.platform.keeper.finish_expired().await.unwrap(), 1);
    let (status, archive) = archive_of(&test, "garage").await;
    let archive = archive.unwrap();
    assert_eq!((status, archive.error), (TenantStatus::Archived, None));
    assert!(archive.purge_at.is_some());
    sound(&test).await;
}

#[tokio::test]
async fn an_archive_that_was_touched_is_not_brought_back() {
    let (test, clock, schema) = garage().await;
    let before = kept(&test.admin().await, &schema).await;
    put_away(&test.platform, "garage", Fate::Deleted).await.unwrap();
    let folder = test.settings.lifecycle.archives(&test.settings.storage.folder);
    let file = folder.join(&files(&test)[0]);
    let whole = std::fs::read(&file).unwrap();
    let mut altered = whole.clone();
    altered[whole.len() / 2] ^= 1;
    for bytes in [altered.as_slice(), &whole[..whole.len() / 2], &[]] {
        std::fs::write(&file, bytes).unwrap();
        bring_back(&test.platform, "garage").await.unwrap_err();
        let (status, archive) = archive_of(&test, "garage").await;
        assert_eq!(status, TenantStatus::Archived);
        assert!(archive.unwrap().error.is_some());
        let told = findings(&test.settings).await;
        assert!(
            matches!(&told[..], [one] if one.starts_with("archives: garage could not be brought back")),
            "{told:?}"
        );
    }
    let given_up = "select count(*) from master.audit_log where action = 'tenant.bring_back'
                    and (details ->> 'purge_at')::timestamptz > now() + interval '29 days'";
    assert_eq!(
        number(&test.admin().await, given_up).await,
        1,
        "the date that it had"
    );
    // Who wanted it back does not lose it to the date that it had.
    clock.set(clock.now() + TimeDelta::days(60));
    assert_eq!(test.platform.keeper.finish_expired().await.unwrap(), 0);
    std::fs::write(&file, &whole).unwrap();
    bring_back(&test.platform, "garage").await.unwrap();
    assert_eq!(kept(&test.admin().await, &schema).await, before);
    sound(&test).await;
}
