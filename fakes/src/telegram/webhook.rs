//! Webhooks: set, told of and sent. Chats are served beside one another, each in its order
//! (core.telegram.org/bots/api#setwebhook, core.telegram.org/bots/webhooks).

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::bot::{Bot, End};
use super::methods;
use super::params::Params;
use super::reply::{Answer, Refusal};
use super::world::{Book, World, now};

/// The longest pause between two tries, in first pauses.
const LONGEST_PAUSE: u32 = 60;

pub struct Webhook {
    url: Url,
    secret: Option<String>,
    most: usize,
    names_updates: bool,
    /// Another one of each setting, so that what goes on for a former one ends.
    number: u64,
    /// The chats that are being served.
    busy: HashSet<i64>,
    places: Arc<Semaphore>,
    /// When, in seconds, and what went wrong last.
    error: Option<(i64, String)>,
}

pub fn set(book: &mut Book, token: &str, params: &Params) -> Answer {
    let url = params.text("url").unwrap_or_default();
    if url.is_empty() {
        return delete(book, token, params);
    }
    let (number, through) = (book.number(), book.through.is_some());
    let url = accepted(&url, through)?;
    let secret = params.text("secret_token").filter(|secret| !secret.is_empty());
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || letter == '_' || letter == '-';
    if let Some(secret) = &secret
        && (secret.len() > 256 || !secret.chars().all(is_plain))
    {
        return Err(Refusal::bad("secret token contains unallowed characters"));
    }
    let most = params.integer("max_connections").unwrap_or(40).clamp(1, 100);
    let most = usize::try_from(most).unwrap_or(40);
    let allowed = params.texts("allowed_updates")?;
    let bot = book.bot(token)?;
    if let Some(allowed) = allowed {
        bot.allowed = allowed;
    }
    drop_pending(bot, params);
    bot.end_poll(End::WebhookSet);
    bot.webhook = Some(Webhook {
        url,
        secret,
        most,
        names_updates: !bot.allowed.is_empty(),
        number,
        busy: HashSet::new(),
        places: Arc::new(Semaphore::new(most)),
        error: None,
    });
    Ok(true.into())
}

pub fn delete(book: &mut Book, token: &str, params: &Params) -> Answer {
    let bot = book.bot(token)?;
    bot.webhook = None;
    drop_pending(bot, params);
    Ok(true.into())
}

fn drop_pending(bot: &mut Bot, params: &Params) {
    if params.boolean("drop_pending_updates") {
        bot.queue.clear();
        bot.again.clear();
    }
}

pub fn info(book: &mut Book, token: &str) -> Answer {
    let bot = book.bot(token)?;
    let pending = bot.queue.len();
    let Some(webhook) = &bot.webhook else {
        return Ok(json!({"url": "", "has_custom_certificate": false, "pending_update_count": pending}));
    };
    let mut shown = json!({
        "url": webhook.url.as_str(), "has_custom_certificate": false, "pending_update_count": pending,
        "max_connections": webhook.most, "ip_address": "127.0.0.1",
    });
    if webhook.names_updates {
        shown["allowed_updates"] = json!(bot.allowed);
    }
    if let Some((at, what)) = &webhook.error {
        shown["last_error_date"] = (*at).into();
        shown["last_error_message"] = what.as_str().into();
    }
    Ok(shown)
}

/// Addresses of this machine are taken as they are; others as the real one takes them, and only when there is somebody to
/// take the news there.
fn accepted(url: &str, through: bool) -> Result<Url, Refusal> {
    let bad = |what: &str| Err(Refusal::bad(format!("bad webhook: {what}")));
    let Ok(url) = Url::parse(url) else {
        return bad("invalid webhook URL specified");
    };
    if is_here(&url) {
        return Ok(url);
    }
    if url.scheme() != "https" {
        return bad("An HTTPS URL must be provided for webhook");
    }
    if !matches!(url.port_or_known_default(), Some(443 | 80 | 88 | 8443)) {
        return bad("Webhook can be set up only on ports 80, 88, 443 or 8443");
    }
    if !through {
        return bad("Failed to resolve host: Name or service not known");
    }
    Ok(url)
}

pub fn is_here(url: &Url) -> bool {
    matches!(url.host_str(), Some("127.0.0.1" | "localhost" | "[::1]"))
        && matches!(url.scheme(), "http" | "https")
}

/// Begins to serve the chats that something waits for.
pub fn deliver(world: &Arc<World>, token: &str) {
    let mut book = world.lock();
    let Some(bot) = book.bots.get_mut(token) else {
        return;
    };
    let Some(webhook) = &mut bot.webhook else {
        return;
    };
    for update in bot.again.drain(..).rev() {
        bot.queue.push_front(update);
    }
    for update in &bot.queue {
        if webhook.busy.insert(update.chat) {
            let serving = serve(Arc::clone(world), token.to_owned(), update.chat, webhook.number);
            world.runtime.spawn(serving);
        }
    }
}

/// One try to tell of one update.
struct Try {
    id: u32,
    host: Option<String>,
    url: String,
    secret: Option<String>,
    body: Value,
    places: Arc<Semaphore>,
}

/// Tells of all that waits in a chat, one after the other.
async fn serve(world: Arc<World>, token: String, chat: i64, number: u64) {
    let mut failures = 0;
    while let Some(attempt) = next(&world, &token, chat, number) {
        let Ok(place) = Arc::clone(&attempt.places).acquire_owned().await else {
            return;
        };
        let said = post(&world, &attempt).await;
        drop(place);
        match said {
            Ok(reply) => {
                failures = 0;
                world.change(|book| told(book, &token, number, attempt.id));
                if let Some((method, params)) = reply {
                    // Nobody hears what came of it.
                    let _ = methods::call(&world, &token, &method, params, "").await;
                }
            }
            Err((why, retry_after)) => {
                failures += 1;
                let base = world.change(|book| {
                    let error = (now().timestamp(), why);
                    if let Some(webhook) = current(book, &token, number) {
                        webhook.error = Some(error);
                    }
                    book.backoff
                });
                tokio::time::sleep(retry_after.unwrap_or_else(|| pause(base, failures))).await;
            }
        }
    }
}

/// As the real one's: at once, then twice the first pause, and twice that.
fn pause(base: Duration, failures: u32) -> Duration {
    match failures {
        0 | 1 => Duration::ZERO,
        _ => base * (1 << (failures - 1).min(6)).min(LONGEST_PAUSE),
    }
}

fn current<'a>(book: &'a mut Book, token: &str, number: u64) -> Option<&'a mut Webhook> {
    let webhook = book.bot(token).ok()?.webhook.as_mut()?;
    (webhook.number == number).then_some(webhook)
}

fn next(world: &World, token: &str, chat: i64, number: u64) -> Option<Try> {
    let mut book = world.lock();
    let through = book.through.clone();
    current(&mut book, token, number)?;
    let bot = book.bot(token).ok()?;
    let update = bot.queue.iter().find(|update| update.chat == chat).cloned();
    let webhook = bot.webhook.as_mut()?;
    let Some(update) = update else {
        webhook.busy.remove(&chat);
        return None;
    };
    let url = match through.filter(|_| !is_here(&webhook.url)) {
        None => webhook.url.to_string(),
        Some(base) => {
            let query = webhook.url.query().map(|query| format!("?{query}"));
            format!(
                "{}{}{}",
                base.trim_end_matches('/'),
                webhook.url.path(),
                query.unwrap_or_default()
            )
        }
    };
    // Whoever is reached by a detour is called by the name that they have.
    let host = webhook.url.host_str().map(str::to_owned);
    Some(Try {
        id: update.id,
        host: host.filter(|_| !is_here(&webhook.url)),
        url,
        secret: webhook.secret.clone(),
        body: update.body,
        places: Arc::clone(&webhook.places),
    })
}

fn told(book: &mut Book, token: &str, number: u64, id: u32) {
    if current(book, token, number).is_none() {
        return;
    }
    if let Ok(bot) = book.bot(token)
        && let Some(place) = bot.queue.iter().position(|update| update.id == id)
    {
        bot.queue.remove(place);
    }
}

/// A call that the webhook asks for in its answer.
type Asked = Option<(String, Params)>;

/// Sends one update; what went wrong, with the pause that was asked for, when it was not taken.
async fn post(world: &World, attempt: &Try) -> Result<Asked, (String, Option<Duration>)> {
    let mut post = world.client.post(&attempt.url).json(&attempt.body);
    if let Some(host) = &attempt.host {
        post = post.header("Host", host);
    }
    if let Some(secret) = &attempt.secret {
        post = post.header("X-Telegram-Bot-Api-Secret-Token", secret);
    }
    let closed = |error: reqwest::Error| {
        let what = match error.is_connect() {
            true => "Connection refused",
            false => "Webhook connection closed",
        };
        (what.to_owned(), None)
    };
    let answer = post.send().await.map_err(closed)?;
    let status = answer.status();
    if !status.is_success() {
        let seconds = answer.headers().get("retry-after");
        let seconds = seconds.and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
        let reason = status.canonical_reason().unwrap_or_default();
        return Err((
            format!("Wrong response from the webhook: {} {reason}", status.as_u16()),
            seconds.map(|seconds| Duration::from_secs(seconds.min(3600))),
        ));
    }
    let body = answer.bytes().await.map_err(closed)?;
    let Ok(params) = Params::read("", "application/json", &body) else {
        return Ok(None);
    };
    let method = params.text("method").unwrap_or_default();
    let lower = method.to_ascii_lowercase();
    let refused = ["", "setwebhook", "deletewebhook", "close", "logout"];
    if refused.contains(&lower.as_str()) || lower.starts_with("get") {
        return Ok(None);
    }
    Ok(Some((method, params)))
}
