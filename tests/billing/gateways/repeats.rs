//! One order is one payment, however often it is asked for and whatever goes wrong.

use std::time::Duration;

use futures_util::future::join_all;
use helixai::billing::gateways::GatewayError;
use helixai::domain::payment::GatewayKind;
use helixai_fakes::gateways::{Change, Failure, Fault};
use uuid::Uuid;

use super::shop::{Shop, cents};

#[tokio::test]
async fn the_same_order_again_is_the_same_payment() {
    for kind in GatewayKind::ALL {
        let shop = Shop::open(*kind);
        let order = shop.order(5_000);
        let first = shop.gateway.create(&order).await.unwrap();
        let again = shop.gateway.create(&order).await.unwrap();
        assert_eq!(first, again, "{kind}");
        assert_eq!(shop.fake.payments().len(), 1, "{kind}");
        let other = shop.gateway.create(&shop.order(5_000)).await.unwrap();
        assert_ne!(first.payment_id, other.payment_id);
        assert_eq!(shop.fake.payments().len(), 2, "{kind}");
    }
}

#[tokio::test]
async fn many_at_once_are_one_where_there_are_keys() {
    for kind in [GatewayKind::MercadoPago, GatewayKind::Stripe] {
        let shop = Shop::open(kind);
        let order = shop.order(5_000);
        let placed = join_all((0..10).map(|_| shop.gateway.create(&order))).await;
        let ids: Vec<_> = placed
            .into_iter()
            .map(|placed| placed.unwrap().payment_id)
            .collect();
        assert!(ids.iter().all(|id| *id == ids[0]), "{kind}: {ids:?}");
        assert_eq!(shop.fake.payments().len(), 1, "{kind}");
    }
}

#[tokio::test]
async fn a_lost_answer_costs_no_second_payment() {
    for kind in GatewayKind::ALL {
        for failure in [
            Failure::CommitThenDrop,
            Failure::CommitThenStatus(500),
            Failure::CommitThenStatus(503),
            Failure::CommitThenTruncate,
            Failure::Drop,
            Failure::Status(502),
            Failure::Html(504),
            Failure::Html(200),
        ] {
            let shop = Shop::open(*kind);
            let order = shop.order(5_000);
            shop.fake.fail(Fault::once(shop.create_call(), failure.clone()));
            let _whatever_came_of_it = shop.gateway.create(&order).await;
            let again = shop.gateway.create(&order).await;
            // Stripe answers an error of its own for ever.
            let kept = *kind == GatewayKind::Stripe
                && matches!(
                    failure,
                    Failure::CommitThenStatus(_) | Failure::Status(_) | Failure::Html(504)
                );
            assert_eq!(again.is_err(), kept, "{kind} {failure:?}: {again:?}");
            assert!(shop.fake.payments().len() <= 1, "{kind} {failure:?}");
        }
    }
}

#[tokio::test]
async fn a_key_with_an_error_kept_is_given_up_for_another() {
    let shop = Shop::open(GatewayKind::Stripe);
    let mut order = shop.order(5_000);
    shop.fake
        .fail(Fault::once(shop.create_call(), Failure::Status(500)));
    for _ in 0..2 {
        let busy = shop.gateway.create(&order).await;
        assert!(matches!(busy, Err(GatewayError::Busy { .. })), "{busy:?}");
    }
    order.idempotency_key = Uuid::now_v7();
    shop.gateway.create(&order).await.unwrap();
    assert_eq!(shop.fake.payments().len(), 1);
}

#[tokio::test]
async fn a_gateway_that_is_too_slow_is_asked_again_later() {
    for kind in GatewayKind::ALL {
        let shop = Shop::patient(*kind, Duration::from_millis(1500), Duration::ZERO);
        let order = shop.order(5_000);
        let stall = Failure::CommitThenStall(60_000);
        shop.fake.fail(Fault::once(shop.create_call(), stall));
        let lost = shop.gateway.create(&order).await;
        if *kind == GatewayKind::Asaas {
            // It was looked up, and was there.
            assert!(lost.is_ok(), "{lost:?}");
        } else {
            assert!(matches!(lost, Err(GatewayError::Unreachable)), "{kind}: {lost:?}");
        }
        shop.gateway.create(&order).await.unwrap();
        assert_eq!(shop.fake.payments().len(), 1, "{kind}");
    }
}

#[tokio::test]
async fn asaas_is_never_asked_twice_for_what_may_be_there() {
    for failure in [Failure::Drop, Failure::Status(500), Failure::Html(200)] {
        let shop = Shop::open(GatewayKind::Asaas);
        let order = shop.order(5_000);
        shop.fake.fail(Fault::once("POST /v3/payments", failure));
        let lost = shop.gateway.create(&order).await.unwrap_err();
        assert!(lost.may_be_repeated(), "{lost:?}");
        assert_eq!(shop.fake.asked("POST /v3/payments"), 1);
        // Looked up before it was made, and after.
        assert_eq!(shop.fake.asked("GET /v3/payments"), 2);
        shop.gateway.create(&order).await.unwrap();
        assert_eq!(shop.fake.asked("POST /v3/payments"), 2);
        assert_eq!(shop.fake.payments().len(), 1);
    }
    // Two who do not look at all make two: the fake has no keys either.
    let shop = Shop::open(GatewayKind::Asaas);
    let (one, mut other) = (shop.order(5_000), shop.order(5_000));
    shop.gateway.create(&one).await.unwrap();
    other.reference = one.reference;
    let found = shop.gateway.create(&other).await.unwrap();
    assert_eq!(found.payment_id, Some(shop.fake.payments()[0].id.clone()));
    other.amount = cents(5_001);
    let conflict = shop.gateway.create(&other).await;
    assert!(matches!(conflict, Err(GatewayError::Conflict)), "{conflict:?}");
    assert_eq!(shop.fake.payments().len(), 1);
}

#[tokio::test]
async fn a_key_is_good_for_one_order_only() {
    for kind in [GatewayKind::MercadoPago, GatewayKind::Stripe] {
        let shop = Shop::open(kind);
        let order = shop.order(5_000);
        let first = shop.gateway.create(&order).await.unwrap();
        let mut other = shop.order(5_000);
        other.idempotency_key = order.idempotency_key;
        let conflict = shop.gateway.create(&other).await;
        assert!(
            matches!(conflict, Err(GatewayError::Conflict)),
            "{kind}: {conflict:?}"
        );
        // The same order in other words is the same order, where that can be looked up.
        if kind == GatewayKind::MercadoPago {
            let mut reworded = order.clone();
            reworded.description = "Plano Pro".to_owned();
            let again = shop.gateway.create(&reworded).await.unwrap();
            assert_eq!(again.payment_id, first.payment_id);
        }
        assert_eq!(shop.fake.payments().len(), 1, "{kind}");
    }
}

#[tokio::test]
async fn a_refund_whose_answer_is_lost_is_one_refund() {
    for kind in GatewayKind::ALL {
        let shop = Shop::open(*kind);
        let id = shop
            .gateway
            .create(&shop.order(5_000))
            .await
            .unwrap()
            .payment_id
            .expect("an id");
        let paid = shop.fake.change(&id, Change::Pay).await.unwrap();
        let call = match kind {
            GatewayKind::MercadoPago => format!("POST /v1/payments/{id}/refunds"),
            GatewayKind::Stripe => "POST /v1/refunds".to_owned(),
            GatewayKind::Asaas => format!("POST /v3/payments/{id}/refund"),
        };
        shop.fake.fail(Fault::once(&call, Failure::CommitThenDrop));
        let key = Uuid::now_v7();
        let _whatever_came_of_it = shop.gateway.refund(&id, cents(2_000), key).await;
        shop.gateway.refund(&id, cents(2_000), key).await.unwrap();
        assert_eq!(shop.fake.payment(&paid.id).refunded_cents(), 2_000, "{kind}");
    }
}

#[tokio::test]
async fn stripe_is_asked_in_its_pinned_version() {
    let shop = Shop::open(GatewayKind::Stripe);
    let order = shop.order(5_000);
    shop.gateway.create(&order).await.unwrap();
    let request = shop.fake.requests().remove(0);
    assert_eq!(request.headers["stripe-version"], "2024-06-20");
    assert_eq!(
        request.headers["idempotency-key"],
        order.idempotency_key.to_string()
    );
    assert!(request.headers["user-agent"].starts_with("helixai/"));
}
