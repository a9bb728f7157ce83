//! The program dies as by `kill -9` while it says what is due, and while it tells many: each is told once, whoever goes on. The named points are read from the
//! source, so that a new one is tried by itself.

use chrono::{SecondsFormat, TimeDelta, Utc};
use serde_json::json;
use std::process::{Command, Stdio};

use super::Shop;
use crate::tenancy::killed::{must_die, points};

/// A worker that dies there.
pub async fn die_at(shop: &Shop, point: &str) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_helixai"));
    command
        .arg("worker")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .env_clear()
        .env("HELIXAI__DATABASE__URL", shop.app.test.db().url())
        .env("HELIXAI__PLATFORM__KEY", &shop.key)
        .env(
            "HELIXAI__STORAGE__FOLDER",
            &shop.app.test.platform.settings.storage.folder,
        )
        .env("HELIXAI__METRICS__BIND", "")
        .env("HELIXAI__LOGGING__TENANT_FILES", "false")
        .env("HELIXAI__BILLING__CLOCK", "false");
    must_die(command, point).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_anywhere_each_is_said_once() {
    let moment = |minutes: i64| {
        let at = Utc::now() + TimeDelta::minutes(minutes);
        at.to_rfc3339_opts(SecondsFormat::Secs, true)
    };
    let shop = Shop::at(&moment(-10)).await;
    shop.crowd(3, 1).await;
    for (number, point) in (1..).zip(points("schedules")) {
        shop.set(&moment(-10));
        let body = point.clone();
        let planned = shop.plan(json!({"send_at": moment(-5), "body": body})).await;
        let broadcast = shop.broadcast(json!({})).await;
        shop.act(&broadcast, "start").await;
        die_at(&shop, &point).await;
        // Whoever works once the leases of the dead one are over.
        shop.set(&moment(30));
        shop.work().await;
        let told = shop.read(&planned).await;
        assert_eq!(
            (&told["told"], &told["state"]),
            (&json!(1), &json!("done")),
            "{point}"
        );
        shop.until_it_is(&broadcast, "done").await;
        let progress = json!({"total": 4, "queued": 0, "sent": 3, "failed": 0, "skipped": 0, "opted_out": 1});
        assert_eq!(shop.see(&broadcast).await["progress"], progress, "{point}");
        // Ana hears both, two others the broadcast.
        assert_eq!(
            shop.count("{}.messages where status = 'sent'").await,
            number * 4,
            "{point}"
        );
        assert_eq!(shop.count("{}.messages").await, number * 4, "{point}");
        assert_eq!(shop.count("{}.outbox").await, number * 4, "{point}");
    }
}
