//! The fields of spans and events, as they are written: values in their JSON type, sensitive ones hidden, long ones cut.
//!
//! To hide another kind of field: add its word to [`SENSITIVE_WORDS`]. A type that holds a secret hides itself in its
//! own `Debug`; this is the second fence.

use std::fmt::{self, Write};

use serde_json::Value;
use tracing::field::{Field, Visit};

/// Words that, in a field's name, hide its value.
const SENSITIVE_WORDS: [&str; 14] = [
    "password",
    "passwd",
    "token",
    "authorization",
    "cookie",
    "secret",
    "apikey",
    "document",
    "cpf",
    "cnpj",
    "phone",
    "telephone",
    "email",
    "whatsapp",
];
/// What stands in place of a hidden value.
const HIDDEN: &str = "[REDACTED]";
/// Longest value written, in bytes.
const LONGEST: usize = 4096;
/// How PostgreSQL's errors introduce the row they are about (as `Display` and as `Debug`).
const ROW_DETAILS: [&str; 2] = ["DETAIL: ", "detail: Some("];

/// Fields in the order in which they were recorded, each once.
#[derive(Debug, Clone, Default)]
pub(super) struct Fields {
    /// The event's own text.
    pub(super) message: Option<String>,
    /// Everything else.
    pub(super) values: Vec<(&'static str, Value)>,
}

impl Fields {
    /// Adds a field, in place of an earlier one of that name.
    pub(super) fn set(&mut self, name: &'static str, value: Value) {
        match self.values.iter_mut().find(|(known, _)| *known == name) {
            Some((_, old)) => *old = value,
            None => self.values.push((name, value)),
        }
    }

    /// Adds all of `other`'s.
    pub(super) fn merge(&mut self, other: &Self) {
        for (name, value) in &other.values {
            self.set(name, value.clone());
        }
    }

    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        self.values
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, value)| value)
    }

    fn record(&mut self, field: &Field, value: impl FnOnce() -> Value) {
        let name = field.name();
        // What the `log` crate's bridge adds; the line's target already says it.
        if name.starts_with("log.") {
            return;
        }
        if name == "message" {
            self.message = match value() {
                Value::String(text) => Some(text),
                other => Some(other.to_string()),
            };
        } else if is_sensitive(name) {
            self.set(name, HIDDEN.into());
        } else {
            self.set(name, value());
        }
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record(field, || written(format_args!("{value:?}")));
    }
    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.record(field, || {
            let mut text = value.to_string();
            let mut source = value.source();
            while let Some(cause) = source {
                let cause_text = cause.to_string();
                // Many errors already repeat their cause.
                if !text.contains(&cause_text) {
                    text.push_str(": ");
                    text.push_str(&cause_text);
                }
                source = cause.source();
            }
            written(format_args!("{text}"))
        });
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        self.record(field, || written(format_args!("{value}")));
    }
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.record(field, || value.into());
    }
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.record(field, || value.into());
    }
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.record(field, || value.into());
    }
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.record(field, || value.into());
    }
}

/// Whether a field of this name is hidden: a sensitive word between separators, or `api_key` anywhere.
fn is_sensitive(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name.contains("api_key")
        || name.contains("api-key")
        || name
            .split(|c: char| !c.is_ascii_alphanumeric())
            .any(|word| SENSITIVE_WORDS.contains(&word))
}

/// Formats a value, no longer than [`LONGEST`] and without the row a database error quotes.
fn written(arguments: fmt::Arguments<'_>) -> Value {
    struct Limited(String);
    impl Write for Limited {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            let room = LONGEST.saturating_sub(self.0.len());
            if text.len() <= room {
                self.0.push_str(text);
                return Ok(());
            }
            self.0
                .push_str(text.get(..text.floor_char_boundary(room)).unwrap_or_default());
            self.0.push('…');
            Err(fmt::Error)
        }
    }
    let mut limited = Limited(String::new());
    // An error means "cut" here; a `Debug` that fails leaves what it wrote.
    let _cut = limited.write_fmt(arguments);
    let mut text = limited.0;
    for marker in ROW_DETAILS {
        if let Some(start) = text.find(marker) {
            text.truncate(start + marker.len());
            text.push_str(HIDDEN);
        }
    }
    Value::String(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sensitive_names_are_recognised_by_word() {
        for name in [
            "password",
            "new_password",
            "access_token",
            "token",
            "Authorization",
            "http.request.header.authorization",
            "client_secret",
            "api_key",
            "tenant_api_key_prefix",
            "document",
            "owner.document",
            "phone",
            "email",
            "user_email",
            "set-cookie",
        ] {
            assert!(is_sensitive(name), "{name}");
        }
        for name in [
            "tenant",
            "request_id",
            "tokens",
            "ai_tokens",
            "status",
            "documents_total",
            "lane",
        ] {
            assert!(!is_sensitive(name), "{name}");
        }
    }

    #[test]
    fn long_values_are_cut_at_a_character() {
        let Value::String(text) = written(format_args!("{}{}", "é".repeat(3000), "x")) else {
            panic!()
        };
        assert!(
            text.len() <= LONGEST + '…'.len_utf8() && text.ends_with("é…"),
            "{}",
            text.len()
        );
    }

    #[test]
    fn a_database_error_does_not_quote_the_row() {
        let display = "db error: ERROR: duplicate key\nDETAIL: Key (email)=(ana@example.com) already exists.";
        let debug = r#"DbError { message: "duplicate", detail: Some("Key (email)=(ana@example.com)") }"#;
        for text in [display, debug] {
            let Value::String(text) = written(format_args!("{text}")) else {
                panic!()
            };
            assert!(!text.contains("ana@") && text.ends_with(HIDDEN), "{text}");
        }
    }
}
