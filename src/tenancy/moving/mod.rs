//! Moving a tenant to another shard while it is written to.
//!
//! Each phase ([`MovePhase`]) is noted in the registry before anything of it is done. The worker holds the tenant's lock for
//! operations on the shard that it leaves, on a connection that lives as long as the worker: whoever gets that lock and
//! finds a move that has not ended knows that its worker is gone, and [`settle`]s it. The lock on the other shard keeps apart
//! what is done there, where a statement may outlive the worker. Before `switched` a move is taken
//! back, from there on it is finished; the registry alone decides which.
//!
//! [`claim`] takes a place and keeps others away, [`copy`] fills the other schema, [`switch`] stops the tenant for a moment
//! and changes its address, [`settle`] removes what is left on either side, [`watch`] does so for others, and
//! [`abandon`] ends what they never can.

mod abandon;
mod claim;
mod copy;
mod settle;
mod switch;
pub mod watch;

use std::time::{Duration, Instant};

use uuid::Uuid;

use super::lifecycle::Origin;
use super::provision::{OnboardError, Provisioner};
use super::shards::Shards;
use crate::db::DbError;
use crate::db::connect::AdminClient;
use crate::db::master::moves::{self, MoveRecord, MovedAmount};
use crate::db::master::{MasterDb, shards};
use crate::db::shard::moving::readiness::Obstacle;
use crate::db::shard::moving::{Wait, name_of};
use crate::domain::clock::Clock;
use crate::domain::ids::TenantId;
use crate::domain::tenant::{Niche, TenantStatus};
use crate::domain::tenant_key::TenantKey;
use crate::domain::tenant_move::MovePhase;

pub use super::keeper::OnProgress;
pub use abandon::Abandoned;
pub use settle::Settled;

/// Moves tenants. Cheap to clone.
#[derive(Clone)]
pub struct Mover {
    /// The registry.
    pub master: MasterDb,
    /// The databases that tenants live in.
    pub shards: Shards,
    /// Tells the time.
    pub clock: Clock,
    /// Opens lanes for those who come.
    pub provisioner: Provisioner,
}

/// Why a tenant stays where it is. Nothing is half-done then, unless it says so.
#[derive(Debug, thiserror::Error)]
pub enum MoveError {
    /// There is no such tenant.
    #[error("unknown tenant")]
    Unknown,
    /// There is no such shard.
    #[error("there is no shard of this name: `helixai shard list` names them")]
    UnknownShard,
    /// The shard takes no tenants.
    #[error("the shard is closed: `helixai shard open` opens it")]
    Closed,
    /// The shard has no room for another lane.
    #[error("the shard has no room")]
    NoRoom,
    /// The tenant is in a state in which it cannot be moved.
    #[error("a tenant that is {0} cannot be moved")]
    WrongState(TenantStatus),
    /// Another operation on the tenant is at work.
    #[error("another operation on the tenant is at work: try again in a moment")]
    Busy,
    /// The servers cannot carry it.
    #[error("the tenant cannot be moved: {}", .0.join("; "))]
    NotReady(Vec<Obstacle>),
    /// Copying or following does not go on.
    #[error("the move was taken back: {0}")]
    Stalled(String),
    /// The tenant lives on the other shard, but something of it is left on the first one.
    #[error(
        "the tenant is moved and served, but what it left behind cannot be removed yet ({0}): a running server, or the \
         same command, will"
    )]
    LeftBehind(DbError),
    /// The tenant lives on the other shard, but nobody could see to it there.
    #[error(
        "the registry names the other shard, but whether the tenant is served there is not certain, and what it left behind is \
         not removed ({0}): a running server, or the same command, will see to both"
    )]
    NotServed(Box<MoveError>),
    /// The move did not succeed, and cannot be taken back yet.
    #[error("{0}; and it cannot be taken back yet ({1}): a running server, or the same command, will")]
    NotTakenBack(Box<MoveError>, Box<MoveError>),
    /// There is no move that has not ended.
    #[error("the tenant is not being moved")]
    NotMoving,
    /// A move is not abandoned while it can be brought to its end.
    #[error(
        "both shards answer: a running server, or `helixai tenant move` without --abandon, ends the move"
    )]
    NotLost,
    /// Without either shard nobody can tell whether somebody is still at work.
    #[error("neither shard answers: one of them must, to see that nobody is at work there")]
    NobodyAnswers,
    /// A database failed.
    #[error(transparent)]
    Db(DbError),
}

impl From<DbError> for MoveError {
    fn from(error: DbError) -> Self {
        match error {
            DbError::Conflict(_) => Self::Busy,
            other => Self::Db(other),
        }
    }
}

impl From<OnboardError> for MoveError {
    /// Of opening a lane.
    fn from(error: OnboardError) -> Self {
        match error {
            OnboardError::Db(error) => error.into(),
            _ => Self::NoRoom,
        }
    }
}

/// A tenant that lives on another shard now.
#[derive(Debug, Clone)]
pub struct Moved {
    /// Its id.
    pub id: TenantId,
    /// Its key.
    pub tenant_key: String,
    /// The shard that it left.
    pub from: String,
    /// The shard that it lives on.
    pub to: String,
    /// How much was moved, the same on both sides; `None` when it was there already.
    pub amount: Option<MovedAmount>,
    /// Whether the rows were compared, not only counted.
    pub compared: bool,
    /// The longest time in which nothing could be written, in milliseconds.
    pub pause_ms: Option<f64>,
    /// How long each phase took; of a move that was interrupted, only what was left of it.
    pub phases: Vec<(MovePhase, Duration)>,
}

/// A move at work.
struct Work {
    id: Uuid,
    /// Of slot, publication and subscription.
    name: String,
    record: MoveRecord,
    niche: Niche,
    /// On the shard that the tenant leaves; as the other one, it holds the tenant.
    source: AdminClient,
    target: AdminClient,
    compared: bool,
    phase: MovePhase,
    since: Instant,
    phases: Vec<(MovePhase, Duration)>,
}

impl Work {
    fn new(record: MoveRecord, niche: Niche, source: AdminClient, target: AdminClient) -> Self {
        Self {
            id: record.id,
            name: name_of(record.id),
            phase: record.phase,
            record,
            niche,
            source,
            target,
            compared: false,
            since: Instant::now(),
            phases: Vec::new(),
        }
    }

    /// Notes how long the phase took that ends now.
    fn lap(&mut self, next: MovePhase) {
        self.phases.push((self.phase, self.since.elapsed()));
        self.since = Instant::now();
        self.phase = next;
    }

    fn moved(&self, record: &MoveRecord) -> Moved {
        Moved {
            compared: self.compared,
            phases: self.phases.clone(),
            ..Moved::of(record)
        }
    }
}

impl Moved {
    fn of(record: &MoveRecord) -> Self {
        Self {
            id: record.tenant.id,
            tenant_key: record.tenant.key.clone(),
            from: record.from.shard_name.clone(),
            to: record.to.shard_name.clone(),
            amount: record.moved,
            compared: false,
            pause_ms: record.pause_ms,
            phases: Vec::new(),
        }
    }
}

impl Mover {
    /// Moves what this one has onboarded.
    pub fn new(provisioner: &Provisioner) -> Self {
        Self {
            master: provisioner.master.clone(),
            shards: provisioner.shards.clone(),
            clock: provisioner.clock.clone(),
            provisioner: provisioner.clone(),
        }
    }

    /// Moves a tenant to the shard of this name. A move of this tenant that was interrupted is first finished, when it had
    /// come far enough, or taken back. A tenant that is there already stays there.
    ///
    /// # Errors
    /// See [`MoveError`].
    pub async fn move_tenant(
        &self,
        key: &TenantKey,
        shard: &str,
        origin: Origin,
        progress: &OnProgress,
    ) -> Result<Moved, MoveError> {
        let target = shards::find_shard(&self.master, shard)
            .await?
            .ok_or(MoveError::UnknownShard)?;
        if let Some(interrupted) = moves::find_unended(&self.master, key).await?
            && let Settled::Finished(moved) = self.settle(interrupted, Wait::Briefly).await?
            && moved.to == shard
        {
            return Ok(*moved);
        }
        let mut work = match self.claim(key, target, origin).await? {
            claim::Claimed::Work(work) => *work,
            claim::Claimed::There(moved) => return Ok(*moved),
        };
        let outcome = match self.fill(&mut work, progress).await {
            Ok(filled) => self.switch(&mut work, &filled, progress).await,
            Err(error) => Err(error),
        };
        self.end(work, outcome).await
    }

    /// Goes into the next phase, which nobody else may have ended meanwhile.
    async fn enter(&self, work: &mut Work, next: MovePhase) -> Result<(), MoveError> {
        if work.source.is_closed() {
            // With the connection the lock is gone.
            return Err(
                DbError::Unavailable("the connection to the tenant's shard was lost".to_owned()).into(),
            );
        }
        let mut tx = self.master.begin().await?;
        moves::lock_move(&mut tx, work.id).await?.ok_or(MoveError::Busy)?;
        let steps = (work.phase, next);
        if !moves::set_phase(&mut tx, work.id, steps, self.clock.now()).await? {
            return Err(MoveError::Busy);
        }
        tx.commit().await?;
        work.lap(next);
        Ok(())
    }
}
