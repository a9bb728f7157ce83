//! A card that paid once is kept, and renews the subscription by itself; when it does not pay, the payer is asked.

use chrono::TimeDelta;
use helixai_fakes::gateways::payment::Method as PaidBy;
use helixai_fakes::gateways::{Change, Kind};
use serde_json::json;
use uuid::Uuid;

use super::till::{Till, id_of};

/// Pays at the page by card; the card is kept from there.
async fn with_card(kind: Kind) -> (Till, Uuid) {
    let till = Till::open_at(kind, false).await;
    let answer = till.check_out(&json!({"method": "checkout"})).await;
    let (invoice, charge) = (
        id_of(&answer["invoice"]["id"]),
        id_of(&answer["charges"][0]["id"]),
    );
    till.gateway
        .change(&charge.to_string(), Change::Pay)
        .await
        .expect("paid");
    till.app
        .until("it was told", || async { till.events().await.0 >= 1 })
        .await;
    till.work().await;
    assert_eq!(till.invoice_status(invoice).await, "paid", "{kind:?}");
    let cards: i64 = till
        .column(
            "select count(*) from master.saved_cards where tenant_id = $1 and position('tok'::bytea in token_sealed) = 0",
            till.client.id,
        )
        .await;
    assert_eq!(cards, 1, "{kind:?}");
    (till, invoice)
}

/// The invoice of the next period, once the clock has issued it.
async fn next_invoice(till: &Till, paid: Uuid) -> Uuid {
    let books = &till.app.test.platform.books;
    for _ in 0..60 {
        till.advance(TimeDelta::days(1));
        books.run_clock().await.expect("the clock runs");
        let admin = till.app.test.admin().await;
        let next = admin
            .query_opt(
                "select id from master.invoices where tenant_id = $1 and id <> $2 and status = 'open'",
                &[&till.client.id, &paid],
            )
            .await
            .expect("invoices");
        if let Some(next) = next {
            return next.get(0);
        }
    }
    panic!("no further invoice is issued");
}

async fn methods(till: &Till, invoice: Uuid) -> Vec<(String, String)> {
    let admin = till.app.test.admin().await;
    let rows = admin
        .query(
            "select method, status from master.charges where subject_id = $1 order by id",
            &[&invoice],
        )
        .await
        .expect("charges");
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}

#[tokio::test]
async fn a_saved_card_renews_the_subscription_when_it_is_due() {
    for kind in [Kind::Stripe, Kind::Asaas] {
        let (till, first) = with_card(kind).await;
        let renewal = next_invoice(&till, first).await;
        till.work().await;
        assert_eq!(
            methods(&till, renewal).await,
            [("card".to_owned(), "pending".to_owned())],
            "not before it is due"
        );
        for _ in 0..8 {
            till.advance(TimeDelta::days(1));
            till.work().await;
        }
        assert_eq!(
            methods(&till, renewal).await,
            [("card".to_owned(), "paid".to_owned())],
            "{kind:?}"
        );
        assert_eq!(till.invoice_status(renewal).await, "paid", "{kind:?}");
        let by_card = till
            .gateway
            .payments()
            .iter()
            .filter(|one| one.method == PaidBy::Card)
            .count();
        assert_eq!(by_card, 1, "{kind:?}");
        till.app
            .test
            .platform
            .books
            .run_clock()
            .await
            .expect("the clock runs");
        assert_eq!(till.subscription_status(till.client.id).await, "active");
    }
}

#[tokio::test]
async fn a_card_that_is_declined_falls_back_to_pix() {
    let (till, first) = with_card(Kind::Asaas).await;
    till.gateway.decline_cards(true);
    let renewal = next_invoice(&till, first).await;
    for _ in 0..5 {
        till.advance(TimeDelta::days(1));
        till.work().await;
    }
    let found = methods(&till, renewal).await;
    assert_eq!(found[0], ("card".to_owned(), "rejected".to_owned()), "{found:?}");
    assert_eq!(
        found[1..],
        [("pix".to_owned(), "pending".to_owned())],
        "{found:?}"
    );
    let pix: Option<String> = till
        .column(
            "select pix_code from master.charges where subject_id = $1 and method = 'pix'",
            renewal,
        )
        .await;
    assert!(pix.is_some(), "it is placed, to be paid");
    assert_eq!(till.invoice_status(renewal).await, "open");
}

#[tokio::test]
async fn a_declined_card_of_stripe_falls_back_to_a_page() {
    let (till, first) = with_card(Kind::Stripe).await;
    till.gateway.decline_cards(true);
    let renewal = next_invoice(&till, first).await;
    for _ in 0..5 {
        till.advance(TimeDelta::days(1));
        till.work().await;
    }
    let found = methods(&till, renewal).await;
    assert_eq!(found[0], ("card".to_owned(), "rejected".to_owned()), "{found:?}");
    assert_eq!(found[1].0, "checkout", "{found:?}");
}
