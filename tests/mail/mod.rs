//! Mails: sent once, retried, and what people do with them. The mail server is a real one, on the loopback address.

mod alerts;
#[cfg(feature = "kill_points")]
mod killed;
mod links;
mod sending;
mod turns;

use helixai::domain::clock::Clock;
use helixai_fakes::smtp::{FakeSmtp, Mail};
use serde_json::Value;

use crate::helpers::{Builder, TestApp, TestPlatform};

/// The address that the tests' mails come from.
pub const FROM: &str = "no-reply@helixai.test";

/// The whole program with a mail server beside it.
pub struct Post {
    pub app: TestApp,
    pub server: FakeSmtp,
    pub clock: Clock,
}

impl Post {
    pub async fn start() -> Self {
        Self::with_background(true).await
    }

    /// Without background work, for whoever does it step by step or in a process of its own.
    pub async fn with_background(background: bool) -> Self {
        let server = FakeSmtp::start().await.expect("a free port");
        let clock = Clock::fixed(chrono::Utc::now());
        let app = TestApp::builder()
            .clock(clock.clone())
            .set("server.background_work", background)
            .set("mail.transport", "smtp")
            .set("mail.smtp_url", server.url())
            .set("mail.from", FROM)
            .start()
            .await;
        Self { app, server, clock }
    }

    /// The mails to this address, once there are so many.
    pub async fn mails_to(&self, address: &str, count: usize) -> Vec<Mail> {
        let to = |mail: &Mail| mail.to == [address];
        let found = || self.server.taken().into_iter().filter(to).collect::<Vec<_>>();
        let what = format!("{count} mails have come to {address}");
        self.app.until(&what, || async { found().len() >= count }).await;
        found()
    }
}

/// Settings of a platform that sends to this server.
pub fn sending_to(server: &FakeSmtp) -> Builder {
    TestPlatform::builder()
        .set("mail.transport", "smtp")
        .set("mail.smtp_url", server.url())
        .set("mail.from", FROM)
}

/// The token behind the `#` of the only link of this path.
pub fn token_of(mail: &Mail, path: &str) -> String {
    let text = mail.text();
    let (_, rest) = text
        .split_once(&format!("{path}#"))
        .unwrap_or_else(|| panic!("no {path} in {text}"));
    rest.split_whitespace().next().expect("a token").to_owned()
}

/// `select to_jsonb(…)`, row by row.
pub async fn rows(test: &TestPlatform, select: &str) -> Vec<Value> {
    let admin = test.admin().await;
    let rows = admin.query(select, &[]).await.expect("rows");
    rows.iter().map(|row| row.get(0)).collect()
}
