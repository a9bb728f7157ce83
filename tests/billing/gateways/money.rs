//! Not a cent is lost between us and a gateway.

use helixai::domain::payment::{GatewayKind, PaymentMethod};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tokio::runtime::Runtime;

use super::shop::{Shop, cents, order};

#[test]
fn amounts_come_back_as_they_went() {
    let runtime = Runtime::new().unwrap();
    for kind in GatewayKind::ALL {
        let shop = runtime.block_on(async { Shop::open(*kind) });
        let amounts = prop_oneof![1..10_000i64, 1..100_000_000i64];
        let mut runner = TestRunner::new(Config::with_cases(60));
        let outcome = runner.run(&amounts, |amount| {
            runtime.block_on(async {
                let id = shop
                    .gateway
                    .create(&shop.order(amount))
                    .await
                    .unwrap()
                    .payment_id
                    .expect("an id");
                let (there, back) = (
                    shop.fake.payment(&id).cents,
                    shop.gateway.fetch(&id).await.unwrap(),
                );
                prop_assert_eq!((there, back.amount), (amount, cents(amount)));
                Ok(())
            })
        });
        outcome.unwrap_or_else(|error| panic!("{kind}: {error}"));
    }
}

#[tokio::test]
async fn amounts_are_written_as_each_gateway_reads_them() {
    for (kind, method, expected) in [
        (
            GatewayKind::MercadoPago,
            PaymentMethod::Pix,
            r#""transaction_amount":1.15,"#,
        ),
        (
            GatewayKind::MercadoPago,
            PaymentMethod::Checkout,
            r#""unit_price":1.15}"#,
        ),
        (
            GatewayKind::Stripe,
            PaymentMethod::Checkout,
            "unit_amount%5D=115&",
        ),
        (GatewayKind::Asaas, PaymentMethod::Boleto, r#""value":1.15,"#),
    ] {
        let shop = Shop::open(kind);
        shop.gateway.create(&order(method, 115)).await.unwrap();
        let bodies: Vec<_> = shop
            .fake
            .requests()
            .into_iter()
            .map(|logged| logged.body)
            .collect();
        assert!(
            bodies.iter().any(|body| body.contains(expected)),
            "{kind}: {bodies:?}"
        );
    }
}
