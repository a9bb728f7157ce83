//! Every night: do invoices, their ledger and subscriptions agree? Whatever does not is an alarm: a line in the log for each, and
//! the metric `helixai_billing_discrepancies`. `helixai doctor` finds the same and says what to do.

use crate::billing::books::Books;
use crate::db::DbError;
use crate::db::master::billing_check::{self, BillingDiscrepancy};
use crate::telemetry::metrics::set_billing_discrepancies;

impl Books {
    /// Compares, and raises the alarm about what does not add up.
    ///
    /// # Errors
    /// When the registry fails; the metric then stays as it was.
    pub async fn check(&self) -> Result<Vec<BillingDiscrepancy>, DbError> {
        let found = billing_check::list_discrepancies(&self.master, self.clock.now()).await?;
        set_billing_discrepancies(found.len());
        for one in &found {
            let (what, tenant) = (&one.what, one.tenant_key.as_deref().unwrap_or_default());
            tracing::error!(
                what,
                tenant,
                subject = ?one.subject,
                expected = one.expected,
                found = one.found,
                "the books do not add up ({what}): run `helixai doctor`"
            );
        }
        Ok(found)
    }
}
