//! The billing clock while the program works: one process at a time runs it, and one a night checks the books.

use std::time::Duration;

use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::billing::books::Books;
use crate::billing::metering::background::night;
use crate::db::DbError;
use crate::db::master::duties::{self, Turn};
use crate::telemetry::metrics::set_billing_discrepancies;

/// What one process does for all of them every minute.
const CLOCK: &str = "billing_clock";
/// What one process does for all of them at night.
const CHECK: &str = "billing_check";
/// How long a run may take before another process believes that this one is gone; the rows keep them apart all the same.
const CLOCK_LEASE: TimeDelta = TimeDelta::minutes(2);
const CHECK_LEASE: TimeDelta = TimeDelta::minutes(15);

/// Runs every `every`, until `stop`. Any number of processes may.
pub fn spawn(books: Books, every: Duration, stop: CancellationToken) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut tick = tokio::time::interval(every);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut known = None;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = tick.tick() => {}
            }
            if let Err(error) = books.take_turn().await {
                tracing::warn!(%error, "the billing clock cannot run");
            }
            let tonight = night(books.clock.now());
            if known != Some(tonight) {
                match books.check_at_night(tonight).await {
                    Ok(true) => known = Some(tonight),
                    Ok(false) => {}
                    Err(error) => tracing::warn!(%error, "the books cannot be checked"),
                }
            }
        }
    })
}

impl Books {
    /// Runs the clock, unless another process does or has done so this minute; how many subscriptions it has looked at.
    ///
    /// # Errors
    /// When the registry fails: somebody tries again once the lease is over.
    pub async fn take_turn(&self) -> Result<Option<u64>, DbError> {
        let now = self.clock.now();
        let minute = now.duration_trunc(TimeDelta::minutes(1)).unwrap_or(now);
        if duties::take(&self.master, CLOCK, minute, CLOCK_LEASE, now).await? != Turn::Mine {
            return Ok(None);
        }
        let looked_at = self.run_clock().await?;
        let result = i64::try_from(looked_at).unwrap_or(i64::MAX);
        duties::finish(&self.master, CLOCK, minute, result, self.clock.now()).await?;
        Ok(Some(looked_at))
    }

    /// Checks the books, unless another process does or has done so this night; whether it is done. Wherever it was done, the
    /// metric says what was found.
    ///
    /// # Errors
    /// When the registry fails: somebody tries again once the lease is over.
    pub async fn check_at_night(&self, night: DateTime<Utc>) -> Result<bool, DbError> {
        match duties::take(&self.master, CHECK, night, CHECK_LEASE, self.clock.now()).await? {
            Turn::Elsewhere => Ok(false),
            Turn::Done(found) => {
                set_billing_discrepancies(usize::try_from(found).unwrap_or_default());
                Ok(true)
            }
            Turn::Mine => {
                let found = i64::try_from(self.check().await?.len()).unwrap_or(i64::MAX);
                tracing::info!(found, "the books were checked");
                duties::finish(&self.master, CHECK, night, found, self.clock.now()).await?;
                Ok(true)
            }
        }
    }
}
