//! Counters follow the plan, while the tenant is at work.

use futures_util::future::join_all;
use helixai::domain::usage::Meter;

use super::tally::{Tally, amount, exhausted, include, key, march};

#[tokio::test]
async fn a_limit_that_is_lowered_counts_at_once_and_takes_nothing_back() {
    let tally = Tally::start(100).await;
    tally.reserve("used", 30).await.expect("held");
    tally.settle("used", 30).await.expect("settled");
    tally.reserve("under-way", 60).await.expect("held");

    tally.include(Some(50)).await;
    assert_eq!(tally.counter(march()).await, (Some(50), 30, 60));
    assert_eq!(exhausted(tally.reserve("more", 1).await), (50, 30, 60));
    // What is under way was promised.
    tally.settle("under-way", 60).await.expect("settled");
    assert_eq!(tally.counter(march()).await, (Some(50), 90, 0));
    assert_eq!(exhausted(tally.reserve("more", 1).await), (50, 90, 0));

    tally.include(Some(91)).await;
    tally.reserve("more", 1).await.expect("there is room for one");
    assert_eq!(exhausted(tally.reserve("yet-more", 1).await), (91, 90, 1));
    tally.include(None).await;
    tally.reserve("much-more", 1_000_000_000).await.expect("no limit");
    tally.adds_up().await;
}

#[tokio::test]
async fn without_a_living_subscription_nothing_is_included() {
    let tally = Tally::start(100).await;
    tally.reserve("first", 1).await.expect("held");
    let change = async |sql: &str| {
        let sql = format!("update master.subscriptions set {sql}, updated_at = '2026-03-10T12:00:00Z'");
        tally.admin.batch_execute(&sql).await.expect("changed");
    };
    change("status = 'canceled', canceled_at = '2026-03-10Z'").await;
    assert_eq!(exhausted(tally.reserve("second", 1).await), (0, 0, 1));
    change("status = 'active', canceled_at = null").await;
    tally.reserve("second", 1).await.expect("held");
    tally
        .admin
        .batch_execute("delete from master.subscriptions")
        .await
        .expect("deleted");
    assert_eq!(exhausted(tally.reserve("third", 1).await), (0, 0, 2));
    tally.adds_up().await;
}

#[tokio::test]
async fn months_that_are_over_keep_the_limit_that_they_had() {
    let tally = Tally::start(100).await;
    tally.reserve("march", 1).await.expect("held");
    tally.clock.set("2026-04-01T03:00:00Z".parse().expect("a time"));
    tally.reserve("april", 1).await.expect("held");
    tally.include(Some(7)).await;
    assert_eq!(tally.counter(march()).await.0, Some(100));
    let april = "2026-04-01".parse().expect("a date");
    assert_eq!(tally.counter(april).await.0, Some(7));
}

/// However a plan's change and the first use of a month meet, the counter has the limit of the plan in the end.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_plan_that_changes_while_the_counter_is_made_is_not_missed() {
    let tally = Tally::start(1000).await;
    let tenant = tally.tenant;
    let mut month = march();
    for round in 0..20 {
        month = helixai::domain::month::next_month(month);
        let begin = helixai::domain::month::start_of_day(month, helixai::domain::month::BOOKS_TZ);
        tally.clock.set(begin);
        let limit = 500 + round;
        let other = tally.test.admin().await;
        let change = tokio::spawn(async move { include(&other, tenant, Some(limit), begin).await });
        let reservations = (0..6).map(|number| {
            let metering = tally.metering().clone();
            let key = key(&format!("round-{round}-{number}"));
            tokio::spawn(async move { metering.reserve(tenant, Meter::Messages, amount(1), &key).await })
        });
        for answer in join_all(reservations).await {
            answer.expect("no panic").expect("there is room");
        }
        change.await.expect("no panic");
        assert_eq!(tally.counter(month).await, (Some(limit), 0, 6), "round {round}");
    }
    tally.adds_up().await;
}

/// A limit that falls in the middle of a rush: whoever is admitted afterwards fits into the new one.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_limit_lowered_in_a_rush_holds_from_then_on() {
    let tally = Tally::start(200).await;
    let tenant = tally.tenant;
    tally.reserve("first", 1).await.expect("held");
    let rush = (0..300).map(|number| {
        let metering = tally.metering().clone();
        let key = key(&format!("rush-{number}"));
        tokio::spawn(async move { metering.reserve(tenant, Meter::Messages, amount(1), &key).await })
    });
    let rush: Vec<_> = rush.collect();
    tally.include(Some(40)).await;
    let (_, _, at_the_change) = tally.counter(march()).await;
    let mut refused_by = Vec::new();
    for answer in join_all(rush).await {
        if let Err(refusal) = answer.expect("no panic") {
            refused_by.push(exhausted::<()>(Err(refusal)).0);
        }
    }
    let (limit, used, reserved) = tally.counter(march()).await;
    assert_eq!((limit, used), (Some(40), 0));
    assert!(
        reserved <= 40.max(at_the_change),
        "{reserved} held, {at_the_change} when the limit fell"
    );
    assert!(refused_by.contains(&40), "{refused_by:?}");
    tally.adds_up().await;
}
