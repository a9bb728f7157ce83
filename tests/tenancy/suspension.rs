//! A suspended tenant is served by no process, however old its memory is.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use helixai::db::Refusal;
use helixai::db::tenant::Query;
use helixai::domain::tenant::TenantStatus;
use helixai::domain::tenant_key::TenantKey;
use helixai::tenancy::lifecycle::LifecycleError;

use crate::helpers::{TestPlatform, cli_origin, tenant_db_of};

fn key(key: &str) -> TenantKey {
    TenantKey::parse(key).unwrap()
}

fn count_leads() -> Query<i64> {
    Query::one("select count(*) from leads", |mut row| row.next())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_request_that_begins_after_the_suspension_succeeds_anywhere() {
    let test = TestPlatform::builder().lane_pool(3).start().await;
    test.onboard("acme", "general").await;
    test.onboard("other", "general").await;
    let elsewhere = test.second().await;
    // Addresses resolved once and for all: only the database is left to refuse.
    let (db, other) = (
        tenant_db_of(&elsewhere, "acme").await,
        tenant_db_of(&elsewhere, "other").await,
    );
    for round in 0..3 {
        let stop = Arc::new(AtomicBool::new(false));
        let workers: Vec<_> = (0..6)
            .map(|_| {
                let (db, other, access, stop) = (db.clone(), other.clone(), test.system(), Arc::clone(&stop));
                tokio::spawn(async move {
                    let mut begun_and_served = Vec::new();
                    while !stop.load(Ordering::Relaxed) {
                        let begun = Instant::now();
                        match db.run(&access, count_leads()).await {
                            Ok(_) => begun_and_served.push(begun),
                            Err(error) => assert!(
                                matches!(error.refusal(), Some(Refusal::RoleRevoked | Refusal::Locked)),
                                "{error}"
                            ),
                        }
                        other.run(&access, count_leads()).await.unwrap();
                    }
                    begun_and_served
                })
            })
            .collect();
        tokio::time::sleep(Duration::from_millis(150)).await;
        let tenant = test
            .platform
            .lifecycle
            .suspend(&key("acme"), "unpaid", cli_origin())
            .await
            .unwrap();
        let suspended = Instant::now();
        assert_eq!(tenant.status, TenantStatus::Suspended);
        tokio::time::sleep(Duration::from_millis(150)).await;
        stop.store(true, Ordering::Relaxed);
        let mut before = 0;
        for worker in workers {
            for begun in worker.await.unwrap() {
                assert!(
                    begun < suspended,
                    "round {round}: served {:?} after",
                    begun - suspended
                );
                before += 1;
            }
        }
        assert!(before > 0, "there was traffic");
        test.platform
            .lifecycle
            .activate(&key("acme"), cli_origin())
            .await
            .unwrap();
        db.run(&test.system(), count_leads()).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_suspension_waits_for_what_is_in_flight_and_lets_nothing_new_in() {
    let test = TestPlatform::builder().lane_pool(3).start().await;
    let acme = test.onboard("acme", "general").await;
    let db = test.tenant_db(&acme).await;
    let (tx, _) = db.begin(&test.system(), count_leads()).await.unwrap();
    let suspending = tokio::spawn({
        let lifecycle = test.platform.lifecycle.clone();
        async move { lifecycle.suspend(&key("acme"), "unpaid", cli_origin()).await }
    });
    let mut refused = 0;
    while refused < 5 {
        match db.run(&test.system(), count_leads()).await {
            // Before the revoke is committed.
            Ok(_) => {}
            Err(error) => {
                assert!(
                    matches!(error.refusal(), Some(Refusal::RoleRevoked | Refusal::Locked)),
                    "{error}"
                );
                refused += 1;
            }
        }
    }
    assert!(!suspending.is_finished(), "it waits for the open transaction");
    tx.commit(count_leads()).await.unwrap();
    suspending.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_step_can_be_repeated_and_is_noted_once() {
    let test = TestPlatform::start().await;
    test.onboard("acme", "general").await;
    let lifecycle = &test.platform.lifecycle;
    for _ in 0..2 {
        let tenant = lifecycle
            .suspend(&key("acme"), "unpaid", cli_origin())
            .await
            .unwrap();
        assert_eq!(tenant.suspended_reason.as_deref(), Some("unpaid"));
    }
    for _ in 0..2 {
        let tenant = lifecycle.activate(&key("acme"), cli_origin()).await.unwrap();
        assert_eq!(
            (tenant.status, tenant.suspended_reason),
            (TenantStatus::Active, None)
        );
    }
    let admin = test.admin().await;
    let actions: Vec<String> = admin
        .query("select action from master.audit_log order by id", &[])
        .await
        .unwrap()
        .iter()
        .map(|row| row.get(0))
        .collect();
    assert_eq!(actions, ["tenant.create", "tenant.suspend", "tenant.activate"]);

    let unknown = lifecycle.suspend(&key("nobody"), "x", cli_origin()).await;
    assert!(matches!(unknown, Err(LifecycleError::Unknown)), "{unknown:?}");
    admin
        .batch_execute("update master.tenants set status = 'archived'")
        .await
        .unwrap();
    let archived = lifecycle.activate(&key("acme"), cli_origin()).await;
    assert!(
        matches!(archived, Err(LifecycleError::WrongState(TenantStatus::Archived))),
        "{archived:?}"
    );
}

/// A crash between the shard's commit and the registry's: the tenant is stopped, and the step can be repeated.
#[tokio::test]
async fn a_half_made_suspension_is_completed_by_repeating_it() {
    let test = TestPlatform::start().await;
    let acme = test.onboard("acme", "general").await;
    let home = test.resolved(&acme).await.home.clone();
    let db = test.tenant_db(&acme).await;
    test.admin()
        .await
        .batch_execute(&format!("revoke {} from {}", home.role, home.lane.login))
        .await
        .unwrap();
    let refused = db
        .run(&test.system(), ())
        .await
        .err()
        .and_then(|error| error.refusal());
    assert_eq!(refused, Some(Refusal::RoleRevoked));
    let lifecycle = &test.platform.lifecycle;
    lifecycle
        .suspend(&key("acme"), "unpaid", cli_origin())
        .await
        .unwrap();
    lifecycle.activate(&key("acme"), cli_origin()).await.unwrap();
    db.run(&test.system(), ()).await.unwrap();
}

/// `begin` may reach the server long before the rest of its pipeline, and it is `begin` that learns who is a member.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_transaction_that_was_only_begun_is_waited_for_as_well() {
    let test = TestPlatform::start().await;
    let acme = test.onboard("acme", "general").await;
    let home = test.resolved(&acme).await.home.clone();
    let client = test.as_login(&home.lane.login).await;
    let enter = format!(
        "select pg_try_advisory_xact_lock_shared({}); set local role {}; set local search_path = {}",
        home.id.lock_key(),
        home.role,
        home.schema
    );
    // Now the connection knows its memberships by heart.
    client
        .batch_execute(&format!("begin; {enter}; commit"))
        .await
        .unwrap();

    client.batch_execute("begin").await.unwrap();
    let suspending = tokio::spawn({
        let lifecycle = test.platform.lifecycle.clone();
        async move { lifecycle.suspend(&key("acme"), "unpaid", cli_origin()).await }
    });
    let admin = test.admin().await;
    let revoked = async || -> bool {
        admin
            .query_one(
                "select not pg_has_role($1, $2, 'member')",
                &[&home.lane.login, &home.role],
            )
            .await
            .unwrap()
            .get(0)
    };
    while !revoked().await {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(
        !suspending.is_finished(),
        "it waits for the transaction that has done nothing yet"
    );
    // A busy server may have told the connection of the revoke meanwhile; usually it comes in, late as it is.
    match client.batch_execute(&enter).await {
        Ok(()) => {
            tokio::time::sleep(Duration::from_millis(100)).await;
            assert!(
                !suspending.is_finished(),
                "it waits for the transaction that is inside"
            );
            client
                .batch_execute("select count(*) from leads; commit")
                .await
                .unwrap();
        }
        Err(refused) => {
            assert_eq!(refused.code().map(|code| code.code()), Some("42501"));
            client.batch_execute("rollback").await.unwrap();
        }
    }
    suspending.await.unwrap().unwrap();
    let late = client.batch_execute(&format!("begin; {enter}")).await;
    assert_eq!(late.unwrap_err().code().map(|code| code.code()), Some("42501"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_suspension_does_not_wait_for_the_neighbours() {
    let test = TestPlatform::builder().lane_pool(3).start().await;
    test.onboard("acme", "general").await;
    let other = test.onboard("other", "general").await;
    let other = test.tenant_db(&other).await;
    let (tx, _) = other.begin(&test.system(), count_leads()).await.unwrap();
    test.platform
        .lifecycle
        .suspend(&key("acme"), "unpaid", cli_origin())
        .await
        .unwrap();
    tx.commit(count_leads()).await.unwrap();
}

/// From PostgreSQL 16 on a membership may be granted twice, and revoking the one leaves the other.
#[tokio::test]
async fn a_membership_that_somebody_else_granted_as_well_is_taken_too() {
    let test = TestPlatform::start().await;
    let acme = test.onboard("acme", "general").await;
    let home = test.resolved(&acme).await.home.clone();
    let (prefix, _) = home.role.split_once('_').unwrap();
    test.admin()
        .await
        .batch_execute(&format!(
            "create role {prefix}_colleague nologin;
             grant {role} to {prefix}_colleague with admin option;
             set role {prefix}_colleague;
             grant {role} to {login}",
            role = home.role,
            login = home.lane.login
        ))
        .await
        .unwrap();
    let db = test.tenant_db(&acme).await;
    db.run(&test.system(), ()).await.unwrap();
    let lifecycle = &test.platform.lifecycle;
    for _ in 0..2 {
        lifecycle
            .suspend(&key("acme"), "unpaid", cli_origin())
            .await
            .unwrap();
        let refused = db
            .run(&test.system(), ())
            .await
            .err()
            .and_then(|error| error.refusal());
        assert_eq!(refused, Some(Refusal::RoleRevoked));
        lifecycle.activate(&key("acme"), cli_origin()).await.unwrap();
        db.run(&test.system(), ()).await.unwrap();
    }
}
