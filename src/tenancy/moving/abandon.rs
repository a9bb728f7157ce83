//! The end of a move one of whose shards is lost for good: declared, because nobody can bring it about any more.
//!
//! The registry has said where the tenant lives, and that stays so. On the shard that is left, the way is removed. Rows are
//! removed from neither: where the tenant's own shard is the lost one, what is left on the other may be all that there is.

use uuid::Uuid;

use super::settle::detach;
use super::{MoveError, Mover};
use crate::db::connect::AdminClient;
use crate::db::master::audit::{MasterAudit, Subject};
use crate::db::master::moves::{self, MoveEnd, MoveRecord};
use crate::db::shard::moving::{Wait, hold_tenant};
use crate::db::shard::setup::find_roles;
use crate::domain::ids::TenantId;
use crate::domain::tenant_key::TenantKey;
use crate::domain::tenant_move::MovePhase;
use crate::tenancy::lifecycle::Origin;

/// A move that was given up.
#[derive(Debug, Clone)]
pub struct Abandoned {
    /// The tenant's id.
    pub id: TenantId,
    /// Its key.
    pub tenant_key: String,
    /// How far the move had come.
    pub phase: MovePhase,
    /// The shard on which the tenant lives, by the registry.
    pub lives_on: String,
    /// The shard that is lost.
    pub lost: String,
    /// Where rows of the tenant are left though it does not live there: its own shard is lost.
    pub rows_left_on: Option<String>,
}

impl Mover {
    /// Declares the unended move of a tenant ended without one of its shards, which must not answer. The other one must: there
    /// it is seen that nobody is at work.
    ///
    /// # Errors
    /// See [`MoveError`]; nothing is declared then.
    pub async fn abandon(&self, key: &TenantKey, origin: Origin) -> Result<Abandoned, MoveError> {
        let id = moves::find_unended(&self.master, key).await?;
        let id = id.ok_or(MoveError::NotMoving)?;
        let record = self.read(id).await?.ok_or(MoveError::NotMoving)?;
        let mut source = self.reach(&record.from).await?;
        let mut target = self.reach(&record.to).await?;
        let left = match (&source, &target) {
            (Some(left), None) | (None, Some(left)) => left,
            (Some(_), Some(_)) => return Err(MoveError::NotLost),
            (None, None) => return Err(MoveError::NobodyAnswers),
        };
        hold_tenant(left, record.tenant.id, Wait::Briefly).await?;
        // Its worker may have come further before it lost the lock.
        let record = self.read(id).await?.ok_or(MoveError::NotMoving)?;
        let phase = record.phase;
        let (home, other, end) = if phase.is_switched() {
            (&record.to, &record.from, MovePhase::Done)
        } else {
            self.begin_undoing(&record).await?;
            (&record.from, &record.to, MovePhase::Undone)
        };
        let (home, other) = (home.clone(), other.clone());
        let at_home = if phase.is_switched() {
            &mut target
        } else {
            &mut source
        };
        let home_is_lost = at_home.is_none();
        if let Some(at_home) = at_home {
            self.admit(id, &home, at_home, None).await?;
        }
        detach(id, source.as_ref(), target.as_ref()).await?;
        let lost = if home_is_lost { &home } else { &other };
        let line = self.abandonment(&record, id, &lost.shard_name, origin);
        self.declare_ended(&record, end, &other, Some(line)).await?;
        Ok(Abandoned {
            id: record.tenant.id,
            tenant_key: record.tenant.key,
            phase,
            lives_on: home.shard_name.clone(),
            lost: lost.shard_name.clone(),
            rows_left_on: home_is_lost.then(|| other.shard_name.clone()),
        })
    }

    /// The administrator's connection to the shard at this end; `None` when its server does not let one in, or the database is
    /// not the one that was registered.
    async fn reach(&self, end: &MoveEnd) -> Result<Option<AdminClient>, MoveError> {
        let registered = self.shards.roles(end.shard).await?;
        let Ok(admin) = self.shards.administrator(end.shard).await else {
            return Ok(None);
        };
        let is_the_same = find_roles(&admin).await?.is_some_and(|roles| roles == registered);
        Ok(is_the_same.then_some(admin))
    }

    fn abandonment(&self, record: &MoveRecord, id: Uuid, lost: &str, origin: Origin) -> MasterAudit {
        MasterAudit {
            actor: origin.actor,
            action: "tenant.move_abandon",
            subject: Subject::Tenant(record.tenant.id),
            request_id: origin.request_id,
            details: serde_json::json!({
                "move": id, "phase": record.phase, "from": record.from.shard_name, "to": record.to.shard_name, "lost": lost,
            }),
            at: self.clock.now(),
        }
    }
}
