//! What has become of a lead: through which stages it went, and who looked after it.

use super::ids::LeadChangeId;
use super::text_enum::text_enum;
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

text_enum! {
    /// What is kept of a lead's past.
    pub enum LeadField {
        /// Where it stood in the funnel.
        Stage = "stage",
        /// Who looked after it.
        AssignedTo = "assigned_to",
    }
}

/// Who did something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ChangedBy {
    /// `user`, `api_key` or `system`.
    pub kind: String,
    /// Of the user or key.
    pub id: Option<Uuid>,
    /// Of a user who is still there.
    pub name: Option<String>,
}

/// One change of a lead.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct LeadChange {
    /// Its id.
    pub id: LeadChangeId,
    /// When.
    pub at: DateTime<Utc>,
    /// Who.
    pub by: ChangedBy,
    /// What.
    #[schema(value_type = LeadField)]
    pub field: String,
    /// A stage's code or a user's id; none: it had none, or was made at this moment.
    pub from: Option<String>,
    /// A stage's code or a user's id; none: it has none.
    pub to: Option<String>,
}
