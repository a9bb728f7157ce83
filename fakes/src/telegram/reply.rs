//! Answers of the Bot API: `{"ok":true,"result":…}`, or `{"ok":false,"error_code":…,"description":…,"parameters":…}`.

use serde_json::{Value, json};

/// What the API says of one call.
pub type Answer = Result<Value, Refusal>;

/// A refusal, with the words of the real one: clients tell them apart by these.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub code: u16,
    pub description: String,
    /// Seconds.
    pub retry_after: Option<u64>,
}

impl Refusal {
    pub fn new(code: u16, description: impl Into<String>) -> Self {
        Self {
            code,
            description: description.into(),
            retry_after: None,
        }
    }

    /// 400 `Bad Request: …`
    pub fn bad(what: impl AsRef<str>) -> Self {
        Self::new(400, format!("Bad Request: {}", what.as_ref()))
    }

    /// 409 `Conflict: …`
    pub fn conflict(what: &str) -> Self {
        Self::new(409, format!("Conflict: {what}"))
    }

    pub fn unauthorized() -> Self {
        Self::new(401, "Unauthorized")
    }

    pub fn not_found() -> Self {
        Self::new(404, "Not Found")
    }

    pub fn too_many(seconds: u64) -> Self {
        Self {
            code: 429,
            description: format!("Too Many Requests: retry after {seconds}"),
            retry_after: Some(seconds),
        }
    }
}

pub fn status(answer: &Answer) -> u16 {
    match answer {
        Ok(_) => 200,
        Err(refusal) => refusal.code,
    }
}

pub fn body(answer: &Answer) -> Value {
    match answer {
        Ok(result) => json!({"ok": true, "result": result}),
        Err(Refusal {
            code,
            description,
            retry_after: None,
        }) => json!({"ok": false, "error_code": code, "description": description}),
        Err(Refusal {
            code,
            description,
            retry_after: Some(seconds),
        }) => json!({"ok": false, "error_code": code, "description": description,
                     "parameters": {"retry_after": seconds}}),
    }
}
