//! A field of a PATCH body: left out, emptied, or given a value.
//!
//! Plain `Option` cannot tell `{}` from `{"phone": null}`, and one of them must not lose the phone number.
//! Declare the field `#[serde(default)] #[schema(value_type = Option<String>)] phone: Patch<String>`: in the OpenAPI
//! document it is an optional field that may be null.

use super::invalid::Invalid;
use serde::{Deserialize, Deserializer};

/// What a PATCH says about one field.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Patch<T> {
    /// The field was not in the body: leave it.
    #[default]
    Absent,
    /// The field was `null`: empty it.
    Null,
    /// The field has a new value.
    Value(T),
}

impl<T> Patch<T> {
    /// Whether the body does not mention the field.
    pub const fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }

    /// `None`: leave it; `Some(None)`: empty it; `Some(Some(value))`: set it.
    pub fn into_option(self) -> Option<Option<T>> {
        match self {
            Self::Absent => None,
            Self::Null => Some(None),
            Self::Value(value) => Some(Some(value)),
        }
    }

    /// The given value, if one was given.
    pub fn value(self) -> Option<T> {
        self.into_option().flatten()
    }

    /// What the field will hold: the given value, nothing, or `current` when the body does not mention it.
    pub fn apply(self, current: Option<T>) -> Option<T> {
        self.into_option().unwrap_or(current)
    }

    /// Parses the value, if one was given.
    pub fn parse<U>(self, parse: impl FnOnce(T) -> Result<U, Invalid>) -> Result<Patch<U>, Invalid> {
        Ok(match self {
            Self::Absent => Patch::Absent,
            Self::Null => Patch::Null,
            Self::Value(value) => Patch::Value(parse(value)?),
        })
    }

    /// Parses the value of a field that cannot be empty: `null` is refused as `required`.
    pub fn parse_required<U>(
        self,
        parse: impl FnOnce(T) -> Result<U, Invalid>,
    ) -> Result<Option<U>, Invalid> {
        match self {
            Self::Absent => Ok(None),
            Self::Null => Err(Invalid::required()),
            Self::Value(value) => parse(value).map(Some),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Patch<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::deserialize(deserializer)?.map_or(Self::Null, Self::Value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use utoipa::{PartialSchema, ToSchema};

    #[derive(Debug, PartialEq, Deserialize, ToSchema)]
    struct Body {
        #[serde(default)]
        #[schema(value_type = Option<String>)]
        phone: Patch<String>,
    }

    #[test]
    fn tells_absent_null_and_value_apart() -> Result<(), serde_json::Error> {
        let read = |text| serde_json::from_str::<Body>(text).map(|body| body.phone);
        assert_eq!(read("{}")?, Patch::Absent);
        assert_eq!(read(r#"{"phone":null}"#)?, Patch::Null);
        assert_eq!(read(r#"{"phone":"1"}"#)?, Patch::Value("1".to_owned()));
        assert!(read(r#"{"phone":1}"#).is_err());
        Ok(())
    }

    #[test]
    fn applies_to_what_is_there() {
        assert_eq!(Patch::Absent.apply(Some(1)), Some(1));
        assert_eq!(Patch::Null.apply(Some(1)), None);
        assert_eq!(Patch::Value(2).apply(Some(1)), Some(2));
        assert_eq!(
            Patch::<u8>::Null.parse_required(Ok::<u8, Invalid>),
            Err(Invalid::required())
        );
        assert_eq!(Patch::<u8>::Absent.parse_required(Ok::<u8, Invalid>), Ok(None));
    }

    #[test]
    fn is_an_optional_field_in_the_document() -> Result<(), serde_json::Error> {
        let schema = serde_json::to_value(Body::schema())?;
        assert_eq!(
            schema.pointer("/properties/phone"),
            Some(&serde_json::json!({"type": ["string", "null"]}))
        );
        assert_eq!(schema.pointer("/required"), None);
        Ok(())
    }
}
