//! Why a value was refused, and the same for a whole body.
//!
//! `parse` functions of this layer return [`Invalid`]; the HTTP layer gathers them under field names in
//! [`FieldErrors`], so that a client learns all that is wrong with a body at once. Codes are snake_case and part
//! of the public contract: a new one is added here as a constructor when more than one type uses it.

use serde::Serialize;
use utoipa::ToSchema;

/// Why one value is refused. The message is for a developer and never repeats the value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Invalid {
    /// Stable, snake_case, for programs.
    pub code: &'static str,
    /// English, for people.
    pub message: String,
}

impl Invalid {
    /// A refusal with a code of its own.
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }

    /// `required`: the value is missing or blank.
    pub fn required() -> Self {
        Self::new("required", "is required")
    }

    /// `too_short`: fewer than `min` characters.
    pub fn too_short(min: usize) -> Self {
        Self::new("too_short", format!("must have at least {min} characters"))
    }

    /// `too_long`: more than `max` characters.
    pub fn too_long(max: usize) -> Self {
        Self::new("too_long", format!("must have at most {max} characters"))
    }

    /// `invalid_format`: not written as such a value is.
    pub fn format(message: impl Into<String>) -> Self {
        Self::new("invalid_format", message)
    }

    /// `out_of_range`: a number outside `min..=max`.
    pub fn out_of_range(min: i64, max: i64) -> Self {
        Self::new("out_of_range", format!("must be between {min} and {max}"))
    }

    /// `unknown_value`: not one of a closed list.
    pub fn unknown_value(allowed: &[&str]) -> Self {
        Self::new("unknown_value", format!("must be one of: {}", allowed.join(", ")))
    }

    /// `reserved`: well-formed, but kept for the platform.
    pub fn reserved(message: impl Into<String>) -> Self {
        Self::new("reserved", message)
    }
}

/// A refusal and the field it concerns, as the client sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldError {
    /// Path of the field in the body or query, as `owner.email`.
    #[schema(example = "owner.email")]
    pub field: String,
    /// Stable, snake_case.
    #[schema(value_type = String, example = "invalid_format")]
    pub code: &'static str,
    /// English, for people.
    pub message: String,
}

/// All that is wrong with one body.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FieldErrors(Vec<FieldError>);

impl FieldErrors {
    /// So many are told; whoever has more mends these first.
    pub const MOST: usize = 100;

    /// Nothing wrong so far.
    pub fn new() -> Self {
        Self::default()
    }

    /// Keeps the refusal, if there is one, under the name of the field; else hands the value on.
    pub fn check<T>(&mut self, field: &str, parsed: Result<T, Invalid>) -> Option<T> {
        match parsed {
            Ok(value) => Some(value),
            Err(invalid) => {
                self.push(field, invalid);
                None
            }
        }
    }

    /// The same for a value that may be absent: `None` stays `None` and is no error.
    pub fn check_opt<V, T>(
        &mut self,
        field: &str,
        value: Option<V>,
        parse: impl FnOnce(V) -> Result<T, Invalid>,
    ) -> Option<T> {
        value.and_then(|value| self.check(field, parse(value)))
    }

    /// The same for a value that must be there: absent is `required`.
    pub fn require<V, T>(
        &mut self,
        field: &str,
        value: Option<V>,
        parse: impl FnOnce(V) -> Result<T, Invalid>,
    ) -> Option<T> {
        self.check(field, value.ok_or_else(Invalid::required).and_then(parse))
    }

    /// Keeps the refusals of a part of the body, if there are any; else hands its value on.
    pub fn merge<T>(&mut self, part: Result<T, Self>) -> Option<T> {
        part.map_err(|errors| {
            let room = Self::MOST.saturating_sub(self.0.len());
            self.0.extend(errors.0.into_iter().take(room));
        })
        .ok()
    }

    /// Adds a refusal, unless there are [`FieldErrors::MOST`].
    pub fn push(&mut self, field: &str, invalid: Invalid) {
        if self.0.len() >= Self::MOST {
            return;
        }
        self.0.push(FieldError {
            field: field.to_owned(),
            code: invalid.code,
            message: invalid.message,
        });
    }

    /// The same refusals under other names: for a body that calls its fields otherwise.
    pub fn renamed(mut self, name: fn(&str) -> &str) -> Self {
        for error in &mut self.0 {
            error.field = name(&error.field).to_owned();
        }
        self
    }

    /// Whether nothing was refused.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// `Err` with everything gathered, `Ok` if that is nothing.
    pub fn into_result(self) -> Result<(), Self> {
        if self.is_empty() { Ok(()) } else { Err(self) }
    }

    /// `Ok` with the value only if nothing was refused.
    ///
    /// The usual end of a body's parsing: `errors.finish(|| Some(NewLead { name: name?, phone }))`. A `None`
    /// without any refusal is a mistake of the caller and answered as one (`required`, no field).
    pub fn finish<T>(mut self, build: impl FnOnce() -> Option<T>) -> Result<T, Self> {
        if !self.is_empty() {
            return Err(self);
        }
        match build() {
            Some(value) => Ok(value),
            None => {
                self.push("", Invalid::required());
                Err(self)
            }
        }
    }
}

impl IntoIterator for FieldErrors {
    type Item = FieldError;
    type IntoIter = std::vec::IntoIter<FieldError>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gathers_every_refusal_in_order() {
        let mut errors = FieldErrors::new();
        assert_eq!(errors.check("ok", Ok(7)), Some(7));
        assert_eq!(errors.check::<u8>("name", Err(Invalid::too_long(3))), None);
        assert_eq!(errors.require("email", None::<u8>, Ok), None);
        assert_eq!(errors.check_opt("phone", None::<u8>, Ok), None);
        let found: Vec<_> = errors.into_iter().map(|e| (e.field, e.code)).collect();
        assert_eq!(
            found,
            [("name".to_owned(), "too_long"), ("email".to_owned(), "required")]
        );
    }

    #[test]
    fn finishes_only_when_clean() {
        assert_eq!(FieldErrors::new().finish(|| Some(1)), Ok(1));
        assert!(FieldErrors::new().finish(|| None::<u8>).is_err());
        let mut errors = FieldErrors::new();
        errors.push("a", Invalid::required());
        assert!(errors.clone().into_result().is_err());
        assert!(errors.finish(|| Some(1)).is_err());
    }
}
