//! The API of Stripe: forms in, JSON out.

use std::collections::HashMap;

use chrono::TimeDelta;
use serde_json::{Value, json};

use super::change::Change;
use super::payment::{Method, Payment, State};
use super::reply::{Reply, Request};
use super::world::Book;

/// How long a checkout session is open when nothing else is asked for.
const OPEN: TimeDelta = TimeDelta::hours(24);

pub fn answer(book: &mut Book, request: &Request) -> Reply {
    let key = request.bearer().to_owned();
    if !book.accounts.contains_key(&key) {
        return error(401, "invalid_request_error", None, "Invalid API Key provided");
    }
    let parts = request.parts();
    let Some((&"v1", parts)) = parts.split_first() else {
        return unknown();
    };
    if request.method == "GET" {
        return match parts {
            ["account"] => Reply::json(200, json!({"id": "acct_test", "object": "account"})),
            ["checkout", "sessions", id] => get_session(book, &key, id, request),
            ["payment_intents", "search"] => search(book, &key, request),
            ["payment_intents", id] => get_intent(book, &key, id),
            ["disputes"] => disputes(book, &key, request),
            _ => unknown(),
        };
    }
    let form = request
        .header("content-type")
        .starts_with("application/x-www-form-urlencoded");
    if !form && !request.body.is_empty() {
        return error(400, "invalid_request_error", None, "The body must be a form");
    }
    let idempotency = request.header("idempotency-key").to_owned();
    if idempotency.len() > 255 {
        return error(400, "idempotency_error", None, "Idempotency-Key is too long");
    }
    let conflict = error(
        400,
        "idempotency_error",
        None,
        "Keys for idempotent requests can only be used with the same parameters they were first used with",
    );
    book.once(&key, &idempotency, request, conflict, |book| match parts {
        ["checkout", "sessions"] => create_session(book, &key, &request.form()),
        ["checkout", "sessions", id, "expire"] => close_session(book, &key, id),
        ["payment_intents"] => charge(book, &key, &request.form()),
        ["payment_intents", id, "cancel"] => cancel_intent(book, &key, id),
        ["refunds"] => refund(book, &key, &request.form()),
        _ => unknown(),
    })
}

fn error(status: u16, kind: &str, code: Option<&str>, message: &str) -> Reply {
    Reply::json(
        status,
        json!({"error": {"type": kind, "code": code, "message": message, "doc_url": "https://stripe.com/docs"}}),
    )
}

fn unknown() -> Reply {
    error(
        404,
        "invalid_request_error",
        Some("resource_missing"),
        "No such object",
    )
}

fn invalid(code: &str, message: &str) -> Reply {
    error(400, "invalid_request_error", Some(code), message)
}

fn take(form: &HashMap<String, String>, name: &str) -> String {
    form.get(name).cloned().unwrap_or_default()
}

fn amount(form: &HashMap<String, String>, name: &str) -> Option<i64> {
    form.get(name)?.parse().ok().filter(|cents| *cents > 0)
}

fn create_session(book: &mut Book, account: &str, form: &HashMap<String, String>) -> Reply {
    let Some(cents) = amount(form, "line_items[0][price_data][unit_amount]") else {
        return invalid("parameter_invalid_integer", "Invalid integer: unit_amount");
    };
    for needed in [
        "mode",
        "success_url",
        "line_items[0][quantity]",
        "line_items[0][price_data][product_data][name]",
    ] {
        if take(form, needed).is_empty() {
            return invalid("parameter_missing", &format!("Missing required param: {needed}"));
        }
    }
    let (number, now) = (book.number(), book.now());
    let mut payment = Payment::new(format!("pi_{number}"), account, Method::Page, cents, now);
    payment.page = Some(format!("cs_test_{number}"));
    payment.hidden = true;
    payment.reference = take(form, "client_reference_id");
    payment.currency = take(form, "line_items[0][price_data][currency]").to_uppercase();
    payment.save_card = take(form, "payment_intent_data[setup_future_usage]") == "off_session";
    payment.expires_at = Some(now + OPEN);
    book.payments.push(payment);
    Reply::json(200, session(book, book.payments.len() - 1, false))
}

fn get_session(book: &mut Book, account: &str, id: &str, request: &Request) -> Reply {
    let Some(place) = book.own(account, |payment| payment.page.as_deref() == Some(id)) else {
        return unknown();
    };
    let told = book.told(place);
    let kept = std::mem::replace(&mut book.payments[place], told);
    let expand = request
        .query
        .get("expand[]")
        .is_some_and(|wanted| wanted.starts_with("payment_intent"));
    let reply = Reply::json(200, session(book, place, expand));
    book.payments[place] = kept;
    reply
}

fn close_session(book: &mut Book, account: &str, id: &str) -> Reply {
    let Some(place) = book.own(account, |payment| payment.page.as_deref() == Some(id)) else {
        return unknown();
    };
    match book.change(place, &Change::Expire) {
        Ok(place) => Reply::json(200, session(book, place, false)),
        Err(_) => invalid(
            "",
            "Only Checkout Sessions with a status in [\"open\"] can be expired",
        ),
    }
}

fn search(book: &Book, account: &str, request: &Request) -> Reply {
    let query = request.query.get("query").cloned().unwrap_or_default();
    let wanted = query
        .strip_prefix("metadata['reference']:'")
        .and_then(|rest| rest.strip_suffix('\''))
        .unwrap_or_default();
    let found: Vec<Value> = book
        .payments
        .iter()
        .filter(|payment| payment.account == account && !payment.hidden && payment.reference == wanted)
        .map(|payment| intent(payment, true))
        .collect();
    Reply::json(
        200,
        json!({"object": "search_result", "data": found, "has_more": false}),
    )
}

fn get_intent(book: &mut Book, account: &str, id: &str) -> Reply {
    let Some(place) = book.own(account, |payment| !payment.hidden && payment.id == id) else {
        return unknown();
    };
    let payment = book.told(place);
    Reply::json(200, intent(&payment, true))
}

fn disputes(book: &Book, account: &str, request: &Request) -> Reply {
    let of = request.query.get("payment_intent").cloned().unwrap_or_default();
    let found: Vec<Value> = book
        .payments
        .iter()
        .filter(|payment| payment.account == account && payment.id == of && is_disputed(payment))
        .map(|payment| {
            let status = if payment.was_disputed {
                "won"
            } else {
                "needs_response"
            };
            json!({"id": format!("du_{}", payment.id), "object": "dispute", "status": status})
        })
        .collect();
    Reply::json(200, json!({"object": "list", "data": found, "has_more": false}))
}

/// Whoever was disputed once says so for ever.
fn is_disputed(payment: &Payment) -> bool {
    payment.state == State::ChargedBack || payment.was_disputed
}

/// A saved card is charged at once, or declined.
fn charge(book: &mut Book, account: &str, form: &HashMap<String, String>) -> Reply {
    let Some(cents) = amount(form, "amount") else {
        return invalid("parameter_invalid_integer", "Invalid integer: amount");
    };
    let (customer, method) = (take(form, "customer"), take(form, "payment_method"));
    if !book.has_card(account, &customer, &method) {
        return invalid("resource_missing", "No such PaymentMethod");
    }
    let (number, now) = (book.number(), book.now());
    let mut payment = Payment::new(format!("pi_{number}"), account, Method::Card, cents, now);
    payment.reference = take(form, "metadata[reference]");
    payment.currency = take(form, "currency").to_uppercase();
    payment.customer = Some(customer);
    payment.card = Some(method);
    book.payments.push(payment);
    let place = book.payments.len() - 1;
    let decline = book.decline_cards;
    let done = if decline { Change::Reject } else { Change::Pay };
    if let Err(why) = book.change(place, &done) {
        return invalid("", &why);
    }
    let shown = intent(&book.payments[place], true);
    if decline {
        let body = json!({"error": {"type": "card_error", "code": "card_declined", "decline_code": "insufficient_funds",
            "message": "Your card has insufficient funds.", "payment_intent": shown}});
        return Reply::json(402, body);
    }
    Reply::json(200, shown)
}

fn cancel_intent(book: &mut Book, account: &str, id: &str) -> Reply {
    let Some(place) = book.own(account, |payment| !payment.hidden && payment.id == id) else {
        return unknown();
    };
    match book.change(place, &Change::Cancel) {
        Ok(place) => Reply::json(200, intent(&book.payments[place], false)),
        Err(_) => invalid(
            "payment_intent_unexpected_state",
            "This PaymentIntent cannot be canceled",
        ),
    }
}

fn refund(book: &mut Book, account: &str, form: &HashMap<String, String>) -> Reply {
    let of = take(form, "payment_intent");
    let Some(place) = book.own(account, |payment| !payment.hidden && payment.id == of) else {
        return unknown();
    };
    let cents = amount(form, "amount");
    match book.change(place, &Change::Refund { cents }) {
        Ok(place) => {
            let made = book.payments[place].refunds.last().cloned().expect("just made");
            let id = format!("re_{}", made.id);
            Reply::json(
                200,
                json!({"id": id, "object": "refund", "amount": made.cents, "status": "succeeded"}),
            )
        }
        Err(_) => invalid("charge_already_refunded", "The charge cannot be refunded"),
    }
}

fn session(book: &Book, place: usize, expand: bool) -> Value {
    let payment = &book.payments[place];
    let status = match payment.state {
        State::Waiting | State::Rejected => "open",
        State::Expired | State::Canceled => "expired",
        _ => "complete",
    };
    let paid = matches!(payment.state, State::Paid | State::Refunded | State::ChargedBack);
    let of = match (payment.hidden, expand) {
        (true, _) => Value::Null,
        (false, true) => intent(payment, true),
        (false, false) => payment.id.clone().into(),
    };
    let url = format!(
        "http://{}/c/pay/{}",
        book.address,
        payment.page.as_deref().unwrap_or_default()
    );
    json!({
        "id": payment.page,
        "object": "checkout.session",
        "url": if status == "open" { url.into() } else { Value::Null },
        "status": status,
        "payment_status": if paid { "paid" } else { "unpaid" },
        "amount_total": payment.cents,
        "currency": payment.currency.to_lowercase(),
        "client_reference_id": payment.reference,
        "expires_at": payment.expires_at.map(|time| time.timestamp()),
        "payment_intent": of,
    })
}

fn intent(payment: &Payment, expand: bool) -> Value {
    let received = matches!(payment.state, State::Paid | State::Refunded | State::ChargedBack);
    let status = match payment.state {
        State::Waiting | State::Rejected => "requires_payment_method",
        State::InReview => "processing",
        State::Expired | State::Canceled => "canceled",
        State::Paid | State::Refunded | State::ChargedBack => "succeeded",
    };
    let charge = json!({
        "id": format!("ch_{}", payment.id),
        "object": "charge",
        "amount_refunded": payment.refunded_cents(),
        "refunded": payment.state == State::Refunded,
        "disputed": is_disputed(payment),
        "payment_method_details": {"type": "card", "card": {"brand": "visa", "last4": "4242"}},
    });
    json!({
        "id": payment.id,
        "object": "payment_intent",
        "status": status,
        "amount": payment.cents,
        "amount_received": if received { payment.paid_cents } else { 0 },
        "currency": payment.currency.to_lowercase(),
        "metadata": {"reference": payment.reference},
        "customer": payment.customer,
        "payment_method": payment.card,
        "setup_future_usage": if payment.save_card { Some("off_session") } else { None },
        "last_payment_error": if payment.state == State::Rejected { json!({"code": "card_declined"}) } else { Value::Null },
        "latest_charge": match (received, expand) {
            (true, true) => charge,
            (true, false) => charge["id"].clone(),
            (false, _) => Value::Null,
        },
    })
}
