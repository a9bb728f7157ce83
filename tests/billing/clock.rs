//! What happens to subscriptions by themselves.

use chrono::TimeDelta;
use helixai::domain::billing::invoice::InvoiceStatus;
use helixai::domain::subscription::SubscriptionStatus::{Active, Canceled, PastDue, Suspended, Trialing};

use super::books::{Shop, at, moments};

#[tokio::test]
async fn who_never_pays_is_told_four_times_suspended_and_canceled() {
    let shop = Shop::start("2026-03-10T12:00:00Z").await;
    let mut seen = Vec::new();
    let mut before = (Trialing, 0);
    for now in moments(at("2026-03-10T12:00:00Z"), TimeDelta::hours(6), 4 * 45) {
        shop.look_at(now).await;
        shop.look_at(now).await;
        let status = shop.subscription().await.state.status;
        let told = shop.mails().await.len();
        if before != (status, told) {
            before = (status, told);
            seen.push((now.format("%d/%m %H").to_string(), status, told));
        }
    }
    let seen: Vec<_> = seen
        .iter()
        .map(|(at, status, told)| (at.as_str(), *status, *told))
        .collect();
    assert_eq!(
        seen,
        [
            ("14/03 12", Trialing, 1),
            ("17/03 12", PastDue, 2),
            ("20/03 12", PastDue, 3),
            ("24/03 12", Suspended, 4),
            ("16/04 12", Canceled, 5),
        ]
    );
    let invoices = shop.invoices().await;
    assert_eq!(invoices.len(), 1);
    assert_eq!((invoices[0].number, invoices[0].status), (1, InvoiceStatus::Void));
    assert_eq!(invoices[0].total_cents, 4990);
    assert_eq!(invoices[0].due_date, "2026-03-17".parse().expect("a day"));
    assert_eq!(shop.orders.all(), [invoices[0].id], "collected once");
    let id = invoices[0].id;
    let subscription = shop.subscription().await.id;
    let told: Vec<String> = shop.mails().await.into_iter().map(|(_, key)| key).collect();
    let mut expected: Vec<String> = ["d-3", "d0", "d3", "d7"]
        .map(|step| format!("dunning:{id}:{step}"))
        .into();
    expected.push(format!("canceled:{subscription}:2026-04-16"));
    assert_eq!(told, expected);
    assert_eq!(
        shop.look("2027-03-10T12:00:00Z").await,
        0,
        "nobody looks at it any more"
    );
    shop.adds_up().await;
}

#[tokio::test]
async fn who_pays_is_not_told_again_and_keeps_the_days_of_the_trial() {
    let shop = Shop::start("2026-01-24T12:00:00Z").await;
    shop.look("2026-01-28T12:00:00Z").await;
    shop.pay(&shop.only_open().await).await;
    assert_eq!(shop.status().await, Active);
    assert_eq!(
        shop.subscription().await.current_period_end,
        at("2026-01-31T12:00:00Z")
    );
    for now in moments(at("2026-01-28T13:00:00Z"), TimeDelta::hours(6), 4 * 24) {
        shop.look_at(now).await;
    }
    let subscription = shop.subscription().await;
    assert_eq!(subscription.current_period_start, at("2026-01-31T12:00:00Z"));
    assert_eq!(subscription.current_period_end, at("2026-02-28T03:00:00Z"));
    assert_eq!(shop.mails().await.len(), 1, "the notice");
    shop.look("2026-02-25T12:00:00Z").await;
    let next = shop.only_open().await;
    let period = next.period.expect("a period");
    assert_eq!(
        (period.start, period.end),
        (at("2026-02-28T03:00:00Z"), at("2026-03-31T03:00:00Z"))
    );
    shop.adds_up().await;
}

/// Late payment keeps the dates of the period.
#[tokio::test]
async fn who_pays_late_is_served_again() {
    let shop = Shop::start("2026-03-10T12:00:00Z").await;
    for day in [
        "2026-03-14T12:00:00Z",
        "2026-03-17T12:00:00Z",
        "2026-03-25T12:00:00Z",
    ] {
        shop.look(day).await;
    }
    assert_eq!(shop.status().await, Suspended);
    shop.pay(&shop.only_open().await).await;
    assert_eq!(shop.status().await, Active);
    let subscription = shop.subscription().await;
    assert_eq!(subscription.current_period_start, at("2026-03-17T12:00:00Z"));
    assert_eq!(subscription.current_period_end, at("2026-04-17T03:00:00Z"));
    shop.adds_up().await;
}

/// Looked at every day for two years over month ends and a leap day, by tenants whose months begin on the 29th to the 31st; and
/// over the years in which the clock was put forward and back.
#[tokio::test]
async fn each_period_of_two_years_is_charged_once() {
    for (begin, days) in [("2027-01-22T12:00:00Z", 760), ("2017-01-25T13:30:00Z", 760)] {
        let shop = Shop::start(begin).await;
        let mut tenants = vec![shop.tenant];
        for name in ["garage-two", "garage-three"] {
            shop.clock.advance(TimeDelta::hours(25));
            tenants.push(shop.test.onboard(name, "cars").await.id);
        }
        for now in moments(shop.clock.now(), TimeDelta::days(1), days) {
            shop.look_at(now).await;
            for tenant in &tenants {
                for invoice in shop.invoices_of(*tenant).await {
                    if invoice.status == InvoiceStatus::Open {
                        shop.pay(&invoice).await;
                    }
                }
            }
        }
        let mut charged = 0;
        for tenant in &tenants {
            let periods = shop.paid_periods(*tenant).await;
            assert!((24..=26).contains(&periods.len()), "{}", periods.len());
            assert!(
                periods.windows(2).all(|two| two[0].end == two[1].start),
                "{periods:?}"
            );
            charged += periods.len();
        }
        assert_eq!(shop.orders.all().len(), charged, "each is collected once");
        let all = i64::try_from(charged).expect("few");
        assert_eq!(
            shop.number("select last_number from master.invoice_counters")
                .await,
            all
        );
        assert_eq!(
            shop.number("select count(*) from master.mails where kind <> 'welcome'")
                .await,
            all,
            "one notice for each"
        );
        shop.adds_up().await;
    }
}

/// Nothing ran for six weeks, again and again: periods are charged one after the other, and whoever was not told has time to pay.
#[tokio::test]
async fn an_outage_of_weeks_charges_nothing_twice() {
    let shop = Shop::start("2026-01-24T12:00:00Z").await;
    let mut now = at("2026-01-24T12:00:00Z");
    for _ in 0..6 {
        now += TimeDelta::weeks(6);
        // Until nothing more is to be paid: several periods have passed.
        for _ in 0..4 {
            shop.look_at(now).await;
            assert!(
                [PastDue, Active].contains(&shop.status().await),
                "nobody is suspended for our outage"
            );
            for invoice in shop.open().await {
                assert!(invoice.due_date >= (now + TimeDelta::days(2)).date_naive());
                shop.pay(&invoice).await;
            }
        }
    }
    let periods = shop.paid_periods(shop.tenant).await;
    assert!(
        periods.windows(2).all(|two| two[0].end == two[1].start),
        "{periods:?}"
    );
    let last = periods.last().expect("some");
    assert!(
        last.start <= now + TimeDelta::days(3) && last.end > now,
        "{last:?}"
    );
    assert_eq!(shop.orders.all().len(), periods.len());
    shop.adds_up().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_processes_at_once_issue_one_invoice() {
    let shop = Shop::start("2026-03-10T12:00:00Z").await;
    for name in ["garage-two", "garage-three", "garage-four"] {
        shop.test.onboard(name, "cars").await;
    }
    let second = shop.test.second().await;
    for day in [
        "2026-03-14T12:00:00Z",
        "2026-03-17T12:00:00Z",
        "2026-03-24T12:00:00Z",
        "2026-04-16T12:00:00Z",
    ] {
        shop.clock.set(at(day));
        let runs = (0..8).map(|number| {
            let books = if number % 2 == 0 {
                shop.books.clone()
            } else {
                second.books.clone()
            };
            tokio::spawn(async move { books.run_clock().await })
        });
        for run in runs.collect::<Vec<_>>() {
            run.await.expect("no panic").expect("it runs");
        }
    }
    assert_eq!(shop.number("select count(*) from master.invoices").await, 4);
    assert_eq!(
        shop.number("select count(*) from master.invoices where status = 'void'")
            .await,
        4
    );
    assert_eq!(
        shop.number("select count(*) from master.mails where kind <> 'welcome'")
            .await,
        4 * 4
    );
    shop.adds_up().await;
}

/// That one process runs the clock saves work; whoever has the minute has it alone.
#[tokio::test]
async fn one_process_has_the_minute() {
    let shop = Shop::start("2026-03-10T12:00:00Z").await;
    let second = shop.test.second().await.books;
    assert_eq!(
        shop.books.take_turn().await.expect("asked"),
        Some(1),
        "a new row is looked at"
    );
    assert_eq!(second.take_turn().await.expect("asked"), None);
    shop.clock.advance(TimeDelta::minutes(1));
    assert_eq!(second.take_turn().await.expect("asked"), Some(0));
    assert_eq!(shop.books.take_turn().await.expect("asked"), None);
}

#[tokio::test]
async fn what_has_no_end_and_what_is_put_away_is_left_alone() {
    let shop = Shop::start("2026-03-10T12:00:00Z").await;
    let away = shop.test.onboard("garage-two", "cars").await;
    for sql in [
        "update master.subscriptions set status = 'active', trial_ends_at = null, current_period_end = '9999-12-31T00:00:00Z'
         where tenant_id = (select id from master.tenants where tenant_key = 'garage')",
        "update master.tenants set status = 'archived' where tenant_key = 'garage-two'",
    ] {
        shop.admin.batch_execute(sql).await.expect("changed");
    }
    for now in moments(shop.clock.now(), TimeDelta::days(7), 60) {
        shop.look_at(now).await;
    }
    assert_eq!(shop.number("select count(*) from master.invoices").await, 0);
    // It comes back: what it did not have is not charged.
    let back = shop.clock.now() + TimeDelta::hours(1);
    shop.admin
        .execute(
            "update master.tenants set status = 'active', activated_at = $1 where tenant_key = 'garage-two'",
            &[&back],
        )
        .await
        .expect("changed");
    shop.look_at(back + TimeDelta::days(1)).await;
    let invoices = shop.invoices_of(away.id).await;
    assert_eq!(invoices.len(), 1);
    assert_eq!(invoices[0].period.expect("a period").start, back);
    shop.adds_up().await;
}

/// A price of nothing needs no invoice; and what is wrong with one subscription does not stop the others.
#[tokio::test]
async fn a_free_plan_goes_on_and_a_broken_row_waits() {
    let shop = Shop::start("2026-03-10T12:00:00Z").await;
    super::tally::include(&shop.admin, shop.tenant, Some(10), shop.clock.now()).await;
    let other = shop.test.onboard("garage-two", "cars").await;
    let broken =
        "alter table master.invoices add constraint refused check (tenant_key <> 'garage-two') not valid";
    shop.admin.batch_execute(broken).await.expect("changed");
    shop.look("2026-07-20T12:00:00Z").await;
    assert_eq!(shop.status().await, Active);
    assert_eq!(
        shop.subscription().await.current_period_end,
        at("2026-08-17T03:00:00Z")
    );
    assert!(shop.invoices_of(other.id).await.is_empty());
    let mend = "alter table master.invoices drop constraint refused";
    shop.admin.batch_execute(mend).await.expect("changed");
    assert_eq!(
        shop.look("2026-07-20T12:09:59Z").await,
        0,
        "it is tried again later"
    );
    assert_eq!(shop.look("2026-07-20T12:10:00Z").await, 1);
    assert_eq!(shop.invoices_of(other.id).await.len(), 1);
    shop.adds_up().await;
}

/// At thousands of tenants, only what is due is read.
#[tokio::test]
async fn an_index_says_what_is_due() {
    let shop = Shop::start("2026-03-10T12:00:00Z").await;
    shop.look("2026-03-10T12:00:00Z").await;
    let rows = shop
        .admin
        .simple_query(
            "set enable_seqscan = off; set enable_bitmapscan = off; explain select id from master.subscriptions where clock_at <= now() order by clock_at limit 200",
        )
        .await
        .expect("a plan");
    let text = format!("{rows:?}");
    assert!(
        text.contains("subscriptions_clock_at_idx") && !text.contains("Sort"),
        "{text}"
    );
}
