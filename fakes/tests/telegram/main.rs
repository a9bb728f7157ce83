//! The fake Bot API, spoken to over HTTP as by any client, and by the client that the product uses.

#![expect(
    clippy::disallowed_methods,
    reason = "a test's own clients, with nothing to set"
)]

mod client;
mod faults;
mod files;
mod messages;
mod polling;
mod protocol;
mod webhooks;

use helixai_fakes::telegram::{FakeTelegram, Limits};
use serde_json::Value;

/// A bot's token.
pub const BOT: &str = "5001:AAF7-g0gYncWnm5IyfZlpPRqRRv6kNAGlao";
/// Another bot's.
pub const OTHER: &str = "5002:AAG8-h1hZodXon6JzgamqQSrSSw7lOBHmbp";
/// Somebody.
pub const ANA: i64 = 7001;
/// Somebody else.
pub const RUI: i64 = 7002;

/// A server with two bots that `ANA` has written to nobody of; no limits.
pub async fn telegram() -> FakeTelegram {
    let telegram = FakeTelegram::start().await.unwrap();
    telegram.add_bot(BOT, "loja_bot");
    telegram.add_bot(OTHER, "outra_bot");
    telegram.limit(Limits::off());
    telegram
}

/// One call in JSON: the status and the body.
pub async fn call(telegram: &FakeTelegram, method: &str, body: Value) -> (u16, Value) {
    call_as(telegram, BOT, method, body).await
}

/// The same by the bot of this token.
pub async fn call_as(telegram: &FakeTelegram, token: &str, method: &str, body: Value) -> (u16, Value) {
    let url = format!("{}/bot{token}/{method}", telegram.url());
    let answer = reqwest::Client::new().post(url).json(&body).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

/// The description of a refusal.
pub fn why(answer: &(u16, Value)) -> (u16, &str) {
    (answer.0, answer.1["description"].as_str().unwrap_or_default())
}

/// The numbers of updates.
pub fn ids(answer: &(u16, Value)) -> Vec<u64> {
    let updates = answer.1["result"].as_array().unwrap();
    updates
        .iter()
        .map(|update| update["update_id"].as_u64().unwrap())
        .collect()
}
