//! News about payments: what is written, and how it is sent.

use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::future::join_all;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::payment::{Method, Payment, State};
use super::sign::{self, Signed};
use super::world::{Book, World};
use super::{Kind, asaas};

/// One piece of news.
#[derive(Debug, Clone, Serialize)]
pub struct Event {
    /// The gateway's id of it.
    pub id: String,
    /// What it is about: `payment.updated`, `checkout.session.completed`, `PAYMENT_RECEIVED`.
    pub what: String,
    /// The payment.
    pub payment_id: String,
    /// The key of the account that hears of it.
    #[serde(skip)]
    pub account: String,
    /// Where it goes; nowhere when the account named no address.
    pub url: Option<String>,
    /// What is sent.
    pub body: String,
    /// When it was written.
    pub at: DateTime<Utc>,
}

/// When news are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// At once, beside the answer of the call that caused them.
    #[default]
    AtOnce,
    /// Before the call that caused them is answered.
    BeforeResponse,
    /// So many milliseconds later.
    After(u64),
    /// Never by themselves.
    Held,
}

/// How a delivery is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Variant {
    /// As it should be.
    #[default]
    Good,
    /// As it should be, with a time in milliseconds (Mercado Pago).
    Milliseconds,
    /// As it should be, without a request id (Mercado Pago).
    WithoutRequestId,
    /// As it should be, after a signature with a former secret.
    TwoSignatures,
    /// The signature is no hexadecimal number.
    BadHex,
    /// Signed long ago.
    Stale,
    /// Signed in the far future.
    Future,
    /// Signed with another secret.
    WrongSecret,
    /// What is signed was changed afterwards.
    Tampered,
    /// Not signed.
    Unsigned,
}

/// How news are sent from now on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Delivery {
    /// When.
    pub mode: Mode,
    /// How often.
    pub copies: usize,
    /// Whether the copies go out all together.
    pub together: bool,
    /// How they are signed.
    pub variant: Variant,
}

impl Default for Delivery {
    fn default() -> Self {
        Self {
            mode: Mode::AtOnce,
            copies: 1,
            together: false,
            variant: Variant::Good,
        }
    }
}

impl World {
    /// Sends news as the delivery says. `wait`: what goes out at once has arrived when this ends.
    pub async fn announce(&self, events: &[Event], wait: bool) {
        let delivery = self.lock().delivery;
        let pause = match delivery.mode {
            Mode::Held => return,
            Mode::After(millis) => Duration::from_millis(millis),
            Mode::AtOnce | Mode::BeforeResponse => Duration::ZERO,
        };
        let here = delivery.mode == Mode::BeforeResponse || (wait && pause.is_zero());
        for event in events {
            let posts = self.posts(event, delivery.copies, delivery.variant);
            let sending = post_all(posts, delivery.together);
            if here {
                sending.await;
            } else {
                tokio::spawn(async move {
                    tokio::time::sleep(pause).await;
                    sending.await
                });
            }
        }
    }

    /// Sends one event; answers the statuses that came back, 0 for none.
    pub async fn send(&self, event: &Event, copies: usize, together: bool, variant: Variant) -> Vec<u16> {
        let posts = self.posts(event, copies, variant);
        post_all(posts, together).await
    }

    fn posts(&self, event: &Event, copies: usize, variant: Variant) -> Vec<reqwest::RequestBuilder> {
        let book = self.lock();
        let Some((url, account)) = event.url.as_ref().zip(book.accounts.get(&event.account)) else {
            return Vec::new();
        };
        (0..copies)
            .map(|_| {
                let Signed { query, headers, body } =
                    sign::signed(self.kind, &account.webhook_secret, event, variant, book.now());
                let mark = if url.contains('?') { '&' } else { '?' };
                let url = if query.is_empty() {
                    url.clone()
                } else {
                    format!("{url}{mark}{query}")
                };
                let post = self.client.post(url).header("Content-Type", "application/json");
                headers
                    .iter()
                    .fold(post, |post, (name, value)| post.header(*name, value))
                    .body(body)
            })
            .collect()
    }
}

async fn post_all(posts: Vec<reqwest::RequestBuilder>, together: bool) -> Vec<u16> {
    let post = |post: reqwest::RequestBuilder| async {
        post.send().await.map_or(0, |answer| answer.status().as_u16())
    };
    if together {
        return join_all(posts.into_iter().map(post)).await;
    }
    let mut statuses = Vec::with_capacity(posts.len());
    for one in posts {
        statuses.push(post(one).await);
    }
    statuses
}

/// Writes the news that there are of a payment as it is now; `new`: it was just made.
pub fn write(book: &mut Book, place: usize, new: bool) {
    let payment = book.payments[place].clone();
    let bodies = match book.kind {
        Kind::MercadoPago => of_mercado_pago(&payment, new),
        Kind::Stripe => of_stripe(&payment, new),
        Kind::Asaas => of_asaas(&payment, new),
    };
    for (what, content) in bodies {
        let (number, at) = (book.number(), book.now());
        let account = book.accounts.get(&payment.account);
        let collector = account.map_or(0, |account| account.collector);
        let (id, body) = enveloped(book.kind, number, at, collector, what, content);
        let url = account.and_then(|account| account.webhook_url.clone());
        book.events.push(Event {
            id,
            what: what.to_owned(),
            payment_id: payment.id.clone(),
            account: payment.account.clone(),
            url: payment.notification_url.clone().or(url),
            body: body.to_string(),
            at,
        });
    }
}

fn enveloped(
    kind: Kind,
    number: u64,
    at: DateTime<Utc>,
    collector: u64,
    what: &str,
    content: Value,
) -> (String, Value) {
    match kind {
        Kind::MercadoPago => (
            number.to_string(),
            json!({"id": number, "live_mode": false, "type": "payment", "date_created": at, "user_id": collector,
                   "api_version": "v1", "action": what, "data": content}),
        ),
        Kind::Stripe => {
            let id = format!("evt_{number}");
            let body = json!({"id": id, "object": "event", "api_version": "2024-06-20", "created": at.timestamp(),
                              "type": what, "data": {"object": content}});
            (id, body)
        }
        Kind::Asaas => {
            // Its ids hold such a sign.
            let id = format!("evt_{number:032x}&{number}");
            let at = at.format("%Y-%m-%d %H:%M:%S").to_string();
            let body = json!({"id": id, "event": what, "dateCreated": at, "payment": content});
            (id, body)
        }
    }
}

fn of_mercado_pago(payment: &Payment, new: bool) -> Vec<(&'static str, Value)> {
    if payment.hidden {
        return Vec::new();
    }
    let what = if new { "payment.created" } else { "payment.updated" };
    vec![(what, json!({"id": payment.id}))]
}

fn of_stripe(payment: &Payment, new: bool) -> Vec<(&'static str, Value)> {
    let session = json!({"id": payment.page, "object": "checkout.session", "payment_intent": payment.id});
    let intent = json!({"id": payment.id, "object": "payment_intent"});
    let charge =
        json!({"id": format!("ch_{}", payment.id), "object": "charge", "payment_intent": payment.id});
    let dispute =
        json!({"id": format!("du_{}", payment.id), "object": "dispute", "payment_intent": payment.id});
    match payment.state {
        State::Paid if payment.was_disputed => vec![("charge.dispute.closed", dispute)],
        State::Paid if !payment.refunds.is_empty() => vec![("charge.refunded", charge)],
        State::Paid if payment.page.is_some() => vec![
            ("payment_intent.succeeded", intent),
            ("checkout.session.completed", session),
        ],
        State::Paid => vec![("payment_intent.succeeded", intent)],
        State::Refunded => vec![("charge.refunded", charge)],
        State::ChargedBack => vec![("charge.dispute.created", dispute)],
        State::Rejected => vec![("payment_intent.payment_failed", intent)],
        State::Expired | State::Canceled if payment.page.is_some() => {
            vec![("checkout.session.expired", session)]
        }
        State::Expired | State::Canceled => vec![("payment_intent.canceled", intent)],
        State::InReview => vec![("payment_intent.processing", intent)],
        State::Waiting if new && payment.page.is_none() => vec![("payment_intent.created", intent)],
        State::Waiting => Vec::new(),
    }
}

fn of_asaas(payment: &Payment, new: bool) -> Vec<(&'static str, Value)> {
    let what = match payment.state {
        State::Waiting if new => "PAYMENT_CREATED",
        State::Waiting => "PAYMENT_UPDATED",
        State::InReview => "PAYMENT_AWAITING_RISK_ANALYSIS",
        State::Rejected => "PAYMENT_REPROVED_BY_RISK_ANALYSIS",
        State::Expired => "PAYMENT_OVERDUE",
        State::Canceled => "PAYMENT_DELETED",
        State::Paid if !payment.refunds.is_empty() => "PAYMENT_PARTIALLY_REFUNDED",
        // A card is confirmed a month before its money comes; PIX is received at once.
        State::Paid if payment.method == Method::Card || payment.card.is_some() => "PAYMENT_CONFIRMED",
        State::Paid => "PAYMENT_RECEIVED",
        State::Refunded => "PAYMENT_REFUNDED",
        State::ChargedBack => "PAYMENT_CHARGEBACK_REQUESTED",
    };
    vec![(what, asaas::shown(payment))]
}
