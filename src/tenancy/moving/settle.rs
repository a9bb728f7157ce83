//! The end of a move, by whoever comes to it: its worker, its repetition or a server. The registry says which end it is.

use uuid::Uuid;

use super::{MoveError, Moved, Mover, Work};
use crate::db::DbError;
use crate::db::connect::AdminClient;
use crate::db::master::audit::{MasterActor, MasterAudit, Subject, insert_audit};
use crate::db::master::lanes;
use crate::db::master::moves::{self, MoveEnd, MoveRecord};
use crate::db::shard::moving::{Wait, hold_tenant, name_of, replication};
use crate::db::shard::removal;
use crate::domain::tenant_move::MovePhase;

/// What has become of a move.
#[derive(Debug, Clone)]
pub enum Settled {
    /// The tenant lives on the other shard, and nothing is left on the first one.
    Finished(Box<Moved>),
    /// Everything is as it was before.
    TakenBack,
    /// Somebody else has settled it.
    Elsewhere,
}

impl Mover {
    /// The worker's own end, after success or failure of what came before.
    pub(super) async fn end(
        &self,
        mut work: Work,
        outcome: Result<(), MoveError>,
    ) -> Result<Moved, MoveError> {
        let Err(error) = outcome else {
            let record = self.finish(work.id, &mut work.source, &mut work.target).await?;
            work.lap(MovePhase::Done);
            return Ok(work.moved(&record));
        };
        let (id, moved) = (work.id, work.moved(&work.record));
        // Nobody knows what its connections are still at. With them goes the lock: a server may get it first, and do the same.
        drop(work);
        let settled = match self.settle(id, Wait::Briefly).await {
            Ok(Settled::Finished(moved)) => return Ok(*moved),
            Err(worse @ MoveError::LeftBehind(_)) => return Err(worse),
            other => other,
        };
        // It may have been decided before whatever has failed, or by somebody else.
        match (moves::find_phase(&self.master, id).await, settled) {
            (Ok(Some(MovePhase::Done)), _) => Ok(moved),
            (Ok(Some(MovePhase::Switched)), Err(worse)) => Err(MoveError::NotServed(Box::new(worse))),
            (Ok(Some(MovePhase::Undone)), _) | (_, Ok(_)) => Err(error),
            (_, Err(worse)) => Err(MoveError::NotTakenBack(Box::new(error), Box::new(worse))),
        }
    }

    /// Brings a move whose worker is gone to its end.
    ///
    /// # Errors
    /// [`MoveError::Busy`] while its worker, or another operation on the tenant, is at work.
    pub async fn settle(&self, id: Uuid, wait: Wait) -> Result<Settled, MoveError> {
        let Some(record) = self.read(id).await? else {
            return Ok(Settled::Elsewhere);
        };
        let mut source = match self.shards.administrator(record.from.shard).await {
            Ok(source) => source,
            // It is served from the other shard, whatever becomes of the first one.
            Err(error) if record.phase.is_switched() => {
                let mut target = self.shards.administrator(record.to.shard).await?;
                self.admit(id, &record.to, &mut target, None).await?;
                return Err(MoveError::LeftBehind(error));
            }
            Err(error) => return Err(error.into()),
        };
        hold_tenant(&source, record.tenant.id, wait).await?;
        // Its worker may have come further before it lost the lock.
        let Some(record) = self.read(id).await? else {
            return Ok(Settled::Elsewhere);
        };
        if record.phase.is_switched() {
            let mut target = self.shards.administrator(record.to.shard).await?;
            self.admit(id, &record.to, &mut target, None).await?;
            let record = self.finish(id, &mut source, &mut target).await?;
            return Ok(Settled::Finished(Box::new(Moved::of(&record))));
        }
        self.take_back(record, &mut source, wait).await
    }

    pub(super) async fn read(&self, id: Uuid) -> Result<Option<MoveRecord>, DbError> {
        let mut tx = self.master.begin().await?;
        moves::lock_move(&mut tx, id).await
    }

    /// Removes what is left of a tenant that lives on the other shard.
    async fn finish(
        &self,
        id: Uuid,
        source: &mut AdminClient,
        target: &mut AdminClient,
    ) -> Result<MoveRecord, MoveError> {
        let record = self.read(id).await.map_err(MoveError::LeftBehind)?;
        let record = record.ok_or(MoveError::Busy)?;
        self.remove_source(&record, source, target)
            .await
            .map_err(MoveError::LeftBehind)?;
        let ended = self
            .declare_ended(&record, MovePhase::Done, &record.from, None)
            .await;
        ended.map_err(|error| match error {
            MoveError::Db(error) => MoveError::LeftBehind(error),
            other => other,
        })?;
        crate::kill_point!("move.done");
        Ok(record)
    }

    async fn remove_source(
        &self,
        record: &MoveRecord,
        source: &mut AdminClient,
        target: &mut AdminClient,
    ) -> Result<(), DbError> {
        detach(record.id, Some(source), Some(target)).await?;
        let tenant = &record.tenant;
        removal::remove(source, tenant.id, &tenant.schema, &record.from.role).await?;
        crate::kill_point!("move.removed");
        Ok(())
    }

    /// Makes everything as it was before: the tenant is served first, then what the move has made is removed.
    async fn take_back(
        &self,
        record: MoveRecord,
        source: &mut AdminClient,
        wait: Wait,
    ) -> Result<Settled, MoveError> {
        let id = record.id;
        self.begin_undoing(&record).await?;
        crate::kill_point!("move.undoing");
        self.admit(id, &record.from, source, None).await?;
        let target = self.shards.administrator(record.to.shard).await;
        let tenant = &record.tenant;
        if let Ok(target) = &target {
            // A statement of the worker may have outlived it there, and so may one of somebody who began to take it back:
            // who has come so late that the move has ended must not touch what a newer one has made.
            hold_tenant(target, tenant.id, wait).await?;
            if self.read(id).await?.is_none() {
                return Ok(Settled::Elsewhere);
            }
        }
        // Also when the other server is away: the slot would keep this one's log for as long.
        detach(id, Some(source), target.as_ref().ok()).await?;
        let mut target = target?;
        // A lock that is not free here is not somebody who takes it back.
        removal::remove(&mut target, tenant.id, &tenant.schema, &record.to.role)
            .await
            .map_err(MoveError::Db)?;
        let line = MasterAudit {
            actor: MasterActor::System,
            action: "tenant.move_taken_back",
            subject: Subject::Tenant(tenant.id),
            request_id: None,
            details: serde_json::json!({ "move": id, "to": record.to.shard_name }),
            at: self.clock.now(),
        };
        self.declare_ended(&record, MovePhase::Undone, &record.to, Some(line))
            .await?;
        Ok(Settled::TakenBack)
    }

    /// Notes that the move is being taken back.
    pub(super) async fn begin_undoing(&self, record: &MoveRecord) -> Result<(), MoveError> {
        if record.phase == MovePhase::Undoing {
            return Ok(());
        }
        let mut tx = self.master.begin().await?;
        let steps = (record.phase, MovePhase::Undoing);
        if !moves::set_phase(&mut tx, record.id, steps, self.clock.now()).await? {
            return Err(MoveError::Busy);
        }
        tx.commit().await?;
        Ok(())
    }

    /// Gives the place at this end back: the tenant is at the other one. The line goes with it.
    pub(super) async fn declare_ended(
        &self,
        record: &MoveRecord,
        phase: MovePhase,
        left: &MoveEnd,
        line: Option<MasterAudit>,
    ) -> Result<(), MoveError> {
        let now = self.clock.now();
        let mut tx = self.master.begin().await?;
        moves::lock_move(&mut tx, record.id)
            .await?
            .ok_or(MoveError::Busy)?;
        let from = if phase == MovePhase::Done {
            MovePhase::Switched
        } else {
            MovePhase::Undoing
        };
        if !moves::set_phase(&mut tx, record.id, (from, phase), now).await? {
            return Err(MoveError::Busy);
        }
        lanes::give_place_back(&mut tx, left.shard, &left.login, now).await?;
        if let Some(line) = line {
            insert_audit(&mut tx, &line).await?;
        }
        crate::kill_point!("move.before_done");
        tx.commit().await?;
        Ok(())
    }
}

/// Removes subscription, slots and publication of a move, where the shard can be reached.
pub(super) async fn detach(
    id: Uuid,
    source: Option<&AdminClient>,
    target: Option<&AdminClient>,
) -> Result<(), DbError> {
    let name = name_of(id);
    let number = match target {
        Some(target) => replication::stop(target, &name).await?,
        None => None,
    };
    crate::kill_point!("move.stopped");
    if let Some(source) = source {
        replication::unpublish(source, &name, number).await?;
    }
    crate::kill_point!("move.unpublished");
    if let Some(target) = target {
        replication::unsubscribe(target, &name).await?;
        crate::kill_point!("move.unsubscribed");
    }
    Ok(())
}
