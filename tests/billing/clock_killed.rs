//! The program dies as by `kill -9` while the billing clock runs; a subscription is looked at as a whole, or not at all.

use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Stdio};

use chrono::{TimeDelta, Utc};
use helixai::db::master::subscriptions::find_newest;
use helixai::domain::billing::dunning::morning;
use helixai::domain::billing::period::local_date;
use helixai::domain::clock::Clock;
use helixai::domain::subscription::SubscriptionStatus;
use helixai::domain::tenant_key::TenantKey;

use crate::helpers::{TestPlatform, random_key};

const SIGKILL: i32 = 9;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_killed_clock_leaves_whole_subscriptions() {
    // Its trial ended a day ago, and nobody has looked since: there are two steps to take, and somebody to be told.
    let (clock, key) = (Clock::fixed(Utc::now() - TimeDelta::days(8)), random_key());
    for (point, invoices) in [
        ("clock.stepped", 0),
        ("clock.before_commit", 0),
        ("clock.committed", 1),
    ] {
        let test = TestPlatform::builder()
            .clock(clock.clone())
            .set("platform.key", &key)
            .start()
            .await;
        clock.set(Utc::now() - TimeDelta::days(8));
        test.onboard("garage", "cars").await;
        let mut dying = Command::new(env!("CARGO_BIN_EXE_helixai"))
            .arg("worker")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .env_clear()
            .env("HELIXAI__DATABASE__URL", test.db().url())
            .env("HELIXAI__PLATFORM__KEY", &key)
            .env("HELIXAI__STORAGE__FOLDER", &test.platform.settings.storage.folder)
            .env("HELIXAI__METRICS__BIND", "")
            .env("HELIXAI__LOGGING__TENANT_FILES", "false")
            .env("HELIXAI_KILL_AT", point)
            .spawn()
            .expect("the program runs");
        let ended = dying.wait().expect("its end");
        assert_eq!(ended.signal(), Some(SIGKILL), "{point}: {ended}");

        let admin = test.admin().await;
        let count = async |sql: &str| -> i64 { admin.query_one(sql, &[]).await.expect("a number").get(0) };
        // The server notices that its client is dead when it next writes to it or reads from it.
        let busy = "select count(*) from pg_stat_activity where datname = current_database()
                    and pid <> pg_backend_pid() and state = 'idle in transaction'";
        while count(busy).await > 0 {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        for table in ["invoices", "invoice_lines", "ledger_entries"] {
            let sql = format!("select count(*) from master.{table}");
            assert_eq!(count(&sql).await, invoices, "{point}: {table}");
        }
        assert_eq!(
            count("select last_number from master.invoice_counters").await,
            invoices,
            "{point}"
        );

        // Another process, in its own time: tomorrow, after the hour at which people are told.
        let tomorrow = local_date(Utc::now() + TimeDelta::days(1));
        clock.set(morning(tomorrow) + TimeDelta::hours(1));
        let books = test.second().await.books;
        books.run_clock().await.expect("it runs");
        assert_eq!(count("select count(*) from master.invoices").await, 1, "{point}");
        assert_eq!(
            count("select count(*) from master.mails where kind <> 'welcome'").await,
            1,
            "{point}: the notice"
        );
        let key = TenantKey::parse("garage").expect("a key");
        let found = find_newest(&test.platform.master, &key).await.expect("read");
        let status = found.expect("a subscription").state.status;
        assert_eq!(status, SubscriptionStatus::PastDue, "{point}");
        assert_eq!(books.check().await.expect("checked"), []);
    }
}
