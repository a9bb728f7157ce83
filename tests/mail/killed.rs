//! The program dies as by `kill -9` on a mail's way from a request to the mail server: none is lost, and a repeated one is known by
//! its `Message-ID`. The named points are read from the source, so that a new one is tried by itself.

use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::TimeDelta;
use helixai::domain::clock::Clock;
use helixai::jobs::{Handler, Jobs, mail};
use helixai::platform::Platform;
use helixai_fakes::smtp::FakeSmtp;
use serde_json::json;

use super::{FROM, token_of};
use crate::helpers::{TestApp, TestTenant};

const SIGKILL: i32 = 9;

fn points() -> Vec<String> {
    let root = env!("CARGO_MANIFEST_DIR");
    let files = ["src/mail/worker.rs", "src/jobs/mod.rs", "src/jobs/turn.rs"];
    let mut points = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(format!("{root}/{file}")).expect("a file");
        let found = text.split("kill_point!(\"").skip(1);
        points.extend(found.filter_map(|rest| rest.split('"').next().map(str::to_owned)));
    }
    assert!(points.len() >= 7, "{points:?}");
    points
}

struct Killed {
    app: TestApp,
    server: FakeSmtp,
    clock: Clock,
    key: String,
    garage: TestTenant,
}

impl Killed {
    async fn start() -> Self {
        let server = FakeSmtp::start().await.unwrap();
        let clock = Clock::fixed(chrono::Utc::now());
        let key = STANDARD.encode(helixai::domain::random::bytes::<32>());
        let app = TestApp::builder()
            .clock(clock.clone())
            .set("platform.key", &key)
            .set("server.background_work", false)
            .set("mail.transport", "smtp")
            .set("mail.smtp_url", server.url())
            .set("mail.from", FROM)
            .start()
            .await;
        let garage = app.onboard("garage", "cars").await;
        // The welcome is not what this is about.
        app.test.platform.mailer().send_due().await.unwrap();
        Self {
            app,
            server,
            clock,
            key,
            garage,
        }
    }

    /// A worker of its own that dies at this point.
    fn die_at(&self, point: &str) {
        let settings = &self.app.test.platform.settings;
        let mut command = Command::new(env!("CARGO_BIN_EXE_helixai"));
        command
            .arg("worker")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .env_clear()
            .env("HELIXAI__DATABASE__URL", self.app.test.db().url())
            .env("HELIXAI__PLATFORM__KEY", &self.key)
            .env("HELIXAI__STORAGE__FOLDER", &settings.storage.folder)
            .env("HELIXAI__SERVER__BASE_DOMAIN", "helixai.test")
            .env("HELIXAI__METRICS__BIND", "")
            .env("HELIXAI__LOGGING__TENANT_FILES", "false")
            .env("HELIXAI__MAIL__TRANSPORT", "smtp")
            .env("HELIXAI__MAIL__SMTP_URL", self.server.url())
            .env("HELIXAI__MAIL__FROM", FROM)
            .env("HELIXAI_KILL_AT", point);
        let mut child = command.spawn().expect("the program runs");
        let ended = child.wait().expect("its end");
        assert_eq!(ended.signal(), Some(SIGKILL), "{point}: {ended:?}");
    }

    /// What the next worker does, once the leases of the dead one are over.
    async fn go_on(&self, platform: &Platform) {
        self.clock.set(chrono::Utc::now() + TimeDelta::minutes(10));
        let handlers: Vec<Box<dyn Handler>> = vec![Box::new(mail::Mail::new(platform))];
        Jobs::new(platform.clone(), handlers)
            .work()
            .await
            .expect("worked");
        platform.mailer().send_due().await.expect("sent");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_anywhere_a_mail_arrives() {
    let killed = Killed::start().await;
    for point in points() {
        let before = killed.server.taken().len();
        let ask = killed.app.post("/api/password-resets").of(&killed.garage);
        ask.json(&json!({ "email": killed.garage.owner_email }))
            .await
            .expect(202);
        killed.die_at(&point);
        killed.go_on(&killed.app.test.platform).await;
        let taken = killed.server.taken().split_off(before);
        let twice = point == "mail.handed_over";
        assert_eq!(taken.len(), if twice { 2 } else { 1 }, "{point}");
        for mail in &taken {
            assert_eq!(
                mail.header("Message-ID"),
                taken[0].header("Message-ID"),
                "{point}"
            );
        }
        let token = token_of(&taken[0], "/reset-password");
        let confirm = killed.app.post("/api/password-resets/confirm").of(&killed.garage);
        let body = json!({ "token": token, "password": "another password" });
        confirm.json(&body).await.expect(204);
        // Nothing is left to be done.
        killed.go_on(&killed.app.test.platform).await;
        assert_eq!(killed.server.taken().len(), before + taken.len(), "{point}");
        killed.clock.set(chrono::Utc::now());
    }
}
