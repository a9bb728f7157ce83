//! Webhooks in any order and number, of everything that happened to a payment, end in the same books.

use chrono::TimeDelta;
use helixai_fakes::gateways::{Change, Event, Variant};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;

use super::till::{Till, paid};

/// The deliveries of a run: which of the events so far is sent, how often, and whether somebody works between.
type Deliveries = Vec<(prop::sample::Index, usize, bool)>;

fn deliveries() -> impl Strategy<Value = Deliveries> {
    let one = (any::<prop::sample::Index>(), 1..4_usize, any::<bool>());
    proptest::collection::vec(one, 1..8)
}

async fn deliver(till: &Till, events: &[Event], deliveries: &Deliveries) {
    for (which, copies, worked) in deliveries {
        let event = which.get(events);
        let statuses = till.gateway.send(event, *copies, true, Variant::Good).await;
        assert_eq!(statuses, vec![200; *copies]);
        if *worked {
            till.work().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn any_order_and_number_of_deliveries_ends_the_same() {
    let mut till = Till::open_by_hand().await;
    till.hold_webhooks();
    let mut runner = TestRunner::default();
    let courses: [(&[Change], &str, &str); 3] = [
        (&[Change::Review, Change::Pay], "paid", "paid"),
        (&[Change::Pay, Change::Refund { cents: None }], "refunded", "open"),
        (
            &[Change::Expire, Change::PayLate, Change::ChargeBack],
            "charged_back",
            "open",
        ),
    ];
    for round in 0..9 {
        let (course, charge_ends, invoice_ends) = courses[round % courses.len()];
        // One client each: the first invoice of one is the same for ever.
        till.client = till.onboard(&format!("oficina-{round}")).await;
        let (invoice, charge, payment) = till.pix().await;
        for change in course {
            let before = till.gateway.events().len();
            till.gateway
                .change(&payment.id, change.clone())
                .await
                .expect("changed");
            let events: Vec<Event> = till
                .gateway
                .events()
                .into_iter()
                .filter(|event| event.payment_id == payment.id)
                .collect();
            assert!(till.gateway.events().len() > before);
            let chosen = deliveries().new_tree(&mut runner).expect("deliveries").current();
            deliver(&till, &events, &chosen).await;
        }
        // Whatever was lost: the last one always comes.
        let last = till.gateway.events().pop().expect("an event");
        till.gateway.send(&last, 2, true, Variant::Good).await;
        till.work().await;
        till.advance(TimeDelta::minutes(1));
        till.work().await;
        assert_eq!(till.charge_status(charge).await, charge_ends, "{course:?}");
        assert_eq!(till.invoice_status(invoice).await, invoice_ends, "{course:?}");
        let mut booked = vec![paid(payment.cents)];
        match charge_ends {
            "refunded" => booked.push(("refunded".to_owned(), payment.cents)),
            "charged_back" => booked.push(("charged_back".to_owned(), payment.cents)),
            _ => {}
        }
        assert_eq!(till.ledger(invoice).await, booked, "{course:?}");
    }
}
