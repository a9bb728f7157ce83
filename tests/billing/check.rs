//! Counters that do not add up are noticed.

use std::time::Duration;

use chrono::TimeDelta;
use helixai::billing::metering::background;
use helixai::db::master::duties::{self, Turn};
use helixai::telemetry::metrics;
use tokio_util::sync::CancellationToken;

use super::tally::{Tally, march};

#[tokio::test]
async fn a_counter_that_somebody_has_changed_is_found_and_can_be_counted_anew() {
    let tally = Tally::start(100).await;
    for name in ["one", "two", "three"] {
        tally.reserve(name, 10).await.expect("held");
    }
    tally.settle("one", 7).await.expect("settled");
    tally.release("two").await.expect("released");
    tally.adds_up().await;

    for (damage, numbers) in [
        ("update master.usage_counters set used = 3", (3, 7, 10, 10)),
        ("update master.usage_counters set reserved = 0", (7, 7, 0, 10)),
        (
            "update master.usage_reservations set state = 'expired' where state = 'held'",
            (7, 7, 10, 0),
        ),
        (
            "insert into master.usage_events (tenant_id, meter, key, period_start, amount, occurred_at)
             select id, 'messages', 'api:forged', '2026-03-01', 5, now() from master.tenants",
            (7, 12, 0, 0),
        ),
    ] {
        tally.admin.batch_execute(damage).await.expect("done");
        let found = tally.metering().check().await.expect("checked");
        let [one] = found.as_slice() else {
            panic!("{damage}: {found:?}")
        };
        assert_eq!(
            (one.used, one.booked, one.reserved, one.held),
            numbers,
            "{damage}"
        );
        assert_eq!(
            (one.tenant_key.as_str(), one.meter.as_str()),
            ("garage", "messages")
        );
        assert_eq!(one.period, march());
        let recount = format!(
            "select master.recount_usage('{}', 'messages', '2026-03-01')",
            one.tenant
        );
        tally.admin.batch_execute(&recount).await.expect("recounted");
        assert_eq!(tally.metering().check().await.expect("checked"), []);
    }
}

/// Months that nothing is booked into any more are not read again every night.
#[tokio::test]
async fn the_check_looks_at_two_months() {
    let tally = Tally::start(100).await;
    tally.reserve("one", 10).await.expect("held");
    tally
        .admin
        .batch_execute("update master.usage_counters set used = 3")
        .await
        .expect("done");
    for (time, found) in [("2026-04-30T12:00:00Z", 1), ("2026-05-01T12:00:00Z", 0)] {
        tally.clock.set(time.parse().expect("a time"));
        assert_eq!(
            tally.metering().check().await.expect("checked").len(),
            found,
            "{time}"
        );
    }
}

/// However many processes there are, one does the work of a night; when it is gone or has failed, another one, later and later.
#[tokio::test]
async fn one_process_does_the_work_of_a_night() {
    let tally = Tally::start(100).await;
    let (master, clock) = (&tally.test.platform.master, &tally.clock);
    let night = clock.now();
    let lease = TimeDelta::minutes(15);
    let take = async |night| {
        duties::take(master, "test", night, lease, clock.now())
            .await
            .expect("asked")
    };
    assert_eq!(take(night).await, Turn::Mine);
    for minutes in [15, 30, 60] {
        assert_eq!(take(night).await, Turn::Elsewhere);
        clock.advance(TimeDelta::minutes(minutes) - TimeDelta::microseconds(1));
        assert_eq!(take(night).await, Turn::Elsewhere, "{minutes}");
        clock.advance(TimeDelta::microseconds(1));
        assert_eq!(take(night).await, Turn::Mine, "{minutes}");
    }
    duties::finish(master, "test", night, 3, clock.now())
        .await
        .expect("done");
    assert_eq!(take(night).await, Turn::Done(3));
    let next = night + TimeDelta::days(1);
    assert_eq!(take(next).await, Turn::Mine);
    assert_eq!(take(next).await, Turn::Elsewhere);

    let second = tally.second().await;
    assert!(tally.metering().work_at_night(next).await.expect("done"));
    tally
        .admin
        .batch_execute("update master.duties set result = 7 where name = 'usage_check'")
        .await
        .expect("done");
    assert!(second.metering.work_at_night(next).await.expect("it was done"));
    let results = "select result from master.duties where name = 'usage_check'";
    let result: i64 = tally.admin.query_one(results, &[]).await.expect("read").get(0);
    assert_eq!(result, 7, "nobody has done it again");
}

/// The ledger cannot be rewritten to fit, not even by the program's own login.
#[tokio::test]
async fn the_ledger_stays_as_it_was_written() {
    let tally = Tally::start(100).await;
    tally.reserve("one", 10).await.expect("held");
    tally.settle("one", 7).await.expect("settled");
    for change in [
        "update master.usage_events set amount = 1",
        "delete from master.usage_events",
        "truncate master.usage_events",
    ] {
        let refused = tally.admin.batch_execute(change).await.expect_err("append-only");
        assert_eq!(refused.code().map(|code| code.code()), Some("23001"), "{change}");
    }
    tally.adds_up().await;
}

#[tokio::test]
async fn the_night_s_check_raises_the_alarm() {
    let tally = Tally::start(100).await;
    let shown = metrics::install().expect("metrics");
    let stop = CancellationToken::new();
    let (metering, lanes) = (tally.metering().clone(), tally.test.platform.lanes.clone());
    let running = background::spawn(metering, lanes, Duration::from_millis(5), stop.clone());
    tally.reserve("one", 10).await.expect("held");
    tally
        .admin
        .batch_execute("update master.usage_counters set used = 3")
        .await
        .expect("done");
    tally.clock.advance(TimeDelta::days(1));
    let alarm = |text: String| text.contains("helixai_usage_discrepancies 1");
    for _ in 0..1000 {
        if alarm(shown.render()) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(alarm(shown.render()), "{}", shown.render());
    stop.cancel();
    running.await.expect("no panic");
}
