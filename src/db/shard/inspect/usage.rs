//! The counters of usage, read by the administrator: what the night's check reads, too.

use tokio_postgres::Client;

use crate::db::DbError;
use crate::db::master::usage::counters::Discrepancy;
use crate::domain::ids::TenantId;

/// Every counter of this month and the last that does not add up.
///
/// # Errors
/// When it cannot be read.
pub async fn discrepancies(admin: &Client) -> Result<Vec<Discrepancy>, DbError> {
    let rows = admin
        .query(
            "select tenant_key, tenant_id, meter, period_start, used, booked, reserved, held
             from master.usage_discrepancies_since(
                 (date_trunc('month', now() at time zone 'America/Sao_Paulo') - interval '1 month')::date)",
            &[],
        )
        .await?;
    Ok(rows
        .into_iter()
        .map(|row| Discrepancy {
            tenant_key: row.get(0),
            tenant: TenantId::from_uuid(row.get(1)),
            meter: row.get(2),
            period: row.get(3),
            used: row.get(4),
            booked: row.get(5),
            reserved: row.get(6),
            held: row.get(7),
        })
        .collect())
}
