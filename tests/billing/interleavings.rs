//! Two that meet exactly where it matters: the second must wait for the first, and then see what it has done. In a rush that
//! moment may never come; here it always does.

use std::time::Duration;

use helixai::billing::metering::MeteringError;
use helixai::domain::metering::ReservationState;
use helixai::domain::usage::Meter;
use tokio_postgres::Client;

use super::tally::{Tally, actual, amount, exhausted, include, key, march};

/// Another session with a transaction open in which `sql` has run; `{tenant}` is the tenant.
async fn first(tally: &Tally, sql: &str) -> Client {
    let session = tally.test.admin().await;
    let sql = sql.replace("{tenant}", &tally.tenant.to_string());
    session
        .batch_execute(&format!("begin; {sql}"))
        .await
        .expect("the first");
    session
}

/// Waits until the second is waiting, then lets the first commit.
async fn commit_when_waited_for(tally: &Tally, session: Client) {
    let waiting = "select exists (select from pg_stat_activity
                                  where datname = current_database() and wait_event_type = 'Lock')";
    for _ in 0..1000 {
        if tally.admin.query_one(waiting, &[]).await.expect("asked").get(0) {
            session.batch_execute("commit").await.expect("committed");
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("the second does not wait for the first");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_of_a_limit_is_reserved_once() {
    let tally = Tally::start(10).await;
    tally.reserve("begun", 9).await.expect("held");
    let session = first(
        &tally,
        "select master.reserve_usage('{tenant}', 'messages', 'api:first', 1, '2026-03-01',
                                     '2026-03-10T12:00:00Z', '2026-03-10T12:15:00Z')",
    )
    .await;
    let (metering, tenant) = (tally.metering().clone(), tally.tenant);
    let second = tokio::spawn(async move {
        metering
            .reserve(tenant, Meter::Messages, amount(1), &key("second"))
            .await
    });
    commit_when_waited_for(&tally, session).await;
    assert_eq!(exhausted(second.await.expect("no panic")), (10, 0, 10));
    tally.adds_up().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_being_settled_is_not_settled_again_nor_released() {
    let tally = Tally::start(10).await;
    for (name, release) in [("one", false), ("two", true)] {
        tally.reserve(name, 2).await.expect("held");
        let settle =
            format!("select master.settle_usage('{{tenant}}', 'api:{name}', 1, '2026-03-10T12:00:00Z')");
        let session = first(&tally, &settle).await;
        let (metering, tenant) = (tally.metering().clone(), tally.tenant);
        let second = tokio::spawn(async move {
            match release {
                true => metering.release(tenant, &key(name)).await,
                false => metering.settle(tenant, &key(name), actual(1)).await,
            }
        });
        commit_when_waited_for(&tally, session).await;
        match second.await.expect("no panic") {
            Ok(again) => assert_eq!((again.state, release), (ReservationState::Settled, false)),
            Err(error) => assert!(release && matches!(error, MeteringError::Settled), "{error}"),
        }
    }
    assert_eq!(tally.counter(march()).await, (Some(10), 2, 0));
    tally.adds_up().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_counter_that_is_made_waits_for_the_plan_that_changes() {
    let tally = Tally::start(10).await;
    let session = first(
        &tally,
        "update master.subscriptions set plan_version_id = '01900000-0000-7000-8000-000000000101'",
    )
    .await;
    let (metering, tenant) = (tally.metering().clone(), tally.tenant);
    let second = tokio::spawn(async move {
        metering
            .reserve(tenant, Meter::Messages, amount(1), &key("second"))
            .await
    });
    commit_when_waited_for(&tally, session).await;
    second.await.expect("no panic").expect("held");
    assert_eq!(tally.counter(march()).await, (Some(1000), 0, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_that_changes_waits_for_the_counter_that_is_made() {
    let tally = Tally::start(10).await;
    let session = first(
        &tally,
        "select master.reserve_usage('{tenant}', 'messages', 'api:first', 7, '2026-03-01',
                                     '2026-03-10T12:00:00Z', '2026-03-10T12:15:00Z')",
    )
    .await;
    let (other, tenant, now) = (tally.test.admin().await, tally.tenant, tally.clock.now());
    let second = tokio::spawn(async move { include(&other, tenant, Some(5), now).await });
    commit_when_waited_for(&tally, session).await;
    second.await.expect("no panic");
    assert_eq!(tally.counter(march()).await, (Some(5), 0, 7));
    assert_eq!(exhausted(tally.reserve("more", 1).await), (5, 0, 7));
    tally.adds_up().await;
}
