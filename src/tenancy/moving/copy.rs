//! The long part of a move, in which the tenant is served as ever: empty tables, rows, and what is written meanwhile.

use std::time::{Duration, Instant};

use super::{MoveError, Mover, OnProgress, Work};
use crate::db::DbError;
use crate::db::shard::moving::compare::Comparison;
use crate::db::shard::moving::replication;
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
/// How long no worker may be there.
const WITHOUT_WORKER: Duration = Duration::from_secs(60);

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

    async fn subscribe(&self, work: &Work) -> Result<(), DbError> {
        let address = self.shards.connector(work.record.from.shard).await?;
        // Of its own: it is told to log nothing.
        let target = self.shards.administrator(work.record.to.shard).await?;
        replication::subscribe(&target, &work.name, &address.subscription_address()).await
    }

    /// Waits until all tables are copied.
    async fn copied(&self, work: &Work, progress: &OnProgress) -> Result<(), MoveError> {
        let mut alone_since = Instant::now();
        loop {
            let copying = replication::copying(&work.target, &work.name).await?;
            let count = |number: i64| u64::try_from(number).unwrap_or_default();
            progress("copying", count(copying.copied), count(copying.tables));
            if copying.copied == copying.tables {
                return Ok(());
            }
            check_failures(copying.errors)?;
            if copying.is_running {
                alone_since = Instant::now();
            } else if alone_since.elapsed() > WITHOUT_WORKER {
                return Err(MoveError::Stalled(
                    "the other server starts no worker (max_logical_replication_workers, max_worker_processes), or its \
                     worker cannot connect: its log says why"
                        .to_owned(),
                ));
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Waits until what is written follows closely.
    async fn near(&self, work: &Work, progress: &OnProgress) -> Result<(), MoveError> {
        let (mut near, mut nearly) = (0, 0);
        while near < LOOKS && nearly < BUSY_LOOKS {
            let lag = replication::lag(&work.source, &work.name).await?;
            progress("catching up", near.into(), LOOKS.into());
            near = if lag < NEAR { near + 1 } else { 0 };
            nearly = if lag < BUSY_NEAR { nearly + 1 } else { 0 };
            check_failures(replication::copying(&work.target, &work.name).await?.errors)?;
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
