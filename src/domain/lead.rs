//! Leads: what is told of one, and the parts that have rules of their own.

use super::ids::{ContactId, LeadId, UserId};
use super::{email::Email, invalid::Invalid, phone::Phone, text, text_value::text_value};
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

/// The code of a stage of the tenant's sales funnel. Which stages there are is the tenant's own setting.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stage(String);

text_value!(Stage, "The code of a stage of the sales funnel", "new");

impl Stage {
    /// Where a lead begins when nothing else is said.
    pub const FIRST: &'static str = "new";

    /// Reads a code: 1 to 40 of `a-z`, `0-9`, `_`, beginning with a letter.
    pub fn parse(value: &str) -> Result<Self, Invalid> {
        if value.is_empty() {
            return Err(Invalid::required());
        }
        if value.len() > 40 {
            return Err(Invalid::too_long(40));
        }
        let is_code = value.starts_with(|first: char| first.is_ascii_lowercase())
            && value
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
        if is_code {
            Ok(Self(value.to_owned()))
        } else {
            Err(Invalid::format(
                "must be of a-z, 0-9 and _, beginning with a letter",
            ))
        }
    }

    /// The code of a stage whose name makes none.
    pub(super) fn unnamed() -> Self {
        Self("stage".to_owned())
    }

    /// The stage in which a lead begins.
    pub fn first() -> Self {
        Self(Self::FIRST.to_owned())
    }
}

/// Where a lead came from, in the tenant's own words: one line, 1 to 100 characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Source(String);

text_value!(Source, "Where a lead came from", "whatsapp");

impl Source {
    /// Reads a source; space around it is dropped.
    pub fn parse(value: &str) -> Result<Self, Invalid> {
        text::line(value, 100).map(Self)
    }
}

/// A person who may buy. It has no `Debug`: it is personal data.
#[derive(Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Lead {
    /// Its id.
    pub id: LeadId,
    /// Of the person.
    pub name: String,
    /// E.164.
    #[schema(value_type = Option<Phone>)]
    pub phone: Option<String>,
    /// Lower-cased.
    #[schema(value_type = Option<Email>)]
    pub email: Option<String>,
    /// Where it came from.
    #[schema(value_type = Option<Source>)]
    pub source: Option<String>,
    /// Where it stands in the funnel.
    #[schema(value_type = Stage)]
    pub stage: String,
    /// Any number of lines.
    pub notes: Option<String>,
    /// The person; found or made by the telephone number.
    pub contact_id: Option<ContactId>,
    /// Who looks after it.
    pub assigned_to: Option<UserId>,
    /// Send it with a PATCH to be told when somebody else was faster.
    pub version: i32,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_stage_is_a_code() {
        assert_eq!(Stage::parse(Stage::FIRST), Ok(Stage::first()));
        for value in ["New", "1st", "_a", "a b", "negociação", "a\0"] {
            assert_eq!(
                Stage::parse(value).map_err(|e| e.code),
                Err("invalid_format"),
                "{value:?}"
            );
        }
        assert_eq!(Stage::parse(&"a".repeat(41)).map_err(|e| e.code), Err("too_long"));
    }

    #[test]
    fn a_source_is_a_line() {
        assert_eq!(
            Source::parse(" Feirão da Caixa ").map(String::from),
            Ok("Feirão da Caixa".to_owned())
        );
        assert!(Source::parse("a\nb").is_err());
    }

    proptest! {
        #[test]
        fn parse_never_panics(text in any::<String>()) {
            let _ = Stage::parse(&text);
            if let Ok(source) = Source::parse(&text) {
                prop_assert_eq!(Source::parse(source.as_str()), Ok(source.clone()));
            }
        }
    }
}
