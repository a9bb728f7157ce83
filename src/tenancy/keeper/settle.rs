//! The end of a restore, by whoever comes to it first: its worker, its repetition or the reconciler.
//!
//! The shard is asked whether the transaction with the rows was committed, and held until the registry says the same. While
//! the worker is in its transaction it holds the tenant itself, so nobody takes back what is still being loaded.

use uuid::Uuid;

use super::target::Outcome;
use super::{Keeper, KeeperError};
use crate::db::DbError;
use crate::db::master::audit::{MasterActor, MasterAudit, Subject, insert_audit};
use crate::db::master::restores::{self, RestoreRecord, RestoredSubscription};
use crate::db::master::{MasterTx, lanes, ledger, reserved_keys};
use crate::db::shard::snapshot::Inquiry;
use crate::domain::ids::AdminId;
use crate::domain::month::local_day;
use crate::domain::subscription::SubscriptionStatus;

/// The plan of a copy: everything may be looked at, nothing is sent.
const SANDBOX: &str = "sandbox";
/// How long a copy is served.
const SANDBOX_TIME: chrono::Duration = chrono::Duration::days(30);
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
        let mut settled = 0;
        loop {
            let now = self.clock.now();
            let Some(restore) = restores::claim_expired(&self.master, now + LEASE, now).await? else {
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
        if !record.over {
            let tenant = &record.tenant;
            // Files without a row of a tenant that lives are the sweeper's.
            self.store.forget(tenant.id).await.map_err(KeeperError::Files)?;
            restores::delete_unrestored(tx, tenant.id).await?;
            lanes::give_place_back(tx, tenant.shard, &tenant.login, self.clock.now()).await?;
        }
        Ok(())
    }

    async fn complete(&self, tx: &mut MasterTx, record: &RestoreRecord) -> Result<(), KeeperError> {
        let now = self.clock.now();
        let outcome: Outcome = serde_json::from_value(record.outcome.clone())
            .map_err(|error| KeeperError::Misfit(format!("its note in the registry: {error}")))?;
        let tenant = record.tenant.id;
        if record.over {
            restores::raise_epoch(tx, tenant, now).await?;
        } else {
            restores::activate_restored(tx, tenant, now).await?;
            reserved_keys::release_key(tx, &record.tenant.key).await?;
            let mut known = true;
            if let Some(bought) = subscription(&outcome, now) {
                known = restores::insert_restored_subscription(tx, tenant, &bought, now).await?;
            }
            if !known {
                let key = &record.tenant.key;
                tracing::warn!(tenant = %key, "the plan of {key} is not known here: it has no subscription");
            }
            restores::count_usage_again(tx, tenant, now).await?;
        }
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
                "copy": outcome.is_copy, "over": record.over,
            }),
            at: now,
        };
        insert_audit(tx, &line).await?;
        restores::delete_restore(tx, record.id).await?;
        Ok(())
    }
}

/// What the tenant has bought from now on: a copy has the sandbox, whatever its original has.
fn subscription(outcome: &Outcome, now: chrono::DateTime<chrono::Utc>) -> Option<RestoredSubscription> {
    if outcome.is_copy {
        let end = now + SANDBOX_TIME;
        return Some(RestoredSubscription {
            plan: SANDBOX.to_owned(),
            version: None,
            status: SubscriptionStatus::Trialing.to_string(),
            trial_ends_at: Some(end),
            past_due_at: None,
            period_start: now,
            period_end: end,
            anchor_day: local_day(end),
        });
    }
    let had = outcome.subscription.as_ref()?;
    (had.status != SubscriptionStatus::Canceled).then(|| RestoredSubscription {
        plan: had.plan.clone(),
        version: Some(had.version),
        status: had.status.to_string(),
        trial_ends_at: had.trial_ends_at,
        past_due_at: had.past_due_at,
        period_start: had.period_start,
        period_end: had.period_end,
        anchor_day: local_day(had.period_end),
    })
}
