//! The end of a restore, by whoever comes to it first: its worker, its repetition or the reconciler.
//!
//! The shard is asked whether the transaction with the rows was committed, and held until the registry says the same. While
//! the worker is in its transaction it holds the tenant itself, so nobody takes back what is still being loaded.

use chrono::TimeDelta;
use uuid::Uuid;

use super::target::Outcome;
use super::{Keeper, KeeperError};
use crate::db::DbError;
use crate::db::master::audit::{MasterActor, MasterAudit, Subject, insert_audit};
use crate::db::master::payments::applied;
use crate::db::master::restores::{self, RestoreRecord};
use crate::db::master::{MasterTx, archives, billed, domains, lanes, ledger, reserved_keys};
use crate::db::shard::snapshot::Inquiry;
use crate::domain::ids::{AdminId, TenantId};
use crate::domain::tenant::RestoreMode;
use crate::tenancy::domains::verification_token;

/// How long a restore that could not be settled is left alone.
const LEASE: chrono::Duration = chrono::Duration::minutes(2);

/// What has become of a restore.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// The tenant has the snapshot's rows.
    Done,
    /// Everything is as it was before.
    TakenBack,
    /// Somebody else has settled it.
    Elsewhere,
}

impl Keeper {
    /// Settles restores whose worker is gone.
    pub(super) async fn settle_expired(&self) -> Result<usize, DbError> {
        let (began, mut settled) = (self.clock.now(), 0);
        loop {
            let until = self.clock.now() + LEASE;
            let Some(restore) = restores::claim_expired(&self.master, until, began).await? else {
                return Ok(settled);
            };
            match self.settle(restore).await {
                Ok(outcome) => {
                    settled += 1;
                    tracing::info!(%restore, ?outcome, "an interrupted restore was settled");
                }
                // It is being worked on.
                Err(KeeperError::Busy) => {}
                Err(error) => tracing::error!(%restore, %error, "a restore cannot be settled"),
            }
        }
    }

    /// Brings the registry to what the shard says.
    ///
    /// # Errors
    /// [`KeeperError::Busy`] while the restore is still at work.
    pub(super) async fn settle(&self, restore: Uuid) -> Result<Settled, KeeperError> {
        let mut tx = self.master.begin().await?;
        let Some(record) = restores::lock_restore(&mut tx, restore).await? else {
            return Ok(Settled::Elsewhere);
        };
        let mut admin = self.shards.administrator(record.tenant.shard).await?;
        let inquiry = Inquiry::open(&mut admin, record.tenant.id, restore).await?;
        let settled = if inquiry.is_committed() {
            self.complete(&mut tx, &record).await?;
            Settled::Done
        } else {
            self.take_back(&mut tx, &record).await?;
            Settled::TakenBack
        };
        crate::kill_point!("restore.before_done");
        tx.commit().await?;
        crate::kill_point!("restore.done");
        drop(inquiry);
        Ok(settled)
    }

    async fn take_back(&self, tx: &mut MasterTx, record: &RestoreRecord) -> Result<(), KeeperError> {
        restores::delete_restore(tx, record.id).await?;
        let (tenant, now) = (&record.tenant, self.clock.now());
        match record.mode {
            // Files without a row of a tenant that lives are the sweeper's.
            RestoreMode::Over => return Ok(()),
            RestoreMode::New => {
                self.store.forget(tenant.id).await.map_err(KeeperError::Files)?;
                restores::delete_unrestored(tx, tenant.id).await?;
            }
            RestoreMode::Archived => {
                self.store.forget(tenant.id).await.map_err(KeeperError::Files)?;
                archives::set_holds_place(tx, tenant.id, false, now).await?;
            }
        }
        lanes::give_place_back(tx, tenant.shard, &tenant.login, now).await?;
        Ok(())
    }

    /// Gives the tenant those of its hosts back that nobody has taken meanwhile; answers the others.
    async fn give_domains_back(
        &self,
        tx: &mut MasterTx,
        tenant: TenantId,
        hosts: &[String],
    ) -> Result<Vec<String>, DbError> {
        let now = self.clock.now();
        let mut taken = Vec::new();
        for host in hosts {
            let token = verification_token();
            if !domains::insert_verified(tx, tenant, host, &token, now).await? {
                taken.push(host.clone());
            }
        }
        Ok(taken)
    }

    async fn complete(&self, tx: &mut MasterTx, record: &RestoreRecord) -> Result<(), KeeperError> {
        let now = self.clock.now();
        let outcome: Outcome = serde_json::from_value(record.outcome.clone())
            .map_err(|error| KeeperError::Misfit(format!("its note in the registry: {error}")))?;
        let tenant = record.tenant.id;
        let mut taken = Vec::new();
        match record.mode {
            RestoreMode::Over => restores::raise_epoch(tx, tenant, now).await?,
            RestoreMode::New => {
                restores::activate_restored(tx, tenant, now).await?;
                reserved_keys::release_key(tx, &record.tenant.key).await?;
                reserved_keys::keep_again(tx, tenant).await?;
                restores::count_usage_again(tx, tenant, now).await?;
                taken = self.give_domains_back(tx, tenant, &outcome.domains).await?;
            }
            // What else the registry knew of it has been there all the time.
            RestoreMode::Archived => {
                restores::activate_restored(tx, tenant, now).await?;
                billed::note_brought_back(tx, tenant, now).await?;
            }
        }
        // What its customers paid since the rows were as they are now. An hour more: clocks differ, and what is booked stays so.
        applied::apply_again(tx, tenant, outcome.made_at - TimeDelta::hours(1), now).await?;
        ledger::note_applied(tx, tenant, &outcome.versions, now).await?;
        let line = MasterAudit {
            actor: outcome
                .admin
                .map_or(MasterActor::Cli, |id| MasterActor::Admin(AdminId::from_uuid(id))),
            action: "tenant.restore",
            subject: Subject::Tenant(tenant),
            request_id: outcome.request_id,
            details: serde_json::json!({
                "from": outcome.from, "made_at": outcome.made_at, "rows": outcome.rows,
                "copy": outcome.is_copy, "over": record.mode == RestoreMode::Over, "domains_taken": taken,
            }),
            at: now,
        };
        insert_audit(tx, &line).await?;
        restores::delete_restore(tx, record.id).await?;
        Ok(())
    }
}
