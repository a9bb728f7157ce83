//! What has gone wrong for others who collect, each by its name.

use chrono::TimeDelta;
use helixai_fakes::gateways::{Change, Delivery, Failure, Fault, Kind, Mode, Variant};
use reqwest::Method;
use serde_json::json;

use super::till::{Till, paid};

/// lago-api#3223, woocommerce-payments#3287: webhooks at the same moment paid twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_webhooks_pay_once() {
    let till = Till::open().await;
    let (invoice, _, payment) = till.pix().await;
    till.hold_webhooks();
    till.gateway.change(&payment.id, Change::Pay).await.expect("paid");
    let event = till.gateway.events().pop().expect("an event");
    let statuses = till.gateway.send(&event, 20, true, Variant::Good).await;
    assert_eq!(statuses, vec![200; 20]);
    till.until_invoice(invoice, "paid").await;
    till.app
        .until("every event is looked into", || async {
            let (stored, done) = till.events().await;
            stored == done
        })
        .await;
    assert_eq!(till.ledger(invoice).await, [paid(payment.cents)]);
    let of_payment = till
        .gateway
        .events()
        .iter()
        .filter(|one| one.id == event.id)
        .count();
    assert_eq!(of_payment, 1);
    assert_eq!(till.findings().await, Vec::<String>::new());
}

/// pagarme-js#362: what was known before arrived after the payment, and undid it.
#[tokio::test]
async fn a_late_pending_or_failed_does_not_downgrade_a_paid_one() {
    let till = Till::open_by_hand().await;
    let (invoice, charge, payment) = till.pix().await;
    till.hold_webhooks();
    till.gateway
        .change(&payment.id, Change::Review)
        .await
        .expect("changed");
    till.gateway.change(&payment.id, Change::Pay).await.expect("paid");
    let events = till.gateway.events();
    let paid_event = events.last().expect("an event");
    till.gateway.send(paid_event, 1, false, Variant::Good).await;
    till.work().await;
    assert_eq!(till.charge_status(charge).await, "paid");
    // The gateway shows what was before, once, and then sends what it had not sent yet.
    till.gateway.answer_stale_once();
    for late in &events[..events.len() - 1] {
        till.gateway.send(late, 1, false, Variant::Good).await;
        till.work().await;
    }
    assert_eq!(till.charge_status(charge).await, "paid");
    assert_eq!(till.invoice_status(invoice).await, "paid");
    assert_eq!(till.ledger(invoice).await, [paid(payment.cents)]);
}

/// cashier-stripe#1201: the news of the beginning came after the news of the end.
#[tokio::test]
async fn created_after_updated_changes_nothing() {
    let till = Till::open_by_hand().await;
    till.hold_webhooks();
    let (invoice, charge, payment) = till.pix().await;
    till.gateway.change(&payment.id, Change::Pay).await.expect("paid");
    let events = till.gateway.events();
    let words: Vec<&str> = events.iter().map(|event| event.what.as_str()).collect();
    assert_eq!(words, ["payment.created", "payment.updated"]);
    for event in events.iter().rev() {
        assert_eq!(till.gateway.send(event, 1, false, Variant::Good).await, [200]);
        till.work().await;
        assert_eq!(till.charge_status(charge).await, "paid");
    }
    assert_eq!(till.ledger(invoice).await, [paid(payment.cents)]);
}

/// Who comes back from the page and the webhook arrive together.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn redirect_and_webhook_race() {
    let till = Till::open().await;
    let answer = till.check_out(&json!({"method": "checkout"})).await;
    let (invoice, charge) = (
        super::till::id_of(&answer["invoice"]["id"]),
        super::till::id_of(&answer["charges"][0]["id"]),
    );
    till.hold_webhooks();
    let payment = till
        .gateway
        .change(&charge.to_string(), Change::Pay)
        .await
        .expect("paid at the page");
    let event = till.gateway.events().pop().expect("an event");
    let back = || async {
        let path = format!("/api/invoices/{invoice}/pay");
        let call = till.owner(Method::POST, &path);
        call.json(&json!({"method": "checkout"})).await.status
    };
    let sent = till.gateway.send(&event, 5, true, Variant::Good);
    let (statuses, first, second, third) = tokio::join!(sent, back(), back(), back());
    assert_eq!(statuses, vec![200; 5]);
    for status in [first, second, third] {
        // Nothing to pay any more, or the same page again.
        assert!([200, 409, 503].contains(&status), "{status}");
    }
    till.until_invoice(invoice, "paid").await;
    assert_eq!(till.ledger(invoice).await, [paid(payment.cents)]);
    assert_eq!(till.charge_status(charge).await, "paid");
}

/// A key made at random for each try: the second try was a second charge.
#[tokio::test]
async fn a_lost_answer_and_a_repeated_request_are_one_payment() {
    let till = Till::open_by_hand().await;
    for failure in [
        Failure::CommitThenDrop,
        Failure::CommitThenStatus(500),
        Failure::CommitThenTruncate,
    ] {
        till.gateway
            .fail(Fault::repeated("POST /v1/payments", failure, 2));
    }
    for _ in 0..6 {
        let call = till.owner(Method::POST, "/api/checkout");
        let status = call.json(&json!({"method": "pix"})).await.status;
        assert!([200, 503].contains(&status), "{status}");
        till.advance(TimeDelta::minutes(20));
        till.work().await;
    }
    let (_, charge, _) = till.pix().await;
    assert!(till.creates() > 1, "it was asked again");
    let payments = till.pix_payments();
    assert_eq!(payments.len(), 1, "{payments:#?}");
    assert_eq!(payments[0].reference, charge.to_string());
}

/// Asaas has no idempotency keys: a create that is repeated is another payment, unless one looks first.
#[tokio::test]
async fn a_lost_answer_of_asaas_is_one_payment() {
    let till = Till::open_at(Kind::Asaas, false).await;
    till.gateway
        .fail(Fault::once("POST /v3/payments", Failure::CommitThenDrop));
    let call = till.owner(Method::POST, "/api/checkout");
    let status = call.json(&json!({"method": "pix"})).await.status;
    assert!([200, 503].contains(&status), "{status}");
    till.advance(TimeDelta::minutes(20));
    till.work().await;
    let (_, charge, _) = till.pix().await;
    let payments = till.pix_payments();
    assert_eq!(payments.len(), 1, "{payments:#?}");
    assert_eq!(payments[0].reference, charge.to_string());
}

/// A PIX of Asaas is received and never confirmed: who waits for the confirmation waits for ever.
#[tokio::test]
async fn a_pix_of_asaas_is_paid_when_it_is_received() {
    let till = Till::open_at(Kind::Asaas, true).await;
    let (invoice, charge, payment) = till.pix().await;
    till.gateway.change(&payment.id, Change::Pay).await.expect("paid");
    let words: Vec<String> = till
        .gateway
        .events()
        .iter()
        .map(|event| event.what.clone())
        .collect();
    assert!(words.contains(&"PAYMENT_RECEIVED".to_owned()), "{words:?}");
    assert!(!words.contains(&"PAYMENT_CONFIRMED".to_owned()), "{words:?}");
    till.until_invoice(invoice, "paid").await;
    assert_eq!(till.charge_status(charge).await, "paid");
    assert_eq!(till.subscription_status(till.client.id).await, "active");
}

/// Azuriom/Plugin-Shop#284: whoever paid a cent had paid.
#[tokio::test]
async fn an_amount_or_currency_that_was_not_asked_for_pays_nothing() {
    for (change, kind) in [
        (Change::PayPart { cents: 1 }, "amount"),
        (
            Change::PayIn {
                currency: "ARS".to_owned(),
            },
            "currency",
        ),
    ] {
        let till = Till::open_by_hand().await;
        let (invoice, charge, payment) = till.pix().await;
        till.gateway.change(&payment.id, change).await.expect("changed");
        till.app
            .until("it was told", || async { till.events().await.0 >= 1 })
            .await;
        till.work().await;
        assert_eq!(till.invoice_status(invoice).await, "open", "{kind}");
        assert_eq!(till.charge_status(charge).await, "pending", "{kind}");
        assert_eq!(till.ledger(invoice).await, []);
        assert_eq!(till.findings().await, [kind]);
    }
}

#[tokio::test]
async fn more_than_was_asked_for_is_paid_and_somebody_is_told() {
    let till = Till::open().await;
    let (invoice, _, payment) = till.pix().await;
    let cents = payment.cents + 100;
    till.gateway
        .change(&payment.id, Change::PayPart { cents })
        .await
        .expect("paid");
    till.until_invoice(invoice, "paid").await;
    assert_eq!(till.ledger(invoice).await, [paid(cents)]);
    assert_eq!(till.findings().await, ["overpaid"]);
}

/// A gateway that shows what was before, right after its webhook: the payment is not lost until the next day.
#[tokio::test]
async fn a_stale_answer_is_asked_again_within_a_minute() {
    let till = Till::open_by_hand().await;
    let (invoice, charge, payment) = till.pix().await;
    // Long after the frequent questions.
    till.advance(TimeDelta::hours(20));
    till.work().await;
    till.gateway.change(&payment.id, Change::Pay).await.expect("paid");
    till.app
        .until("it was told", || async { till.events().await.0 >= 1 })
        .await;
    till.gateway.answer_stale_once();
    till.work().await;
    assert_eq!(till.charge_status(charge).await, "pending");
    till.advance(TimeDelta::minutes(1));
    till.work().await;
    assert_eq!(till.charge_status(charge).await, "paid");
    assert_eq!(till.ledger(invoice).await, [paid(payment.cents)]);
}

/// No webhook ever comes: the payment is found all the same, by asking ever more seldom.
#[tokio::test]
async fn what_no_webhook_tells_is_found_by_asking() {
    let till = Till::open_by_hand().await;
    till.hold_webhooks();
    let (invoice, charge, payment) = till.pix().await;
    let asked = || till.gateway.asked(&format!("GET /v1/payments/{}", payment.id));
    let mut counts = Vec::new();
    for minutes in [0, 1, 4, 10, 45, 60, 300, 360] {
        till.advance(TimeDelta::minutes(minutes));
        till.work().await;
        counts.push(asked());
    }
    assert_eq!(counts, [0, 1, 2, 3, 4, 4, 5, 6]);
    till.gateway.change(&payment.id, Change::Pay).await.expect("paid");
    till.work().await;
    assert_eq!(till.charge_status(charge).await, "pending", "it is not time yet");
    till.advance(TimeDelta::hours(6));
    till.work().await;
    assert_eq!(till.charge_status(charge).await, "paid");
    assert_eq!(till.ledger(invoice).await, [paid(payment.cents)]);
}

/// A PIX that has expired is paid all the same: the money is there.
#[tokio::test]
async fn what_is_paid_after_its_expiry_is_paid() {
    let till = Till::open().await;
    let (invoice, charge, payment) = till.pix().await;
    till.gateway
        .change(&payment.id, Change::Expire)
        .await
        .expect("expired");
    till.app
        .until("it is canceled", || async {
            till.charge_status(charge).await == "canceled"
        })
        .await;
    till.gateway
        .change(&payment.id, Change::PayLate)
        .await
        .expect("paid");
    till.until_invoice(invoice, "paid").await;
    assert_eq!(till.ledger(invoice).await, [paid(payment.cents)]);
}

/// Paid by PIX and at the page besides: the second is booked, and somebody is told to give it back.
#[tokio::test]
async fn an_invoice_that_is_paid_in_two_ways_is_overpaid() {
    let till = Till::open_by_hand().await;
    till.hold_webhooks();
    let answer = till.check_out(&json!({})).await;
    assert!(
        answer["pix_code"].is_string() && answer["checkout_url"].is_string(),
        "{answer}"
    );
    let invoice = super::till::id_of(&answer["invoice"]["id"]);
    let mut cents = 0;
    for charge in answer["charges"].as_array().expect("charges") {
        let name = charge["id"].as_str().expect("an id");
        cents = till.gateway.change(name, Change::Pay).await.expect("paid").cents;
    }
    for event in till.gateway.events() {
        till.gateway.send(&event, 1, false, Variant::Good).await;
    }
    till.work().await;
    assert_eq!(till.ledger(invoice).await, [paid(cents), paid(cents)]);
    assert_eq!(till.invoice_status(invoice).await, "paid");
    assert_eq!(till.findings().await, ["superfluous"]);
}

/// One page, paid twice by a payer who came back to it: one payment counts.
#[tokio::test]
async fn a_page_that_is_paid_once_closes_the_other_ways() {
    let till = Till::open_by_hand().await;
    let answer = till.check_out(&json!({})).await;
    let invoice = super::till::id_of(&answer["invoice"]["id"]);
    let charges = answer["charges"].as_array().expect("charges");
    let of = |method: &str| {
        let found = charges.iter().find(|charge| charge["method"] == method);
        super::till::id_of(&found.expect("a charge")["id"])
    };
    till.gateway
        .change(&of("checkout").to_string(), Change::Pay)
        .await
        .expect("paid");
    till.app
        .until("it was told", || async { till.events().await.0 >= 1 })
        .await;
    till.work().await;
    assert_eq!(till.invoice_status(invoice).await, "paid");
    assert_eq!(till.charge_status(of("pix")).await, "canceled");
    let pix = till.gateway.payment(&of("pix").to_string());
    assert_eq!(
        pix.state,
        helixai_fakes::gateways::State::Canceled,
        "nobody can pay it any more"
    );
}

/// The webhook is there before the answer to the request that made the payment.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_webhook_that_is_faster_than_the_answer() {
    let till = Till::open().await;
    till.gateway.deliver(Delivery {
        mode: Mode::BeforeResponse,
        ..Delivery::default()
    });
    let (invoice, charge, payment) = till.pix().await;
    till.app
        .until("it was told", || async { till.events().await.0 >= 1 })
        .await;
    till.gateway.change(&payment.id, Change::Pay).await.expect("paid");
    till.until_invoice(invoice, "paid").await;
    assert_eq!(till.charge_status(charge).await, "paid");
    assert_eq!(till.ledger(invoice).await, [paid(payment.cents)]);
}

/// A gateway that is away for a while: the events wait, and are looked into when it is back.
#[tokio::test]
async fn a_gateway_that_is_away_is_asked_again() {
    let till = Till::open_by_hand().await;
    let (invoice, _, payment) = till.pix().await;
    till.gateway.change(&payment.id, Change::Pay).await.expect("paid");
    till.app
        .until("it was told", || async { till.events().await.0 >= 1 })
        .await;
    for failure in [
        Failure::Status(503),
        Failure::Html(502),
        Failure::TooManyRequests(2),
        Failure::Drop,
    ] {
        till.gateway.fail(Fault::repeated("GET /v1/payments", failure, 3));
    }
    let mut rounds = 0;
    while till.invoice_status(invoice).await != "paid" {
        till.work().await;
        till.advance(TimeDelta::minutes(7));
        rounds += 1;
        assert!(rounds < 20, "it is never paid");
    }
    assert!(rounds > 1, "the gateway was away");
    assert_eq!(till.ledger(invoice).await, [paid(payment.cents)]);
}
