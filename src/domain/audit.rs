//! The audit: what was done, by whom.

use super::ids::{AuditId, TenantId};
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

/// A line of the platform's audit.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct AuditLine {
    /// Its id.
    pub id: AuditId,
    /// When.
    pub at: DateTime<Utc>,
    /// `admin`, `user` (of the tenant), `cli` or `system`.
    pub actor_kind: String,
    /// Which administrator or user.
    pub actor_id: Option<Uuid>,
    /// What was done, as `tenant.suspend`.
    pub action: String,
    /// To what kind of thing.
    pub entity: String,
    /// To which one.
    pub entity_id: Option<String>,
    /// To whose.
    pub tenant_id: Option<TenantId>,
    /// The tenant's key now; none when it is gone.
    pub tenant_key: Option<String>,
    /// In which request.
    pub request_id: Option<String>,
    /// More of it.
    #[schema(value_type = Object)]
    pub details: Value,
}
