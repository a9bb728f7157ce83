//! WhatsApp's Cloud API (developers.facebook.com/docs/whatsapp/cloud-api): numbers of businesses, by Meta's Graph API. What is said to
//! them and what has become of what they said comes to [`webhook`]; nobody is asked for it. All numbers share one HTTP client.

mod files;
mod heard;
mod refusals;
mod sending;
pub mod webhook;

use std::time::{Duration, Instant};

use reqwest::{Client, Method, RequestBuilder, Response};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::outbound::{Gaps, Unsent};
use super::pacing::Pace;
use super::session::{End, Running};
use crate::domain::bot_credentials::CloudAccount;
use crate::domain::instance::InstanceState;

pub use self::heard::{Became, News, read_news};

/// The longest wait for an answer.
const CALL: Duration = Duration::from_secs(15);
/// No answer of Meta's to us is longer.
const LONGEST_ANSWER: usize = 256 * 1024;
/// Who has run for so long was well; the next failure is a first one.
const LIVED: Duration = Duration::from_secs(60);
/// Meta takes eighty messages a second of a number, and one in six seconds to one person.
const GAPS: Gaps = Gaps {
    any: Duration::from_millis(13),
    chat: Duration::from_secs(6),
};
/// So many to one person may follow each other at once, if the gaps are kept after them (Meta: 45).
const BURST: u32 = 40;

/// How fast a number may speak that wants so many milliseconds between its messages.
pub(super) fn pace(message_delay_ms: i32) -> Pace {
    Pace::bursting(GAPS.at_least(message_delay_ms), BURST)
}

/// The Graph API. Cheap to clone.
#[derive(Clone)]
pub struct Api {
    client: Client,
    /// With the version, without `/` at its end.
    base: String,
}

impl Api {
    /// The Graph API at this address, in this version.
    ///
    /// # Errors
    /// When the address is none, or the client cannot be made.
    pub fn new(url: &str, version: &str) -> Result<Self, String> {
        let base = format!("{}/{version}", url.trim_end_matches('/'));
        reqwest::Url::parse(&base).map_err(|error| error.to_string())?;
        // Redirects are not followed: they would carry a token elsewhere.
        let client = Client::builder()
            .timeout(CALL)
            .connect_timeout(Duration::from_secs(5))
            .tcp_nodelay(true)
            .redirect(reqwest::redirect::Policy::none())
            .build();
        Ok(Self {
            client: client.map_err(|error| error.without_url().to_string())?,
            base,
        })
    }

    fn request(&self, method: Method, account: &CloudAccount, path: &str) -> RequestBuilder {
        let url = format!("{}/{}{path}", self.base, account.phone_number_id);
        let token = account.access_token.expose_secret();
        self.client.request(method, url).bearer_auth(token)
    }

    /// Asks whose a number is: how it is written, if Meta says so.
    pub(super) async fn ask(&self, account: &CloudAccount) -> Result<Option<String>, Unsent> {
        let request = self.request(Method::GET, account, "?fields=display_phone_number");
        let number = exchange(request).await?;
        let number = number.get("display_phone_number").and_then(Value::as_str);
        let number = number.filter(|number| (1..=100).contains(&number.chars().count()));
        Ok(number.map(str::to_owned))
    }

    /// Hands a message over; answers what Meta calls it.
    async fn send(&self, account: &CloudAccount, message: &Value) -> Result<Option<String>, Unsent> {
        let request = self.request(Method::POST, account, "/messages").json(message);
        let taken = exchange(request).await?;
        let id = taken.pointer("/messages/0/id").and_then(Value::as_str);
        Ok(id.map(str::to_owned))
    }
}

/// What Meta answers, null when it has agreed in words that cannot be read. A refusal's own text may hold words of people: it is not
/// shown.
async fn exchange(request: RequestBuilder) -> Result<Value, Unsent> {
    // Who was reached and has not answered may have done what was asked.
    let away = |error: reqwest::Error| match error.is_timeout() && !error.is_connect() {
        true => Unsent::Away("timeout"),
        false => Unsent::Away("provider_away"),
    };
    let answer = request.send().await.map_err(away)?;
    let status = answer.status();
    let body = read(answer).await.unwrap_or_default();
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    if status.is_success() {
        return Ok(body);
    }
    let code = body.pointer("/error/code").and_then(Value::as_i64);
    Err(refusals::unsent(status.as_u16(), code))
}

async fn read(mut answer: Response) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.ok()? {
        if body.len() + chunk.len() > LONGEST_ANSWER {
            return None;
        }
        body.extend_from_slice(&chunk);
    }
    Some(body)
}

/// Runs a number; why it is over, and whether it has lived for a while.
pub(super) async fn run(running: &Running, wake: &Notify) -> (End, bool) {
    running.set_state(InstanceState::Starting, json!({}), None).await;
    let channels = &running.channels;
    let sealed = &running.runnable.credentials_sealed;
    let Some(account) = channels.open_account(running.tenant, running.instance, sealed) else {
        return (End::Dead("credentials_unreadable"), false);
    };
    // Who is let in by Meta has the number; only then is it claimed.
    let api = channels.whatsapp_cloud.clone();
    let username = match api.ask(&account).await {
        Ok(username) => username,
        Err(refusal) => return (ended(refusal), false),
    };
    if let Err(end) = running.claim(&account.clone().into()).await {
        return (end, false);
    }
    running
        .set_state(InstanceState::Connected, json!({}), username)
        .await;
    let outlet = sending::Cloud { api, account };
    let begun = Instant::now();
    let end = running
        .live(&outlet, wake, async |_| {
            running.stop.cancelled().await;
            End::Stopped
        })
        .await;
    (end, begun.elapsed() >= LIVED)
}

/// What it means for a number as a whole that Meta does not say whose it is.
fn ended(refusal: Unsent) -> End {
    match refusal {
        Unsent::ShutOut(code) => End::Dead(code),
        Unsent::Never(_) => End::Dead("number_unknown"),
        Unsent::Wait(_) | Unsent::WaitHere(_) => End::Retry("too_fast"),
        Unsent::Away(code) => End::Retry(code),
    }
}
