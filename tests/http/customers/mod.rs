//! The tenant's own customers: what they have agreed to, order, owe and pay.

mod dues;
mod finance;
mod orders;
mod plans;
mod reminder_rules;
mod templates;
mod who;

use serde_json::{Value, json};

use crate::helpers::{TestApp, TestTenant};

/// The id of something.
pub fn id(row: &Value) -> &str {
    row["id"].as_str().expect("an id")
}

/// Posts a body as the tenant's own program and answers what was made.
pub async fn made(app: &TestApp, tenant: &TestTenant, path: &str, body: Value) -> Value {
    app.post(path).by(tenant).json(&body).await.expect(201).json()
}

/// A customer with this name, and an address made of it; `agreed` is what else is said of them.
pub async fn customer(app: &TestApp, tenant: &TestTenant, name: &str, agreed: Value) -> Value {
    let words = name.to_lowercase().replace(' ', ".");
    let words: String = words
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || *c == '.')
        .collect();
    let email = format!("{words}@example.com");
    let contact = made(
        app,
        tenant,
        "/api/contacts",
        json!({"name": name, "email": email}),
    )
    .await;
    let mut body = json!({"contact_id": contact["id"]});
    body.as_object_mut()
        .expect("an object")
        .extend(agreed.as_object().expect("an object").clone());
    made(app, tenant, "/api/customers", body).await
}

/// A due of a customer that is for nothing in particular.
pub async fn due(app: &TestApp, tenant: &TestTenant, customer: &Value, cents: i64, day: &str) -> Value {
    let body = json!({"customer_id": customer["id"], "description": "Serviço", "amount_cents": cents, "due_date": day});
    made(app, tenant, "/api/dues", body).await
}

/// Notes that a due was paid.
pub async fn paid(app: &TestApp, tenant: &TestTenant, due: &Value, body: Value) -> Value {
    made(app, tenant, &format!("/api/dues/{}/payments", id(due)), body).await
}
