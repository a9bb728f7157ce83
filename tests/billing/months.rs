//! Where one month ends and the next begins.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use futures_util::future::join_all;
use helixai::billing::metering::HOLD;
use helixai::domain::clock::Clock;
use helixai::domain::usage::Meter;
use helixai::platform::Platform;

use super::tally::{Tally, amount, exhausted, key, march};

/// The last second of March in São Paulo.
fn last_second() -> DateTime<Utc> {
    "2026-04-01T02:59:59Z".parse().expect("a time")
}

fn april() -> NaiveDate {
    "2026-04-01".parse().expect("a date")
}

#[tokio::test]
async fn a_hold_is_settled_into_the_month_in_which_it_was_made() {
    let tally = Tally::start(10).await;
    tally.clock.set(last_second());
    let held = tally.reserve("late", 10).await.expect("held");
    assert_eq!(held.period, "2026-03");
    assert_eq!(exhausted(tally.reserve("more", 1).await), (10, 0, 10));

    tally.clock.advance(TimeDelta::seconds(1));
    // A new month, a new counter; the old one's hold is not in its way.
    let new = tally.reserve("more", 10).await.expect("there is room");
    assert_eq!(new.period, "2026-04");
    assert_eq!(
        tally.reserve("late", 10).await.expect("the same"),
        held,
        "one key, one effect"
    );
    tally.settle("late", 9).await.expect("settled");
    assert_eq!(tally.counter(march()).await, (Some(10), 9, 0));
    assert_eq!(tally.counter(april()).await, (Some(10), 0, 10));

    tally.settle("more", 10).await.expect("settled");
    assert_eq!(tally.counter(april()).await, (Some(10), 10, 0));
    tally.adds_up().await;
}

#[tokio::test]
async fn what_expires_in_the_next_month_is_given_back_to_its_own() {
    let tally = Tally::start(10).await;
    tally.clock.set(last_second());
    tally.reserve("late", 6).await.expect("held");
    tally.clock.advance(HOLD);
    tally.reserve("new", 1).await.expect("held");
    let swept = tally
        .metering()
        .sweep(&tally.test.platform.lanes)
        .await
        .expect("swept");
    assert_eq!(swept.expired, 1);
    assert_eq!(tally.counter(march()).await, (Some(10), 0, 0));
    tally
        .settle("late", 6)
        .await
        .expect("late, and booked all the same");
    assert_eq!(tally.counter(march()).await, (Some(10), 6, 0));
    assert_eq!(tally.counter(april()).await, (Some(10), 0, 1));
    tally.adds_up().await;
}

/// Two machines do not agree on the second. A key has one effect even then.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_key_in_two_months_at_once_is_one_reservation() {
    let tally = Tally::start(100).await;
    tally.clock.set(last_second());
    let ahead = Clock::fixed(last_second() + TimeDelta::seconds(1));
    let second = Platform::start(tally.test.settings.clone(), ahead)
        .await
        .expect("the platform starts");
    let tenant = tally.tenant;
    for round in 0..10 {
        let tasks = (0..8).map(|number| {
            let platform = if number % 2 == 0 {
                &tally.test.platform
            } else {
                &second
            };
            let metering = platform.metering.clone();
            let key = key(&format!("round-{round}"));
            tokio::spawn(async move { metering.reserve(tenant, Meter::Messages, amount(1), &key).await })
        });
        let answers = join_all(tasks).await;
        let answers: Vec<_> = answers
            .into_iter()
            .map(|answer| answer.expect("no panic").expect("held"))
            .collect();
        assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "{answers:?}");
    }
    let reserved = tally.counter(march()).await.2 + tally.counter(april()).await.2;
    assert_eq!(reserved, 10);
    tally.adds_up().await;
}
