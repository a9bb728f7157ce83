//! Whose request is it? By host, by custom domain, by header; remembered, and never longer than it is true.

use std::time::{Duration, Instant};

use helixai::platform::Platform;
use helixai::tenancy::resolve::ResolveError;

use crate::helpers::{TestPlatform, resolved_by};

/// The key that is resolved, or why none is.
async fn answer(
    platform: &Platform,
    host: Option<&str>,
    header: Option<&str>,
) -> Result<String, &'static str> {
    match platform.resolver.resolve(host, header).await {
        Ok(resolved) => Ok(resolved.tenant.key.to_string()),
        Err(ResolveError::Unknown) => Err("unknown"),
        Err(ResolveError::Disagreement) => Err("disagreement"),
        Err(ResolveError::NotNamed) => Err("not named"),
        Err(ResolveError::Renamed(_)) => Err("renamed"),
        Err(ResolveError::Unavailable(error)) => panic!("{error}"),
    }
}

/// Waits until the condition holds; fails after two seconds.
async fn soon<F: Future<Output = bool>>(what: &str, condition: impl Fn() -> F) {
    let started = Instant::now();
    while !condition().await {
        assert!(started.elapsed() < Duration::from_secs(2), "not soon: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_host_or_a_header_names_the_tenant() {
    let mut test = TestPlatform::start().await;
    test.onboard("garage-alpha", "cars").await;
    test.onboard("acme", "general").await;
    test.admin()
        .await
        .batch_execute(
            "insert into master.domains (id, host, tenant_id, verification_token, verified_at, created_at, updated_at)
             select gen_random_uuid(), d.host, t.id, repeat('x', 16), d.at, now(), now()
             from master.tenants t, (values ('loja.acme.com.br', now()), ('outra.acme.com.br', null)) d (host, at)
             where t.tenant_key = 'acme'",
        )
        .await
        .unwrap();
    // The answers are the same with and without the cache.
    for cached in [false, true, true] {
        if cached {
            test.watch().await;
        }
        for (host, header, expected) in [
            (Some("acme.helixai.test"), None, Ok("acme")),
            (Some("ACME.HelixAI.Test.:443"), None, Ok("acme")),
            (Some("garage-alpha.helixai.test:8080"), None, Ok("garage-alpha")),
            (Some("garage_alpha.helixai.test"), None, Ok("garage-alpha")),
            (Some("helixai.test"), Some("garage_alpha"), Ok("garage-alpha")),
            (Some("helixai.test."), Some("ACME"), Ok("acme")),
            (Some("127.0.0.1:8080"), Some("acme"), Ok("acme")),
            (Some("[::1]:8080"), Some("acme"), Ok("acme")),
            (Some("acme.helixai.test"), Some("acme"), Ok("acme")),
            (
                Some("garage-alpha.helixai.test"),
                Some("Garage_Alpha"),
                Ok("garage-alpha"),
            ),
            (Some("loja.acme.com.br"), None, Ok("acme")),
            (Some("LOJA.acme.com.br.:443"), Some("acme"), Ok("acme")),
            (
                Some("acme.helixai.test"),
                Some("garage-alpha"),
                Err("disagreement"),
            ),
            (
                Some("loja.acme.com.br"),
                Some("garage-alpha"),
                Err("disagreement"),
            ),
            // A header does not make a host of the platform out of another.
            (Some("nobody.helixai.test"), Some("acme"), Err("disagreement")),
            (Some("outra.acme.com.br"), Some("acme"), Err("unknown")),
            (Some("evil.example"), Some("acme"), Err("unknown")),
            (Some("helixai.test"), None, Err("not named")),
            (Some("127.0.0.1"), None, Err("not named")),
            (Some("nobody.helixai.test"), None, Err("unknown")),
            (Some("outra.acme.com.br"), None, Err("unknown")),
            (Some("acme.helixai.test.evil.example"), None, Err("unknown")),
            (Some("a.acme.helixai.test"), None, Err("unknown")),
            (Some("www.helixai.test"), None, Err("unknown")),
            (Some("admin.helixai.test"), None, Err("unknown")),
            (Some("xn--acme.helixai.test"), None, Err("unknown")),
            (Some("..acme.helixai.test"), None, Err("unknown")),
            (Some("acme.helixai.test:99999"), None, Err("unknown")),
            (Some(""), Some("acme"), Err("unknown")),
            (None, Some("acme"), Err("unknown")),
            (None, None, Err("unknown")),
            (Some("helixai.test"), Some("nobody"), Err("unknown")),
            (Some("helixai.test"), Some("../acme"), Err("unknown")),
            (Some("helixai.test"), Some("acme' or '1'='1"), Err("unknown")),
            (Some("helixai.test"), Some("acme\0"), Err("unknown")),
            (Some("helixai.test"), Some("tenant_acme"), Err("unknown")),
            (Some("helixai.test"), Some("public"), Err("unknown")),
            (Some("helixai.test"), Some("pg_catalog"), Err("unknown")),
            (Some("helixai.test"), Some(&*"a".repeat(75)), Err("unknown")),
            (Some("helixai.test"), Some(""), Err("unknown")),
        ] {
            let found = answer(&test.platform, host, header).await;
            assert_eq!(
                found,
                expected.map(str::to_owned),
                "{host:?} {header:?}, cached: {cached}"
            );
        }
    }
}

#[tokio::test]
async fn what_is_found_is_remembered_until_a_notice() {
    let mut test = TestPlatform::start().await;
    test.onboard("acme", "general").await;
    test.watch().await;
    let admin = test.admin().await;
    let rename = |name: &str| format!("update master.tenants set name = '{name}'");
    let name = async || resolved_by(&test.platform, "acme").await.name.clone();
    assert_eq!(name().await, "Empresa acme");

    // A change without a notice is not seen: the answer comes from memory.
    admin
        .batch_execute("alter table master.tenants disable trigger all")
        .await
        .unwrap();
    admin.batch_execute(&rename("quiet")).await.unwrap();
    for _ in 0..20 {
        assert_eq!(name().await, "Empresa acme");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(
        test.platform
            .resolver
            .find_fresh(&"acme".parse().unwrap())
            .await
            .unwrap()
            .name,
        "quiet"
    );

    admin
        .batch_execute("alter table master.tenants enable trigger all")
        .await
        .unwrap();
    admin.batch_execute(&rename("loud")).await.unwrap();
    soon("the notice is heard", async || name().await == "loud").await;
}

#[tokio::test]
async fn what_does_not_concern_the_resolver_sends_no_notice() {
    let mut test = TestPlatform::start().await;
    test.onboard("acme", "general").await;
    test.watch().await;
    let admin = test.admin().await;
    let cached = test.platform.resolver.cached();
    resolved_by(&test.platform, "acme").await;
    let with_acme = test.platform.resolver.cached();
    assert!(with_acme > cached || cached > 1);
    admin
        .batch_execute(
            "update master.tenants set updated_at = now();
             update master.lanes set tenants_count = 5, updated_at = now();
             update master.subscriptions set version = version + 1",
        )
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(test.platform.resolver.cached(), with_acme);
}

#[tokio::test]
async fn a_change_reaches_every_process() {
    let mut test = TestPlatform::start().await;
    test.onboard("acme", "general").await;
    let (here, there) = (test.platform.clone(), test.second().await);
    test.watch().await;
    test.watch_other(&there).await;
    let admin = test.admin().await;
    for platform in [&here, &there] {
        assert_eq!(resolved_by(platform, "acme").await.name, "Empresa acme");
        assert_eq!(
            answer(platform, Some("novo.helixai.test"), None).await,
            Err("unknown")
        );
    }
    admin
        .batch_execute("update master.tenants set name = 'Acme S.A.'")
        .await
        .unwrap();
    for platform in [&here, &there] {
        soon("the new name", async || {
            resolved_by(platform, "acme").await.name == "Acme S.A."
        })
        .await;
    }
    admin
        .batch_execute("update master.subscriptions set status = 'active'")
        .await
        .unwrap();
    for platform in [&here, &there] {
        soon("the paid subscription", async || {
            let tenant = resolved_by(platform, "acme").await;
            tenant
                .subscription
                .as_ref()
                .is_some_and(|state| state.status.as_str() == "active")
        })
        .await;
    }
    // Onboarded here; that there was nobody is known there, and forgotten with the notice.
    test.onboard("novo", "general").await;
    for platform in [&here, &there] {
        soon("the new tenant", async || {
            answer(platform, Some("novo.helixai.test"), None).await == Ok("novo".to_owned())
        })
        .await;
    }
}

#[tokio::test]
async fn a_custom_domain_counts_from_its_proof_to_its_end() {
    let mut test = TestPlatform::start().await;
    test.onboard("acme", "general").await;
    test.watch().await;
    let admin = test.admin().await;
    let platform = test.platform.clone();
    let host = async || answer(&platform, Some("loja.acme.com.br"), None).await;
    assert_eq!(host().await, Err("unknown"));
    for (change, expected) in [
        (
            "insert into master.domains (id, host, tenant_id, verification_token, created_at, updated_at)
             select gen_random_uuid(), 'loja.acme.com.br', id, repeat('x', 16), now(), now() from master.tenants",
            Err("unknown"),
        ),
        ("update master.domains set verified_at = now()", Ok("acme")),
        // The tenant is found under its new key, by the domain as well.
        ("update master.tenants set tenant_key = 'acme-novo'", Ok("acme-novo")),
        ("update master.domains set verified_at = null", Err("unknown")),
        ("update master.domains set verified_at = now()", Ok("acme-novo")),
        ("delete from master.domains", Err("unknown")),
    ] {
        admin.batch_execute(change).await.unwrap();
        soon(change, async || host().await == expected.map(str::to_owned)).await;
    }
}

#[tokio::test]
async fn a_renamed_tenant_is_found_by_its_new_key_in_its_old_schema() {
    let mut test = TestPlatform::start().await;
    let acme = test.onboard("acme", "general").await;
    test.watch().await;
    let platform = test.platform.clone();
    assert_eq!(
        answer(&platform, Some("acme.helixai.test"), None).await,
        Ok("acme".to_owned())
    );
    test.admin()
        .await
        .batch_execute("update master.tenants set tenant_key = 'acme-novo'")
        .await
        .unwrap();
    soon("the old key is forgotten", async || {
        answer(&platform, Some("acme.helixai.test"), None).await == Err("unknown")
    })
    .await;
    let renamed = resolved_by(&platform, "acme-novo").await;
    assert_eq!((renamed.home.id, &*renamed.home.schema), (acme.id, "tenant_acme"));
    crate::helpers::tenant_db_of(&platform, "acme-novo")
        .await
        .run(&test.system(), ())
        .await
        .unwrap();
}

#[tokio::test]
async fn without_the_listener_nothing_remembered_is_used() {
    let mut test = TestPlatform::start().await;
    test.onboard("acme", "general").await;
    test.watch().await;
    let admin = test.admin().await;
    let name = async || resolved_by(&test.platform, "acme").await.name.clone();
    assert_eq!(name().await, "Empresa acme");
    // From here on no notice is sent, so nothing but the listener's end can make the change seen.
    admin
        .batch_execute("alter table master.tenants disable trigger all")
        .await
        .unwrap();
    let change = async |name: &str| {
        let update = format!("update master.tenants set name = '{name}'");
        admin.batch_execute(&update).await.unwrap();
    };
    for round in 0..3 {
        soon("the cache is in use", async || {
            let before = name().await;
            change(&format!("unseen {}", uuid::Uuid::now_v7())).await;
            name().await == before
        })
        .await;
        let new = format!("round {round}");
        change(&new).await;
        assert_ne!(name().await, new, "it is remembered");
        let ended: i64 = admin
            .query_one(
                "select count(pg_terminate_backend(pid)) from pg_stat_activity
                 where datname = current_database() and query ilike 'listen %'",
                &[],
            )
            .await
            .unwrap()
            .get(0);
        assert_eq!(ended, 1);
        soon("the registry is read again", async || name().await == new).await;
    }
}

#[tokio::test]
async fn a_tenant_of_the_registry_s_every_state_is_resolved_as_such() {
    let test = TestPlatform::start().await;
    test.onboard("acme", "general").await;
    let admin = test.admin().await;
    for status in [
        "provisioning",
        "suspended",
        "archiving",
        "archived",
        "restoring",
        "deleting",
        "failed",
        "active",
    ] {
        admin
            .batch_execute(&format!(
                "update master.tenants set status = '{status}', suspended_at = now()"
            ))
            .await
            .unwrap();
        // Resolving says who it is; whether it is served is for others to decide.
        assert_eq!(resolved_by(&test.platform, "acme").await.status.as_str(), status);
    }
}
