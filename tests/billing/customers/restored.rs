//! The clock goes on after a restore, and a copy does not speak.

use serde_json::json;

use super::Shop;
use crate::http::customers::{customer, due};
use crate::tenancy::snapshots::{backup, restore};

#[tokio::test]
async fn the_clock_goes_on_after_a_restore_and_in_no_copy() {
    let shop = Shop::at("2026-03-10T12:00:00Z").await;
    let (app, tenant) = (&shop.app, &shop.tenant);
    shop.remind(-3, "Vence").await;
    let ana = customer(app, tenant, "Ana", json!({"price_cents": 100, "due_day": 21})).await;
    due(app, tenant, &ana, 100, "2026-03-13").await;
    assert_eq!(shop.work().await.reminders, 1);
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("a");
    let platform = &app.test.platform;
    backup(platform, &tenant.key, file.clone())
        .await
        .expect("a backup");
    restore(platform, file.clone(), Some("copia"))
        .await
        .expect("a copy");
    let admin = app.test.admin().await;
    let forget = "delete from helixai.due_work where tenant_id = $1::text::uuid";
    admin.execute(forget, &[&tenant.id]).await.expect("forgotten");
    restore(platform, file, None).await.expect("restored");

    // The shard was told, what was decided is not decided again, and what waited is not sent.
    let known = "select count(*) from helixai.due_work where tenant_id = $1::text::uuid";
    assert_eq!(
        admin
            .query_one(known, &[&tenant.id])
            .await
            .unwrap()
            .get::<_, i64>(0),
        1
    );
    let waiting = "select count(*) from {}.outbox where state = 'pending'";
    assert_eq!(shop.list(waiting).await, [json!(0)]);
    shop.set("2026-03-11T12:00:00Z");
    let done = shop.work().await;
    assert_eq!((done.dues, done.reminders), (1, 0));
    let copied = "select (select count(*) from tenant_copia.dues) || ' ' || (select count(*) from tenant_copia.reminder_rules)
                  || ' ' || (select count(*) from tenant_copia.jobs)";
    assert_eq!(
        admin.query_one(copied, &[]).await.unwrap().get::<_, String>(0),
        "1 0 0"
    );
}
