//! Contacts: the people a tenant talks to. One person, one contact, however the telephone number was written.

use super::ids::ContactId;
use super::{email::Email, phone::Phone};
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

/// A person a tenant talks to. It has no `Debug`: it is personal data.
#[derive(Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Contact {
    /// Its id.
    pub id: ContactId,
    /// None: somebody who wrote and has not said.
    pub name: Option<String>,
    /// E.164; of no other contact.
    #[schema(value_type = Option<Phone>)]
    pub phone: Option<String>,
    /// Lower-cased.
    #[schema(value_type = Option<Email>)]
    pub email: Option<String>,
    /// Any number of lines.
    pub notes: Option<String>,
    /// Since when they want no broadcasts.
    pub opted_out_at: Option<DateTime<Utc>>,
    /// Send it with a PATCH to be told when somebody else was faster.
    pub version: i32,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
}
