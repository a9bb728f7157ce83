//! Books that do not add up are noticed, and cannot be cooked.

use helixai::domain::ids::ChargeId;
use helixai::telemetry::metrics;

use super::books::{Shop, at};

#[tokio::test]
async fn whatever_somebody_changes_by_hand_is_found() {
    let shop = Shop::start("2026-03-10T12:00:00Z").await;
    let shown = metrics::install().expect("metrics");
    shop.look("2026-03-14T12:00:00Z").await;
    shop.pay(&shop.only_open().await).await;
    shop.look("2026-04-14T12:00:00Z").await;
    shop.adds_up().await;
    let off = "alter table master.{t} disable trigger user;";
    let on = "alter table master.{t} enable trigger user;";
    for (table, damage, mend, what) in [
        (
            "invoice_lines",
            "set unit_cents = 4991, amount_cents = 4991",
            "set unit_cents = 4990, amount_cents = 4990",
            "lines",
        ),
        (
            "invoices",
            "set refunded_cents = 1",
            "set refunded_cents = 0",
            "returned",
        ),
        (
            "invoice_counters",
            "set last_number = 3",
            "set last_number = 2",
            "numbers",
        ),
        (
            "subscriptions",
            "set current_period_start = '2026-03-18Z'",
            "set current_period_start = '2026-03-17T12:00:00Z'",
            "uncharged",
        ),
    ] {
        for (change, expected) in [(damage, Some(what)), (mend, None)] {
            let sql = format!("{off} update master.{{t}} {change}; {on}").replace("{t}", table);
            shop.admin.batch_execute(&sql).await.expect("changed");
            let found = shop.books.check().await.expect("checked");
            assert_eq!(
                found.first().map(|one| one.what.as_str()),
                expected,
                "{change}: {found:?}"
            );
            let alarm = format!("helixai_billing_discrepancies {}", found.len());
            assert!(shown.render().contains(&alarm), "{alarm}");
        }
    }
    // Nobody runs the clock: the second period begins, and is served unpaid.
    shop.clock.set(at("2026-04-17T05:00:00Z"));
    let found = shop.books.check().await.expect("checked");
    assert_eq!(
        found.iter().map(|one| one.what.as_str()).collect::<Vec<_>>(),
        ["unpaid"]
    );
    shop.books.run_clock().await.expect("it runs");
    shop.adds_up().await;
}

/// Not even by the program's own login.
#[tokio::test]
async fn what_was_written_stays_written() {
    let shop = Shop::start("2026-03-10T12:00:00Z").await;
    shop.look("2026-03-14T12:00:00Z").await;
    shop.pay_by(&shop.only_open().await, ChargeId::new()).await;
    for (change, trigger) in [
        (
            "update master.ledger_entries set amount_cents = 1",
            "ledger_entries_append_only",
        ),
        ("delete from master.ledger_entries", "ledger_entries_append_only"),
        (
            "update master.invoice_lines set description = 'x'",
            "invoice_lines_immutable",
        ),
        ("delete from master.invoice_lines", "invoice_lines_immutable"),
        ("update master.invoices set number = 7", "invoices_immutable"),
        ("update master.invoices set total_cents = 1", "invoices_immutable"),
        (
            "update master.invoices set customer_name = 'x'",
            "invoices_immutable",
        ),
        ("delete from master.invoices", "invoices_kept"),
    ] {
        let refused = shop.admin.batch_execute(change).await.expect_err(change);
        let refused = refused.as_db_error().expect("by the database");
        assert_eq!(
            (refused.code().code(), refused.constraint()),
            ("23001", Some(trigger)),
            "{change}"
        );
    }
}

#[tokio::test]
async fn one_process_checks_the_books_of_a_night() {
    let shop = Shop::start("2026-03-10T12:00:00Z").await;
    let night = shop.clock.now();
    let second = shop.test.second().await.books;
    assert!(shop.books.check_at_night(night).await.expect("done"));
    let forged = "update master.duties set result = 7 where name = 'billing_check'";
    shop.admin.batch_execute(forged).await.expect("changed");
    assert!(second.check_at_night(night).await.expect("it was done"));
    let result = "select result from master.duties where name = 'billing_check'";
    assert_eq!(shop.number(result).await, 7, "nobody has done it again");
}
