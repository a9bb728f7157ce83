//! Real sockets: who may have one, what it hears, and when it is closed.

mod ends;
mod hears;
mod opens;
mod socket;

use serde_json::{Value, json};

use crate::helpers::{TestApp, TestTenant};
pub use socket::{RefusedWith, WebSocket};

/// Begins a conversation over HTTP with somebody new; its id.
pub async fn conversation(app: &TestApp, tenant: &TestTenant) -> String {
    let contact = app.post("/api/contacts").by(tenant).json(&json!({"name": "Ana"}));
    let contact = contact.await.expect(201).json();
    let begun = app.post("/api/conversations").by(tenant);
    let begun = begun
        .json(&json!({"contact_id": contact["id"]}))
        .await
        .expect(201)
        .json();
    begun["id"].as_str().expect("an id").to_owned()
}

/// Says something; the message.
pub async fn say(app: &TestApp, tenant: &TestTenant, conversation: &str, words: &str) -> Value {
    let path = format!("/api/conversations/{conversation}/messages");
    let call = app.post(&path).by(tenant).json(&json!({"body": words}));
    call.await.expect(201).json()
}
