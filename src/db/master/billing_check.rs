//! Where invoices, their ledger and subscriptions disagree.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::MasterDb;
use crate::db::DbError;

/// Something that does not add up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BillingDiscrepancy {
    /// What was compared: a word of `billing_discrepancies` (`V17`).
    pub what: String,
    /// Whose it is; none for the series of numbers.
    pub tenant_key: Option<String>,
    /// The invoice or the subscription.
    pub subject: Option<Uuid>,
    /// What it should be.
    pub expected: i64,
    /// What it is.
    pub found: i64,
}

/// Everything that does not add up, seen at one moment.
///
/// # Errors
/// When the database fails.
pub async fn list_discrepancies(
    db: &MasterDb,
    now: DateTime<Utc>,
) -> Result<Vec<BillingDiscrepancy>, DbError> {
    Ok(sqlx::query_as!(
        BillingDiscrepancy,
        r#"select what as "what!", tenant_key, subject, expected as "expected!", found as "found!" from billing_discrepancies($1)"#,
        now,
    )
    .fetch_all(db.pool())
    .await?)
}
