//! A tenant is told once that its plan is running out.

use futures_util::future::join_all;
use helixai::domain::usage::Meter;

use super::tally::{Tally, amount, key};

/// `(meter, month, threshold, used, limit, state)`, in order.
async fn alerts(tally: &Tally) -> Vec<(String, String, i16, i64, i64, String)> {
    let rows = tally
        .admin
        .query(
            "select meter, period_start::text, threshold, used, limit_value, state from master.usage_alerts
             where tenant_id = $1 order by period_start, meter, threshold",
            &[&tally.tenant.as_uuid()],
        )
        .await
        .expect("alerts");
    let read = |row: &tokio_postgres::Row| {
        (
            row.get(0),
            row.get(1),
            row.get(2),
            row.get(3),
            row.get(4),
            row.get(5),
        )
    };
    rows.iter().map(read).collect()
}

fn alert(month: &str, threshold: i16, used: i64, limit: i64) -> (String, String, i16, i64, i64, String) {
    let text = str::to_owned;
    (
        text("messages"),
        text(month),
        threshold,
        used,
        limit,
        text("pending"),
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn each_threshold_is_told_once_however_many_book_at_once() {
    let tally = Tally::start(100).await;
    let second = tally.second().await;
    let tenant = tally.tenant;
    let tasks = (0..150).map(|number| {
        let platform = if number % 2 == 0 {
            &tally.test.platform
        } else {
            &second
        };
        let metering = platform.metering.clone();
        let key = key(&format!("record-{number}"));
        tokio::spawn(async move { metering.record(tenant, Meter::Messages, amount(1), &key).await })
    });
    for answer in join_all(tasks).await {
        answer.expect("no panic").expect("booked");
    }
    let told = [
        alert("2026-03-01", 80, 80, 100),
        alert("2026-03-01", 100, 100, 100),
    ];
    assert_eq!(alerts(&tally).await, told);

    // Another month has its own; a booking that passes both writes both.
    tally.clock.set("2026-04-20T12:00:00Z".parse().expect("a time"));
    tally.reserve("large", 100).await.expect("held");
    assert_eq!(alerts(&tally).await, told, "what is reserved is not used yet");
    tally.settle("large", 100).await.expect("settled");
    let both = [
        alert("2026-04-01", 80, 100, 100),
        alert("2026-04-01", 100, 100, 100),
    ];
    assert_eq!(alerts(&tally).await, [told, both].concat());
    tally.adds_up().await;
}

#[tokio::test]
async fn a_limit_that_falls_below_what_was_used_is_told() {
    let tally = Tally::start(100).await;
    tally.reserve("used", 79).await.expect("held");
    tally.settle("used", 79).await.expect("settled");
    assert_eq!(alerts(&tally).await, []);
    tally.include(Some(90)).await;
    assert_eq!(alerts(&tally).await, [alert("2026-03-01", 80, 79, 90)]);
    // Of a limit that the month has had before nobody is told again.
    tally.include(Some(1000)).await;
    tally.include(Some(90)).await;
    assert_eq!(alerts(&tally).await.len(), 1);
    tally.include(Some(60)).await;
    assert_eq!(alerts(&tally).await.len(), 3);
}

/// Whoever has bought more is told when that runs out, too.
#[tokio::test]
async fn a_larger_plan_has_alerts_of_its_own() {
    let tally = Tally::start(100).await;
    let use_up = async |name: &str, amount| {
        tally.reserve(name, amount).await.expect("held");
        tally.settle(name, amount).await.expect("settled");
    };
    use_up("one", 100).await;
    assert_eq!(alerts(&tally).await.len(), 2);
    tally.include(Some(1000)).await;
    assert_eq!(alerts(&tally).await.len(), 2, "there is room again");
    use_up("two", 700).await;
    use_up("three", 200).await;
    let of_the_month = async || {
        let rows = tally
            .admin
            .query(
                "select limit_value, threshold, used from master.usage_alerts order by limit_value, threshold",
                &[],
            )
            .await
            .expect("alerts");
        rows.iter()
            .map(|row| (row.get::<_, i64>(0), row.get::<_, i16>(1), row.get::<_, i64>(2)))
            .collect::<Vec<_>>()
    };
    let told = [
        (100, 80, 100),
        (100, 100, 100),
        (1000, 80, 800),
        (1000, 100, 1000),
    ];
    assert_eq!(of_the_month().await, told);
    // Back and forth between plans says nothing twice.
    tally.include(Some(100)).await;
    tally.include(None).await;
    tally.include(Some(1000)).await;
    assert_eq!(of_the_month().await, told);
    tally.adds_up().await;
}

#[tokio::test]
async fn what_has_no_limit_and_what_is_not_included_alerts_nobody() {
    let tally = Tally::start(0).await;
    let record = async |name: &str| {
        tally
            .metering()
            .record(tally.tenant, Meter::Messages, amount(1_000_000_000), &key(name))
            .await
            .expect("booked");
    };
    record("one").await;
    tally.include(None).await;
    record("two").await;
    assert_eq!(alerts(&tally).await, []);
}
