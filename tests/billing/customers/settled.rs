//! What a charge brings in, told once or many times, and in any order.

use chrono::NaiveDate;
use helixai::db::tenant::Access;
use helixai::db::tenant::customers::{payments, reminders};
use helixai::domain::ids::DueId;
use serde_json::json;
use uuid::Uuid;

use super::Shop;
use crate::http::customers::{customer, due, id, paid};

impl Shop {
    /// What the gateways' side does when a charge was paid.
    async fn settle(&self, due: DueId, charge: Uuid, amount: i64) -> bool {
        let now = self.app.test.clock.now();
        let day: NaiveDate = "2026-03-10".parse().unwrap();
        let batch = (
            payments::lock(due),
            payments::settle(due, charge, "pix", amount, day, now),
            reminders::cancel(due, now),
        );
        let reply = self.db().await.run(&Access::system(now), batch).await;
        reply.expect("settled").output.1
    }

    async fn reverse(&self, due: DueId, charge: Uuid, amount: i64) -> bool {
        let now = self.app.test.clock.now();
        let day: NaiveDate = "2026-03-11".parse().unwrap();
        let batch = (
            payments::lock(due),
            payments::reverse(due, charge, "pix", amount, day, now),
        );
        let reply = self.db().await.run(&Access::system(now), batch).await;
        reply.expect("reversed").output.1
    }

    /// State, what was paid, and how many lines say so.
    async fn state(&self, due: DueId) -> (String, i64, usize) {
        let path = format!("/api/dues/{due}");
        let found = self.app.get(&path).by(&self.tenant).await.expect(200).json();
        (
            found["status"].as_str().unwrap().to_owned(),
            found["paid_cents"].as_i64().unwrap(),
            found["payments"].as_array().unwrap().len(),
        )
    }
}

fn state(status: &str, cents: i64, lines: usize) -> (String, i64, usize) {
    (status.to_owned(), cents, lines)
}

#[tokio::test]
async fn a_charge_is_booked_once_however_often_it_is_told() {
    let shop = Shop::at("2026-03-10T12:00:00Z").await;
    let (app, tenant) = (&shop.app, &shop.tenant);
    shop.remind(-3, "Vence").await;
    let ana = customer(app, tenant, "Ana", json!({})).await;
    let one: DueId = id(&due(app, tenant, &ana, 5000, "2026-03-13").await)
        .parse()
        .unwrap();
    assert_eq!(shop.work().await.reminders, 1);
    let charge = Uuid::now_v7();
    let told = futures_util::future::join_all((0..10).map(|_| shop.settle(one, charge, 5000))).await;
    assert_eq!(told.into_iter().filter(|new| *new).count(), 1);
    assert_eq!(shop.state(one).await, state("paid", 5000, 1));
    let waiting = "select count(*) from {}.outbox where state = 'pending'";
    assert_eq!(shop.list(waiting).await, [json!(0)]);
    // Nothing that a person does takes it back.
    let path = format!("/api/dues/{one}/payments");
    let found = app.get(&format!("/api/dues/{one}")).by(tenant).await.json();
    let line = id(&found["payments"][0]);
    app.delete(&format!("{path}/{line}"))
        .by(tenant)
        .await
        .problem(409, "wrong_state");
    // It goes back once.
    assert!(shop.reverse(one, charge, 5000).await);
    assert!(!shop.reverse(one, charge, 5000).await);
    assert_eq!(shop.state(one).await, state("open", 0, 2));
    assert!(
        !shop.settle(one, charge, 5000).await,
        "a late word of the payment changes nothing"
    );
    assert_eq!(shop.state(one).await, state("open", 0, 2));
    let report = app
        .get("/api/reports/finance?month=2026-03")
        .by(tenant)
        .await
        .json();
    assert_eq!(report["received_cents"], 0);
    assert!(
        !shop.reverse(one, Uuid::now_v7(), 1).await,
        "what never came in does not go back"
    );
}

/// Money is booked whatever the due was meanwhile: nothing that came in is lost.
#[tokio::test]
async fn money_for_what_is_not_owed_any_more_is_booked_all_the_same() {
    let shop = Shop::at("2026-03-10T12:00:00Z").await;
    let (app, tenant) = (&shop.app, &shop.tenant);
    let ana = customer(app, tenant, "Ana", json!({})).await;
    let gone = due(app, tenant, &ana, 5000, "2026-03-13").await;
    app.post(&format!("/api/dues/{}/cancel", id(&gone)))
        .by(tenant)
        .await
        .expect(200);
    let gone: DueId = id(&gone).parse().unwrap();
    assert!(shop.settle(gone, Uuid::now_v7(), 5000).await);
    assert_eq!(shop.state(gone).await, state("paid", 5000, 1));
    let twice = due(app, tenant, &ana, 5000, "2026-03-14").await;
    paid(app, tenant, &twice, json!({"paid_on": "2026-03-09"})).await;
    let twice: DueId = id(&twice).parse().unwrap();
    let charge = Uuid::now_v7();
    assert!(shop.settle(twice, charge, 5000).await);
    assert_eq!(shop.state(twice).await, state("paid", 10_000, 2));
    assert!(shop.reverse(twice, charge, 5000).await);
    assert_eq!(
        shop.state(twice).await,
        state("paid", 5000, 3),
        "it was paid in cash"
    );
    let nowhere = DueId::new();
    assert!(!shop.settle(nowhere, Uuid::now_v7(), 1).await);
}
