//! API keys: how programs of a tenant log in.

use super::ids::ApiKeyId;
use super::role::Scope;
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

/// A key as shown: never the key itself, nor its hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ApiKey {
    /// Its id.
    pub id: ApiKeyId,
    /// What it is for.
    pub name: String,
    /// The part by which a person tells keys apart: `hxk_<prefix>_…`.
    pub prefix: String,
    /// What it may be used for.
    #[schema(value_type = Vec<Scope>)]
    pub scopes: Vec<String>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was last used, to the minute.
    pub last_used_at: Option<DateTime<Utc>>,
    /// Since when it is worth nothing.
    pub revoked_at: Option<DateTime<Utc>>,
}
