//! The two bodies of a resource, the one that makes it and the one that changes it, from one list of fields.
//!
//! ```ignore
//! form! {
//!     /// A lead to be.
//!     CreateLead,
//!     /// Changes to a lead: what is left out stays, `null` empties.
//!     UpdateLead,
//!     required { name: String as Name => Name::parse(&name), }
//!     default { stage: String as Stage = Stage::FIRST => Stage::parse(&stage), }
//!     optional { email: String as Email => Email::parse(&email), }
//! }
//! ```
//!
//! A field has its JSON type, the type that the OpenAPI document shows, and the check that makes a value of it; it is
//! named as its column. `required` ones cannot be left out nor be `null`, `default` ones take a value of their own
//! when they are left out of a creating body, `optional` ones may be empty.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::domain::invalid::{FieldErrors, Invalid};
use crate::domain::patch::Patch;

/// The checked values of a form by column.
#[derive(Debug, Default)]
pub struct Changes {
    values: Map<String, Value>,
    errors: FieldErrors,
}

impl Changes {
    /// A column that may be empty.
    pub fn optional<T, U: Serialize>(
        &mut self,
        column: &str,
        patch: Patch<T>,
        parse: impl FnOnce(T) -> Result<U, Invalid>,
    ) {
        if let Some(parsed) = self.errors.check(column, patch.parse(parse))
            && let Some(value) = parsed.into_option()
        {
            self.set(column, &value);
        }
    }

    /// A column that must not be empty.
    pub fn required<T, U: Serialize>(
        &mut self,
        column: &str,
        patch: Patch<T>,
        parse: impl FnOnce(T) -> Result<U, Invalid>,
    ) {
        if let Some(Some(value)) = self.errors.check(column, patch.parse_required(parse)) {
            self.set(column, &value);
        }
    }

    fn set<U: Serialize>(&mut self, column: &str, value: &U) {
        // Texts and numbers always have a JSON form.
        self.values
            .insert(column.to_owned(), serde_json::to_value(value).unwrap_or_default());
    }

    /// The values, or the refused fields.
    ///
    /// # Errors
    /// The refused fields.
    pub fn finish(self) -> Result<Map<String, Value>, FieldErrors> {
        self.errors.into_result()?;
        Ok(self.values)
    }
}

macro_rules! form {
    (
        $(#[$create_doc:meta])* $create:ident,
        $(#[$update_doc:meta])* $update:ident,
        required { $( $(#[$required_doc:meta])*
            $required:ident: $required_type:ident as $required_shown:ident => $required_check:expr, )+ }
        default { $( $(#[$default_doc:meta])*
            $default:ident: $default_type:ident as $default_shown:ident = $value:expr => $default_check:expr, )* }
        optional { $( $(#[$optional_doc:meta])*
            $optional:ident: $optional_type:ident as $optional_shown:ident => $optional_check:expr, )* }
    ) => {
        $(#[$create_doc])*
        #[derive(serde::Deserialize, utoipa::ToSchema)]
        #[serde(deny_unknown_fields)]
        pub struct $create {
            $( $(#[$required_doc])* #[schema(value_type = $required_shown)]
            $required: Option<$required_type>, )+
            $( $(#[$default_doc])* #[schema(value_type = Option<$default_shown>)]
            $default: Option<$default_type>, )*
            $( $(#[$optional_doc])* #[schema(value_type = Option<$optional_shown>)]
            $optional: Option<$optional_type>, )*
        }

        impl $create {
            fn check(
                self,
            ) -> Result<serde_json::Map<String, serde_json::Value>, crate::domain::invalid::FieldErrors> {
                use crate::domain::patch::Patch;
                let mut form = crate::http::form::Changes::default();
                $( form.required(
                    stringify!($required),
                    self.$required.map_or(Patch::Null, Patch::Value),
                    |$required: $required_type| $required_check,
                ); )+
                $( form.required(
                    stringify!($default),
                    Patch::Value(self.$default.unwrap_or_else(|| $value.into())),
                    |$default: $default_type| $default_check,
                ); )*
                $( form.optional(
                    stringify!($optional),
                    self.$optional.map_or(Patch::Null, Patch::Value),
                    |$optional: $optional_type| $optional_check,
                ); )*
                form.finish()
            }
        }

        $(#[$update_doc])*
        #[derive(serde::Deserialize, utoipa::ToSchema)]
        #[serde(deny_unknown_fields)]
        pub struct $update {
            $( $(#[$required_doc])* #[serde(default)] #[schema(value_type = $required_shown, required = false)]
            $required: crate::domain::patch::Patch<$required_type>, )+
            $( $(#[$default_doc])* #[serde(default)] #[schema(value_type = $default_shown, required = false)]
            $default: crate::domain::patch::Patch<$default_type>, )*
            $( $(#[$optional_doc])* #[serde(default)] #[schema(value_type = Option<$optional_shown>)]
            $optional: crate::domain::patch::Patch<$optional_type>, )*
            /// The version that was read; what has another one since is not changed.
            version: Option<i32>,
        }

        impl $update {
            fn check(
                self,
            ) -> Result<
                (Option<i32>, serde_json::Map<String, serde_json::Value>),
                crate::domain::invalid::FieldErrors,
            > {
                let mut form = crate::http::form::Changes::default();
                $( form.required(stringify!($required), self.$required, |$required: $required_type| $required_check); )+
                $( form.required(stringify!($default), self.$default, |$default: $default_type| $default_check); )*
                $( form.optional(stringify!($optional), self.$optional, |$optional: $optional_type| $optional_check); )*
                Ok((self.version, form.finish()?))
            }
        }
    };
}

pub(in crate::http) use form;
