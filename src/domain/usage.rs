//! What a tenant consumes in a month.

use super::month;
use super::text_enum::text_enum;
use chrono::{DateTime, NaiveDate, Utc};
use serde::Serialize;
use utoipa::ToSchema;

text_enum! {
    /// What is counted per month.
    pub enum Meter {
        /// Messages sent.
        Messages = "messages",
        /// Tokens of language models.
        AiTokens = "ai_tokens",
    }
}

/// What is held, not consumed: bytes on disks. The plan's word, and the meter's among those that a tenant sees.
pub const STORAGE: &str = "storage_bytes";

/// What was consumed of one thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct MeterUse {
    /// Of what: `messages` and `ai_tokens` in the month, `storage_bytes` as last measured.
    #[schema(example = "messages")]
    pub meter: String,
    /// None: as much as one likes.
    pub limit: Option<i64>,
    /// Consumed.
    pub used: i64,
    /// Promised to what is under way.
    pub reserved: i64,
}

/// What was consumed in a month.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Usage {
    /// The month, in São Paulo, as `2026-03`.
    #[schema(example = "2026-03")]
    pub period: String,
    /// One for each thing that is counted.
    pub meters: Vec<MeterUse>,
}

impl Usage {
    /// Of the month that begins on `period`.
    pub fn of(period: NaiveDate, meters: Vec<MeterUse>) -> Self {
        Self {
            period: month::name(period),
            meters,
        }
    }
}

/// A threshold of a limit that was reached; each once in a month.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct UsageAlert {
    /// Of what.
    #[schema(value_type = Meter)]
    pub meter: String,
    /// Percent of the limit: 80 or 100.
    #[schema(example = 80)]
    pub threshold: i16,
    /// The limit at that moment.
    pub limit: i64,
    /// What had been consumed at that moment.
    pub used: i64,
    /// The moment.
    pub reached_at: DateTime<Utc>,
}

/// What a tenant consumed in a month, as administrators see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct TenantUsage {
    /// As the tenant sees it.
    #[serde(flatten)]
    pub usage: Usage,
    /// The thresholds that were reached, in the order in which they were.
    pub alerts: Vec<UsageAlert>,
}
