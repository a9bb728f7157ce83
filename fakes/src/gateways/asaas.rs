//! The API of Asaas. It has no idempotency keys: what is asked for twice is made twice.

use serde_json::{Value, json};

use super::amount::{cents, reais};
use super::change::Change;
use super::event;
use super::payment::{Method, Payment, State};
use super::pix;
use super::reply::{Reply, Request};
use super::world::{Book, Customer};

pub fn answer(book: &mut Book, request: &Request) -> Reply {
    let key = request.header("access_token").to_owned();
    if !book.accounts.contains_key(&key) {
        return error(401, "invalid_access_token", "A chave de API informada é inválida");
    }
    if request.header("user-agent").is_empty() {
        return error(400, "invalid_user_agent", "Informe o User-Agent");
    }
    if request.method == "POST" && !request.header("content-type").starts_with("application/json") {
        return error(415, "invalid_content_type", "O corpo deve ser JSON");
    }
    let parts = request.parts();
    let Some((&"v3", parts)) = parts.split_first() else {
        return not_found();
    };
    match (request.method.as_str(), parts) {
        ("POST", ["customers"]) => create_customer(book, &key, &request.json()),
        ("GET", ["customers"]) => list_customers(book, &key, request),
        ("POST", ["payments"]) => create(book, &key, &request.json()),
        ("GET", ["payments"]) => list(book, &key, request),
        (_, ["payments", id, rest @ ..]) => {
            let Some(place) = book.own(&key, |payment| payment.id == *id) else {
                return not_found();
            };
            one(book, place, request, rest)
        }
        _ => not_found(),
    }
}

fn one(book: &mut Book, place: usize, request: &Request, rest: &[&str]) -> Reply {
    match (request.method.as_str(), rest) {
        ("GET", []) => {
            let payment = book.told(place);
            Reply::json(200, shown(&payment))
        }
        ("GET", ["pixQrCode"]) => pix_code(&book.payments[place]),
        ("GET", ["identificationField"]) => digits(&book.payments[place]),
        ("DELETE", []) => delete(book, place),
        ("POST", ["refund"]) => refund(book, place, &request.json()),
        _ => not_found(),
    }
}

fn error(status: u16, code: &str, description: &str) -> Reply {
    Reply::json(
        status,
        json!({"errors": [{"code": code, "description": description}]}),
    )
}

fn not_found() -> Reply {
    Reply::json(404, json!({}))
}

fn text(body: &Value, name: &str) -> String {
    body.get(name)
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned()
}

fn create_customer(book: &mut Book, account: &str, body: &Value) -> Reply {
    let document = text(body, "cpfCnpj");
    if document.is_empty() || text(body, "name").is_empty() {
        return error(400, "invalid_cpfCnpj", "O CPF/CNPJ informado é inválido.");
    }
    let id = format!("cus_{:012}", book.number());
    book.customers.push(Customer {
        account: account.to_owned(),
        id: id.clone(),
        document,
    });
    Reply::json(200, json!({"object": "customer", "id": id}))
}

fn list_customers(book: &Book, account: &str, request: &Request) -> Reply {
    let document = request.query.get("cpfCnpj");
    let found: Vec<Value> = book
        .customers
        .iter()
        .filter(|customer| customer.account == account)
        .filter(|customer| document.is_none_or(|document| customer.document == *document))
        .map(|customer| json!({"object": "customer", "id": customer.id}))
        .collect();
    listed(found)
}

fn create(book: &mut Book, account: &str, body: &Value) -> Reply {
    let customer = text(body, "customer");
    let known = |book: &Book| {
        let mut customers = book.customers.iter();
        customers.any(|known| known.account == account && known.id == customer)
    };
    let token = text(body, "creditCardToken");
    if !known(book) {
        return error(400, "invalid_customer", "Customer inválido ou não informado.");
    }
    let Some(cents) = body.get("value").and_then(cents) else {
        return error(400, "invalid_value", "O valor da cobrança deve ser informado.");
    };
    let due = text(body, "dueDate");
    if due.len() != 10 {
        return error(400, "invalid_dueDate", "A data de vencimento deve ser informada.");
    }
    let method = match text(body, "billingType").as_str() {
        "PIX" => Method::Pix,
        "BOLETO" => Method::Boleto,
        "CREDIT_CARD" => Method::Card,
        "UNDEFINED" => Method::Page,
        _ => return error(400, "invalid_billingType", "Informe uma forma de pagamento."),
    };
    // What is not authorised is not kept.
    if !token.is_empty() && (book.decline_cards || !book.has_card(account, &customer, &token)) {
        return error(400, "invalid_creditCard", "Transação não autorizada.");
    }
    let (id, now) = (format!("pay_{:012}", book.number()), book.now());
    let mut payment = Payment::new(id, account, method, cents, now);
    payment.reference = text(body, "externalReference");
    payment.description = text(body, "description");
    payment.customer = Some(customer);
    payment.due_date = Some(due);
    // Whoever pays with a card there leaves a token.
    payment.save_card = matches!(method, Method::Page | Method::Card);
    payment.card = Some(token).filter(|token| !token.is_empty());
    let at_once = payment.card.is_some();
    book.payments.push(payment);
    let place = book.payments.len() - 1;
    event::write(book, place, true);
    if at_once && let Err(why) = book.change(place, &Change::Pay) {
        return error(400, "invalid_action", &why);
    }
    Reply::json(200, shown(&book.payments[place]))
}

fn list(book: &Book, account: &str, request: &Request) -> Reply {
    let reference = request.query.get("externalReference");
    let found: Vec<Value> = book
        .payments
        .iter()
        .filter(|payment| payment.account == account)
        .filter(|payment| reference.is_none_or(|reference| payment.reference == *reference))
        .map(shown)
        .collect();
    listed(found)
}

fn listed(found: Vec<Value>) -> Reply {
    Reply::json(
        200,
        json!({"object": "list", "hasMore": false, "totalCount": found.len(), "limit": 10, "offset": 0, "data": found}),
    )
}

fn pix_code(payment: &Payment) -> Reply {
    if !matches!(payment.method, Method::Pix | Method::Page) {
        return error(400, "invalid_action", "A cobrança não aceita Pix.");
    }
    let payload = pix::code(payment.cents, &payment.id);
    let due = payment.due_date.clone().unwrap_or_default();
    Reply::json(
        200,
        json!({"encodedImage": "", "payload": payload, "expirationDate": format!("{due} 23:59:59")}),
    )
}

fn digits(payment: &Payment) -> Reply {
    if !matches!(payment.method, Method::Boleto | Method::Page) {
        return error(400, "invalid_action", "A cobrança não tem boleto.");
    }
    let number: String = payment.id.chars().filter(char::is_ascii_digit).collect();
    let digits = format!("00190000090275928800021932978170187890{:010}", payment.cents);
    Reply::json(
        200,
        json!({"identificationField": digits, "nossoNumero": number, "barCode": digits}),
    )
}

fn delete(book: &mut Book, place: usize) -> Reply {
    // What is overdue may be deleted too.
    let overdue = book.payments[place].state == State::Expired;
    if overdue {
        book.payments[place].state = State::Waiting;
    }
    match book.change(place, &Change::Cancel) {
        Ok(place) => Reply::json(200, json!({"deleted": true, "id": book.payments[place].id})),
        Err(_) => error(400, "invalid_action", "A cobrança não pode ser removida."),
    }
}

fn refund(book: &mut Book, place: usize, body: &Value) -> Reply {
    let cents = body.get("value").and_then(cents);
    match book.change(place, &Change::Refund { cents }) {
        Ok(place) => {
            let description = Some(text(body, "description")).filter(|text| !text.is_empty());
            if let Some(made) = book.payments[place].refunds.last_mut() {
                made.description = description;
            }
            Reply::json(200, shown(&book.payments[place]))
        }
        Err(_) => error(400, "invalid_action", "O valor não pode ser estornado."),
    }
}

/// A payment as answers and events tell it.
pub fn shown(payment: &Payment) -> Value {
    let status = match payment.state {
        State::Waiting | State::Canceled => "PENDING",
        State::Expired => "OVERDUE",
        State::InReview => "AWAITING_RISK_ANALYSIS",
        State::Rejected => "PENDING",
        State::Paid if payment.method == Method::Card || payment.card.is_some() => "CONFIRMED",
        State::Paid => "RECEIVED",
        State::Refunded => "REFUNDED",
        State::ChargedBack => "CHARGEBACK_REQUESTED",
    };
    let refunds: Vec<Value> = payment
        .refunds
        .iter()
        .map(|refund| json!({"status": "DONE", "value": reais(refund.cents), "description": refund.description}))
        .collect();
    json!({
        "object": "payment",
        "id": payment.id,
        "dateCreated": payment.created_at.format("%Y-%m-%d").to_string(),
        "customer": payment.customer,
        "value": reais(payment.told_cents()),
        "billingType": match payment.method {
            Method::Pix => "PIX",
            Method::Boleto => "BOLETO",
            Method::Card => "CREDIT_CARD",
            Method::Page => "UNDEFINED",
        },
        "status": status,
        "dueDate": payment.due_date,
        "description": payment.description,
        "externalReference": payment.reference,
        "invoiceUrl": format!("https://www.asaas.com/i/{}", payment.id),
        "bankSlipUrl": if payment.method == Method::Boleto { Some(format!("https://www.asaas.com/b/pdf/{}", payment.id)) } else { None },
        "deleted": payment.state == State::Canceled,
        "creditCard": payment.card.as_ref().map(|token| json!({
            "creditCardNumber": "4242", "creditCardBrand": "VISA", "creditCardToken": token,
        })),
        "refunds": if refunds.is_empty() { Value::Null } else { refunds.into() },
    })
}
