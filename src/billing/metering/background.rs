//! What metering does by itself while the program serves.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::Metering;
use crate::db::DbError;
use crate::db::master::duties::{self, Turn};
use crate::db::tenant::Lanes;
use crate::domain::month::{BOOKS_TZ, start_of_day};
use crate::telemetry::metrics::set_usage_discrepancies;

/// The hour in São Paulo at which the work of the night is due.
const NIGHT: TimeDelta = TimeDelta::hours(3);
/// What one process does for all of them at night.
const DUTY: &str = "usage_check";
/// How long the work of the night may take, before another process believes that this one is gone.
const LEASE: TimeDelta = TimeDelta::minutes(15);

/// Sweeps every `every`, and sees to it that the counters are checked once a night, until `stop`. Any number of processes
/// may do so.
pub fn spawn(metering: Metering, lanes: Lanes, every: Duration, stop: CancellationToken) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut tick = tokio::time::interval(every);
        let mut known = None;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = tick.tick() => {}
            }
            if let Err(error) = metering.sweep(&lanes).await {
                tracing::warn!(%error, "holds that are over cannot be let go");
            }
            let tonight = night(metering.clock.now());
            if known != Some(tonight) {
                match metering.work_at_night(tonight).await {
                    Ok(true) => known = Some(tonight),
                    Ok(false) => {}
                    Err(error) => tracing::warn!(%error, "the counters of usage cannot be checked"),
                }
            }
        }
    })
}

impl Metering {
    /// Checks the counters and removes what is over for long, unless another process does or has done so; whether it
    /// is done. Wherever it was done, the metric says what was found.
    ///
    /// # Errors
    /// When the registry fails: somebody tries again once the lease is over.
    pub async fn work_at_night(&self, night: DateTime<Utc>) -> Result<bool, DbError> {
        match duties::take(&self.master, DUTY, night, LEASE, self.clock.now()).await? {
            Turn::Elsewhere => Ok(false),
            Turn::Done(found) => {
                set_usage_discrepancies(usize::try_from(found).unwrap_or_default());
                Ok(true)
            }
            Turn::Mine => {
                let found = self.check().await?.len();
                let removed = self.forget_what_is_over().await?;
                tracing::info!(found, removed, "usage was checked");
                let found = i64::try_from(found).unwrap_or(i64::MAX);
                duties::finish(&self.master, DUTY, night, found, self.clock.now()).await?;
                Ok(true)
            }
        }
    }
}

/// The beginning of the latest night whose work is due.
pub(in crate::billing) fn night(now: DateTime<Utc>) -> DateTime<Utc> {
    start_of_day((now - NIGHT).with_timezone(&BOOKS_TZ).date_naive(), BOOKS_TZ)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_night_begins_at_three_in_sao_paulo() -> Result<(), chrono::ParseError> {
        let at = |text: &str| DateTime::parse_from_rfc3339(text).map(|time| night(time.to_utc()));
        assert_eq!(at("2026-03-10T06:00:00Z")?, at("2026-03-11T05:59:59Z")?);
        assert_ne!(at("2026-03-11T05:59:59Z")?, at("2026-03-11T06:00:00Z")?);
        Ok(())
    }
}
