//! What a tenant is when it comes back: from an archive, or from a file.

use helixai::tenancy::keeper::{Fate, KeeperError, RestoreRequest};
use serde_json::json;

use super::super::snapshots::{Case, tenant_key};
use super::*;

async fn statuses(case: &Case) -> Vec<(String, bool)> {
    let rows = case
        .test
        .admin()
        .await
        .query(
            "select t.status || ' ' || coalesce(t.suspended_reason, '-'), pg_has_role(l.login, t.role_name, 'MEMBER')
             from master.tenants t join master.lanes l on l.shard_id = t.shard_id and l.number = t.lane order by 1",
            &[],
        )
        .await
        .unwrap();
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}

#[tokio::test]
async fn who_was_suspended_comes_back_suspended() {
    let case = Case::start().await;
    case.garage("garage").await;
    let lifecycle = &case.test.platform.lifecycle;
    lifecycle
        .suspend(&tenant_key("garage"), "did not pay", cli_origin())
        .await
        .unwrap();
    let suspended = [("suspended did not pay".to_owned(), false)];
    case.backup("garage", "a").await;
    put_away(&case.test.platform, "garage", Fate::Kept).await.unwrap();
    bring_back(&case.test.platform, "garage").await.unwrap();
    assert_eq!(statuses(&case).await, suspended, "from the archive");
    case.restore("a", None).await.unwrap();
    assert_eq!(statuses(&case).await, suspended, "over what it has");
    case.delete("garage").await;
    let restored = case.restore("a", None).await.unwrap();
    assert!(restored.suspended);
    assert_eq!(statuses(&case).await, suspended, "from the file");
    case.sound().await;
    lifecycle
        .activate(&tenant_key("garage"), cli_origin())
        .await
        .unwrap();
    let db = tenant_db_of(&case.test.second().await, "garage").await;
    db.run(&case.test.system(), ()).await.expect("it is served");
    // Over one that is served, what the file says of it does not count; and a copy is another tenant.
    case.restore("a", None).await.unwrap();
    case.restore("a", Some("copy")).await.unwrap();
    let served = ("active -".to_owned(), true);
    assert_eq!(statuses(&case).await, [served.clone(), served]);
    case.sound().await;
}

#[tokio::test]
async fn proven_hosts_come_back_unless_somebody_has_them() {
    let case = Case::start().await;
    case.garage("garage").await;
    case.garage("other").await;
    let admin = case.test.admin().await;
    let give = async |key: &str, host: &str, proven: bool| {
        admin
            .execute(
                "insert into master.domains (id, host, tenant_id, verification_token, verified_at, created_at, updated_at)
                 select gen_random_uuid(), $2, id, repeat('x', 16), case when $3 then now() end, now(), now()
                 from master.tenants where tenant_key = $1",
                &[&key, &host, &proven],
            )
            .await
            .unwrap();
    };
    give("garage", "loja.example.com", true).await;
    give("garage", "www.example.com", true).await;
    give("garage", "asked.example.com", false).await;
    case.backup("garage", "a").await;
    case.delete("garage").await;
    give("other", "www.example.com", true).await;
    let restored = case.restore("a", None).await.unwrap();
    assert_eq!(restored.lost_domains, ["www.example.com"]);
    let hosts = admin
        .query(
            "select t.tenant_key || ' ' || d.host from master.domains d join master.tenants t on t.id = d.tenant_id
             where d.verified_at is not null order by 1",
            &[],
        )
        .await
        .unwrap();
    let hosts: Vec<String> = hosts.iter().map(|row| row.get(0)).collect();
    assert_eq!(hosts, ["garage loja.example.com", "other www.example.com"]);
    let told = admin
        .query_one(
            "select details from master.audit_log where action = 'tenant.restore'",
            &[],
        )
        .await
        .unwrap();
    let told: serde_json::Value = told.get(0);
    assert_eq!(told["domains_taken"], json!(["www.example.com"]));
    // Another platform has proven nothing to this one.
    let elsewhere = TestPlatform::start().await;
    let request = RestoreRequest {
        file: case.file("a"),
        key: None,
        any_platform: true,
    };
    let there = elsewhere
        .platform
        .keeper
        .restore(request, cli_origin(), &silent())
        .await;
    assert_eq!(there.unwrap().lost_domains.len(), 2);
    assert_eq!(
        number(&elsewhere.admin().await, "select count(*) from master.domains").await,
        0
    );
}

#[tokio::test]
async fn a_plan_that_is_not_sold_here_is_refused_before_anything_is_changed() {
    let case = Case::start().await;
    case.garage("garage").await;
    let admin = case.test.admin().await;
    admin
        .batch_execute("update master.plans set code = 'of_another_platform' where code = 'starter'")
        .await
        .unwrap();
    case.backup("garage", "a").await;
    admin
        .batch_execute("update master.plans set code = 'starter' where code = 'of_another_platform'")
        .await
        .unwrap();
    case.delete("garage").await;
    let refused = case.restore("a", None).await;
    let Err(KeeperError::Misfit(why)) = &refused else {
        panic!("{refused:?}");
    };
    assert!(why.contains("of_another_platform 1"), "{why}");
    for table in ["tenants", "tenant_restores", "subscriptions"] {
        let sql = format!("select count(*) from master.{table}");
        assert_eq!(number(&admin, &sql).await, 0, "{table}");
    }
    case.sound().await;
    // A copy has a plan of its own.
    case.restore("a", Some("copy")).await.unwrap();
}

#[tokio::test]
async fn a_tenant_that_loses_its_tables_is_not_backed_up() {
    let case = Case::start().await;
    case.garage("garage").await;
    let admin = case.test.admin().await;
    // As between two batches of its removal, to whoever has found it served a moment before.
    let mut tx = case.test.platform.master.begin().await.unwrap();
    let garage = helixai::db::master::tenants::lock_by_key(&mut tx, &tenant_key("garage"))
        .await
        .unwrap()
        .unwrap();
    let now = case.test.clock.now();
    helixai::db::master::deletions::begin(&mut tx, garage.id, uuid::Uuid::now_v7(), now, now)
        .await
        .unwrap();
    // The shard is held until the row has changed, so that the backup begins before and reads after.
    let mut holder = case.test.admin().await;
    let held = holder.transaction().await.unwrap();
    held.batch_execute("lock table tenant_garage.schema_history_core in access exclusive mode")
        .await
        .unwrap();
    let platform = case.test.platform.clone();
    let file = case.file("a");
    let backup =
        tokio::spawn(async move { super::super::snapshots::backup(&platform, "garage", file).await });
    let waits = "select exists (select from pg_locks where not granted and relation = 'tenant_garage.schema_history_core'::regclass \
                 and database = (select oid from pg_database where datname = current_database()))";
    while !admin.query_one(waits, &[]).await.unwrap().get::<_, bool>(0) {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    tx.commit().await.unwrap();
    held.commit().await.unwrap();
    let refused = backup.await.unwrap();
    assert!(matches!(refused, Err(KeeperError::Busy)), "{refused:?}");
    assert!(!case.file("a").exists());
}
