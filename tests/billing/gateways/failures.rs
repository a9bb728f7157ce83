//! Gateways that are busy, silent or out of their minds.

use std::time::Duration;

use helixai::billing::gateways::GatewayError;
use helixai::domain::payment::GatewayKind;
use helixai_fakes::gateways::{Failure, Fault};
use serde_json::json;
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::shop::{Shop, cents, connect, order};

const WAIT: Duration = Duration::from_secs(3);

#[tokio::test]
async fn a_busy_gateway_is_asked_again_when_it_says() {
    for kind in GatewayKind::ALL {
        let shop = Shop::open(*kind);
        let busy = Failure::TooManyRequests(1);
        shop.fake.fail(Fault::once(shop.create_call(), busy));
        shop.gateway.create(&shop.order(5_000)).await.unwrap();
        assert_eq!(shop.fake.asked(shop.create_call()), 2, "{kind}");
        assert_eq!(shop.fake.payments().len(), 1, "{kind}");
    }
}

#[tokio::test]
async fn a_gateway_that_wants_to_be_left_alone_is_left_alone() {
    for kind in GatewayKind::ALL {
        let shop = Shop::open(*kind);
        let busy = Failure::TooManyRequests(600);
        shop.fake.fail(Fault::repeated(shop.create_call(), busy, 100));
        let error = shop.gateway.create(&shop.order(5_000)).await.unwrap_err();
        let asked = Some(Duration::from_secs(600));
        assert!(
            matches!(error, GatewayError::Busy { retry_after } if retry_after == asked),
            "{kind}: {error:?}"
        );
        assert!(error.may_be_repeated());
        assert_eq!(shop.fake.asked(shop.create_call()), 1, "{kind}");
    }
}

#[tokio::test]
async fn repeats_come_to_an_end() {
    let shop = Shop::patient(GatewayKind::MercadoPago, WAIT, Duration::from_secs(1));
    let dead = Fault::repeated(shop.create_call(), Failure::Status(503), 100);
    shop.fake.fail(dead);
    let error = shop.gateway.create(&shop.order(5_000)).await.unwrap_err();
    assert!(
        matches!(error, GatewayError::Busy { retry_after: None }),
        "{error:?}"
    );
    let asked = shop.fake.asked(shop.create_call());
    assert!((2..=3).contains(&asked), "{asked}");
}

#[tokio::test]
async fn reading_is_repeated_whoever_is_asked() {
    for kind in GatewayKind::ALL {
        let shop = Shop::open(*kind);
        let id = shop
            .gateway
            .create(&shop.order(5_000))
            .await
            .unwrap()
            .payment_id
            .expect("an id");
        let before = shop.fake.requests().len();
        for failure in [Failure::Drop, Failure::Status(500), Failure::TooManyRequests(0)] {
            shop.fake.fail(Fault::once("GET ", failure));
        }
        let seen = shop.gateway.fetch(&id).await.unwrap();
        assert_eq!(seen.amount, cents(5_000));
        assert_eq!(shop.fake.requests().len() - before, 4, "{kind}");
    }
}

#[tokio::test]
async fn answers_that_make_no_sense_are_unreadable() {
    for kind in GatewayKind::ALL {
        let shop = Shop::open(*kind);
        let id = shop
            .gateway
            .create(&shop.order(5_000))
            .await
            .unwrap()
            .payment_id
            .expect("an id");
        for failure in [
            Failure::Html(200),
            Failure::CommitThenTruncate,
            Failure::Status(302),
            Failure::Status(200),
        ] {
            shop.fake.fail(Fault::once("GET ", failure.clone()));
            let error = shop.gateway.fetch(&id).await.unwrap_err();
            assert!(
                matches!(error, GatewayError::Unreadable),
                "{kind} {failure:?}: {error:?}"
            );
            assert!(error.may_be_repeated());
        }
    }
}

#[tokio::test]
async fn an_id_from_outside_asks_for_nothing_else() {
    for kind in GatewayKind::ALL {
        let shop = Shop::open(*kind);
        for id in [
            "",
            "../users/me",
            "1?x=1",
            "1/refunds",
            "1#",
            "1 2",
            "é",
            "%2e%2e",
        ] {
            for error in [
                shop.gateway.fetch(id).await.map(drop),
                shop.gateway.cancel(id).await,
                shop.gateway
                    .refund(id, cents(1), uuid::Uuid::nil())
                    .await
                    .map(drop),
            ] {
                assert!(
                    matches!(error, Err(GatewayError::Unknown)),
                    "{kind} {id}: {error:?}"
                );
            }
        }
        assert_eq!(shop.fake.requests().len(), 0, "{kind}");
    }
}

#[tokio::test]
async fn nobody_is_there() {
    for kind in GatewayKind::ALL {
        // A port that was free a moment ago.
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        drop(listener);
        let gateway = connect(&url, *kind, "sk_shop", WAIT, Duration::from_millis(500));
        let error = gateway.fetch("pi_1").await.unwrap_err();
        assert!(matches!(error, GatewayError::Unreachable), "{kind}: {error:?}");
        assert!(!format!("{error} {error:?}").contains("127.0.0.1"));
    }
}

#[tokio::test]
async fn what_a_gateway_says_of_a_payer_is_not_shown() {
    let told = "o CPF 529.982.247-25 de ana@garage-alpha.com.br";
    let body = json!({
        "message": told, "error": "bad <request> ana@x", "status": 400,
        "cause": [{"code": "E 529.982.247-25", "description": told}],
        "errors": [{"code": "invalid_cpfCnpj", "description": told}],
    });
    let server = MockServer::start().await;
    Mock::given(any())
        .respond_with(ResponseTemplate::new(400).set_body_json(body))
        .mount(&server)
        .await;
    for kind in GatewayKind::ALL {
        let gateway = connect(&server.uri(), *kind, "sk_shop", WAIT, WAIT);
        let error = gateway.fetch("pi_1").await.unwrap_err();
        let shown = format!("{error} {error:?}");
        for personal in ["ana", "garage", "CPF ", "529.982"] {
            assert!(!shown.contains(personal), "{kind}: {shown}");
        }
        let GatewayError::Refused { code, message } = error else {
            panic!("{kind}: {error:?}");
        };
        let expected = if *kind == GatewayKind::Asaas {
            "invalid_cpfCnpj"
        } else {
            "400"
        };
        assert_eq!(code, expected, "{kind}");
        if *kind != GatewayKind::Stripe {
            assert_eq!(message.as_str(), told, "{kind}");
        }
    }
}

#[tokio::test]
async fn a_redirect_does_not_carry_the_key_elsewhere() {
    let thief = MockServer::start().await;
    Mock::given(any())
        .respond_with(ResponseTemplate::new(200))
        .expect(0)
        .mount(&thief)
        .await;
    let server = MockServer::start().await;
    let away = ResponseTemplate::new(307).insert_header("Location", thief.uri().as_str());
    Mock::given(any()).respond_with(away).mount(&server).await;
    for kind in GatewayKind::ALL {
        let gateway = connect(&server.uri(), *kind, "sk_shop", WAIT, Duration::ZERO);
        let error = gateway.fetch("pi_1").await.unwrap_err();
        assert!(matches!(error, GatewayError::Unreadable), "{kind}: {error:?}");
        let mut order = order(helixai::domain::payment::PaymentMethod::Checkout, 100);
        order.save_card = true;
        assert!(gateway.create(&order).await.is_err());
    }
    thief.verify().await;
}
