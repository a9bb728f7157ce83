//! The program dies as by `kill -9` between hearing, storing, answering and sending: nothing is lost, and only what was under way to
//! Telegram may arrive twice. The named points are read from the source, so that a new one is tried by itself.

use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use helixai_fakes::telegram::{Incoming, Media, What};
use serde_json::json;

use super::media::media_of;
use super::{Bots, token};

const SIGKILL: i32 = 9;
const FILES: [&str; 3] = ["answer.rs", "inbound.rs", "outbound.rs"];

fn points() -> Vec<String> {
    let root = env!("CARGO_MANIFEST_DIR");
    let mut points = Vec::new();
    for file in FILES {
        let text = std::fs::read_to_string(format!("{root}/src/channels/{file}")).expect("a file");
        let found = text.split("kill_point!(\"").skip(1);
        points.extend(found.filter_map(|rest| rest.split('"').next().map(str::to_owned)));
    }
    assert!(points.len() >= 8, "{points:?}");
    points
}

/// A worker; killed when dropped.
struct Worker(Child);

impl Worker {
    fn kill(mut self) {
        self.0.kill().expect("killed");
        self.0.wait().expect("its end");
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn worker(bots: &Bots, key: &str, point: Option<&str>) -> Worker {
    let settings = &bots.app.test.platform.settings;
    let mut command = Command::new(env!("CARGO_BIN_EXE_helixai"));
    command
        .arg("worker")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .env_clear()
        .env("HELIXAI__DATABASE__URL", bots.app.test.db().url())
        .env("HELIXAI__PLATFORM__KEY", key)
        .env("HELIXAI__STORAGE__FOLDER", &settings.storage.folder)
        .env("HELIXAI__SERVER__BASE_DOMAIN", "helixai.test")
        .env("HELIXAI__METRICS__BIND", "")
        .env("HELIXAI__LOGGING__TENANT_FILES", "false")
        .env("HELIXAI__BILLING__CLOCK", "false")
        .env("HELIXAI__CHANNELS__TELEGRAM_URL", bots.telegram.url());
    if let Some(point) = point {
        command.env("HELIXAI_KILL_AT", point);
    }
    Worker(command.spawn().expect("the program runs"))
}

/// Whoever is dead is not waited for.
async fn forget_the_dead(bots: &Bots) {
    let admin = bots.app.test.admin().await;
    admin
        .batch_execute("update helixai.channel_workers set alive_until = now()")
        .await
        .unwrap();
    for tenant in ["tenant_garage"] {
        let lines = format!("update {tenant}.outbox set leased_until = now() where leased_until is not null");
        admin.batch_execute(&lines).await.unwrap();
    }
}

async fn start() -> (Bots, String) {
    let key = STANDARD.encode(helixai::domain::random::bytes::<32>());
    let bots = Bots::start_with(&[("server.background_work", "false"), ("platform.key", &key)]).await;
    (bots, key)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_anywhere_nothing_is_lost() {
    let (bots, key) = start().await;
    let garage = bots.app.onboard("garage", "cars").await;
    let token = token(1);
    bots.telegram.add_bot(&token, "garage_bot");
    bots.make(&garage, &token).await;
    let mut sent = 0;
    for (person, point) in (1..).zip(points()) {
        bots.telegram.person_starts(&token, person, None);
        let mut dying = worker(&bots, &key, Some(&point));
        let ended = dying.0.wait().expect("its end");
        assert_eq!(ended.signal(), Some(SIGKILL), "{point}: {ended:?}");
        forget_the_dead(&bots).await;
        let going_on = worker(&bots, &key, None);
        let at_least = sent + 1;
        bots.telegram.await_sent(&token, at_least).await;
        let unanswered = "select to_jsonb(count(*)) from messages where processed_at is null and direction = 'inbound' or status = 'queued'";
        bots.await_rows(&garage, unanswered, json!([0])).await;
        going_on.kill();
        forget_the_dead(&bots).await;
        sent = bots.telegram.sent(&token).len();
        let to_person = bots.telegram.sent_to(&token, person).len();
        // Telegram had it, and nobody had noted so.
        let twice = point == "channels.sent";
        assert_eq!(to_person, if twice { 2 } else { 1 }, "{point}");
        let counts = format!(
            "select jsonb_build_array(count(*) filter (where direction = 'inbound'), count(*) filter (where direction = 'outbound'))
             from messages m join conversations c on c.id = m.conversation_id where c.external_id = '{person}'"
        );
        assert_eq!(bots.rows(&garage, &counts).await, [json!([1, 1])], "{point}");
    }
    let metered =
        "select jsonb_build_array(used, reserved) from master.usage_counters where meter = 'messages'";
    let rows = bots.app.test.admin().await.query(metered, &[]).await.unwrap();
    let metered: serde_json::Value = rows[0].get(0);
    assert_eq!(metered[0], points().len(), "each counted once");
}

/// Between hearing of a file, fetching it, keeping it and noting it: it is there, once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_anywhere_a_file_comes() {
    let (bots, key) = start().await;
    let garage = bots.app.onboard("garage", "cars").await;
    let token = token(1);
    bots.telegram.add_bot(&token, "garage_bot");
    bots.make(&garage, &token).await;
    let points = ["channels.stored", "channels.file_fetched", "channels.file_kept"];
    for (count, point) in (1..).zip(points) {
        let media = Media {
            bytes: point.as_bytes().to_vec(),
            ..Media::default()
        };
        let sent = Incoming::new(7, What::Document(media));
        bots.telegram.receive(&token, &sent).expect("an update");
        let mut dying = worker(&bots, &key, Some(point));
        let ended = dying.0.wait().expect("its end");
        assert_eq!(ended.signal(), Some(SIGKILL), "{point}: {ended:?}");
        forget_the_dead(&bots).await;
        let going_on = worker(&bots, &key, None);
        bots.await_files(&garage, count).await;
        let messages = "select to_jsonb(count(*)) from messages where direction = 'inbound'";
        assert_eq!(bots.rows(&garage, messages).await, [json!(count)], "{point}");
        assert_eq!(bots.on_disk(&garage).len(), count, "{point}");
        going_on.kill();
        forget_the_dead(&bots).await;
    }
    let (path, messages) = bots.messages(&garage).await;
    for (message, point) in messages.iter().zip(points) {
        let answer = bots.app.get(&media_of(&path, message)).by(&garage).await;
        assert_eq!(answer.expect(200).text(), point);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_in_a_burst_nothing_is_lost() {
    let (bots, key) = start().await;
    let garage = bots.app.onboard("garage", "cars").await;
    let token = token(1);
    bots.telegram.add_bot(&token, "garage_bot");
    bots.make(&garage, &token).await;
    const PEOPLE: i64 = 20;
    const EACH: i64 = 50;
    for n in 0..EACH {
        for person in 1..=PEOPLE {
            bots.telegram.person_writes(&token, person, &format!("{n}"));
        }
    }
    for kills in 1..=3 {
        let working = worker(&bots, &key, None);
        let heard = async || {
            let rows = bots
                .rows(
                    &garage,
                    "select to_jsonb(count(*)) from messages where direction = 'inbound'",
                )
                .await;
            rows[0].as_i64().unwrap()
        };
        let enough = PEOPLE * EACH / 5 * kills;
        bots.app
            .until("some were heard", async || heard().await >= enough)
            .await;
        working.kill();
        forget_the_dead(&bots).await;
    }
    let working = worker(&bots, &key, None);
    assert!(bots.telegram.await_heard(&token).await);
    let waiting =
        "select to_jsonb(count(*)) from messages where direction = 'inbound' and processed_at is null";
    bots.await_rows(&garage, waiting, json!([0])).await;
    let in_order = "select to_jsonb(bool_and(said = expected)) from (
        select array_agg(m.body order by m.id) as said, (select array_agg(n::text order by n) from generate_series(0, 49) n) as expected
        from messages m where m.direction = 'inbound' group by m.conversation_id) of_chat";
    assert_eq!(bots.rows(&garage, in_order).await, [json!(true)]);
    let count = "select to_jsonb(count(*)) from messages where direction = 'inbound'";
    assert_eq!(bots.rows(&garage, count).await, [json!(PEOPLE * EACH)]);
    working.kill();
}
