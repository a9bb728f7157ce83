//! The API of Mercado Pago.

use chrono::DateTime;
use serde_json::{Value, json};

use super::amount::{cents, reais};
use super::change::Change;
use super::event;
use super::payment::{Method, Payment, State};
use super::pix;
use super::reply::{Reply, Request};
use super::world::Book;

pub fn answer(book: &mut Book, request: &Request) -> Reply {
    let key = request.bearer().to_owned();
    let Some(account) = book.accounts.get(&key).cloned() else {
        return error(401, "invalid_token", "invalid access token", json!([]));
    };
    let writes = matches!(request.method.as_str(), "POST" | "PUT");
    if writes && !request.header("content-type").starts_with("application/json") {
        return error(
            415,
            "unsupported_media_type",
            "content type must be application/json",
            json!(null),
        );
    }
    let parts = request.parts();
    if !writes {
        return match parts[..] {
            ["users", "me"] => Reply::json(200, json!({"id": account.collector, "nickname": "TEST"})),
            ["v1", "payments", "search"] => search(book, &key, request),
            ["v1", "payments", id] => get(book, &key, id),
            _ => not_found(),
        };
    }
    let idempotency = request.header("x-idempotency-key").to_owned();
    if idempotency.is_empty() {
        let cause = json!([{"code": 4292, "description": "Header X-Idempotency-Key can't be null"}]);
        return error(
            400,
            "bad_request",
            "Header X-Idempotency-Key can't be null",
            cause,
        );
    }
    let conflict = error(
        409,
        "idempotency_key_already_used",
        "used with another request",
        json!({}),
    );
    book.once(&key, &idempotency, request, conflict, |book| match parts[..] {
        ["v1", "payments"] => create(book, &key, request),
        ["v1", "payments", id] => cancel(book, &key, id, request),
        ["v1", "payments", id, "refunds"] => refund(book, &key, id, request),
        ["checkout", "preferences"] => create_page(book, &key, request),
        ["checkout", "preferences", id] => change_page(book, &key, id, request),
        _ => not_found(),
    })
}

/// `cause` is a list, an object or nothing, as it comes.
fn error(status: u16, code: &str, message: &str, cause: Value) -> Reply {
    Reply::json(
        status,
        json!({"message": message, "error": code, "status": status, "cause": cause}),
    )
}

fn not_found() -> Reply {
    error(404, "not_found", "Payment not found", json!([{"code": 2000}]))
}

fn invalid(code: u32, message: &str) -> Reply {
    error(
        400,
        "bad_request",
        message,
        json!([{"code": code, "description": message}]),
    )
}

fn text(body: &Value, pointer: &str) -> String {
    body.pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned()
}

fn create(book: &mut Book, account: &str, request: &Request) -> Reply {
    let body = request.json();
    let Some(cents) = body
        .get("transaction_amount")
        .filter(|amount| amount.is_number())
        .and_then(cents)
    else {
        return invalid(4037, "Invalid transaction_amount");
    };
    if text(&body, "/payment_method_id") != "pix" {
        return invalid(2056, "Invalid payment_method_id");
    }
    if !text(&body, "/payer/email").contains('@') {
        return invalid(4050, "payer.email must be a valid email");
    }
    let expires = text(&body, "/date_of_expiration");
    // With milliseconds and an offset, or not at all.
    let expires_at = DateTime::parse_from_str(&expires, "%Y-%m-%dT%H:%M:%S%.3f%:z").ok();
    if !expires.is_empty() && (expires_at.is_none() || expires.len() != 29) {
        return invalid(4033, "Invalid date_of_expiration");
    }
    let (id, now) = (book.number().to_string(), book.now());
    let mut payment = Payment::new(id, account, Method::Pix, cents, now);
    payment.reference = text(&body, "/external_reference");
    payment.description = text(&body, "/description");
    payment.notification_url = Some(text(&body, "/notification_url")).filter(|url| !url.is_empty());
    payment.expires_at = expires_at.map(|time| time.to_utc());
    book.payments.push(payment);
    let place = book.payments.len() - 1;
    event::write(book, place, true);
    Reply::json(201, shown(book, &book.payments[place]))
}

fn create_page(book: &mut Book, account: &str, request: &Request) -> Reply {
    let body = request.json();
    let item = |name: &str| {
        body.pointer(&format!("/items/0/{name}"))
            .cloned()
            .unwrap_or_default()
    };
    let Some(cents) = cents(&item("unit_price")).filter(|_| item("currency_id") == "BRL") else {
        return error(400, "invalid_items", "unit_price invalid", json!(null));
    };
    let (number, now) = (book.number(), book.now());
    let page = format!("{}-{number:x}", book.accounts[account].collector);
    let mut payment = Payment::new(format!("page-{number}"), account, Method::Page, cents, now);
    payment.page = Some(page.clone());
    payment.hidden = true;
    payment.reference = text(&body, "/external_reference");
    payment.description = text(&body, "/items/0/title");
    payment.notification_url = Some(text(&body, "/notification_url")).filter(|url| !url.is_empty());
    book.payments.push(payment);
    let url = format!("http://{}/checkout/v1/redirect?pref_id={page}", book.address);
    Reply::json(
        201,
        json!({"id": page, "init_point": url, "sandbox_init_point": "https://sandbox.invalid/do-not-use"}),
    )
}

/// A page whose time is over is closed. Nobody is told: there is no payment.
fn change_page(book: &mut Book, account: &str, id: &str, request: &Request) -> Reply {
    let is_page = |payment: &Payment| payment.hidden && payment.page.as_deref() == Some(id);
    let Some(place) = book.own(account, is_page) else {
        return error(404, "not_found", "preference not found", json!(null));
    };
    let (body, now) = (request.json(), book.now());
    let until = text(&body, "/expiration_date_to");
    let Ok(until) = DateTime::parse_from_str(&until, "%Y-%m-%dT%H:%M:%S%.3f%:z") else {
        return error(
            400,
            "invalid_expiration_date_to",
            "expiration_date_to invalid",
            json!(null),
        );
    };
    let page = &mut book.payments[place];
    if body.get("expires") == Some(&Value::Bool(true))
        && until.to_utc() <= now
        && page.state == State::Waiting
    {
        page.state = State::Expired;
    }
    Reply::json(200, json!({"id": id}))
}

fn get(book: &mut Book, account: &str, id: &str) -> Reply {
    let Some(place) = book.own(account, |payment| !payment.hidden && payment.id == id) else {
        return not_found();
    };
    let payment = book.told(place);
    Reply::json(200, shown(book, &payment))
}

fn search(book: &mut Book, account: &str, request: &Request) -> Reply {
    let reference = request
        .query
        .get("external_reference")
        .cloned()
        .unwrap_or_default();
    let found: Vec<Value> = book
        .payments
        .iter()
        .rev()
        .filter(|payment| payment.account == account && !payment.hidden && payment.reference == reference)
        .map(|payment| shown(book, payment))
        .collect();
    let paging = json!({"total": found.len(), "limit": 30, "offset": 0});
    Reply::json(200, json!({"results": found, "paging": paging}))
}

fn cancel(book: &mut Book, account: &str, id: &str, request: &Request) -> Reply {
    let Some(place) = book.own(account, |payment| !payment.hidden && payment.id == id) else {
        return not_found();
    };
    if request.json().get("status").and_then(Value::as_str) != Some("cancelled") {
        return invalid(2063, "The action requested is not valid");
    }
    match book.change(place, &Change::Cancel) {
        Ok(place) => Reply::json(200, shown(book, &book.payments[place])),
        Err(_) => error(
            400,
            "bad_request",
            "The action requested is not valid for the current payment state",
            json!({"code": 2063}),
        ),
    }
}

fn refund(book: &mut Book, account: &str, id: &str, request: &Request) -> Reply {
    let Some(place) = book.own(account, |payment| !payment.hidden && payment.id == id) else {
        return not_found();
    };
    let cents = request.json().get("amount").and_then(cents);
    match book.change(place, &Change::Refund { cents }) {
        Ok(place) => {
            let made = book.payments[place].refunds.last().cloned().expect("just made");
            let id: u64 = made.id.parse().expect("a number");
            let payment = book.payments[place].id.clone();
            Reply::json(
                201,
                json!({"id": id, "payment_id": payment, "amount": reais(made.cents), "status": "approved"}),
            )
        }
        Err(_) => error(
            400,
            "bad_request",
            "The action requested is not valid for the current payment state",
            json!([{"code": "2063"}]),
        ),
    }
}

fn shown(book: &Book, payment: &Payment) -> Value {
    let (status, detail) = match payment.state {
        State::Waiting => ("pending", "pending_waiting_transfer"),
        State::InReview => ("in_process", "pending_review_manual"),
        State::Rejected => ("rejected", "cc_rejected_other_reason"),
        State::Expired => ("cancelled", "expired"),
        State::Canceled => ("cancelled", "by_collector"),
        State::Paid if payment.was_disputed => ("charged_back", "reimbursed"),
        State::Paid if payment.refunds.is_empty() => ("approved", "accredited"),
        State::Paid => ("approved", "partially_refunded"),
        State::Refunded => ("refunded", "refunded"),
        State::ChargedBack => ("charged_back", "in_process"),
    };
    let page = payment.method == Method::Page;
    let id: u64 = payment.id.parse().unwrap_or_default();
    let time = |time: chrono::DateTime<chrono::Utc>| time.format("%Y-%m-%dT%H:%M:%S%.3f+00:00").to_string();
    json!({
        "id": id,
        "status": status,
        "status_detail": detail,
        "transaction_amount": reais(payment.told_cents()),
        "transaction_amount_refunded": reais(payment.refunded_cents()),
        "currency_id": payment.currency,
        "description": payment.description,
        "external_reference": payment.reference,
        "collector_id": book.accounts.get(&payment.account).map(|account| account.collector),
        "payment_method_id": if page { "visa" } else { "pix" },
        "payment_type_id": if page { "credit_card" } else { "bank_transfer" },
        "date_created": time(payment.created_at),
        "date_last_updated": time(payment.updated_at),
        "date_of_expiration": payment.expires_at.map(time),
        "notification_url": payment.notification_url,
        "point_of_interaction": if page { json!({"type": "CHECKOUT"}) } else { json!({
            "type": "PIX",
            "transaction_data": {
                "qr_code": pix::code(payment.cents, &payment.id),
                "qr_code_base64": "",
                "ticket_url": format!("http://{}/payments/{}/ticket", book.address, payment.id),
            },
        }) },
    })
}
