//! Users: the people who work for a tenant.

use super::ids::UserId;
use super::role::Role;
use super::{email::Email, text_enum::text_enum};
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

text_enum! {
    /// Whether a user may come in.
    pub enum UserStatus {
        /// May.
        Active = "active",
        /// May not, and has no session.
        Disabled = "disabled",
        /// Was asked in and has no password yet.
        Invited = "invited",
    }
}

/// A person who works for a tenant, without what they log in with. It has no `Debug`: it is personal data.
#[derive(Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct User {
    /// Its id.
    pub id: UserId,
    /// Lower-cased; it is what they log in with.
    #[schema(value_type = Email)]
    pub email: String,
    /// As shown.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// Whether they may come in.
    pub status: UserStatus,
    /// Send it with a PATCH to be told when somebody else was faster.
    pub version: i32,
    /// When they were added.
    pub created_at: DateTime<Utc>,
    /// When they were last changed.
    pub updated_at: DateTime<Utc>,
}
