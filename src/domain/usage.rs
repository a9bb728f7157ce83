//! What a tenant consumes in a month.

use super::text_enum::text_enum;
use chrono::NaiveDate;
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

/// What was consumed of one thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct MeterUse {
    /// Of what.
    #[schema(value_type = Meter)]
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
            period: period.format("%Y-%m").to_string(),
            meters,
        }
    }
}
