//! Every night: is each counter of this month and the last what its ledger and its holds add up to? Nothing is booked into
//! older ones. Whatever is not is an alarm: a line in the log for each, and the metric `helixai_usage_discrepancies`.
//! `helixai doctor` finds the same and says what to do.

use super::Metering;
use crate::db::DbError;
use crate::db::master::usage::counters::{self, Discrepancy};
use crate::domain::month::{self, BOOKS_TZ, local_month, previous_month};
use crate::telemetry::metrics::set_usage_discrepancies;

impl Metering {
    /// Compares the counters of two months with the ledger and raises the alarm about those that differ.
    ///
    /// # Errors
    /// When the registry fails; the metric then stays as it was.
    pub async fn check(&self) -> Result<Vec<Discrepancy>, DbError> {
        let since = previous_month(local_month(self.clock.now(), BOOKS_TZ));
        let found = counters::list_discrepancies(&self.master, since).await?;
        set_usage_discrepancies(found.len());
        for one in &found {
            let (tenant, meter, month) = (&one.tenant_key, &one.meter, month::name(one.period));
            tracing::error!(
                tenant,
                meter,
                month,
                used = one.used,
                booked = one.booked,
                reserved = one.reserved,
                held = one.held,
                "the usage of {tenant} does not add up ({meter}, {month}): run `helixai doctor`"
            );
        }
        Ok(found)
    }
}
