//! The long part of a move, in which the tenant is served as ever: empty tables, rows, and what is written meanwhile.

use std::time::{Duration, Instant};

use super::{MoveError, Mover, OnProgress, Work};
use crate::db::DbError;
use crate::db::shard::moving::compare::Comparison;
use crate::db::shard::moving::replication::{self, Following};
use crate::db::shard::moving::target::{self, Arrival};
use crate::domain::tenant_move::MovePhase;

const POLL: Duration = Duration::from_millis(100);
/// What is left to follow when the tenant is stopped, in bytes of the log, at as many looks in a row.
const NEAR: i64 = 16 * 1024;
const LOOKS: u32 = 5;
/// On a server that others keep busy it is never that little; then so much, at so many looks in a row.
const BUSY_NEAR: i64 = 1024 * 1024;
const BUSY_LOOKS: u32 = 50;
/// Failures of the other server's workers after which the move is taken back; a lock that is not free is one.
const MOST_FAILURES: i64 = 5;
/// How long the other server may be without a connection to this one.
const UNCONNECTED: Duration = Duration::from_secs(60);
/// How long what is left to follow may be no less than it once was: either nothing follows, or more is written than does.
const NO_NEARER: Duration = Duration::from_secs(600);

impl Mover {
    /// Fills the other schema until little is left to follow; answers how both are compared.
    pub(super) async fn fill(&self, work: &mut Work, progress: &OnProgress) -> Result<Comparison, MoveError> {
        self.enter(work, MovePhase::Preparing).await?;
        progress("preparing", 0, 1);
        let schema = work.record.tenant.schema.clone();
        let described = target::describe(&mut work.source, &schema, &work.niche).await?;
        target::check_known(&work.niche, &described.versions)?;
        let arrival = Arrival {
            tenant: work.record.tenant.id,
            niche: work.niche.clone(),
            schema: schema.clone(),
            role: work.record.to.role.clone(),
            owner_role: self.shards.roles(work.record.to.shard).await?.owner(),
        };
        target::prepare(&mut work.target, &arrival, &described).await?;
        crate::kill_point!("move.prepared");

        self.enter(work, MovePhase::Copying).await?;
        replication::publish(&work.source, &work.name, &schema).await?;
        self.subscribe(work).await?;
        self.copied(work, progress).await?;
        crate::kill_point!("move.copied");

        self.enter(work, MovePhase::CatchingUp).await?;
        target::analyze(&work.target, &schema, &described.shape).await?;
        let comparison =
            Comparison::plan(&work.source, &work.target, (&schema, &work.niche), &described).await?;
        self.near(work, progress).await?;
        crate::kill_point!("move.near");
        Ok(comparison)
    }

    /// On the connection that holds the tenant: the statement first connects to the other server and may outlive this worker.
    async fn subscribe(&self, work: &Work) -> Result<(), DbError> {
        let address = self.shards.connector(work.record.from.shard).await?;
        replication::subscribe(&work.target, &work.name, &address.subscription_address()).await
    }

    /// Waits until all tables are copied.
    async fn copied(&self, work: &Work, progress: &OnProgress) -> Result<(), MoveError> {
        let mut last = LastSeen::at(Instant::now());
        loop {
            let copying = replication::copying(&work.target, &work.name).await?;
            let count = |number: i64| u64::try_from(number).unwrap_or_default();
            progress("copying", count(copying.copied), count(copying.tables));
            if copying.copied == copying.tables {
                return Ok(());
            }
            check_failures(copying.errors)?;
            let following = replication::following(&work.source, &work.name).await?;
            last.connected(following.is_connected, Instant::now())?;
            tokio::time::sleep(POLL).await;
        }
    }

    /// Waits until what is written follows closely.
    async fn near(&self, work: &Work, progress: &OnProgress) -> Result<(), MoveError> {
        let (mut near, mut nearly) = (0, 0);
        let mut last = LastSeen::at(Instant::now());
        while near < LOOKS && nearly < BUSY_LOOKS {
            let Following { lag, is_connected } = replication::following(&work.source, &work.name).await?;
            progress("catching up", near.into(), LOOKS.into());
            near = if lag < NEAR { near + 1 } else { 0 };
            nearly = if lag < BUSY_NEAR { nearly + 1 } else { 0 };
            check_failures(replication::copying(&work.target, &work.name).await?.errors)?;
            last.connected(is_connected, Instant::now())?;
            last.nearer(lag, Instant::now())?;
            tokio::time::sleep(POLL).await;
        }
        Ok(())
    }
}

fn check_failures(failures: i64) -> Result<(), MoveError> {
    if failures > MOST_FAILURES {
        return Err(MoveError::Stalled(
            "the other server cannot take the rows over: its log says why".to_owned(),
        ));
    }
    Ok(())
}

/// When the other side was last seen to come nearer.
struct LastSeen {
    connected: Instant,
    nearer: Instant,
    least: i64,
}

impl LastSeen {
    const fn at(now: Instant) -> Self {
        Self {
            connected: now,
            nearer: now,
            least: i64::MAX,
        }
    }

    fn connected(&mut self, is_connected: bool, now: Instant) -> Result<(), MoveError> {
        if is_connected {
            self.connected = now;
        }
        if now.duration_since(self.connected) <= UNCONNECTED {
            return Ok(());
        }
        Err(MoveError::Stalled(
            "the other server starts no worker (max_logical_replication_workers, max_worker_processes), or its worker cannot \
             connect: its log says why"
                .to_owned(),
        ))
    }

    fn nearer(&mut self, lag: i64, now: Instant) -> Result<(), MoveError> {
        if lag < self.least {
            (self.least, self.nearer) = (lag, now);
        }
        if now.duration_since(self.nearer) <= NO_NEARER {
            return Ok(());
        }
        Err(MoveError::Stalled(
            "what is written does not follow, or not as fast as it is written: try again when less is"
                .to_owned(),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_not_connected_is_waited_for_and_not_for_ever() {
        let start = Instant::now();
        let mut last = LastSeen::at(start);
        assert!(last.connected(false, start + UNCONNECTED).is_ok());
        assert!(last.connected(true, start + UNCONNECTED).is_ok());
        assert!(last.connected(false, start + UNCONNECTED * 2).is_ok());
        assert!(last.connected(false, start + UNCONNECTED * 3).is_err());
    }

    #[test]
    fn who_comes_no_nearer_is_given_up() {
        let start = Instant::now();
        let mut last = LastSeen::at(start);
        assert!(last.nearer(1000, start).is_ok());
        assert!(last.nearer(999, start + NO_NEARER).is_ok());
        assert!(last.nearer(2000, start + NO_NEARER * 2).is_ok());
        assert!(last.nearer(999, start + NO_NEARER * 3).is_err());
    }
}
