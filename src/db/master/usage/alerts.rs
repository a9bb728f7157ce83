//! `usage_alerts` that nobody was told of yet.

use chrono::{DateTime, NaiveDate, Utc};

use crate::db::DbError;
use crate::db::master::MasterTx;
use crate::domain::ids::TenantId;

/// An alert, and whom to tell.
pub struct DueAlert {
    /// Whose.
    pub tenant: TenantId,
    /// The address of the tenant's first user.
    pub owner_email: String,
    /// What is counted.
    pub meter: String,
    /// The month.
    pub period: NaiveDate,
    /// Percent of the limit.
    pub threshold: i16,
    /// As it was when the threshold was reached.
    pub used: i64,
    /// As it was when the threshold was reached.
    pub limit: i64,
}

/// Takes alerts to be told within this transaction, at most `most`: nobody else sees them as untold.
///
/// # Errors
/// When the database fails.
pub async fn take_due(tx: &mut MasterTx, most: i64, now: DateTime<Utc>) -> Result<Vec<DueAlert>, DbError> {
    let rows = sqlx::query!(
        "with due as (
             select tenant_id, meter, period_start, limit_value, threshold from usage_alerts
             where state = 'pending' and due_at <= $1 order by due_at limit $2 for update skip locked)
         update usage_alerts a set state = 'sent', attempts = a.attempts + 1, updated_at = $1
         from due d join tenants t on t.id = d.tenant_id
         where (a.tenant_id, a.meter, a.period_start, a.limit_value, a.threshold)
               = (d.tenant_id, d.meter, d.period_start, d.limit_value, d.threshold)
         returning a.tenant_id, t.owner_email, a.meter, a.period_start, a.threshold, a.used, a.limit_value",
        now,
        most,
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| DueAlert {
            tenant: TenantId::from_uuid(row.tenant_id),
            owner_email: row.owner_email,
            meter: row.meter,
            period: row.period_start,
            threshold: row.threshold,
            used: row.used,
            limit: row.limit_value,
        })
        .collect())
}
