//! Payments from the order to the end, as each gateway tells them.

use helixai::billing::gateways::GatewayError;
use helixai::domain::payment::{GatewayKind, PaymentMethod, PaymentStatus};
use helixai_fakes::gateways::Change;
use uuid::Uuid;

use super::shop::{COLLECTOR, Shop, cents, order};

#[tokio::test]
async fn what_is_paid_is_seen_paid_and_may_go_back() {
    for kind in GatewayKind::ALL {
        let shop = Shop::open(*kind);
        let order = shop.order(19_900);
        let placed = shop.gateway.create(&order).await.unwrap();
        assert_eq!(placed.status, PaymentStatus::Pending, "{kind}");
        let id = placed.payment_id.expect("an id");
        let seen = shop.gateway.fetch(&id).await.unwrap();
        assert_eq!(seen.status, PaymentStatus::Pending);
        assert_eq!(seen.reference, Some(order.reference.to_string()), "{kind}");
        assert_eq!((seen.amount, seen.currency.as_str()), (cents(19_900), "BRL"));

        shop.fake.change(&id, Change::Pay).await.unwrap();
        let seen = shop.gateway.fetch(&id).await.unwrap();
        assert_eq!(
            (seen.status, seen.amount),
            (PaymentStatus::Paid, cents(19_900)),
            "{kind}"
        );
        let found = shop.gateway.find(order.reference).await.unwrap();
        assert_eq!(found.len(), 1, "{kind}");
        assert_eq!(found[0].status, PaymentStatus::Paid);
        assert!(
            matches!(shop.gateway.cancel(&id).await, Err(GatewayError::Conflict)),
            "{kind}: what is paid is not canceled"
        );

        let key = Uuid::now_v7();
        let first = shop.gateway.refund(&id, cents(900), key).await.unwrap();
        let again = shop.gateway.refund(&id, cents(900), key).await.unwrap();
        assert_eq!(first, again, "{kind}");
        let seen = shop.gateway.fetch(&id).await.unwrap();
        assert_eq!(
            (seen.status, seen.refunded),
            (PaymentStatus::Paid, cents(900)),
            "{kind}"
        );
        let rest = Uuid::now_v7();
        shop.gateway.refund(&id, cents(19_000), rest).await.unwrap();
        let seen = shop.gateway.fetch(&id).await.unwrap();
        assert_eq!(
            (seen.status, seen.refunded),
            (PaymentStatus::Refunded, cents(19_900)),
            "{kind}"
        );
        let more = shop.gateway.refund(&id, cents(1), Uuid::now_v7()).await;
        assert!(
            matches!(more, Err(GatewayError::Refused { .. })),
            "{kind}: {more:?}"
        );
    }
}

#[tokio::test]
async fn what_is_canceled_stays_so_and_may_yet_be_paid() {
    for kind in GatewayKind::ALL {
        let shop = Shop::open(*kind);
        let placed = shop.gateway.create(&shop.order(1_050)).await.unwrap();
        let id = placed.payment_id.expect("an id");
        shop.gateway.cancel(&id).await.unwrap();
        shop.gateway.cancel(&id).await.unwrap();
        let seen = shop.gateway.fetch(&id).await.unwrap();
        assert_eq!(seen.status, PaymentStatus::Canceled, "{kind}");
        // The money was on its way.
        shop.fake.change(&id, Change::PayLate).await.unwrap();
        let seen = shop.gateway.fetch(&id).await.unwrap();
        assert_eq!(
            (seen.status, seen.amount),
            (PaymentStatus::Paid, cents(1_050)),
            "{kind}"
        );
    }
}

#[tokio::test]
async fn a_chargeback_too_little_and_another_currency_are_told() {
    for kind in GatewayKind::ALL {
        let shop = Shop::open(*kind);
        let place = async || {
            let placed = shop.gateway.create(&shop.order(5_000)).await.unwrap();
            placed.payment_id.expect("an id")
        };
        let back = place().await;
        shop.fake.change(&back, Change::Pay).await.unwrap();
        shop.fake.change(&back, Change::ChargeBack).await.unwrap();
        let seen = shop.gateway.fetch(&back).await.unwrap();
        assert_eq!(seen.status, PaymentStatus::ChargedBack, "{kind}");

        let little = place().await;
        shop.fake
            .change(&little, Change::PayPart { cents: 1 })
            .await
            .unwrap();
        let seen = shop.gateway.fetch(&little).await.unwrap();
        assert_eq!(
            (seen.status, seen.amount),
            (PaymentStatus::Paid, cents(1)),
            "{kind}"
        );

        // Asaas knows no other currency.
        if *kind != GatewayKind::Asaas {
            let dollars = place().await;
            let currency = "USD".to_owned();
            shop.fake
                .change(&dollars, Change::PayIn { currency })
                .await
                .unwrap();
            let seen = shop.gateway.fetch(&dollars).await.unwrap();
            assert_eq!(seen.currency, "USD", "{kind}");
        }
    }
}

#[tokio::test]
async fn an_answer_may_be_old_once() {
    for kind in GatewayKind::ALL {
        let shop = Shop::open(*kind);
        let placed = shop.gateway.create(&shop.order(5_000)).await.unwrap();
        let id = placed.payment_id.expect("an id");
        shop.fake.change(&id, Change::Pay).await.unwrap();
        shop.fake.answer_stale_once();
        let seen = shop.gateway.fetch(&id).await.unwrap();
        assert_eq!(seen.status, PaymentStatus::Pending, "{kind}");
        let seen = shop.gateway.fetch(&id).await.unwrap();
        assert_eq!(seen.status, PaymentStatus::Paid, "{kind}");
    }
}

#[tokio::test]
async fn a_pix_has_a_code_and_goes_straight_to_paid() {
    for kind in [GatewayKind::MercadoPago, GatewayKind::Asaas] {
        let shop = Shop::open(kind);
        let placed = shop
            .gateway
            .create(&order(PaymentMethod::Pix, 1_050))
            .await
            .unwrap();
        let code = placed.pix_code.expect("a code");
        assert!(code.starts_with("000201") && code.contains("540510.50"), "{code}");
        assert!(placed.expires_at.is_some() && placed.pay_url.is_some());
        let id = placed.payment_id.expect("an id");
        shop.fake.change(&id, Change::Pay).await.unwrap();
        let seen = shop.gateway.fetch(&id).await.unwrap();
        assert_eq!(
            (seen.status, seen.method),
            (PaymentStatus::Paid, Some(PaymentMethod::Pix))
        );
    }
}

#[tokio::test]
async fn mercado_pago_s_page_may_be_paid_more_than_once() {
    let shop = Shop::open(GatewayKind::MercadoPago);
    let order = order(PaymentMethod::Checkout, 9_900);
    let placed = shop.gateway.create(&order).await.unwrap();
    assert_eq!((placed.payment_id, placed.pix_code), (None, None));
    let url = placed.pay_url.expect("a page");
    assert!(url.contains("pref_id=") && !url.contains("sandbox"), "{url}");
    assert_eq!(shop.gateway.find(order.reference).await.unwrap(), []);

    let (_, page) = url.split_once("pref_id=").expect("the page's id");
    shop.fake.change(page, Change::Reject).await.unwrap();
    shop.fake.change(page, Change::Pay).await.unwrap();
    shop.fake.change(page, Change::Pay).await.unwrap();
    let found = shop.gateway.find(order.reference).await.unwrap();
    let statuses: Vec<_> = found.iter().map(|seen| seen.status).collect();
    use PaymentStatus::{Paid, Rejected};
    assert_eq!(statuses, [Paid, Paid, Rejected]);
    assert_ne!(found[0].payment_id, found[1].payment_id);
    for seen in found {
        assert_eq!(seen.collector, Some(COLLECTOR.to_string()));
        assert_eq!(seen.reference, Some(order.reference.to_string()));
    }
}

#[tokio::test]
async fn stripe_s_session_and_intent_are_one_payment() {
    let shop = Shop::open(GatewayKind::Stripe);
    let order = shop.order(9_900);
    let session = shop
        .gateway
        .create(&order)
        .await
        .unwrap()
        .payment_id
        .expect("an id");
    assert!(session.starts_with("cs_"), "{session}");
    // Before it is paid there is no intent to be found.
    assert_eq!(shop.gateway.find(order.reference).await.unwrap(), []);
    shop.fake.change(&session, Change::Reject).await.unwrap();
    let seen = shop.gateway.fetch(&session).await.unwrap();
    assert_eq!(
        seen.status,
        PaymentStatus::Pending,
        "the page lets the payer try again"
    );
    shop.fake.change(&session, Change::Pay).await.unwrap();
    let by_session = shop.gateway.fetch(&session).await.unwrap();
    let by_reference = shop.gateway.find(order.reference).await.unwrap();
    assert!(by_reference[0].payment_id.starts_with("pi_"));
    let by_intent = shop.gateway.fetch(&by_reference[0].payment_id).await.unwrap();
    assert_eq!(by_intent, by_reference[0]);
    assert_eq!(
        (by_session.status, by_session.reference, by_session.amount),
        (by_intent.status, by_intent.reference, by_intent.amount)
    );
}

#[tokio::test]
async fn asaas_makes_bank_slips_and_invoices() {
    let shop = Shop::open(GatewayKind::Asaas);
    let slip = shop
        .gateway
        .create(&order(PaymentMethod::Boleto, 12_990))
        .await
        .unwrap();
    assert!(slip.barcode.expect("digits").ends_with("12990"));
    assert!(slip.pay_url.expect("a page").contains("/b/pdf/"));
    let page = shop
        .gateway
        .create(&order(PaymentMethod::Checkout, 12_990))
        .await
        .unwrap();
    assert!(page.pay_url.expect("a page").contains("/i/"));
    // One payer, one customer.
    assert_eq!(shop.fake.asked("POST /v3/customers"), 1);
    let mut nobody = order(PaymentMethod::Pix, 12_990);
    nobody.payer.document = None;
    let refused = shop.gateway.create(&nobody).await;
    assert!(
        matches!(&refused, Err(GatewayError::Refused { code, .. }) if code == "payer_document_required"),
        "{refused:?}"
    );
}

#[tokio::test]
async fn an_account_sees_only_its_own() {
    for kind in GatewayKind::ALL {
        let shop = Shop::open(*kind);
        let order = shop.order(5_000);
        let id = shop
            .gateway
            .create(&order)
            .await
            .unwrap()
            .payment_id
            .expect("an id");
        shop.fake.change(&id, Change::Pay).await.unwrap();
        let neighbour = shop.neighbour();
        assert!(
            matches!(neighbour.fetch(&id).await, Err(GatewayError::Unknown)),
            "{kind}"
        );
        assert_eq!(neighbour.find(order.reference).await.unwrap(), [], "{kind}");
        let refund = neighbour.refund(&id, cents(1), Uuid::now_v7()).await;
        assert!(matches!(refund, Err(GatewayError::Unknown)), "{kind}: {refund:?}");
        assert_eq!(shop.gateway.fetch(&id).await.unwrap().refunded, cents(0));
    }
}

#[tokio::test]
async fn credentials_are_told_good_from_bad() {
    for kind in GatewayKind::ALL {
        let shop = Shop::open(*kind);
        let whose = shop.gateway.identify().await.unwrap();
        let expected = (*kind == GatewayKind::MercadoPago).then(|| COLLECTOR.to_string());
        assert_eq!(whose, expected, "{kind}");
        let stranger = shop.with_key("sk_stranger");
        assert!(
            matches!(stranger.identify().await, Err(GatewayError::Credentials)),
            "{kind}"
        );
        let refused = stranger.create(&shop.order(1)).await;
        assert!(matches!(refused, Err(GatewayError::Credentials)), "{kind}");
    }
}

#[tokio::test]
async fn what_a_gateway_does_not_offer_is_not_asked_for() {
    for kind in GatewayKind::ALL {
        let shop = Shop::open(*kind);
        for method in PaymentMethod::ALL {
            let outcome = shop.gateway.create(&order(*method, 5_000)).await;
            // A saved card is not asked for, it is charged.
            let offered = kind.offers(*method) && *method != PaymentMethod::Card;
            assert_eq!(outcome.is_ok(), offered, "{kind} {method}: {outcome:?}");
        }
    }
}
