//! Invoices, their ledger and subscriptions, read by the administrator: what the night's check reads, too.

use tokio_postgres::Client;

use crate::db::DbError;
use crate::db::master::billing_check::BillingDiscrepancy;

/// Everything that does not add up.
///
/// # Errors
/// When it cannot be read.
pub async fn discrepancies(admin: &Client) -> Result<Vec<BillingDiscrepancy>, DbError> {
    let rows = admin
        .query(
            "select what, tenant_key, subject, expected, found from master.billing_discrepancies(now())",
            &[],
        )
        .await?;
    Ok(rows
        .into_iter()
        .map(|row| BillingDiscrepancy {
            what: row.get(0),
            tenant_key: row.get(1),
            subject: row.get(2),
            expected: row.get(3),
            found: row.get(4),
        })
        .collect())
}
