//! One log line: an event with the fields of the spans around it, as JSON or as text.
//!
//! To add something to every line: a field of [`Line`] and its place in both writings.

use std::fmt::Write;
use std::sync::Arc;

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::Value;
use tracing::Level;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};

use super::fields::Fields;

/// Names of a JSON line that a field cannot take; it gets `field_` before its own.
const RESERVED: [&str; 5] = ["timestamp", "level", "target", "span", "message"];

/// An event, ready to be written.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) timestamp: String,
    pub(super) level: Level,
    pub(super) target: String,
    /// Names of the spans around the event, outermost first, joined by `:`.
    pub(super) spans: String,
    /// Fields of the spans, outermost first, then of the event; the innermost wins.
    pub(super) fields: Fields,
    /// The tenant whose file the line goes to.
    pub(super) tenant: Option<Arc<str>>,
}

/// Now, as RFC 3339 in UTC with microseconds.
pub(super) fn timestamp() -> String {
    let mut text = String::with_capacity(32);
    // Writing into a text cannot fail.
    let _infallible = SystemTime.format_time(&mut Writer::new(&mut text));
    text
}

impl Line {
    /// The line as a flat JSON object, with its line feed.
    pub(super) fn to_json(&self) -> String {
        let mut text = serde_json::to_string(self).unwrap_or_default();
        text.push('\n');
        text
    }

    /// The line for a person, with its line feed; control characters are escaped.
    pub(super) fn to_text(&self, ansi: bool) -> String {
        let mut text = String::with_capacity(200);
        let (colour, reset) = if ansi {
            (colour(self.level), "\x1b[0m")
        } else {
            ("", "")
        };
        let message = self.fields.message.as_deref().unwrap_or_default();
        let _infallible = write!(
            text,
            "{} {colour}{:>5}{reset} {}: {}",
            self.timestamp,
            self.level,
            self.target,
            Escaped(message)
        );
        for (name, value) in &self.fields.values {
            let _infallible = match value {
                Value::String(value) if is_bare(value) => write!(text, " {name}={value}"),
                Value::String(value) => write!(text, " {name}={value:?}"),
                other => write!(text, " {name}={other}"),
            };
        }
        if !self.spans.is_empty() {
            let _infallible = write!(text, " [{}]", self.spans);
        }
        text.push('\n');
        text
    }
}

impl Serialize for Line {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("timestamp", &self.timestamp)?;
        map.serialize_entry("level", self.level.as_str())?;
        map.serialize_entry("target", &self.target)?;
        if !self.spans.is_empty() {
            map.serialize_entry("span", &self.spans)?;
        }
        map.serialize_entry("message", self.fields.message.as_deref().unwrap_or_default())?;
        for (name, value) in &self.fields.values {
            if RESERVED.contains(name) {
                map.serialize_entry(&format!("field_{name}"), value)?;
            } else {
                map.serialize_entry(name, value)?;
            }
        }
        map.end()
    }
}

/// A text whose control characters are written as escapes, so that it cannot forge a line or drive a terminal.
struct Escaped<'a>(&'a str);

impl std::fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for c in self.0.chars() {
            if c.is_control() {
                write!(f, "{}", c.escape_default())?;
            } else {
                f.write_char(c)?;
            }
        }
        Ok(())
    }
}

fn is_bare(value: &str) -> bool {
    !value.is_empty()
        && value
            .chars()
            .all(|c| !c.is_control() && !c.is_whitespace() && c != '"' && c != '=')
}

fn colour(level: Level) -> &'static str {
    match level {
        Level::ERROR => "\x1b[31m",
        Level::WARN => "\x1b[33m",
        Level::INFO => "\x1b[32m",
        _ => "\x1b[2m",
    }
}
