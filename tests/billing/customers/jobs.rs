//! Who looks at the calendar by itself, and how a reminder leaves the house.

use serde_json::json;

use super::{Shop, worker};
use crate::http::customers::{customer, due};

#[tokio::test]
async fn a_reminder_becomes_one_mail_of_the_tenant() {
    let shop = Shop::at("2026-03-10T12:00:00Z").await;
    let (app, tenant) = (&shop.app, &shop.tenant);
    shop.remind(-3, "Olá {{primeiro_nome}}, {{valor}} em {{vencimento}}.")
        .await;
    let ana = customer(app, tenant, "Ana Lima", json!({})).await;
    due(app, tenant, &ana, 9990, "2026-03-13").await;
    let jobs = worker(&app.test.platform);
    for _ in 0..3 {
        jobs.work().await.expect("work");
    }
    let sent = shop.rows("select state from {}.outbox").await;
    assert_eq!(sent, [json!({"state": "sent"})]);
    // The line of the calendar has set itself to the next morning, and nobody holds it.
    let line = shop
        .rows("select state, leased_by, run_at::date as day from {}.jobs where kind = 'customers_day'")
        .await;
    assert_eq!(
        line,
        [json!({"state": "queued", "leased_by": null, "day": "2026-03-11"})]
    );
    let mails = shop
        .rows("select kind, tenant_id, dedupe_key like 'reminder:%:-3:2026-03-13' as keyed from master.mails where kind <> 'welcome'")
        .await;
    assert_eq!(
        mails,
        [json!({"kind": "customer_message", "tenant_id": tenant.id, "keyed": true})]
    );
}
