//! The beginning of a move: both servers are asked whether they can, the tenant is kept from everybody else, and gets a
//! place on a lane of the other shard.

use uuid::Uuid;

use super::{MoveError, Moved, Mover, Work};
use crate::db::connect::AdminClient;
use crate::db::master::audit::{MasterAudit, Subject, insert_audit};
use crate::db::master::lanes::{self, Place, ShardRecord};
use crate::db::master::moves::{self, MoveRecord, NewMove};
use crate::db::master::shards::NamedShard;
use crate::db::master::tenants::{self, TenantRecord};
use crate::db::master::{MasterTx, restores};
use crate::db::shard::moving::{Wait, hold_tenant, readiness};
use crate::db::shard::setup::find_roles;
use crate::domain::tenant::{Niche, TenantStatus};
use crate::domain::tenant_key::TenantKey;
use crate::tenancy::lifecycle::Origin;
use crate::tenancy::provision::PLACE_ATTEMPTS;

/// What becomes of a request.
pub(super) enum Claimed {
    /// The tenant is this worker's.
    Work(Box<Work>),
    /// It lives there already.
    There(Box<Moved>),
}

impl Mover {
    pub(super) async fn claim(
        &self,
        key: &TenantKey,
        target: NamedShard,
        origin: Origin,
    ) -> Result<Claimed, MoveError> {
        let tenant = tenants::find_record(&self.master, key)
            .await?
            .ok_or(MoveError::Unknown)?;
        if tenant.shard == target.shard.id {
            let name = target.shard.name;
            return Ok(Claimed::There(Box::new(Moved {
                id: tenant.id,
                tenant_key: tenant.key,
                from: name.clone(),
                to: name,
                amount: None,
                compared: false,
                pause_ms: None,
                phases: Vec::new(),
            })));
        }
        check_state(&tenant)?;
        if !target.is_open {
            return Err(MoveError::Closed);
        }
        let niche = Niche::parse(&tenant.niche)
            .map_err(|_| MoveError::NotReady(vec![format!("there is no niche {}", tenant.niche)]))?;
        let source = self.shards.administrator(tenant.shard).await?;
        hold_tenant(&source, tenant.id, Wait::Briefly).await?;
        let other = self.shards.administrator(target.shard.id).await?;
        // There, too: somebody may still be at the end of an earlier move.
        hold_tenant(&other, tenant.id, Wait::Briefly).await?;
        self.check_ready(&tenant, &source, (&target.shard, &other))
            .await?;
        let record = self.note(key, &tenant, &target.shard, origin).await?;
        crate::kill_point!("move.claimed");
        Ok(Claimed::Work(Box::new(Work::new(record, niche, source, other))))
    }

    /// Asks both servers.
    async fn check_ready(
        &self,
        tenant: &TenantRecord,
        source: &AdminClient,
        (shard, target): (&ShardRecord, &AdminClient),
    ) -> Result<(), MoveError> {
        let mut obstacles = Vec::new();
        if find_roles(target).await?.as_ref() != Some(&shard.roles) {
            obstacles.push(format!(
                "{} is another database than the one registered, or not set up: `helixai doctor`",
                shard.name
            ));
        }
        let workers = readiness::copy_workers(target).await?;
        let home = (tenant.id, tenant.schema.as_str(), tenant.role.as_str());
        obstacles.extend(readiness::source_obstacles(source, home, ("the present shard", workers)).await?);
        let role = shard.roles.tenant(&tenant.schema);
        obstacles.extend(readiness::target_obstacles(target, (&tenant.schema, &role), &shard.name).await?);
        if obstacles.is_empty() {
            Ok(())
        } else {
            Err(MoveError::NotReady(obstacles))
        }
    }

    /// Notes the move in the registry, with a place for the tenant.
    async fn note(
        &self,
        key: &TenantKey,
        asked: &TenantRecord,
        shard: &ShardRecord,
        origin: Origin,
    ) -> Result<MoveRecord, MoveError> {
        for _ in 0..PLACE_ATTEMPTS {
            let now = self.clock.now();
            let mut tx = self.master.begin().await?;
            let tenant = tenants::lock_by_key(&mut tx, key)
                .await?
                .ok_or(MoveError::Unknown)?;
            check_state(&tenant)?;
            let elsewhere = tenant.shard != asked.shard || tenant.id != asked.id;
            if elsewhere || restores::is_being_restored(&mut tx, tenant.id).await? {
                return Err(MoveError::Busy);
            }
            let place = lanes::take_place(&mut tx, Some(shard.id), now).await?;
            let Some(Place { lane, roles, .. }) = place else {
                drop(tx);
                self.provisioner.open_next_lane(Some(shard.id)).await?;
                continue;
            };
            let new = NewMove {
                id: Uuid::now_v7(),
                tenant: tenant.id,
                to: (shard.id, lane, roles.tenant(&tenant.schema)),
                now,
            };
            return self.insert(tx, &new, shard, origin).await;
        }
        Err(MoveError::NoRoom)
    }

    async fn insert(
        &self,
        mut tx: MasterTx,
        new: &NewMove,
        shard: &ShardRecord,
        origin: Origin,
    ) -> Result<MoveRecord, MoveError> {
        moves::insert_move(&mut tx, new).await.map_err(|error| {
            if error.is_constraint("tenant_moves_unended_key") {
                MoveError::Busy
            } else {
                error.into()
            }
        })?;
        let line = MasterAudit {
            actor: origin.actor,
            action: "tenant.move_begin",
            subject: Subject::Tenant(new.tenant),
            request_id: origin.request_id,
            details: serde_json::json!({ "move": new.id, "to": shard.name }),
            at: new.now,
        };
        insert_audit(&mut tx, &line).await?;
        let record = moves::lock_move(&mut tx, new.id).await?.ok_or(MoveError::Busy)?;
        crate::kill_point!("move.before_claim");
        tx.commit().await?;
        Ok(record)
    }
}

fn check_state(tenant: &TenantRecord) -> Result<(), MoveError> {
    match tenant.status {
        TenantStatus::Active | TenantStatus::Suspended => Ok(()),
        status => Err(MoveError::WrongState(status)),
    }
}
