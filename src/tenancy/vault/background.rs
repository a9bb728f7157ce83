//! The vault's own clock, while the program serves.

use std::time::{Duration, Instant};

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::Vault;
use crate::db::DbError;
use crate::db::master::backups;
use crate::telemetry::metrics::set_backups_overdue;

/// How often due tenants are looked for.
const EVERY: Duration = Duration::from_secs(60);
/// How often snapshots of tenants that are gone are looked through, and failures told.
const GONE: Duration = Duration::from_secs(3600);

/// Backs up what is due, until `stop`. Any number of processes may do so.
pub fn spawn(vault: Vault, stop: CancellationToken) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut tick = tokio::time::interval(EVERY);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut looked: Option<Instant> = None;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = tick.tick() => {}
            }
            if let Err(error) = round(&vault, &mut looked, &stop).await {
                tracing::warn!(%error, "the registry cannot be searched for due backups");
            }
        }
    })
}

async fn round(vault: &Vault, looked: &mut Option<Instant>, stop: &CancellationToken) -> Result<(), DbError> {
    vault.run(false, stop).await?;
    let since = vault.keeper.clock.now() - vault.schedule.every * 2;
    set_backups_overdue(backups::count_overdue(&vault.keeper.master, since).await?);
    if looked.is_none_or(|at| at.elapsed() >= GONE) {
        vault.forget_the_gone().await?;
        vault.tell_failures().await?;
        *looked = Some(Instant::now());
    }
    Ok(())
}
