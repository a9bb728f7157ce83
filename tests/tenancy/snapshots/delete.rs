//! What is left of a tenant that was deleted.

use helixai::tenancy::keeper::{KeeperError, Purge};

use super::{Case, number, tenant_key};
use crate::helpers::{TestApp, cli_origin};

#[tokio::test]
async fn nothing_is_left_but_the_key_and_the_audit() {
    let case = Case::start().await;
    case.garage("garage").await;
    case.garage("other").await;
    case.delete("garage").await;
    let admin = case.test.admin().await;
    for (sql, expected) in [
        ("master.tenants where tenant_key = 'garage'", 0),
        ("master.subscriptions", 1),
        ("helixai.tenant_roles", 1),
        ("pg_namespace where nspname = 'tenant_garage'", 0),
        (
            "pg_roles, helixai.shard where rolname = role_prefix || '_tenant_garage'",
            0,
        ),
        ("master.lanes where tenants_count = 1", 1),
        (
            "master.tenant_keys_reserved where tenant_key = 'garage' and reserved_until > now() + interval '300 days'",
            1,
        ),
        (
            "master.audit_log where action in ('tenant.purge', 'tenant.purged')",
            2,
        ),
        ("tenant_other.leads", 61),
    ] {
        assert_eq!(
            number(&admin, &format!("select count(*) from {sql}")).await,
            expected,
            "{sql}"
        );
    }
    case.sound().await;
    let again = case
        .test
        .platform
        .keeper
        .purge(&tenant_key("garage"), Purge::Anything, cli_origin())
        .await;
    assert!(matches!(again, Err(KeeperError::Unknown)));
}

#[tokio::test]
async fn a_deleted_tenant_is_found_nowhere_and_its_log_files_are_gone() {
    let folder = tempfile::tempdir().unwrap();
    let logs = folder.path().join("tenants");
    std::fs::create_dir(&logs).unwrap();
    let ours = ["garage.log", "garage.log.1", "garage.log.12"];
    let others = ["garage-b.log", "garage.log.old", "other.log"];
    for name in ours.iter().chain(&others) {
        std::fs::write(logs.join(name), "a line").unwrap();
    }
    let app = TestApp::builder()
        .set("logging.dir", folder.path().display())
        .start()
        .await;
    let garage = app.onboard("garage", "cars").await;
    app.get("/api/leads").by(&garage).await.expect(200);
    let keeper = &app.test.platform.keeper;
    keeper
        .purge(&tenant_key("garage"), Purge::Anything, cli_origin())
        .await
        .unwrap();
    app.until("the tenant is not found", async || {
        app.get("/api/leads").by(&garage).await.status == 404
    })
    .await;
    app.get("/veiculos")
        .of(&garage)
        .await
        .problem(404, "tenant_not_found");
    let mut left: Vec<_> = std::fs::read_dir(&logs)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !name.starts_with('.'))
        .collect();
    left.sort();
    assert_eq!(left, others);
    // The audit still speaks of it, and nobody gets its address.
    let audit = app
        .get("/api/admin/audit?tenant_key=garage")
        .bearer(&app.admin.token)
        .await
        .expect(200)
        .json();
    assert_eq!(audit["items"][0]["action"], "tenant.purged");
    app.post("/api/admin/tenants")
        .bearer(&app.admin.token)
        .json(&TestApp::onboarding("garage", "cars"))
        .await
        .problem(409, "tenant_key_taken");
}
