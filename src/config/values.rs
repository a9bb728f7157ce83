//! How a raw value becomes a setting's type: durations with their unit in the key, texts where `""` means unset,
//! secrets, and lists that the environment gives with commas.
//!
//! To add a kind of value: a function usable with `#[serde(deserialize_with)]`, whose error says what to write and
//! never repeats a secret.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use secrecy::SecretString;
use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};

/// Whole seconds.
pub(super) fn seconds<'de, D: Deserializer<'de>>(value: D) -> Result<Duration, D::Error> {
    u64::deserialize(value).map(Duration::from_secs)
}

/// Whole milliseconds.
pub(super) fn milliseconds<'de, D: Deserializer<'de>>(value: D) -> Result<Duration, D::Error> {
    u64::deserialize(value).map(Duration::from_millis)
}

/// Whole hours.
pub(super) fn hours<'de, D: Deserializer<'de>>(value: D) -> Result<Duration, D::Error> {
    u64::deserialize(value).map(|hours| Duration::from_secs(hours.saturating_mul(3600)))
}

/// A number for which 0 means "not set".
pub(super) fn non_zero<'de, D: Deserializer<'de>, T>(value: D) -> Result<Option<T>, D::Error>
where
    T: Deserialize<'de> + Default + PartialEq,
{
    T::deserialize(value).map(|number| (number != T::default()).then_some(number))
}

/// A secret text for which `""` means "not set".
pub(super) fn secret<'de, D: Deserializer<'de>>(value: D) -> Result<Option<SecretString>, D::Error> {
    let text = String::deserialize(value)?;
    let trimmed = text.trim();
    Ok((!trimmed.is_empty()).then(|| SecretString::from(trimmed)))
}

/// A parsed text for which `""` means "not set".
pub(super) fn optional<'de, D, T>(value: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr,
    T::Err: fmt::Display,
{
    let text = String::deserialize(value)?;
    let trimmed = text.trim();
    if trimmed.is_empty() {
        return Ok(None);
    }
    trimmed
        .parse()
        .map(Some)
        .map_err(|reason| D::Error::custom(format!("`{trimmed}`: {reason}")))
}

/// A list of parsed texts: an array in a file, or one text with commas.
pub(super) fn list<'de, D, T>(value: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr,
    T::Err: fmt::Display,
{
    struct Texts;
    impl<'de> Visitor<'de> for Texts {
        type Value = Vec<String>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list of texts, or one text separated by commas")
        }
        fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
            Ok(text.split(',').map(str::to_owned).collect())
        }
        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
            let mut texts = Vec::new();
            while let Some(text) = seq.next_element()? {
                texts.push(text);
            }
            Ok(texts)
        }
    }
    let texts = value.deserialize_any(Texts)?;
    texts
        .iter()
        .map(|text| text.trim())
        .filter(|text| !text.is_empty())
        .map(|text| {
            text.parse()
                .map_err(|reason| D::Error::custom(format!("`{text}`: {reason}")))
        })
        .collect()
}
