//! Control over HTTP, below `/_control`, for scripts.
//!
//! | | |
//! |---|---|
//! | `GET /payments` | all payments |
//! | `POST /payments/{id, page or reference}/{pay, pay_late, reject, review, expire, cancel, refund, charge_back, win_chargeback}` | changes one; `pay_part` and `refund` take `{"cents"}`, `pay_in` takes `{"currency"}` |
//! | `POST /accounts` | opens one: `{"key","webhook_secret","collector","webhook_url"}` |
//! | `POST /faults` | `{"on":"POST /v1/payments","failure":{"status":503},"times":1}` |
//! | `POST /delivery` | `{"mode":"held","copies":1,"together":false,"variant":"good"}` |
//! | `GET /events`, `POST /events/{id}/send` | news; sends one again, as `/delivery` is told |
//! | `POST /stale`, `POST /decline-cards`, `POST /accept-cards` | the next answer is old; saved cards |
//! | `GET /requests` | what the API was asked |

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::Account;
use super::change::Change;
use super::event::Delivery;
use super::fault::Fault;
use super::reply::{Reply, Request};
use super::world::World;

pub async fn answer(world: &World, request: &Request) -> Reply {
    let parts = request.parts();
    let rest = parts.get(1..).unwrap_or_default();
    match (request.method.as_str(), rest) {
        ("GET", ["payments"]) => all(&world.lock().payments),
        ("GET", ["events"]) => all(&world.lock().events),
        ("GET", ["requests"]) => all(&world.lock().log),
        ("POST", ["payments", name, change]) => changed(world, name, change, request.json()).await,
        ("POST", ["events", id, "send"]) => sent(world, id, request).await,
        ("POST", ["accounts"]) => given(request, |account: Account| world.lock().add_account(account)),
        ("POST", ["faults"]) => given(request, |fault: Fault| world.lock().faults.push(fault)),
        ("POST", ["delivery"]) => given(request, |delivery: Delivery| world.lock().delivery = delivery),
        ("POST", ["stale"]) => {
            world.lock().stale = true;
            done()
        }
        ("POST", [cards @ ("decline-cards" | "accept-cards")]) => {
            world.lock().decline_cards = *cards == "decline-cards";
            done()
        }
        _ => refused(404, "no such control"),
    }
}

async fn changed(world: &World, name: &str, change: &str, body: Value) -> Reply {
    let mut told = body.as_object().cloned().unwrap_or_default();
    told.insert("do".to_owned(), change.into());
    let change: Change = match serde_json::from_value(told.into()) {
        Ok(change) => change,
        Err(error) => return refused(400, &error.to_string()),
    };
    match world.change(name, change).await {
        Ok(payment) => Reply::json(200, json!(payment)),
        Err(why) => refused(409, &why),
    }
}

async fn sent(world: &World, id: &str, request: &Request) -> Reply {
    let delivery: Delivery = serde_json::from_str(&request.body).unwrap_or_default();
    let event = world.lock().events.iter().find(|event| event.id == id).cloned();
    let Some(event) = event else {
        return refused(404, "no such event");
    };
    let statuses = world
        .send(&event, delivery.copies, delivery.together, delivery.variant)
        .await;
    Reply::json(200, json!({"statuses": statuses}))
}

fn given<T: DeserializeOwned>(request: &Request, take: impl FnOnce(T)) -> Reply {
    match serde_json::from_str(&request.body) {
        Ok(value) => {
            take(value);
            done()
        }
        Err(error) => refused(400, &error.to_string()),
    }
}

fn all(items: &impl Serialize) -> Reply {
    Reply::json(200, json!(items))
}

fn done() -> Reply {
    Reply::json(200, json!({}))
}

fn refused(status: u16, why: &str) -> Reply {
    Reply::json(status, json!({"error": why}))
}
