//! A restore says nothing again, and goes on with what is to come; a copy says nothing.

use chrono::{SecondsFormat, TimeDelta, Utc};
use serde_json::json;

use super::Shop;
use crate::tenancy::snapshots::{backup, restore};

#[tokio::test]
async fn a_restore_passes_over_what_was_due_and_goes_on() {
    let now = Utc::now();
    let moment = |hours: i64| (now + TimeDelta::hours(hours)).to_rfc3339_opts(SecondsFormat::Secs, true);
    let shop = Shop::at(&moment(-50)).await;
    let passed = shop.plan(json!({"send_at": moment(-30), "body": "Passou"})).await;
    let to_come = shop.plan(json!({"send_at": moment(30), "body": "Vem"})).await;
    let time = (now + TimeDelta::hours(2)).format("%H:%M").to_string();
    let daily = json!({"every": "day", "time": time});
    let daily = shop
        .plan(json!({"recurrence": daily, "time_zone": "UTC", "body": "Todo dia"}))
        .await;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("a");
    let platform = &shop.app.test.platform;
    backup(platform, &shop.tenant.key, file.clone())
        .await
        .expect("a backup");
    restore(platform, file.clone(), Some("copia"))
        .await
        .expect("a copy");
    assert_eq!(shop.count("tenant_copia.scheduled_messages").await, 0);
    shop.set(&moment(-20));
    shop.work().await;
    assert_eq!(shop.said().await, json!([["Passou"], ["Todo dia"]]));

    // The snapshot knows nothing of that.
    shop.set(&moment(0));
    shop.run("delete from helixai.due_work").await;
    restore(platform, file, None).await.expect("restored");
    assert_eq!(shop.count("{}.messages").await, 0);
    shop.work().await;
    assert_eq!(shop.said().await, json!([]));
    let passed = shop.read(&passed).await;
    assert_eq!(
        (&passed["state"], &passed["last_reason"]),
        (&json!("done"), &json!("restored"))
    );
    let daily = shop.read(&daily).await;
    assert_eq!(
        (&daily["state"], &daily["last_reason"]),
        (&json!("scheduled"), &json!("restored"))
    );
    shop.set(&moment(31));
    shop.work().await;
    assert_eq!(shop.said().await, json!([["Todo dia"], ["Vem"]]));
    assert_eq!(shop.read(&to_come).await["told"], 1);
}
