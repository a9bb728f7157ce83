//! Money comes once however often it is told of, and sometimes goes away again.

use chrono::TimeDelta;
use helixai::billing::invoices::{Return, Settled, reopen, settle};
use helixai::billing::subscriptions::Decision;
use helixai::db::master::billing_reports;
use helixai::db::master::invoices::InvoiceRecord;
use helixai::domain::billing::invoice::{InvoiceStatus, Reversal};
use helixai::domain::ids::{ChargeId, InvoiceId};
use helixai::domain::money::Cents;
use helixai::domain::subscription::SubscriptionStatus::{Active, Canceled, PastDue, Suspended};

use super::books::{Shop, at, pay_at, payment};
use crate::helpers::cli_origin;

async fn with_invoice() -> (Shop, InvoiceRecord) {
    let shop = Shop::start("2026-03-10T12:00:00Z").await;
    shop.look("2026-03-14T12:00:00Z").await;
    let invoice = shop.only_open().await;
    (shop, invoice)
}

async fn give_back(shop: &Shop, invoice: &InvoiceRecord, charge: ChargeId, why: Reversal) {
    let all = invoice.total_cents;
    give_part_back(shop, invoice, charge, (all, all), why).await;
}

/// Of a charge goes back so much, and has gone back so much with it.
async fn give_part_back(
    shop: &Shop,
    invoice: &InvoiceRecord,
    charge: ChargeId,
    (cents, so_far): (i64, i64),
    why: Reversal,
) {
    let now = shop.clock.now();
    let back = Return {
        charge,
        amount: Cents::parse(cents).expect("an amount"),
        so_far: Cents::parse(so_far).expect("an amount"),
        why,
        at: now,
    };
    let mut tx = shop.master().begin().await.expect("begun");
    reopen(&mut tx, invoice.id, &back, now).await.expect("reopened");
    tx.commit().await.expect("committed");
}

async fn take_back(shop: &Shop, invoice: &InvoiceRecord) {
    let decision = Decision {
        origin: cli_origin(),
        now: shop.clock.now(),
    };
    let taken_back = shop.books.take_back(invoice.id, &decision).await;
    assert_eq!(taken_back.expect("taken back").status, InvoiceStatus::Void);
}

const PAID: &str = "select count(*) from master.ledger_entries where kind = 'paid'";

#[tokio::test]
async fn a_payment_is_booked_once() {
    let (shop, invoice) = with_invoice().await;
    let charge = ChargeId::new();
    assert_eq!(shop.pay_by(&invoice, charge).await, Settled::Paid);
    assert_eq!(shop.pay_by(&invoice, charge).await, Settled::Again);
    assert_eq!(shop.number(PAID).await, 1);
    assert_eq!(shop.status().await, Active);
    shop.adds_up().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn twenty_at_once_book_one_payment() {
    let (shop, invoice) = with_invoice().await;
    let (charge, now) = (ChargeId::new(), shop.clock.now());
    let told = (0..20).map(|_| {
        let (master, invoice) = (shop.master().clone(), invoice.clone());
        tokio::spawn(async move { pay_at(&master, &invoice, charge, now).await })
    });
    let mut paid = 0;
    for task in told.collect::<Vec<_>>() {
        match task.await.expect("no panic") {
            Settled::Paid => paid += 1,
            other => assert_eq!(other, Settled::Again),
        }
    }
    assert_eq!((paid, shop.number(PAID).await), (1, 1));
    shop.adds_up().await;
}

/// Two charges of one invoice are both paid: it is booked, and named until it is given back.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn who_pays_twice_is_owed_something() {
    let (shop, invoice) = with_invoice().await;
    let (first, second, now) = (ChargeId::new(), ChargeId::new(), shop.clock.now());
    let (one, other) = tokio::join!(
        pay_at(shop.master(), &invoice, first, now),
        pay_at(shop.master(), &invoice, second, now),
    );
    let mut both = [one, other];
    both.sort_by_key(|settled| *settled == Settled::Over);
    assert_eq!(both, [Settled::Paid, Settled::Over]);
    let found = shop.books.check().await.expect("checked");
    assert_eq!(found.len(), 1);
    assert_eq!(
        (found[0].what.as_str(), found[0].expected, found[0].found),
        ("owed", 0, -4990)
    );
    give_back(&shop, &invoice, second, Reversal::Refunded).await;
    assert_eq!(
        shop.status().await,
        Active,
        "what was too much is gone, and nothing is owed"
    );
    shop.adds_up().await;
}

#[tokio::test]
async fn a_part_of_it_does_not_pay_it() {
    let (shop, invoice) = with_invoice().await;
    let now = shop.clock.now();
    for (cents, expected) in [(4000, Settled::Part), (990, Settled::Paid)] {
        let mut tx = shop.master().begin().await.expect("begun");
        let part = payment(cents, ChargeId::new(), now);
        assert_eq!(
            settle(&mut tx, invoice.id, &part, now).await.expect("booked"),
            expected
        );
        tx.commit().await.expect("committed");
    }
    assert_eq!(shop.status().await, Active);
    shop.adds_up().await;
}

#[tokio::test]
async fn nobody_pays_what_is_not_there() {
    let shop = Shop::start("2026-03-10T12:00:00Z").await;
    let mut tx = shop.master().begin().await.expect("begun");
    let paid = payment(100, ChargeId::new(), shop.clock.now());
    let settled = settle(&mut tx, InvoiceId::new(), &paid, shop.clock.now()).await;
    assert!(settled.is_err());
}

#[tokio::test]
async fn what_is_taken_back_is_owed_again() {
    for why in [Reversal::Refunded, Reversal::ChargedBack] {
        let (shop, invoice) = with_invoice().await;
        let charge = ChargeId::new();
        shop.pay_by(&invoice, charge).await;
        shop.look("2026-03-17T12:00:00Z").await;
        shop.look("2026-03-20T12:00:00Z").await;
        for _ in 0..2 {
            give_back(&shop, &invoice, charge, why).await;
        }
        assert_eq!(shop.status().await, PastDue);
        let open = shop.only_open().await;
        assert_eq!((open.id, open.refunded_cents), (invoice.id, 4990));
        shop.look("2026-03-27T12:00:00Z").await;
        assert_eq!(shop.status().await, Suspended);
        assert_eq!(shop.invoices().await.len(), 1, "no next period while one is owed");
        assert_eq!(shop.pay(&open).await, Settled::Paid);
        assert_eq!(shop.status().await, Active);
        let subscription = shop.subscription().await;
        assert_eq!(
            subscription.current_period_start,
            at("2026-03-17T12:00:00Z"),
            "the period that it was"
        );
        shop.adds_up().await;
    }
}

/// An old period is charged back after the next one was paid.
#[tokio::test]
async fn an_old_payment_that_is_taken_back_is_owed_beside_the_next_period() {
    let (shop, first) = with_invoice().await;
    let charge = ChargeId::new();
    shop.pay_by(&first, charge).await;
    shop.look("2026-04-14T12:00:00Z").await;
    let second = shop.only_open().await;
    give_back(&shop, &first, charge, Reversal::ChargedBack).await;
    assert_eq!(shop.pay(&second).await, Settled::Paid);
    assert_eq!(shop.status().await, PastDue, "the other is owed still");
    shop.look("2026-04-18T12:00:00Z").await;
    assert_eq!(shop.pay(&shop.only_open().await).await, Settled::Paid);
    assert_eq!(shop.status().await, Active);
    shop.look("2026-04-18T13:00:00Z").await;
    assert_eq!(
        shop.subscription().await.current_period_end,
        at("2026-05-17T03:00:00Z")
    );
    assert_eq!(shop.invoices().await.len(), 2);
    shop.adds_up().await;
}

/// A charge goes back in parts, each of which is booked once; what is still owed is what is overdue, and what is taken back.
#[tokio::test]
async fn parts_that_go_back_add_up_also_when_the_invoice_is_taken_back() {
    let (shop, invoice) = with_invoice().await;
    let charge = ChargeId::new();
    shop.pay_by(&invoice, charge).await;
    shop.look("2026-03-17T12:00:00Z").await;
    shop.look("2026-03-20T12:00:00Z").await;
    let part = async |cents, so_far| {
        give_part_back(&shop, &invoice, charge, (cents, so_far), Reversal::Refunded).await;
    };
    for (cents, so_far) in [(1000, 1000), (1000, 1000), (500, 1500), (1000, 1000)] {
        part(cents, so_far).await;
    }
    let open = shop.only_open().await;
    assert_eq!(open.refunded_cents, 1500);
    let today = "2026-03-20".parse().expect("a day");
    let state = billing_reports::state(shop.master(), today).await.expect("read");
    assert_eq!((state.overdue_invoices, state.overdue_cents), (1, 1500));
    let overdue = billing_reports::overdue(shop.master(), today)
        .await
        .expect("read");
    assert_eq!((overdue[0].invoices, overdue[0].overdue_cents), (1, 1500));
    take_back(&shop, &open).await;
    shop.adds_up().await;
    // And the rest of it after that: nobody owes what was taken back.
    part(3490, 4990).await;
    shop.adds_up().await;
    assert_eq!(shop.invoices().await[0].refunded_cents, 4990);
}

/// The running period was paid, charged back and forgiven: it goes on, and nobody is alarmed.
#[tokio::test]
async fn a_running_period_that_is_forgiven_adds_up() {
    let (shop, invoice) = with_invoice().await;
    let charge = ChargeId::new();
    shop.pay_by(&invoice, charge).await;
    shop.look("2026-03-17T12:00:00Z").await;
    give_back(&shop, &invoice, charge, Reversal::ChargedBack).await;
    assert_eq!(shop.status().await, PastDue);
    take_back(&shop, &shop.only_open().await).await;
    shop.look("2026-03-18T12:00:00Z").await;
    assert_eq!(shop.status().await, Active);
    shop.adds_up().await;
}

/// What is paid after the end is booked, and given back by somebody.
#[tokio::test]
async fn money_that_comes_after_the_end_is_too_much() {
    let (shop, invoice) = with_invoice().await;
    for day in ["2026-03-17T12:00:00Z", "2026-04-16T12:00:00Z"] {
        shop.look(day).await;
    }
    assert_eq!(shop.status().await, Canceled);
    let charge = ChargeId::new();
    assert_eq!(shop.pay_by(&invoice, charge).await, Settled::Over);
    assert_eq!(shop.status().await, Canceled);
    assert_eq!(shop.books.check().await.expect("checked").len(), 1);
    give_back(&shop, &invoice, charge, Reversal::Refunded).await;
    assert_eq!(shop.invoices().await[0].status, InvoiceStatus::Void);
    shop.adds_up().await;
}

/// Paying and the clock meet at the same row.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_payment_at_the_very_end_of_the_period_is_in_time_or_late_and_nothing_else() {
    for _ in 0..5 {
        let (shop, invoice) = with_invoice().await;
        let end = at("2026-03-17T12:00:00Z");
        shop.clock.set(end);
        let books = shop.books.clone();
        let run = tokio::spawn(async move { books.run_clock().await });
        assert_eq!(
            pay_at(shop.master(), &invoice, ChargeId::new(), end).await,
            Settled::Paid
        );
        run.await.expect("no panic").expect("it runs");
        shop.look_at(end + TimeDelta::hours(1)).await;
        assert_eq!(shop.status().await, Active);
        assert_eq!(shop.subscription().await.current_period_start, end);
        assert_eq!(shop.invoices().await.len(), 1);
        shop.adds_up().await;
    }
}
