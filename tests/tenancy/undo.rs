//! An onboarding that fails leaves nothing, and takes nothing that is not its own.

use helixai::db::DbError;
use helixai::db::master::audit::MasterActor;
use helixai::db::shard::provision::unprovision;
use helixai::domain::clock::Clock;
use helixai::tenancy::provision::{OnboardError, Onboarded};
use helixai::tenancy::reconcile::finish_expired;
use tokio::task::JoinHandle;
use tokio_postgres::Client;

use crate::helpers::{TestPlatform, onboarding, tenant_db_of};

/// Registry rows, places taken, roles of tenants.
async fn traces(admin: &Client) -> [i64; 4] {
    let row = admin
        .query_one(
            "select (select count(*) from master.tenants), (select coalesce(sum(tenants_count), 0) from master.lanes),
                    (select count(*) from helixai.tenant_roles),
                    (select count(*) from pg_roles, helixai.shard where starts_with(rolname, role_prefix || '_tenant_'))",
            &[],
        )
        .await
        .unwrap();
    std::array::from_fn(|index| row.get(index))
}

#[tokio::test]
async fn a_schema_in_the_way_is_left_alone_and_nothing_else_is_left() {
    let test = TestPlatform::start().await;
    let admin = test.admin().await;
    admin
        .batch_execute("create schema tenant_garage_alpha; create table tenant_garage_alpha.theirs (id int)")
        .await
        .unwrap();
    let refused = test
        .platform
        .provisioner
        .onboard(onboarding("garage-alpha", "cars"), None, MasterActor::Cli, None)
        .await;
    assert!(
        matches!(refused, Err(OnboardError::KeyTaken)),
        "{:?}",
        refused.err()
    );
    assert_eq!(traces(&admin).await, [0; 4]);
    admin
        .query_one("select count(*) from tenant_garage_alpha.theirs", &[])
        .await
        .unwrap();

    admin
        .batch_execute("drop schema tenant_garage_alpha cascade")
        .await
        .unwrap();
    test.onboard("garage-alpha", "cars").await;
    assert_eq!(traces(&admin).await, [1; 4]);
}

/// The niche's table comes after the role, the schema and all of `core`.
#[tokio::test]
async fn a_template_that_fails_half_way_leaves_nothing() {
    let test = TestPlatform::start().await;
    let admin = test.admin().await;
    admin
        .batch_execute(
            "create function public.refuse_vehicles() returns event_trigger language plpgsql as $$
             begin
                 if exists (select from pg_event_trigger_ddl_commands() where object_identity like '%.vehicles') then
                     raise exception 'no vehicles';
                 end if;
             end $$;
             create event trigger refuse_vehicles on ddl_command_end when tag in ('CREATE TABLE')
                 execute function public.refuse_vehicles()",
        )
        .await
        .unwrap();
    let refused = test
        .platform
        .provisioner
        .onboard(onboarding("garage-alpha", "cars"), None, MasterActor::Cli, None)
        .await;
    assert!(matches!(refused, Err(OnboardError::Db(_))), "{:?}", refused.err());
    assert_eq!(traces(&admin).await, [0; 4]);
    let schemas = "select count(*) from pg_namespace where nspname like 'tenant%'";
    assert_eq!(admin.query_one(schemas, &[]).await.unwrap().get::<_, i64>(0), 0);

    admin
        .batch_execute("drop event trigger refuse_vehicles")
        .await
        .unwrap();
    test.onboard("garage-alpha", "cars").await;
    assert_eq!(traces(&admin).await, [1; 4]);
}

#[tokio::test]
async fn what_was_provisioned_can_be_removed_again_and_twice() {
    let test = TestPlatform::start().await;
    let garage = test.onboard("garage-alpha", "cars").await;
    let other = test.onboard("garage-beta", "cars").await;
    let home = test.resolved(&garage).await.home.clone();
    let mut admin = test.admin().await;
    for _ in 0..2 {
        unprovision(&mut admin, home.id, &home.schema, &home.role)
            .await
            .unwrap();
        let left: i64 = admin
            .query_one(
                "select (select count(*) from pg_roles where rolname = $1)
                      + (select count(*) from pg_namespace where nspname = $2)
                      + (select count(*) from helixai.tenant_roles where role_name = $1)",
                &[&home.role, &home.schema],
            )
            .await
            .unwrap()
            .get(0);
        assert_eq!(left, 0);
    }
    test.tenant_db(&other)
        .await
        .run(&test.system(), ())
        .await
        .unwrap();
}

/// A platform whose clock stands still, a worker that stops at what `gate` has locked, and a second one that has taken
/// its lease over meanwhile. Both are waiting when this returns.
async fn two_workers(
    gate: &str,
) -> (
    TestPlatform,
    Clock,
    Client,
    JoinHandle<Result<Onboarded, OnboardError>>,
    JoinHandle<Result<usize, DbError>>,
) {
    let clock = Clock::fixed(chrono::Utc::now());
    let test = TestPlatform::builder().clock(clock.clone()).start().await;
    // The lane's login exists, so that nothing but the gate is in the way.
    test.onboard("garage-first", "cars").await;
    let admin = test.admin().await;
    let holding = test.admin().await;
    holding.batch_execute(&format!("begin; {gate}")).await.unwrap();
    let provisioner = test.platform.provisioner.clone();
    let slow = tokio::spawn(async move {
        provisioner
            .onboard(onboarding("garage-alpha", "cars"), None, MasterActor::Cli, None)
            .await
    });
    wait_for_waiting(&admin, 1).await;
    clock.advance(chrono::TimeDelta::minutes(5));
    let provisioner = test.platform.provisioner.clone();
    let quick = tokio::spawn(async move { finish_expired(&provisioner).await });
    wait_for_waiting(&admin, 2).await;
    (test, clock, holding, slow, quick)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_worker_that_lost_its_lease_declares_nothing() {
    let (test, clock, gate, slow, quick) =
        two_workers("lock table helixai.tenant_roles in access exclusive mode").await;
    gate.batch_execute("commit").await.unwrap();
    // Whichever makes the role first, it is no longer the slow one's to declare done; if it was the slow one, the other
    // meets the role, and finishes in its next round.
    assert!(slow.await.unwrap().is_err());
    let finished = quick.await.unwrap().unwrap();
    clock.advance(chrono::TimeDelta::minutes(5));
    assert_eq!(
        finished + finish_expired(&test.platform.provisioner).await.unwrap(),
        1
    );
    assert_eq!(traces(&test.admin().await).await, [2; 4]);
    tenant_db_of(&test.platform, "garage-alpha")
        .await
        .run(&test.system(), ())
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_worker_that_lost_its_lease_undoes_nothing() {
    let (test, clock, gate, slow, quick) = two_workers("create schema tenant_garage_alpha").await;
    gate.batch_execute("commit").await.unwrap();
    // Both meet the schema. The slow one would take the intent back, but it is the other's by now.
    let slow = slow.await.unwrap();
    assert!(matches!(slow, Err(OnboardError::Db(_))), "{:?}", slow.err());
    assert_eq!(quick.await.unwrap().unwrap(), 0);
    let admin = test.admin().await;
    assert_eq!(traces(&admin).await, [2, 2, 1, 1]);
    admin
        .batch_execute("drop schema tenant_garage_alpha")
        .await
        .unwrap();
    clock.advance(chrono::TimeDelta::minutes(5));
    assert_eq!(finish_expired(&test.platform.provisioner).await.unwrap(), 1);
    assert_eq!(traces(&admin).await, [2; 4]);
    tenant_db_of(&test.platform, "garage-alpha")
        .await
        .run(&test.system(), ())
        .await
        .unwrap();
}

/// Until so many statements of this database wait for a lock.
async fn wait_for_waiting(admin: &Client, expected: i64) {
    let waiting = "select count(distinct l.pid) from pg_locks l join pg_stat_activity a on a.pid = l.pid
                   where not l.granted and a.datname = current_database()";
    for _ in 0..1000 {
        if admin.query_one(waiting, &[]).await.unwrap().get::<_, i64>(0) == expected {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("there are never {expected} waiting");
}
