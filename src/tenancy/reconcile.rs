//! Finishes what a crash interrupted: onboardings, restores and deletions whose lease has run out.

use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::keeper::Keeper;
use super::provision::{OnboardError, Provisioner};
use crate::db::DbError;

/// Finishes every expired onboarding that can be finished; returns how many.
///
/// # Errors
/// When the registry cannot be read. An onboarding that fails is left for the next round.
pub async fn finish_expired(provisioner: &Provisioner) -> Result<usize, DbError> {
    let mut finished = 0;
    loop {
        let worker = Uuid::now_v7();
        let Some(unfinished) = provisioner.claim(worker, None).await? else {
            return Ok(finished);
        };
        let tenant = unfinished.tenant.id;
        match provisioner.resume(unfinished, worker).await {
            Ok(_) => {
                finished += 1;
                tracing::info!(tenant_id = %tenant, "an interrupted onboarding was finished: {tenant}");
            }
            Err(OnboardError::InProgress) => {}
            // The lease that was just taken keeps it from being tried again at once.
            Err(error) => {
                tracing::error!(tenant_id = %tenant, %error, "an onboarding cannot be finished: {tenant}")
            }
        }
    }
}

/// Looks for what was interrupted at start and then every `every`, until `stop`: then what is under way is left as a crash
/// would leave it, and whoever comes next goes on.
pub fn spawn(
    provisioner: Provisioner,
    keeper: Keeper,
    every: Duration,
    stop: CancellationToken,
) -> JoinHandle<()> {
    tokio::spawn(async move {
        let rounds = async {
            let mut tick = tokio::time::interval(every);
            loop {
                tick.tick().await;
                if let Err(error) = finish_expired(&provisioner).await {
                    tracing::warn!(%error, "the registry cannot be searched for unfinished onboardings");
                }
                if let Err(error) = keeper.finish_expired().await {
                    tracing::warn!(%error, "the registry cannot be searched for unfinished restores and deletions");
                }
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = rounds => {}
        }
    })
}
