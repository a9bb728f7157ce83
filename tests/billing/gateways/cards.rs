//! Cards that were saved at a checkout, and charged later without the payer.

use helixai::billing::gateways::{CardToken, GatewayError, SavedCardSeen};
use helixai::domain::payment::{GatewayKind, PaymentMethod, PaymentStatus};
use helixai_fakes::gateways::{Change, Failure, Fault};

use super::shop::{Shop, cents, order};

const WITH_CARDS: [GatewayKind; 2] = [GatewayKind::Stripe, GatewayKind::Asaas];

/// Pays at a page that keeps the card.
async fn saved(shop: &Shop) -> SavedCardSeen {
    let mut first = order(PaymentMethod::Checkout, 9_900);
    first.save_card = true;
    let id = shop
        .gateway
        .create(&first)
        .await
        .unwrap()
        .payment_id
        .expect("an id");
    assert_eq!(
        shop.gateway.fetch(&id).await.unwrap().card,
        None,
        "not before it has paid"
    );
    shop.fake.change(&id, Change::Pay).await.unwrap();
    shop.gateway.fetch(&id).await.unwrap().card.expect("a card")
}

#[tokio::test]
async fn a_saved_card_pays_without_the_payer() {
    for kind in WITH_CARDS {
        let shop = Shop::open(kind);
        let card = saved(&shop).await;
        assert_eq!(
            (card.brand.as_str(), card.last4.as_str()),
            ("visa", "4242"),
            "{kind}"
        );
        let kept = CardToken::new(card.token.expose());
        let due = order(PaymentMethod::Card, 19_900);
        let seen = shop.gateway.charge_card(&due, &kept).await.unwrap();
        assert_eq!(
            (seen.status, seen.amount),
            (PaymentStatus::Paid, cents(19_900)),
            "{kind}"
        );
        assert_eq!(seen.reference, Some(due.reference.to_string()));
        let again = shop.gateway.charge_card(&due, &kept).await.unwrap();
        assert_eq!(again.payment_id, seen.payment_id, "{kind}");
        assert_eq!(shop.fake.payments().len(), 2, "{kind}");
    }
}

#[tokio::test]
async fn a_lost_answer_charges_no_card_twice() {
    for kind in WITH_CARDS {
        let shop = Shop::open(kind);
        let card = saved(&shop).await;
        let call = match kind {
            GatewayKind::Stripe => "POST /v1/payment_intents",
            _ => "POST /v3/payments",
        };
        shop.fake.fail(Fault::once(call, Failure::CommitThenDrop));
        let due = order(PaymentMethod::Card, 19_900);
        let _whatever_came_of_it = shop.gateway.charge_card(&due, &card.token).await;
        let seen = shop.gateway.charge_card(&due, &card.token).await.unwrap();
        assert_eq!(seen.status, PaymentStatus::Paid, "{kind}");
        assert_eq!(shop.fake.payments().len(), 2, "{kind}");
    }
}

#[tokio::test]
async fn a_declined_card_is_told() {
    let shop = Shop::open(GatewayKind::Stripe);
    let card = saved(&shop).await;
    shop.fake.decline_cards(true);
    let due = order(PaymentMethod::Card, 19_900);
    for _ in 0..2 {
        let seen = shop.gateway.charge_card(&due, &card.token).await.unwrap();
        assert_eq!(seen.status, PaymentStatus::Rejected);
        assert_eq!(seen.reference, Some(due.reference.to_string()));
    }
    assert_eq!(shop.fake.payments().len(), 2);

    // Asaas keeps nothing of it.
    let shop = Shop::open(GatewayKind::Asaas);
    let card = saved(&shop).await;
    shop.fake.decline_cards(true);
    let refused = shop.gateway.charge_card(&due, &card.token).await;
    assert!(
        matches!(&refused, Err(GatewayError::Refused { code, .. }) if code == "invalid_creditCard"),
        "{refused:?}"
    );
    assert_eq!(shop.fake.payments().len(), 1);
}

#[tokio::test]
async fn a_card_is_good_for_its_own_account_only() {
    for kind in WITH_CARDS {
        let shop = Shop::open(kind);
        let card = saved(&shop).await;
        let neighbour = shop.neighbour();
        let due = order(PaymentMethod::Card, 19_900);
        let refused = neighbour.charge_card(&due, &card.token).await;
        assert!(
            matches!(refused, Err(GatewayError::Refused { .. })),
            "{kind}: {refused:?}"
        );
        let nonsense = shop.gateway.charge_card(&due, &CardToken::new("nonsense")).await;
        assert!(
            matches!(nonsense, Err(GatewayError::Refused { .. })),
            "{kind}: {nonsense:?}"
        );
        assert_eq!(shop.fake.payments().len(), 1, "{kind}");
    }
}

#[tokio::test]
async fn a_card_that_nobody_asked_to_keep_is_not_seen() {
    let shop = Shop::open(GatewayKind::Stripe);
    let id = shop
        .gateway
        .create(&shop.order(9_900))
        .await
        .unwrap()
        .payment_id
        .expect("an id");
    shop.fake.change(&id, Change::Pay).await.unwrap();
    assert_eq!(shop.gateway.fetch(&id).await.unwrap().card, None);
}
