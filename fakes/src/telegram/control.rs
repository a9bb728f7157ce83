//! Control over HTTP, below `/_control`, for scripts. A bot is named by its token.
//!
//! | | |
//! |---|---|
//! | `POST /bots` | adds them: `[{"token","username"}]` |
//! | `POST /bots/{token}/revoke` | its token is worth nothing any more |
//! | `POST /bots/{token}/incoming` | an [`Incoming`]: `{"person":{"id":7,"first_name":"Ana"},"what":{"text":"oi"}}`; answers `{"update_id"}` |
//! | `POST /bots/{token}/updates/{id}/redeliver` | the same update again |
//! | `GET /bots/{token}/sent`, `GET /bots/{token}/calls` | what it sent; all that it did |
//! | `POST /write` | to many bots at once: `{"tokens":[…],"people":[…],"text"}` |
//! | `POST /limits` | as [`Limits`], what is not named as it really is; `POST /limits/off` for none |
//! | `POST /faults` | a [`Fault`]: `{"method":"sendMessage","failure":{"status":500},"times":1}` |
//! | `POST /webhooks` | `{"through":"http://127.0.0.1:8080","backoff_ms":1000}` |
//! | `GET /counts` | `{"bots","polling","webhooks","pending","sent","calls":{"getupdates":1,…}}` |
//! | `POST /forget` | what was sent and what happened, so that long runs stay small |

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::bot::Call;
use super::fault::Fault;
use super::incoming::{Incoming, What};
use super::limits::Limits;
use super::world::{Book, World};

type Told = Result<Value, (u16, String)>;

pub async fn answer(world: &Arc<World>, method: &str, path: &str, body: &[u8]) -> (u16, Value) {
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    match told(world, method, &parts, body) {
        Ok(value) => (200, value),
        Err((status, why)) => (status, json!({"error": why})),
    }
}

#[derive(Deserialize)]
struct NewBot {
    token: String,
    username: String,
}

#[derive(Deserialize)]
struct Many {
    tokens: Vec<String>,
    people: Vec<i64>,
    text: String,
}

#[derive(Deserialize)]
struct Webhooks {
    through: Option<String>,
    backoff_ms: Option<u64>,
}

fn told(world: &Arc<World>, method: &str, parts: &[&str], body: &[u8]) -> Told {
    match (method, parts) {
        ("POST", ["bots"]) => {
            let bots: Vec<NewBot> = read(body)?;
            world.change(|book| {
                for bot in bots {
                    book.add_bot(&bot.token, &bot.username);
                }
            });
            Ok(json!({}))
        }
        ("POST", ["bots", token, "revoke"]) => done(world.change(|book| book.revoke(token))),
        ("POST", ["bots", token, "incoming"]) => {
            let incoming: Incoming = read(body)?;
            let id = world.receive(token, &incoming).map_err(conflict)?;
            Ok(json!({"update_id": id}))
        }
        ("POST", ["bots", token, "updates", id, "redeliver"]) => {
            let id = id.parse().map_err(|_| (400, "an update's number".to_owned()))?;
            done(world.redeliver(token, id))
        }
        ("GET", ["bots", token, "sent"]) => calls(world, token, Call::is_message),
        ("GET", ["bots", token, "calls"]) => calls(world, token, |_| true),
        ("POST", ["write"]) => {
            let many: Many = read(body)?;
            for token in &many.tokens {
                for person in &many.people {
                    let incoming = Incoming::new(*person, What::Text(many.text.clone()));
                    world.receive(token, &incoming).map_err(conflict)?;
                }
            }
            Ok(json!({"written": many.tokens.len() * many.people.len()}))
        }
        ("POST", ["limits"]) => {
            let limits: Limits = read(body)?;
            world.lock().limits = limits;
            Ok(json!({}))
        }
        ("POST", ["limits", "off"]) => {
            world.lock().limits = Limits::off();
            Ok(json!({}))
        }
        ("POST", ["faults"]) => {
            let fault: Fault = read(body)?;
            world.lock().faults.push(fault);
            Ok(json!({}))
        }
        ("POST", ["webhooks"]) => {
            let webhooks: Webhooks = read(body)?;
            let mut book = world.lock();
            book.through = webhooks.through;
            if let Some(millis) = webhooks.backoff_ms {
                book.backoff = Duration::from_millis(millis);
            }
            Ok(json!({}))
        }
        ("GET", ["counts"]) => Ok(counts(&world.lock())),
        ("POST", ["forget"]) => {
            world.lock().forget();
            Ok(json!({}))
        }
        _ => Err((404, "no such control".to_owned())),
    }
}

fn calls(world: &World, token: &str, is: impl Fn(&Call) -> bool) -> Told {
    let book = world.lock();
    let bot = book
        .bots
        .get(token)
        .ok_or_else(|| (404, "no such bot".to_owned()))?;
    Ok(bot
        .calls
        .iter()
        .filter(|call| is(call))
        .map(|call| json!(call))
        .collect())
}

fn counts(book: &Book) -> Value {
    let bots = || book.bots.values();
    let mut calls = BTreeMap::<&str, usize>::new();
    for (method, count) in bots().flat_map(|bot| &bot.counts) {
        *calls.entry(method).or_default() += count;
    }
    json!({
        "bots": book.bots.len(),
        "polling": bots().filter(|bot| bot.poll.is_some()).count(),
        "webhooks": bots().filter(|bot| bot.webhook.is_some()).count(),
        "pending": bots().map(|bot| bot.queue.len()).sum::<usize>(),
        "sent": bots().flat_map(|bot| &bot.calls).filter(|call| call.is_message()).count(),
        "calls": calls,
    })
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, (u16, String)> {
    serde_json::from_slice(body).map_err(|error| (400, error.to_string()))
}

fn done(done: Result<(), String>) -> Told {
    done.map(|()| json!({})).map_err(conflict)
}

fn conflict(why: String) -> (u16, String) {
    (409, why)
}
