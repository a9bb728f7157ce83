//! From the customer to the money: asked for once, booked once.

use chrono::TimeDelta;
use futures_util::future::join_all;
use helixai_fakes::gateways::{Change, Delivery, Variant};
use serde_json::json;
use uuid::Uuid;

use super::{Desk, state};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_customer_pays_a_due_by_pix() {
    let desk = Desk::open().await;
    let due = desk.due(9990).await;
    let path = format!("/api/dues/{due}/charge");
    desk.get(&path).await.problem(404, "not_found");
    desk.get(&format!("/api/dues/{due}/pix.png"))
        .await
        .problem(404, "not_found");
    let (charge, made) = desk.charge(due).await;
    assert_eq!(
        (
            &made["due_id"],
            &made["gateway"],
            &made["status"],
            &made["amount_cents"]
        ),
        (
            &json!(due),
            &json!("mercado_pago"),
            &json!("pending"),
            &json!(9990)
        )
    );
    let payment = desk.payment(charge);
    assert_eq!((payment.account.as_str(), payment.cents), (super::KEY, 9990));
    // The same again, by itself and at once by many.
    let again = join_all((0..8).map(|_| async { desk.charge(due).await.1 })).await;
    assert!(again.iter().all(|one| *one == made), "{again:?}");
    assert_eq!(desk.get(&path).await.expect(200).json(), made);
    assert_eq!(desk.payments().len(), 1);
    let shown = desk.shown(due).await;
    assert_eq!(
        (&shown["charge_id"], &shown["pix_code"], &shown["pix_expires_at"]),
        (&made["id"], &made["pix_code"], &made["expires_at"])
    );
    for (field, kind) in [("qr_png", "image/png"), ("qr_svg", "image/svg+xml")] {
        let code = desk.get(made[field].as_str().expect("a path")).await;
        assert_eq!(code.expect(200).header("content-type"), Some(kind));
    }

    // Told twenty times at once, then once more each, the last first.
    desk.till.gateway.deliver(Delivery {
        copies: 20,
        together: true,
        ..Delivery::default()
    });
    desk.pay(charge).await;
    desk.till.work().await;
    assert_eq!(desk.state(due).await, state("paid", 9990, 1));
    assert!(desk.applied(charge).await);
    let events = desk.till.gateway.events();
    for event in events.iter().rev() {
        desk.till.gateway.send(event, 3, true, Variant::Good).await;
        desk.till.work().await;
    }
    let payments = &desk.till.app.test.platform.payments;
    payments.replay(&Default::default()).await.expect("replayed");
    payments
        .reconcile(None, TimeDelta::days(3))
        .await
        .expect("reconciled");
    desk.till.work().await;
    assert_eq!(desk.state(due).await, state("paid", 9990, 1));
    let line = &desk.shown(due).await["payments"][0];
    assert_eq!(
        (&line["method"], &line["charge_id"], &line["amount_cents"]),
        (&json!("pix"), &made["id"], &json!(9990))
    );
    // The month counts it; nothing can be paid again; the platform's own books have nothing of it.
    let month = line["paid_on"].as_str().expect("a day")[..7].to_owned();
    let report = desk.get(&format!("/api/reports/finance?month={month}")).await;
    assert_eq!(report.expect(200).json()["received_cents"], 9990);
    desk.ask(due).await.problem(409, "wrong_state");
    let shown = desk.get(&path).await.expect(200).json();
    assert_eq!(
        (&shown["status"], &shown["pix_code"]),
        (&json!("paid"), &json!(null))
    );
    let ledger: i64 = desk
        .till
        .column(
            "select count(*) from master.ledger_entries where charge_id = $1",
            charge,
        )
        .await;
    assert_eq!(ledger, 0);
}

/// News in the wrong order, and what the gateway shows a moment too late: forward only.
#[tokio::test]
async fn late_and_stale_news_take_nothing_back() {
    let desk = Desk::open().await;
    let due = desk.due(5000).await;
    desk.till.hold_webhooks();
    let (charge, _) = desk.charge(due).await;
    desk.pay(charge).await;
    let events = desk.till.gateway.events();
    let paid = events.last().expect("it was paid").clone();
    desk.till.gateway.send(&paid, 1, false, Variant::Good).await;
    desk.till.work().await;
    assert_eq!(desk.state(due).await, state("paid", 5000, 1));
    desk.till.gateway.answer_stale_once();
    desk.till.gateway.send(&events[0], 2, false, Variant::Good).await;
    desk.till.work().await;
    assert_eq!(desk.state(due).await, state("paid", 5000, 1));
}

/// Nobody heard of it: it is asked about by the clock.
#[tokio::test]
async fn a_payment_that_nobody_told_of_is_found() {
    let desk = Desk::open().await;
    let due = desk.due(5000).await;
    let (charge, _) = desk.charge(due).await;
    desk.till.hold_webhooks();
    desk.pay(charge).await;
    desk.till.advance(TimeDelta::minutes(6));
    desk.till.work().await;
    assert_eq!(desk.state(due).await, state("paid", 5000, 1));
}

#[tokio::test]
async fn money_that_goes_back_opens_the_due_again() {
    let desk = Desk::open().await;
    let (back, bank) = (desk.due(5000).await, desk.due(7000).await);
    for due in [back, bank] {
        let (charge, _) = desk.charge(due).await;
        desk.pay(charge).await;
        desk.till.work().await;
        assert_eq!(desk.state(due).await.0, "paid");
        if due == bank {
            desk.change(charge, Change::ChargeBack).await;
            desk.till.work().await;
            assert_eq!(desk.state(due).await, state("open", 0, 2));
            continue;
        }
        // In two parts: of the second only what is more.
        desk.change(charge, Change::Refund { cents: Some(2000) }).await;
        desk.till.work().await;
        assert_eq!(desk.state(due).await, state("open", 3000, 2));
        desk.change(charge, Change::Refund { cents: None }).await;
        desk.till.work().await;
        assert_eq!(desk.state(due).await, state("open", 0, 2));
    }
    // It is owed again, and charged anew.
    let (charge, again) = desk.charge(back).await;
    assert_eq!(again["amount_cents"], 5000);
    desk.pay(charge).await;
    desk.till.work().await;
    assert_eq!(desk.state(back).await, state("paid", 5000, 3));
}

#[tokio::test]
async fn a_repeated_request_is_answered_the_same() {
    let desk = Desk::open().await;
    let (one, other) = (desk.due(100).await, desk.due(200).await);
    let first = desk.ask(one).idempotency_key("k").await.expect(201).json();
    assert_eq!(desk.ask(one).idempotency_key("k").await.expect(201).json(), first);
    desk.ask(other)
        .idempotency_key("k")
        .await
        .problem(422, "idempotency_key_reused");
    assert_eq!(desk.charges(other).await.len(), 0);
    // Also after it was paid: it is the same request.
    desk.pay(first["id"].as_str().unwrap().parse().unwrap()).await;
    desk.till.work().await;
    assert_eq!(desk.ask(one).idempotency_key("k").await.expect(201).json(), first);
    desk.ask(Uuid::now_v7()).await.problem(404, "not_found");
}
