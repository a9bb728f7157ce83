//! What metering does by itself while the program serves.

use std::time::Duration;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::Metering;
use crate::db::tenant::Lanes;
use crate::domain::month::BOOKS_TZ;

/// The hour in São Paulo at which the check of the night is due.
const CHECKED_AT: TimeDelta = TimeDelta::hours(3);

/// Sweeps every `every`, and checks the counters once a night, until `stop`. Any number of processes may do so.
pub fn spawn(metering: Metering, lanes: Lanes, every: Duration, stop: CancellationToken) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut tick = tokio::time::interval(every);
        let mut checked = night(metering.clock.now());
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = tick.tick() => {}
            }
            if let Err(error) = metering.sweep(&lanes).await {
                tracing::warn!(%error, "holds that are over cannot be let go");
            }
            let tonight = night(metering.clock.now());
            if tonight != checked {
                match metering.check().await {
                    Ok(_) => checked = tonight,
                    // The next round tries again.
                    Err(error) => tracing::warn!(%error, "the counters of usage cannot be checked"),
                }
            }
        }
    })
}

/// The day whose check is the latest that is due.
fn night(now: DateTime<Utc>) -> NaiveDate {
    (now - CHECKED_AT).with_timezone(&BOOKS_TZ).date_naive()
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
