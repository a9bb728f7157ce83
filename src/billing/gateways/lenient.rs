//! Values that a gateway writes now as a number and now as a text, or in its own way.

use chrono::{DateTime, NaiveDateTime, TimeZone, Utc};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::domain::month::BOOKS_TZ;

/// A text or a whole number, as text; anything else, and an empty text, is none.
pub(super) fn id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::String(text) if !text.is_empty() => Some(text),
        Value::Number(number) if number.is_i64() || number.is_u64() => Some(number.to_string()),
        _ => None,
    })
}

/// A text; anything else is none.
pub(super) fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::String(text) => Some(text),
        _ => None,
    })
}

/// A time with its offset (`2026-07-31T17:04:28.717-04:00`), or without one (`2026-07-31 23:59:59`), which is meant in São
/// Paulo; anything else is none.
pub(super) fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<DateTime<Utc>>, D::Error> {
    Ok(text(deserializer)?.and_then(|text| parse_time(&text)))
}

fn parse_time(text: &str) -> Option<DateTime<Utc>> {
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Some(time.to_utc());
    }
    let local = NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S").ok()?;
    BOOKS_TZ
        .from_local_datetime(&local)
        .earliest()
        .map(|time| time.to_utc())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct Seen {
        #[serde(default, deserialize_with = "id")]
        id: Option<String>,
        #[serde(default, deserialize_with = "time")]
        at: Option<DateTime<Utc>>,
    }

    fn seen(json: &str) -> (Option<String>, Option<String>) {
        let seen: Seen = serde_json::from_str(json).unwrap();
        (seen.id, seen.at.map(|at| at.to_rfc3339()))
    }

    #[test]
    fn values_are_read_in_each_of_their_forms() {
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(
            seen(r#"{"id":18446744073709551615,"at":"2026-07-31T17:04:28.000-04:00"}"#),
            (text("18446744073709551615"), text("2026-07-31T21:04:28+00:00"))
        );
        assert_eq!(
            seen(r#"{"id":"pay_1","at":"2026-07-31 23:59:59"}"#),
            (text("pay_1"), text("2026-08-01T02:59:59+00:00"))
        );
        for nothing in [
            r#"{}"#,
            r#"{"id":null,"at":null}"#,
            r#"{"id":"","at":"soon"}"#,
            r#"{"id":1.5,"at":7}"#,
            r#"{"id":[1],"at":{}}"#,
        ] {
            assert_eq!(seen(nothing), (None, None), "{nothing}");
        }
    }
}
