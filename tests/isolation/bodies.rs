//! Bodies that operations accept, made from their schemas.

use serde_json::{Value, json};

use super::document::{Document, Operation};
use crate::helpers::TestApp;

/// A body that the operation accepts, with `word` in each free text. `None` when it takes no body.
pub fn valid(document: &Document, operation: &Operation, word: &str) -> Option<Value> {
    let schema = operation.body.as_ref()?;
    let serial = uuid::Uuid::now_v7().simple().to_string();
    // What the schema alone does not tell.
    Some(match operation.id.as_str() {
        "create_tenant" => TestApp::onboarding(&format!("t{}", &serial[20..]), "cars"),
        // Of one account, so that guesses are soon refused without the time that looking at a password takes.
        "create_session" | "create_admin_session" => json!({"email": "odd@example.com", "password": word}),
        "confirm_password_reset" | "accept_invitation" | "confirm_admin_password_reset" => {
            json!({"token": format!("hxp_{}", "A".repeat(43)), "password": "correct horse battery"})
        }
        "create_payment_account" => json!({
            "gateway": "mercado_pago", "name": word,
            "credentials": {"access_token": format!("APP_USR-{serial}"), "webhook_secret": serial},
        }),
        "create_password_reset" | "create_admin_password_reset" => json!({"email": "odd@example.com"}),
        _ => {
            let mut body = value(document, schema, "", word);
            let status = document
                .properties(schema)
                .get("status")
                .cloned()
                .unwrap_or_default();
            if document.values(&status).contains(&json!("published")) {
                // What anybody may see is what could be seen at the wrong place.
                body["status"] = json!("published");
            }
            body
        }
    })
}

/// Bodies that no operation accepts: `(content type, text)`.
pub fn invalid() -> [(&'static str, &'static str); 4] {
    [
        ("application/json", r#"{"no_such_field":1}"#),
        ("application/json", r#"{"#),
        ("application/json", "[\"\\u0000\"]"),
        ("text/plain", "no JSON"),
    ]
}

/// A value that fits the schema; of objects, only what they require.
fn value(document: &Document, schema: &Value, field: &str, word: &str) -> Value {
    let schema = document.resolve(schema);
    for combination in ["oneOf", "anyOf"] {
        let parts = schema[combination].as_array().into_iter().flatten();
        if let Some(part) = parts.into_iter().find(|part| part["type"] != "null") {
            return value(document, part, field, word);
        }
    }
    if let Some(parts) = schema["allOf"].as_array() {
        let mut whole = serde_json::Map::new();
        for part in parts {
            if let Value::Object(object) = value(document, part, field, word) {
                whole.extend(object);
            }
        }
        return Value::Object(whole);
    }
    for given in [
        &schema["const"],
        &schema["enum"][0],
        &schema["example"],
        &schema["examples"][0],
    ] {
        // Not for what must be new each time, nor for what tells whose it is.
        if !given.is_null() && !["name", "email", "key"].contains(&field) {
            return given.clone();
        }
    }
    let kind = match &schema["type"] {
        Value::Array(kinds) => kinds.iter().find(|kind| *kind != "null").expect("a type"),
        kind => kind,
    };
    match kind.as_str() {
        Some("object") => object(document, schema, word),
        Some("array") => match schema["minItems"].as_u64().unwrap_or(0) {
            0 => json!([]),
            _ => json!([value(document, &schema["items"], field, word)]),
        },
        Some("boolean") => json!(true),
        Some("integer" | "number") => match &schema["minimum"] {
            Value::Null => json!(1),
            minimum => minimum.clone(),
        },
        Some("string") => json!(text(schema, field, word)),
        other => panic!("{field}: no value of type {other:?} is known: {schema}"),
    }
}

fn object(document: &Document, schema: &Value, word: &str) -> Value {
    let required = schema["required"].as_array().into_iter().flatten();
    let names = required.map(|name| name.as_str().expect("a name"));
    let fields = names.map(|name| {
        let field = &schema["properties"][name];
        (name.to_owned(), value(document, field, name, word))
    });
    Value::Object(fields.collect())
}

fn text(schema: &Value, field: &str, word: &str) -> String {
    let serial = uuid::Uuid::now_v7().simple().to_string();
    match (schema["format"].as_str(), field) {
        (Some("uuid"), _) => uuid::Uuid::now_v7().to_string(),
        (Some("date-time"), _) => "2026-01-02T03:04:05Z".to_owned(),
        (Some("date"), _) => "2026-01-02".to_owned(),
        (Some("password"), _) => "correct horse battery".to_owned(),
        (Some("email"), _) | (_, "email") => format!("{word}-{}@example.com", &serial[20..]),
        (_, "key") => format!("{word}-{serial}"),
        _ => format!("{word} {field}"),
    }
}
