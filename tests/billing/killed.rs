//! The program dies as by `kill -9` between reserving and settling; nothing is lost and nothing is counted twice.

use std::io::{BufRead as _, BufReader};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, Stdio};

use chrono::Utc;
use helixai::billing::metering::{HOLD, MeteringError};
use helixai::domain::clock::Clock;
use helixai::domain::month::{BOOKS_TZ, local_month};
use helixai::tenancy::provision::Onboarded;
use serde_json::{Value, json};

use super::tally::{actual, key};
use crate::helpers::{TestPlatform, random_key};

const SIGKILL: i32 = 9;

struct Killed {
    test: TestPlatform,
    clock: Clock,
    garage: Onboarded,
    platform_key: String,
}

/// A running `helixai serve`; ended with it.
struct Server {
    child: Child,
    address: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Killed {
    async fn start() -> Self {
        let (clock, platform_key) = (Clock::fixed(Utc::now()), random_key());
        let test = TestPlatform::builder()
            .clock(clock.clone())
            .set("platform.key", &platform_key)
            .start()
            .await;
        let garage = test.onboard("garage", "cars").await;
        Self {
            test,
            clock,
            garage,
            platform_key,
        }
    }

    /// Starts the program, to die at this point.
    fn serve(&self, kill_at: Option<&str>) -> Server {
        let mut command = Command::new(env!("CARGO_BIN_EXE_helixai"));
        command
            .arg("serve")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .env_clear()
            .env("HELIXAI__DATABASE__URL", self.test.db().url())
            .env("HELIXAI__PLATFORM__KEY", &self.platform_key)
            .env("HELIXAI__SERVER__PORT", "0")
            .env("HELIXAI__SERVER__BASE_DOMAIN", "helixai.test")
            .env("HELIXAI__METRICS__BIND", "")
            .env("HELIXAI__LOGGING__TENANT_FILES", "false")
            .envs(kill_at.map(|point| ("HELIXAI_KILL_AT", point)));
        let mut child = command.spawn().expect("the program runs");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("a pipe"))
            .read_line(&mut line)
            .expect("a line");
        let address = line
            .strip_prefix("listening on ")
            .and_then(|rest| rest.split(' ').next())
            .unwrap_or_else(|| panic!("{line:?}"));
        Server {
            child,
            address: address.to_owned(),
        }
    }

    /// Sends a request; `None` when the program died instead of answering.
    async fn post(&self, server: &Server, path: &str, body: &Value) -> Option<(u16, Value)> {
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        let sent = client
            .post(format!("http://{}{path}", server.address))
            .header("host", "garage.helixai.test")
            .bearer_auth(&self.garage.api_key)
            .json(body)
            .send()
            .await
            .ok()?;
        Some((sent.status().as_u16(), sent.json().await.ok()?))
    }

    /// `(used, reserved)` of the messages, however often they were begun to be counted.
    async fn counted(&self) -> (i64, i64) {
        let wrong = self.test.platform.metering.check().await.expect("checked");
        assert_eq!(wrong, []);
        let month = local_month(self.clock.now(), BOOKS_TZ);
        let admin = self.test.admin().await;
        let row = admin
            .query_one(
                "select used, reserved from master.usage_counters where meter = 'messages' and period_start = $1",
                &[&month],
            )
            .await
            .expect("a counter");
        (row.get(0), row.get(1))
    }
}

impl Server {
    fn was_killed(mut self) {
        let ended = self.child.wait().expect("its end");
        assert_eq!(ended.signal(), Some(SIGKILL), "{ended}");
    }
}

const RESERVATIONS: &str = "/api/usage/reservations";

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn who_was_not_answered_asks_again() {
    let killed = Killed::start().await;
    let wanted = json!({"meter": "messages", "amount": 10, "key": "order-1"});
    let (path, used) = (format!("{RESERVATIONS}/order-1/settle"), json!({"amount": 7}));

    let dying = killed.serve(Some("metering.reserved"));
    assert_eq!(killed.post(&dying, RESERVATIONS, &wanted).await, None);
    dying.was_killed();
    assert_eq!(
        killed.counted().await,
        (0, 10),
        "it was reserved, and nobody was told"
    );

    let dying = killed.serve(Some("metering.before_settle"));
    let (status, answer) = killed
        .post(&dying, RESERVATIONS, &wanted)
        .await
        .expect("an answer");
    assert_eq!((status, &answer["state"]), (201, &json!("held")));
    assert_eq!(killed.counted().await, (0, 10), "once");
    assert_eq!(killed.post(&dying, &path, &used).await, None);
    dying.was_killed();
    assert_eq!(killed.counted().await, (0, 10));

    let dying = killed.serve(Some("metering.settled"));
    assert_eq!(killed.post(&dying, &path, &used).await, None);
    dying.was_killed();
    assert_eq!(
        killed.counted().await,
        (7, 0),
        "it was booked, and nobody was told"
    );

    let server = killed.serve(None);
    let (status, answer) = killed.post(&server, &path, &used).await.expect("an answer");
    assert_eq!((status, &answer["settled_amount"]), (200, &json!(7)));
    assert_eq!(killed.counted().await, (7, 0), "once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_a_dead_process_held_is_let_go_and_can_be_settled_late() {
    let killed = Killed::start().await;
    let dying = killed.serve(Some("metering.before_settle"));
    for name in ["order-1", "order-2"] {
        let wanted = json!({"meter": "messages", "amount": 5, "key": name});
        let (status, _) = killed
            .post(&dying, RESERVATIONS, &wanted)
            .await
            .expect("an answer");
        assert_eq!(status, 201);
    }
    let path = format!("{RESERVATIONS}/order-1/settle");
    assert_eq!(killed.post(&dying, &path, &json!({"amount": 5})).await, None);
    dying.was_killed();

    // Another process, later.
    killed.clock.set(Utc::now() + HOLD);
    let restarted = killed.test.second().await;
    let swept = restarted.metering.sweep(&restarted.lanes).await.expect("swept");
    assert_eq!(swept.expired, 2);
    killed.clock.set(Utc::now());
    assert_eq!(killed.counted().await, (0, 0));
    let tenant = killed.garage.id;
    let settle = async |name: &str| restarted.metering.settle(tenant, &key(name), actual(5)).await;
    settle("order-1").await.expect("late, and booked all the same");
    settle("order-1").await.expect("once");
    assert_eq!(killed.counted().await, (5, 0));
    let released = restarted.metering.release(tenant, &key("order-2")).await;
    released.expect("it was never used");
    assert!(matches!(settle("order-2").await, Err(MeteringError::Released)));
    assert_eq!(killed.counted().await, (5, 0));
}
