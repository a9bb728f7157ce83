//! What a server does about moves: it settles those whose worker is gone, and tells how old they are and how much of a log
//! they keep.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{MoveError, Mover, Settled};
use crate::db::DbError;
use crate::db::master::moves;
use crate::db::shard::inspect;
use crate::db::shard::moving::Wait;
use crate::telemetry::metrics::{count_settled_move, set_unended_moves};

/// A move whose worker was killed while nobody could write is taken back after this time.
const EVERY: Duration = Duration::from_secs(5);
/// The others wait no longer for one that does not go on, as with a server that is silent. It is begun again, where it was.
const LONGEST: Duration = Duration::from_secs(120);

impl Mover {
    /// Settles every move whose worker is gone; answers how many. One that cannot be settled is left for the next round.
    ///
    /// # Errors
    /// When the registry cannot be read.
    pub async fn settle_abandoned(&self) -> Result<usize, DbError> {
        let unended = moves::list_unended(&self.master).await?;
        let mut settled = 0;
        for (id, _) in &unended {
            let settled_now = tokio::time::timeout(LONGEST, self.settle(*id, Wait::Never)).await;
            match settled_now.unwrap_or(Err(MoveError::Db(DbError::Timeout))) {
                Ok(outcome) => {
                    let what = match outcome {
                        Settled::Finished(_) => "finished",
                        Settled::TakenBack => "taken_back",
                        Settled::Elsewhere => continue,
                    };
                    settled += 1;
                    count_settled_move(what);
                    tracing::info!(move_id = %id, what, "an interrupted move was settled: {id}");
                }
                // It is being worked on.
                Err(MoveError::Busy) => {}
                Err(error) => {
                    tracing::error!(move_id = %id, %error, "a move cannot be settled: {id}");
                    moves::note_error(&self.master, *id, &error.to_string(), self.clock.now()).await?;
                }
            }
        }
        self.measure().await?;
        Ok(settled)
    }

    /// Tells how many moves there are, how old the oldest is, and how much of a log is kept for them.
    async fn measure(&self) -> Result<(), DbError> {
        let unended = moves::list_unended(&self.master).await?;
        let oldest = unended.iter().map(|(_, began)| *began).min();
        let oldest = oldest.map(|began| self.clock.now() - began);
        let mut kept = 0;
        if !unended.is_empty() {
            let shards: BTreeSet<_> = moves::list_sources(&self.master).await?.into_iter().collect();
            for shard in shards {
                // A shard that is away is told of elsewhere.
                let Ok(admin) = self.shards.administrator(shard).await else {
                    continue;
                };
                let slots = inspect::moves::slots(&admin).await?;
                kept = slots
                    .iter()
                    .map(|slot| slot.kept_bytes)
                    .max()
                    .unwrap_or(0)
                    .max(kept);
            }
        }
        let oldest = oldest.and_then(|age| age.to_std().ok()).unwrap_or_default();
        set_unended_moves(unended.len(), oldest, kept);
        Ok(())
    }
}

/// Looks for abandoned moves at start and then every few seconds, until `stop`.
pub fn spawn(mover: Mover, stop: CancellationToken) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut tick = tokio::time::interval(EVERY);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = tick.tick() => {}
            }
            if let Err(error) = mover.settle_abandoned().await {
                tracing::warn!(%error, "the registry cannot be searched for abandoned moves");
            }
        }
    })
}
