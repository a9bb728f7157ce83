//! Who may tell what at a hook.

use helixai_fakes::gateways::{Change, Kind, Variant};
use uuid::Uuid;

use super::till::Till;

#[tokio::test]
async fn an_unknown_account_is_404() {
    let till = Till::open_by_hand().await;
    let post = |path: String| till.post(&path).text("{}");
    for path in [
        format!("/hooks/mercado-pago/{}", Uuid::now_v7()),
        "/hooks/mercado-pago/no-id".to_owned(),
        // Another gateway's.
        format!("/hooks/stripe/{}", till.account),
        format!("/hooks/asaas/{}", till.account),
    ] {
        post(path).await.problem(404, "not_found");
    }
    let own = format!("/hooks/mercado-pago/{}", till.account);
    post(own.clone()).await.problem(401, "signature_invalid");
    // At a client's address there is no hook.
    let elsewhere = till.post(&own).host("garage.localhost").text("{}").await;
    elsewhere.problem(404, "not_found");
    let named = till.post(&own).host("localhost.example").text("{}").await;
    named.problem(404, "not_found");
    assert_eq!(till.events().await, (0, 0));
}

#[tokio::test]
async fn a_bad_signature_is_401_and_stores_nothing() {
    for kind in [Kind::MercadoPago, Kind::Stripe, Kind::Asaas] {
        let till = Till::open_at(kind, false).await;
        till.hold_webhooks();
        let method = match kind {
            Kind::Stripe => "checkout",
            _ => "pix",
        };
        let answer = till.check_out(&serde_json::json!({"method": method})).await;
        let charge = answer["charges"][0]["id"].as_str().expect("an id");
        // Of what was placed when the client was onboarded.
        let known = till.events().await.0;
        till.gateway.change(charge, Change::Pay).await.expect("paid");
        let event = till.gateway.events().pop().expect("an event");
        let bad: &[Variant] = match kind {
            Kind::Asaas => &[Variant::WrongSecret, Variant::Unsigned],
            _ => &[
                Variant::BadHex,
                Variant::Stale,
                Variant::Future,
                Variant::WrongSecret,
                Variant::Unsigned,
            ],
        };
        for variant in bad {
            let statuses = till.gateway.send(&event, 1, false, *variant).await;
            assert_eq!(statuses, [401], "{kind:?} {variant:?}");
        }
        assert_eq!(till.events().await.0, known, "{kind:?}");
        for variant in [Variant::Good, Variant::Good] {
            let statuses = till.gateway.send(&event, 1, false, variant).await;
            assert_eq!(statuses, [200], "{kind:?}");
        }
        assert_eq!(till.events().await.0, known + 1, "{kind:?}");
    }
}

#[tokio::test]
async fn a_body_without_end_is_413() {
    let till = Till::open_by_hand().await;
    let large = format!("{{\"x\":\"{}\"}}", "x".repeat(300_000));
    let path = format!("/hooks/mercado-pago/{}", till.account);
    let answer = till.post(&path).text(&large).await;
    answer.problem(413, "body_too_large");
    assert_eq!(till.events().await, (0, 0));
}
