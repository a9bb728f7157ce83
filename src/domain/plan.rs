//! Plans: what is sold, and how much of it.

use serde::Serialize;
use utoipa::ToSchema;

/// How much of something a plan includes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct PlanLimit {
    /// Of what: `messages` and `ai_tokens` per month; `instances`, `flows`, `templates`, `users`, `storage_bytes` at any time.
    pub meter: String,
    /// None: as much as one likes.
    pub limit: Option<i64>,
}
