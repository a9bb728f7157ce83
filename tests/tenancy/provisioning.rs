//! Onboarding: what is there afterwards, and what a repeated request is answered.

use helixai::db::master::audit::MasterActor;
use helixai::db::tenant::{Access, Actor};
use helixai::domain::rights::Need;
use helixai::domain::tenant::TenantStatus;
use helixai::domain::token::ParsedToken;
use helixai::tenancy::provision::{IdempotencyKey, OnboardError, Onboarding, request_hash};
use tokio_postgres::Client;

use crate::helpers::{TestPlatform, onboarding};

/// How many rows the query counts.
async fn count(admin: &Client, query: &str) -> i64 {
    admin.query_one(query, &[]).await.unwrap().get(0)
}

#[tokio::test]
async fn an_onboarded_tenant_is_complete() {
    let test = TestPlatform::start().await;
    let garage = test.onboard("garage-alpha", "cars").await;
    assert_eq!(garage.schema_name, "tenant_garage_alpha");
    assert_eq!(garage.temporary_password, None, "the password was given");

    let tenant = test.resolved(&garage).await;
    assert_eq!(tenant.status, TenantStatus::Active);
    assert_eq!(tenant.niche.as_str(), "cars");
    let trial = tenant.subscription.unwrap();
    assert!(trial.trial_ends_at.unwrap() > test.clock.now());

    let admin = test.admin().await;
    let owner: String = admin
        .query_one(
            "select nspowner::regrole::text from pg_namespace where nspname = 'tenant_garage_alpha'",
            &[],
        )
        .await
        .unwrap()
        .get(0);
    assert!(owner.ends_with("_owner"), "{owner}");
    let row = admin
        .query_one(
            "select rolcanlogin, rolinherit, pg_has_role($2, $1, 'MEMBER'), pg_has_role($2, $1, 'USAGE')
             from pg_roles where rolname = $1",
            &[&tenant.home.role, &tenant.home.lane.login],
        )
        .await
        .unwrap();
    let rights: [bool; 4] = std::array::from_fn(|index| row.get(index));
    assert_eq!(
        rights,
        [false, false, true, false],
        "login, inherit, member, inherited"
    );

    for (part, folder) in [("core", "tenant_template/core"), ("cars", "tenant_template/cars")] {
        let migrations = std::fs::read_dir(folder)
            .unwrap()
            .filter(|entry| {
                entry
                    .as_ref()
                    .unwrap()
                    .file_name()
                    .to_string_lossy()
                    .starts_with('V')
            })
            .count() as i64;
        let history = format!("select count(*) from tenant_garage_alpha.schema_history_{part}");
        assert_eq!(count(&admin, &history).await, migrations, "{part}");
        let ledger = format!(
            "select count(*) from master.tenant_migrations
             where ledger = '{part}' and version = {migrations} and status = 'applied'"
        );
        assert_eq!(count(&admin, &ledger).await, 1, "{part}");
    }
    for (what, expected) in [
        ("tenant_garage_alpha.lead_stages where code = 'new'", 1),
        (
            "tenant_garage_alpha.users where role = 'owner' and email = 'dono@garage-alpha.example'",
            1,
        ),
        ("tenant_garage_alpha.api_keys where revoked_at is null", 1),
        ("tenant_garage_alpha.vehicles", 0),
        ("master.subscriptions where status = 'trialing'", 1),
        (
            "master.audit_log where action = 'tenant.create' and actor_kind = 'cli'",
            1,
        ),
        ("master.lanes where tenants_count = 1", 1),
        (
            "master.tenants where onboarding_sealed is null and lease_owner is null",
            1,
        ),
        ("helixai.tenant_roles", 1),
    ] {
        assert_eq!(
            count(&admin, &format!("select count(*) from {what}")).await,
            expected,
            "{what}"
        );
    }

    let token = ParsedToken::parse(&garage.api_key).unwrap();
    let access = Access::bearer(&token, Need::Write, test.clock.now()).unwrap();
    let reply = test.tenant_db(&garage).await.run(&access, ()).await.unwrap();
    assert!(matches!(reply.identity.actor, Actor::ApiKey { .. }));
}

#[tokio::test]
async fn every_niche_can_be_onboarded() {
    let test = TestPlatform::start().await;
    let admin = test.admin().await;
    for (key, niche, table) in [
        ("garage", "cars", "vehicles"),
        ("imobiliaria", "real_estate", "properties"),
        ("padaria", "general", "items"),
    ] {
        let tenant = test.onboard(key, niche).await;
        for relation in [table, "catalog_items", "leads"] {
            let found = format!(
                "select count(*) from pg_class where oid = to_regclass('{}.{relation}')",
                tenant.schema_name
            );
            assert_eq!(count(&admin, &found).await, 1, "{niche}: {relation}");
        }
    }
}

fn repeat(caller: &str, key: &str, body: &str) -> Option<IdempotencyKey> {
    Some(IdempotencyKey {
        caller: caller.to_owned(),
        key: key.to_owned(),
        request_hash: request_hash(body.as_bytes()),
    })
}

#[tokio::test]
async fn a_repeated_request_gets_the_first_answer_with_its_secrets() {
    let test = TestPlatform::start().await;
    let provisioner = &test.platform.provisioner;
    let request = Onboarding {
        owner_password: None,
        ..onboarding("garage-alpha", "cars")
    };
    let ask = |request: Onboarding, repeat| provisioner.onboard(request, repeat, MasterActor::Cli, None);

    let first = ask(request.clone(), repeat("ana", "k1", "a")).await.unwrap();
    assert!(first.temporary_password.is_some());
    let again = ask(request.clone(), repeat("ana", "k1", "a")).await.unwrap();
    assert_eq!(again.id, first.id);
    assert_eq!(again.api_key, first.api_key);
    assert_eq!(again.temporary_password, first.temporary_password);

    let other_body = ask(onboarding("garage-beta", "cars"), repeat("ana", "k1", "b")).await;
    assert!(
        matches!(other_body, Err(OnboardError::KeyReused)),
        "{:?}",
        other_body.err()
    );
    // Another caller's key is another key: it finds the tenant taken and learns nothing.
    let other_caller = ask(request.clone(), repeat("bia", "k1", "a")).await;
    assert!(
        matches!(other_caller, Err(OnboardError::KeyTaken)),
        "{:?}",
        other_caller.err()
    );
    // A refused request does not use up its key.
    let after = ask(onboarding("garage-gama", "cars"), repeat("bia", "k1", "c")).await;
    assert_eq!(after.unwrap().tenant_key, "garage-gama");

    let admin = test.admin().await;
    assert_eq!(count(&admin, "select count(*) from master.tenants").await, 2);
    let readable = format!(
        "select count(*) from master.idempotency_keys where position('{}'::bytea in response_sealed) > 0",
        first.api_key
    );
    assert_eq!(count(&admin, &readable).await, 0, "the answer is kept sealed");
}

#[tokio::test]
async fn a_key_is_one_key_however_it_is_spelled() {
    let test = TestPlatform::start().await;
    test.onboard("garage-alpha", "cars").await;
    for spelling in ["garage-alpha", "garage_alpha", "GARAGE-Alpha"] {
        let again = test
            .platform
            .provisioner
            .onboard(onboarding(spelling, "general"), None, MasterActor::Cli, None)
            .await;
        assert!(
            matches!(again, Err(OnboardError::KeyTaken)),
            "{spelling}: {:?}",
            again.err()
        );
    }
    let admin = test.admin().await;
    assert_eq!(
        count(&admin, "select sum(tenants_count) from master.lanes").await,
        1
    );
    assert_eq!(
        count(&admin, "select count(*) from helixai.tenant_roles").await,
        1
    );
}

#[tokio::test]
async fn an_unknown_plan_is_refused_before_anything_is_made() {
    let test = TestPlatform::start().await;
    let request = Onboarding {
        plan: Some("platinum".to_owned()),
        ..onboarding("garage-alpha", "cars")
    };
    let refused = test
        .platform
        .provisioner
        .onboard(request, None, MasterActor::Cli, None)
        .await;
    assert!(
        matches!(refused, Err(OnboardError::UnknownPlan)),
        "{:?}",
        refused.err()
    );
    assert_eq!(
        count(&test.admin().await, "select count(*) from master.tenants").await,
        0
    );
}

#[tokio::test]
async fn a_key_kept_for_a_former_tenant_is_taken() {
    let test = TestPlatform::start().await;
    let admin = test.admin().await;
    admin
        .batch_execute(
            "insert into master.tenant_keys_reserved (tenant_key, reason, reserved_until, created_at)
             values ('garage-alpha', 'deleted', '2100-01-01Z', '2026-01-01Z'),
                    ('garage-beta', 'deleted', '2026-01-02Z', '2026-01-01Z')",
        )
        .await
        .unwrap();
    let ask = |key| {
        test.platform
            .provisioner
            .onboard(onboarding(key, "cars"), None, MasterActor::Cli, None)
    };
    let taken = ask("garage-alpha").await;
    assert!(matches!(taken, Err(OnboardError::KeyTaken)), "{:?}", taken.err());
    assert_eq!(ask("garage-beta").await.unwrap().tenant_key, "garage-beta");
    assert_eq!(count(&admin, "select count(*) from master.tenants").await, 1);
}
