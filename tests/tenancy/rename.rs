//! A tenant with another key: what changes, what stays, and who gets the former key.

use helixai::db::master::audit::MasterActor;
use helixai::tenancy::keeper::{Fate, KeeperError, Purge};
use helixai::tenancy::provision::OnboardError;

use super::snapshots::{Case, kept, number, silent, tenant_key};
use crate::helpers::{cli_origin, onboarding, resolved_by, tenant_db_of};

async fn rename(case: &Case, from: &str, to: &str) -> Result<String, KeeperError> {
    let keeper = &case.test.platform.keeper;
    let tenant = keeper
        .rename(&tenant_key(from), &tenant_key(to), cli_origin())
        .await?;
    Ok(tenant.key)
}

#[tokio::test]
async fn key_and_address_change_and_nothing_else() {
    let case = Case::start().await;
    let schema = case.garage("garage").await;
    let before = kept(&case.test.admin().await, &schema).await;
    for _ in 0..2 {
        assert_eq!(rename(&case, "garage", "oficina").await.unwrap(), "oficina");
    }
    let admin = case.test.admin().await;
    let same =
        "select count(*) from master.tenants where tenant_key = 'oficina' and schema_name = 'tenant_garage'
                   and role_name like '%\\_tenant\\_garage' and version = 2";
    assert_eq!(number(&admin, same).await, 1);
    let noted = "select count(*) from master.audit_log where action = 'tenant.rename'
                    and details = '{\"from\": \"garage\", \"to\": \"oficina\"}'";
    assert_eq!(number(&admin, noted).await, 1, "twice is once");
    assert_eq!(kept(&admin, &schema).await, before);
    let db = tenant_db_of(&case.test.second().await, "oficina").await;
    db.run(&case.test.system(), ()).await.expect("it is served");
    case.sound().await;
    // From key to key, and back to the first.
    for (from, to) in [("oficina", "loja"), ("loja", "garage"), ("garage", "garage")] {
        assert_eq!(rename(&case, from, to).await.unwrap(), to);
    }
    let reserved = admin
        .query(
            "select tenant_key from master.tenant_keys_reserved order by 1",
            &[],
        )
        .await
        .unwrap();
    let reserved: Vec<String> = reserved.iter().map(|row| row.get(0)).collect();
    assert_eq!(reserved, ["loja", "oficina"]);
    case.sound().await;
}

#[tokio::test]
async fn a_former_key_is_nobody_elses() {
    let case = Case::start().await;
    case.garage("garage").await;
    case.garage("other").await;
    rename(&case, "garage", "oficina").await.unwrap();
    let taken = rename(&case, "other", "oficina").await;
    assert!(matches!(taken, Err(KeeperError::NewKeyTaken)), "{taken:?}");
    let former = rename(&case, "other", "garage").await;
    assert!(matches!(former, Err(KeeperError::NewKeyTaken)), "{former:?}");
    let unknown = rename(&case, "nobody", "somebody").await;
    assert!(matches!(unknown, Err(KeeperError::Unknown)), "{unknown:?}");
    let stranger = rename(&case, "garage", "other").await;
    assert!(matches!(stranger, Err(KeeperError::Unknown)), "{stranger:?}");
    // Years later as well, and after the tenant is gone.
    for step in ["living", "gone"] {
        case.test
            .admin()
            .await
            .batch_execute(
                "update master.tenant_keys_reserved set redirects_until = now() - interval '1 day'",
            )
            .await
            .unwrap();
        let provisioner = &case.test.platform.provisioner;
        let new = provisioner
            .onboard(onboarding("garage", "cars"), None, MasterActor::Cli, None)
            .await;
        assert!(matches!(new, Err(OnboardError::KeyTaken)), "{step}");
        if step == "living" {
            let keeper = &case.test.platform.keeper;
            keeper
                .purge(&tenant_key("oficina"), Purge::Anything, cli_origin())
                .await
                .unwrap();
        }
    }
    let reserved = "select count(*) from master.tenant_keys_reserved
                    where reason = 'deleted' and reserved_until < now() + interval '2 years'";
    assert_eq!(number(&case.test.admin().await, reserved).await, 2);
    case.sound().await;
}

#[tokio::test]
async fn snapshots_of_before_still_restore() {
    let case = Case::start().await;
    let schema = case.garage("garage").await;
    case.backup("garage", "a").await;
    rename(&case, "garage", "oficina").await.unwrap();
    let renamed = case.restore("a", None).await;
    assert!(
        matches!(&renamed, Err(KeeperError::Renamed(key)) if key == "oficina"),
        "{renamed:?}"
    );
    let admin = case.test.admin().await;
    let whole = kept(&admin, &schema).await;
    admin
        .batch_execute(&format!("delete from {schema}.messages"))
        .await
        .unwrap();
    let over = case.restore("a", Some("oficina")).await.unwrap();
    assert!(over.over && !over.is_copy);
    assert_eq!(kept(&admin, &schema).await, whole);
    // And when it is gone: under either key, as itself.
    case.delete("oficina").await;
    assert!(!case.restore("a", None).await.unwrap().is_copy);
    case.sound().await;
}

#[tokio::test]
async fn a_tenant_that_is_put_away_is_renamed_and_comes_back() {
    let case = Case::start().await;
    let schema = case.garage("garage").await;
    let whole = kept(&case.test.admin().await, &schema).await;
    let keeper = &case.test.platform.keeper;
    let decided = keeper
        .decide_archive(&tenant_key("garage"), Fate::Deleted, cli_origin())
        .await
        .unwrap();
    let busy = rename(&case, "garage", "oficina").await;
    assert!(matches!(busy, Err(KeeperError::WrongState(_))), "{busy:?}");
    keeper
        .put_away(&decided.tenant, cli_origin(), &silent())
        .await
        .unwrap();
    rename(&case, "garage", "oficina").await.unwrap();
    let decided = keeper
        .decide_bring_back(&tenant_key("oficina"), cli_origin())
        .await
        .unwrap();
    keeper
        .bring_back(&decided.tenant, cli_origin(), &silent())
        .await
        .unwrap();
    assert_eq!(kept(&case.test.admin().await, &schema).await, whole);
    let second = case.test.second().await;
    assert_eq!(resolved_by(&second, "oficina").await.home.id, decided.tenant.id);
    case.sound().await;
}

#[tokio::test]
async fn the_former_keys_of_a_tenant_that_comes_back_are_its_own_again() {
    let case = Case::start().await;
    case.garage("garage").await;
    rename(&case, "garage", "loja").await.unwrap();
    rename(&case, "loja", "oficina").await.unwrap();
    case.backup("oficina", "a").await;
    case.delete("oficina").await;
    let admin = case.test.admin().await;
    // One was kept for long enough, and somebody else has it now.
    admin
        .batch_execute(
            "update master.tenant_keys_reserved set reserved_until = now() - interval '1 day' where tenant_key = 'loja'",
        )
        .await
        .unwrap();
    case.garage("loja").await;
    case.restore("a", None).await.unwrap();
    let kept = admin
        .query(
            "select r.tenant_key from master.tenant_keys_reserved r join master.tenants t on t.id = r.tenant_id
             where r.reason = 'renamed' and r.reserved_until = 'infinity' and t.tenant_key = 'oficina'",
            &[],
        )
        .await
        .unwrap();
    let kept: Vec<String> = kept.iter().map(|row| row.get(0)).collect();
    assert_eq!(kept, ["garage"]);
    case.sound().await;
}
