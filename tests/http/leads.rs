//! `/api/leads`.

use serde_json::{Value, json};

use super::resource::{Resource, behaves_as_a_resource};

const LEADS: Resource = Resource {
    path: "/api/leads",
    niche: "general",
    other_niche: None,
    least,
    text: "name",
    lacks: &["name"],
};

behaves_as_a_resource!(LEADS);

fn least() -> Value {
    json!({"name": "Ana"})
}
