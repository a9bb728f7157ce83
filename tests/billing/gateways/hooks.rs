//! News as the gateways send and sign them, read by the adapters.

use helixai::billing::gateways::{Delivery, EventRefused, Gateway, GatewayEvent};
use helixai::domain::payment::GatewayKind;
use helixai_fakes::gateways::{self, Account, Change, Event, Mode, Variant};
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

use super::shop::{COLLECTOR, SECRET, Shop, noon};

/// Somebody who takes whatever comes.
async fn mailbox() -> MockServer {
    let server = MockServer::start().await;
    Mock::given(any())
        .respond_with(ResponseTemplate::new(200))
        .mount(&server)
        .await;
    server
}

/// A shop whose news go to the mailbox.
fn heard(kind: GatewayKind, mailbox: &MockServer) -> Shop {
    let shop = Shop::open(kind);
    shop.fake.add_account(Account {
        key: "sk_shop".to_owned(),
        webhook_secret: SECRET.to_owned(),
        collector: COLLECTOR,
        webhook_url: Some(format!("{}/hooks/shop", mailbox.uri())),
    });
    shop
}

fn held() -> gateways::Delivery {
    gateways::Delivery {
        mode: Mode::Held,
        ..gateways::Delivery::default()
    }
}

fn read(gateway: &dyn Gateway, request: &Request) -> Result<GatewayEvent, EventRefused> {
    let headers: Vec<(&str, &str)> = request
        .headers
        .iter()
        .filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)))
        .collect();
    let delivery = Delivery {
        query: request.url.query().unwrap_or_default(),
        headers: &headers,
        body: &request.body,
    };
    gateway.read_event(&delivery, noon())
}

/// A payment that is made and paid while nobody is told; the event that tells it.
async fn paid(shop: &Shop) -> (String, Event) {
    shop.fake.deliver(held());
    let id = shop
        .gateway
        .create(&shop.order(5_000))
        .await
        .unwrap()
        .payment_id
        .expect("an id");
    shop.fake.change(&id, Change::Pay).await.unwrap();
    (id, shop.fake.events().pop().expect("an event"))
}

#[tokio::test]
async fn good_news_name_their_payment_and_nothing_else_is_believed() {
    for kind in GatewayKind::ALL {
        let mailbox = mailbox().await;
        let shop = heard(*kind, &mailbox);
        let (id, event) = paid(&shop).await;
        let variants = match kind {
            GatewayKind::MercadoPago => vec![
                Variant::Good,
                Variant::Milliseconds,
                Variant::WithoutRequestId,
                Variant::TwoSignatures,
            ],
            GatewayKind::Stripe => vec![Variant::Good, Variant::TwoSignatures],
            GatewayKind::Asaas => vec![Variant::Good],
        };
        for variant in &variants {
            assert_eq!(shop.fake.send(&event, 1, false, *variant).await, [200]);
        }
        let requests = mailbox.received_requests().await.unwrap();
        assert_eq!(requests.len(), variants.len(), "{kind}");
        for request in &requests {
            let read = read(shop.gateway.as_ref(), request).unwrap();
            assert_eq!(
                read.event_id, event.id,
                "{kind}: each delivery has the event's id"
            );
            assert_eq!(read.payment_id, Some(id.clone()), "{kind}");
        }
    }
}

#[tokio::test]
async fn forged_news_are_refused() {
    for kind in GatewayKind::ALL {
        let mailbox = mailbox().await;
        let shop = heard(*kind, &mailbox);
        let (_, event) = paid(&shop).await;
        let variants = match kind {
            GatewayKind::Asaas => vec![Variant::WrongSecret, Variant::Unsigned],
            _ => vec![
                Variant::BadHex,
                Variant::Stale,
                Variant::Future,
                Variant::WrongSecret,
                Variant::Tampered,
                Variant::Unsigned,
            ],
        };
        for variant in &variants {
            shop.fake.send(&event, 1, false, *variant).await;
        }
        let requests = mailbox.received_requests().await.unwrap();
        assert_eq!(requests.len(), variants.len(), "{kind}");
        for (request, variant) in requests.iter().zip(variants) {
            let refused = read(shop.gateway.as_ref(), request);
            assert_eq!(refused, Err(EventRefused::Signature), "{kind} {variant:?}");
        }
    }
}

#[tokio::test]
async fn one_shop_s_news_are_not_another_s() {
    for kind in GatewayKind::ALL {
        let mailbox = mailbox().await;
        let shop = heard(*kind, &mailbox);
        let (_, event) = paid(&shop).await;
        shop.fake.add_account(Account {
            key: "sk_shop".to_owned(),
            webhook_secret: "whsec_a-secret-of-another-shop-entirely".to_owned(),
            collector: COLLECTOR,
            webhook_url: None,
        });
        shop.fake.send(&event, 1, false, Variant::Good).await;
        let requests = mailbox.received_requests().await.unwrap();
        let refused = read(shop.gateway.as_ref(), &requests[0]);
        assert_eq!(refused, Err(EventRefused::Signature), "{kind}");
    }
}

#[tokio::test]
async fn news_come_as_often_and_as_early_as_they_like() {
    for kind in GatewayKind::ALL {
        let mailbox = mailbox().await;
        let shop = heard(*kind, &mailbox);
        let (_, event) = paid(&shop).await;
        assert_eq!(mailbox.received_requests().await.unwrap().len(), 0, "held");
        let statuses = shop.fake.send(&event, 20, true, Variant::Good).await;
        assert_eq!(statuses, [200; 20], "{kind}");
        assert_eq!(mailbox.received_requests().await.unwrap().len(), 20);
        let again = mailbox.received_requests().await.unwrap();
        for request in again {
            assert_eq!(read(shop.gateway.as_ref(), &request).unwrap().event_id, event.id);
        }
    }
}

#[tokio::test]
async fn news_may_come_before_the_answer() {
    for kind in [GatewayKind::MercadoPago, GatewayKind::Asaas] {
        let mailbox = mailbox().await;
        let shop = heard(kind, &mailbox);
        shop.fake.deliver(gateways::Delivery {
            mode: Mode::BeforeResponse,
            copies: 2,
            ..gateways::Delivery::default()
        });
        let id = shop.gateway.create(&shop.order(5_000)).await.unwrap().payment_id;
        let requests = mailbox.received_requests().await.unwrap();
        assert_eq!(requests.len(), 2, "{kind}");
        assert_eq!(read(shop.gateway.as_ref(), &requests[0]).unwrap().payment_id, id);
    }
}

#[tokio::test]
async fn mercado_pago_writes_to_the_address_of_the_order() {
    let mailbox = mailbox().await;
    let shop = Shop::open(GatewayKind::MercadoPago);
    let mut order = shop.order(5_000);
    order.notification_url = Some(format!("{}/hooks/mercado-pago/7", mailbox.uri()));
    shop.fake.deliver(held());
    let id = shop
        .gateway
        .create(&order)
        .await
        .unwrap()
        .payment_id
        .expect("an id");
    shop.fake.deliver(gateways::Delivery::default());
    shop.fake.change(&id, Change::Pay).await.unwrap();
    let requests = mailbox.received_requests().await.unwrap();
    assert_eq!(requests.len(), 1);
    let url = &requests[0].url;
    assert_eq!(url.path(), "/hooks/mercado-pago/7");
    // Only such news are signed.
    assert!(url.query().unwrap().contains("source_news=webhooks"));
    assert_eq!(
        read(shop.gateway.as_ref(), &requests[0]).unwrap().payment_id,
        Some(id)
    );
}
