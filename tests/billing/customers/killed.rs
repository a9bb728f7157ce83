//! The program dies as by `kill -9` while it looks at the calendar of a tenant's customers: each month is made once, and each step told
//! once. The named points are read from the source, so that a new one is tried by itself.

use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Stdio};

use chrono::{Datelike as _, Days, TimeDelta, Utc};
use helixai::domain::clock::Clock;
use helixai::domain::month::BOOKS_TZ;
use serde_json::json;

use super::{Shop, worker};
use crate::helpers::{TestApp, random_key};
use crate::http::customers::{customer, due};

const SIGKILL: i32 = 9;

fn points() -> Vec<String> {
    let folder = format!("{}/src/billing/customers", env!("CARGO_MANIFEST_DIR"));
    let mut points = Vec::new();
    for file in std::fs::read_dir(folder).expect("a folder") {
        let text = std::fs::read_to_string(file.expect("a file").path()).expect("a text");
        let found = text.split("kill_point!(\"").skip(1);
        points.extend(found.filter_map(|rest| rest.split('"').next().map(str::to_owned)));
    }
    assert!(points.len() >= 4, "{points:?}");
    points
}

fn die_at(app: &TestApp, key: &str, point: &str) {
    let ended = Command::new(env!("CARGO_BIN_EXE_helixai"))
        .arg("worker")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .env_clear()
        .env("HELIXAI__DATABASE__URL", app.test.db().url())
        .env("HELIXAI__PLATFORM__KEY", key)
        .env(
            "HELIXAI__STORAGE__FOLDER",
            &app.test.platform.settings.storage.folder,
        )
        .env("HELIXAI__METRICS__BIND", "")
        .env("HELIXAI__LOGGING__TENANT_FILES", "false")
        .env("HELIXAI_KILL_AT", point)
        .status()
        .expect("the program runs");
    assert_eq!(ended.signal(), Some(SIGKILL), "{point}: {ended:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_anywhere_each_month_is_made_once_and_each_step_told_once() {
    let (clock, key) = (Clock::fixed(Utc::now()), random_key());
    let mut app = TestApp::builder()
        .clock(clock.clone())
        .set("platform.key", &key)
        .set("server.background_work", false)
        .start()
        .await;
    let jobs = worker(&app.test.platform);
    for (number, point) in points().iter().enumerate() {
        clock.set(Utc::now());
        let tenant = app.onboard(&format!("academia-{number}"), "general").await;
        let shop = Shop { app, tenant };
        shop.remind(-3, "Vence {{vencimento}}").await;
        let day = clock.now().with_timezone(&BOOKS_TZ).date_naive() + Days::new(3);
        let agreed = json!({"price_cents": 100, "due_day": day.day()});
        let ana = customer(&shop.app, &shop.tenant, "Ana", agreed).await;
        due(&shop.app, &shop.tenant, &ana, 100, &day.to_string()).await;
        die_at(&shop.app, &key, point);
        // The next worker, once the leases of the dead one are over; and another in the afternoon of the next day.
        for hours in [1, 30] {
            clock.set(Utc::now() + TimeDelta::hours(hours));
            jobs.work().await.expect("worked");
        }
        for (what, expected) in [
            ("{}.dues", 2),
            ("{}.reminders", 2),
            ("{}.outbox where kind = 'send_email' and state = 'sent'", 2),
            ("{}.outbox where kind = 'send_email'", 2),
        ] {
            let count = shop.list(&format!("select count(*) from {what}")).await;
            assert_eq!(count, [json!(expected)], "{point}: {what}");
        }
        let mails = format!(
            "select count(*) from master.mails where kind = 'customer_message' and tenant_id = '{}'",
            shop.tenant.id
        );
        assert_eq!(shop.list(&mails).await, [json!(2)], "{point}");
        app = shop.app;
    }
}
