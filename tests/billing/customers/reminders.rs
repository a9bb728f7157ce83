//! Reminders: each step once, never after the payment, at an hour of the day.

use serde_json::{Value, json};

use super::{Shop, work};
use crate::http::customers::{customer, due, id, paid};

const WAITING: &str = "select payload ->> 'text' as x from {}.outbox where kind = 'send_email' and state = 'pending' order by id";

#[tokio::test]
async fn each_step_is_told_once_in_the_tenants_words() {
    let shop = Shop::at("2026-03-10T09:00:00Z").await;
    let (app, tenant) = (&shop.app, &shop.tenant);
    shop.remind(
        -3,
        "Olá {{primeiro_nome}}, {{descricao}}: {{valor}} em {{vencimento}}.\nPIX {{pix}}",
    )
    .await;
    shop.remind(2, "{{nome}}, faz {{dias}} dias.").await;
    let ana = customer(app, tenant, "Ana Lima", json!({})).await;
    due(app, tenant, &ana, 9990, "2026-03-13").await;
    let contact =
        crate::http::customers::made(app, tenant, "/api/contacts", json!({"name": "Sem e-mail"})).await;
    let body = json!({"contact_id": contact["id"]});
    let mute = crate::http::customers::made(app, tenant, "/api/customers", body).await;
    due(app, tenant, &mute, 100, "2026-03-13").await;
    assert_eq!(shop.work().await.reminders, 2);
    let words = "Olá Ana, Serviço: R$ 99,90 em 13/03/2026.";
    assert_eq!(shop.list(WAITING).await, [json!(words)]);
    let sent = shop
        .rows("select kind, payload, due_at, state, max_attempts, attempts from {}.outbox")
        .await;
    let payload = &sent[0]["payload"];
    assert_eq!(
        (&payload["to"], &payload["subject"], &payload["from_name"]),
        (
            &json!("ana.lima@example.com"),
            &json!(format!("{}: R$ 99,90", tenant.name)),
            &json!(tenant.name)
        )
    );
    // It is six in the morning in São Paulo.
    let due_at: chrono::DateTime<chrono::Utc> = sent[0]["due_at"].as_str().unwrap().parse().unwrap();
    assert_eq!(
        due_at,
        "2026-03-10T11:00:00Z"
            .parse::<chrono::DateTime<chrono::Utc>>()
            .unwrap()
    );

    // Again, at once in two processes, and a day later: nothing.
    let second = app.test.second().await;
    for _ in 0..3 {
        let body = json!({"price_cents": 1});
        customer(app, tenant, &format!("Outro {}", uuid::Uuid::now_v7()), body).await;
        let (one, other) = tokio::join!(work(&app.test.platform, tenant), work(&second, tenant));
        assert_eq!(one.reminders + other.reminders, 0);
    }
    shop.set("2026-03-12T15:00:00Z");
    assert_eq!(shop.work().await.reminders, 0);
    shop.set("2026-03-15T15:00:00Z");
    assert_eq!(shop.work().await.reminders, 2);
    assert_eq!(
        shop.list(WAITING).await,
        [json!(words), json!("Ana Lima, faz 2 dias.")]
    );
    shop.set("2026-03-16T15:00:00Z");
    assert_eq!(shop.work().await.reminders, 0);
}

#[tokio::test]
async fn who_has_paid_is_not_reminded() {
    let shop = Shop::at("2026-03-10T09:00:00Z").await;
    let (app, tenant) = (&shop.app, &shop.tenant);
    shop.remind(-3, "Vence em {{dias}} dias").await;
    shop.remind(0, "Vence hoje").await;
    let ana = customer(app, tenant, "Ana", json!({})).await;
    let early = due(app, tenant, &ana, 100, "2026-03-13").await;
    paid(app, tenant, &early, json!({"paid_on": "2026-03-10"})).await;
    let gone = due(app, tenant, &ana, 100, "2026-03-13").await;
    app.post(&format!("/api/dues/{}/cancel", id(&gone)))
        .by(tenant)
        .await
        .expect(200);
    assert_eq!(shop.work().await.reminders, 0);
    // What waits is taken back by the payment; what was paid in part is reminded of still.
    let late = due(app, tenant, &ana, 100, "2026-03-13").await;
    let part = due(app, tenant, &ana, 100, "2026-03-13").await;
    let order = json!({
        "customer_id": ana["id"], "due_date": "2026-03-13", "items": [{"description": "Pão", "unit_cents": 100}],
    });
    let order = crate::http::customers::made(app, tenant, "/api/orders", order).await;
    assert_eq!(shop.work().await.reminders, 3);
    assert_eq!(shop.list(WAITING).await.len(), 3);
    paid(app, tenant, &late, json!({"paid_on": "2026-03-10"})).await;
    paid(
        app,
        tenant,
        &part,
        json!({"paid_on": "2026-03-10", "amount_cents": 1}),
    )
    .await;
    app.post(&format!("/api/orders/{}/cancel", id(&order)))
        .by(tenant)
        .await
        .expect(200);
    let left = shop
        .list("select m.due_id from {}.outbox o join {}.reminders m on m.outbox_id = o.id where o.state = 'pending'")
        .await;
    assert_eq!(left, [part["id"].clone()]);
    shop.set("2026-03-13T12:00:00Z");
    assert_eq!(shop.work().await.reminders, 1);
}

#[tokio::test]
async fn what_was_missed_for_long_is_not_told_any_more() {
    let shop = Shop::at("2026-03-10T12:00:00Z").await;
    let (app, tenant) = (&shop.app, &shop.tenant);
    for days in [-3, 0, 7] {
        shop.remind(days, &format!("passo {days}")).await;
    }
    let ana = customer(app, tenant, "Ana", json!({})).await;
    // Long ago; its last step was to be told on the eighth, two days ago; tomorrow: the step of three days before is two days late.
    due(app, tenant, &ana, 100, "2026-02-20").await;
    due(app, tenant, &ana, 100, "2026-03-01").await;
    due(app, tenant, &ana, 100, "2026-03-11").await;
    assert_eq!(shop.work().await.reminders, 2);
    let mut told = shop.list(WAITING).await;
    told.sort_by_key(Value::to_string);
    assert_eq!(told, [json!("passo -3"), json!("passo 7")]);
    // Nobody worked for a week: the step of the day is three days late and left out, the one after seven days is told.
    shop.set("2026-03-14T12:00:00Z");
    assert_eq!(shop.work().await.reminders, 0);
    shop.set("2026-03-18T12:00:00Z");
    assert_eq!(shop.work().await.reminders, 1);
}

#[tokio::test]
async fn another_day_is_another_occasion() {
    let shop = Shop::at("2026-03-10T12:00:00Z").await;
    let (app, tenant) = (&shop.app, &shop.tenant);
    let rule = shop.remind(-3, "{{vencimento}}").await;
    let ana = customer(app, tenant, "Ana", json!({})).await;
    let one = due(app, tenant, &ana, 100, "2026-03-13").await;
    assert_eq!(shop.work().await.reminders, 1);
    let patch = |body: Value| {
        app.patch(&format!("/api/dues/{}", id(&one)))
            .by(tenant)
            .json(&body)
    };
    patch(json!({"due_date": "2026-03-13", "description": "x"}))
        .await
        .expect(200);
    assert_eq!(
        shop.work().await.reminders,
        0,
        "the same day is the same occasion"
    );
    patch(json!({"due_date": "2026-03-12"})).await.expect(200);
    assert_eq!(shop.work().await.reminders, 1);
    assert_eq!(
        shop.list(WAITING).await,
        [json!("12/03/2026")],
        "the former one was taken back"
    );
    // A rule that does not count, or is gone.
    due(app, tenant, &ana, 100, "2026-03-13").await;
    let path = format!("/api/reminder-rules/{}", id(&rule));
    let off = app.patch(&path).by(tenant).json(&json!({"active": false}));
    off.await.expect(200);
    assert_eq!(shop.work().await.reminders, 0);
    let on = app.patch(&path).by(tenant).json(&json!({"active": true}));
    on.await.expect(200);
    assert_eq!(shop.work().await.reminders, 1);
}
