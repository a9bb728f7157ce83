//! What a request meets when its tenant's schema, role or credentials are not what they should be: a refusal.

use std::time::Duration;

use helixai::db::tenant::{Access, TenantDb};
use helixai::db::{DbError, Refusal};
use helixai::domain::rights::Need;
use helixai::domain::token::ParsedToken;
use uuid::Uuid;

use super::queries::{count_contacts, insert_contact, list_contacts};
use crate::helpers::TestPlatform;

async fn refusal(db: &TenantDb, access: &Access) -> Option<Refusal> {
    db.run(access, list_contacts())
        .await
        .err()
        .and_then(|error| error.refusal())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_schema_that_is_dropped_under_traffic_is_refused_and_never_another_s() {
    let test = TestPlatform::builder().lane_pool(2).start().await;
    let (alpha, beta) = (
        test.onboard("alpha", "cars").await,
        test.onboard("beta", "cars").await,
    );
    let (alpha, beta) = (test.tenant_db(&alpha).await, test.tenant_db(&beta).await);
    for (db, name) in [(&alpha, "of alpha"), (&beta, "of beta")] {
        db.run(&test.system(), insert_contact(Uuid::now_v7(), name))
            .await
            .unwrap();
    }
    let traffic: Vec<_> = (0..4)
        .map(|_| {
            let (alpha, beta, access) = (alpha.clone(), beta.clone(), test.system());
            tokio::spawn(async move {
                let mut served = 0;
                loop {
                    assert_eq!(
                        beta.run(&access, list_contacts()).await.unwrap().output,
                        ["of beta"]
                    );
                    match alpha.run(&access, list_contacts()).await {
                        Ok(reply) => assert_eq!(reply.output, ["of alpha"]),
                        Err(DbError::Refused(Refusal::SchemaUnavailable)) => return served,
                        // The schema went between the guard and the statement.
                        Err(DbError::Other { code, .. }) => {
                            assert!(["42P01", "3F000", "XX000"].contains(&&*code))
                        }
                        Err(other) => panic!("{other}"),
                    }
                    served += 1;
                }
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(200)).await;
    test.admin()
        .await
        .batch_execute("drop schema tenant_alpha cascade")
        .await
        .unwrap();
    for worker in traffic {
        assert!(worker.await.unwrap() > 0, "there was traffic before");
    }
    assert_eq!(
        refusal(&alpha, &test.system()).await,
        Some(Refusal::SchemaUnavailable)
    );
}

#[tokio::test]
async fn a_tenant_is_refused_without_membership_usage_or_role() {
    let test = TestPlatform::builder().lane_pool(1).start().await;
    let garage = test.onboard("alpha", "cars").await;
    let home = test.resolved(&garage).await.home.clone();
    let db = test.tenant_db(&garage).await;
    let admin = test.admin().await;
    for (wrong, right, expected) in [
        (
            "revoke {role} from {login}",
            "grant {role} to {login}",
            Refusal::RoleRevoked,
        ),
        (
            "revoke usage on schema tenant_alpha from {role}",
            "grant usage on schema tenant_alpha to {role}",
            Refusal::SchemaUnavailable,
        ),
        (
            "alter role {role} rename to hx_gone",
            "alter role hx_gone rename to {role}",
            Refusal::RoleRevoked,
        ),
        (
            "alter schema tenant_alpha rename to tenant_gone",
            "alter schema tenant_gone rename to tenant_alpha",
            Refusal::SchemaUnavailable,
        ),
    ] {
        let run = async |command: &str| {
            let command = command
                .replace("{role}", &home.role)
                .replace("{login}", &home.lane.login);
            admin.batch_execute(&command).await.unwrap();
        };
        assert_eq!(refusal(&db, &test.system()).await, None, "before: {wrong}");
        run(wrong).await;
        assert_eq!(refusal(&db, &test.system()).await, Some(expected), "{wrong}");
        run(right).await;
        assert_eq!(refusal(&db, &test.system()).await, None, "{right}");
    }
    admin
        .batch_execute(&format!(
            "drop owned by {role}; drop role {role}",
            role = home.role
        ))
        .await
        .unwrap();
    assert_eq!(refusal(&db, &test.system()).await, Some(Refusal::RoleRevoked));
}

#[tokio::test]
async fn a_tenant_that_is_held_exclusively_is_refused_at_once() {
    let test = TestPlatform::start().await;
    let garage = test.onboard("alpha", "cars").await;
    let db = test.tenant_db(&garage).await;
    let admin = test.admin().await;
    admin
        .execute("select pg_advisory_lock($1)", &[&garage.id.lock_key()])
        .await
        .unwrap();
    assert_eq!(refusal(&db, &test.system()).await, Some(Refusal::Locked));
    admin
        .execute("select pg_advisory_unlock($1)", &[&garage.id.lock_key()])
        .await
        .unwrap();
    assert_eq!(refusal(&db, &test.system()).await, None);
}

#[tokio::test]
async fn credentials_of_one_tenant_open_nothing_of_another() {
    let test = TestPlatform::builder().lane_pool(1).start().await;
    let (alpha, beta) = (
        test.onboard("alpha", "cars").await,
        test.onboard("beta", "cars").await,
    );
    let key_of = |tenant: &helixai::tenancy::provision::Onboarded, need| {
        let token = ParsedToken::parse(&tenant.api_key).unwrap();
        Access::bearer(&token, need, test.clock.now()).unwrap()
    };
    let db = test.tenant_db(&beta).await;
    let attempt = || (insert_contact(Uuid::now_v7(), "Ana"), list_contacts());
    let foreign = db.run(&key_of(&alpha, Need::Write), attempt()).await;
    assert_eq!(
        foreign.err().and_then(|error| error.refusal()),
        Some(Refusal::Credentials)
    );
    let begun = db.begin(&key_of(&alpha, Need::Write), attempt()).await;
    assert_eq!(
        begun.err().and_then(|error| error.refusal()),
        Some(Refusal::Credentials)
    );

    // Known, but not for this.
    let admin = test.admin().await;
    admin
        .batch_execute("update tenant_beta.api_keys set scopes = array['read']")
        .await
        .unwrap();
    let beyond = db.run(&key_of(&beta, Need::Write), attempt()).await;
    assert_eq!(
        beyond.err().and_then(|error| error.refusal()),
        Some(Refusal::Rights)
    );
    assert_eq!(
        db.run(&key_of(&beta, Need::Read), count_contacts())
            .await
            .unwrap()
            .output,
        0
    );

    // A revocation counts with the next request.
    admin
        .batch_execute("update tenant_beta.api_keys set revoked_at = '2026-01-01Z'")
        .await
        .unwrap();
    assert_eq!(
        refusal(&db, &key_of(&beta, Need::Read)).await,
        Some(Refusal::Credentials)
    );
    assert_eq!(
        db.run(&test.system(), count_contacts()).await.unwrap().output,
        0,
        "nothing was written"
    );
}
