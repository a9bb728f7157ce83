//! Where a snapshot goes: what it says of itself, checked, and a place for it in the registry.

use chrono::{DateTime, Duration, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::verify::Verified;
use super::{Keeper, KeeperError};
use crate::db::DbError;
use crate::db::master::audit::MasterActor;
use crate::db::master::restores::{self, RestoredSubscription, RestoredTenant};
use crate::db::master::tenants::{self, TenantRecord};
use crate::db::master::{MasterTx, reserved_keys};
use crate::db::shard::schema::Versions;
use crate::db::shard::snapshot::Destination;
use crate::db::shard::template::Template;
use crate::domain::ids::{ShardId, TenantId};
use crate::domain::month::local_day;
use crate::domain::plan::SANDBOX;
use crate::domain::subscription::SubscriptionStatus;
use crate::domain::tenant::{Niche, RestoreMode, TenantStatus};
use crate::domain::tenant_key::TenantKey;
use crate::tenancy::lifecycle::Origin;
use crate::tenancy::provision::Begun as Place;
use crate::tenancy::snapshot::{Header, HeaderSubscription, SnapshotError};

/// How long others leave a restore alone that says nothing. They could not harm it: see [`super::settle`].
const LEASE: Duration = Duration::minutes(2);
/// How long a copy is served.
const SANDBOX_TIME: Duration = Duration::days(30);

/// A snapshot that fits this program, and the key it is wanted under.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    pub(super) key: TenantKey,
    pub(super) is_copy: bool,
    pub(super) niche: Niche,
    /// Of the template, as the rows have them.
    pub(super) versions: Versions,
    /// Of the template, as they will be.
    pub(super) newest: Versions,
}

/// A restore that is noted in the registry.
#[derive(Debug, Clone)]
pub(super) struct Begun {
    pub(super) restore: Uuid,
    pub(super) shard: ShardId,
    pub(super) destination: Destination,
    /// Of the whole snapshot.
    pub(super) rows: u64,
}

impl Begun {
    /// Whether a tenant of its own is made: over a living one, perhaps renamed since, the rows stay that tenant's.
    pub(super) fn is_copy(&self, wanted: &Wanted) -> bool {
        wanted.is_copy && !self.destination.over
    }
}

/// What the registry will say when the rows are there.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Outcome {
    pub(super) versions: Versions,
    pub(super) is_copy: bool,
    /// What the tenant had bought.
    pub(super) subscription: Option<HeaderSubscription>,
    /// Hosts that were its own.
    #[serde(default)]
    pub(super) domains: Vec<String>,
    /// Whose rows these are.
    pub(super) from: TenantId,
    pub(super) made_at: DateTime<Utc>,
    pub(super) rows: u64,
    /// Who asked: an administrator, else somebody with a shell.
    pub(super) admin: Option<Uuid>,
    pub(super) request_id: Option<String>,
}

impl Outcome {
    pub(super) fn of(wanted: &Wanted, snapshot: &Verified, is_copy: bool, origin: &Origin) -> Self {
        let from = &snapshot.header.tenant;
        Self {
            versions: wanted.newest.clone(),
            is_copy,
            subscription: from.subscription.clone(),
            // Another platform has not proven to us whose they are; and a copy speaks for nobody.
            domains: if snapshot.is_ours && !is_copy {
                from.domains.clone()
            } else {
                Vec::new()
            },
            from: from.id,
            made_at: snapshot.header.made_at,
            rows: snapshot.rows,
            admin: match origin.actor {
                MasterActor::Admin(id) => Some(id.as_uuid()),
                MasterActor::User(_) | MasterActor::Cli | MasterActor::System => None,
            },
            request_id: origin.request_id.clone(),
        }
    }
}

impl Wanted {
    /// Whether the snapshot can be loaded by this program.
    pub(super) fn check(header: &Header, key: Option<TenantKey>) -> Result<Self, KeeperError> {
        let unfit = |what: &str| KeeperError::Misfit(format!("its {what} is none of this program's"));
        let own = TenantKey::parse(&header.tenant.key).map_err(|_| unfit("key"))?;
        let niche = Niche::parse(&header.tenant.niche).map_err(|_| unfit("niche"))?;
        let parts = Template::embedded()?
            .parts_of(&niche)
            .ok_or_else(|| unfit("niche"))?;
        let mut versions = Versions::new();
        let mut newest = Versions::new();
        for (name, part) in parts {
            let version = *header.template.get(&name).ok_or_else(|| unfit("template"))?;
            if version > part.version() {
                let what = format!("version {version} of {name}, known is {}", part.version());
                return Err(SnapshotError::Newer(what).into());
            }
            newest.push((name.clone(), part.version()));
            versions.push((name, version));
        }
        let key = key.unwrap_or_else(|| own.clone());
        Ok(Self {
            is_copy: key != own,
            key,
            niche,
            versions,
            newest,
        })
    }
}

impl Keeper {
    /// Notes the restore in the registry: over the tenant that lives, or with a tenant made for it.
    pub(super) async fn begin(
        &self,
        wanted: &Wanted,
        snapshot: &Verified,
        origin: Origin,
    ) -> Result<Begun, KeeperError> {
        let from = &snapshot.header.tenant;
        let outcome = |is_copy| Outcome::of(wanted, snapshot, is_copy, &origin);
        let now = self.clock.now();
        let mut tx = self.master.begin().await?;
        if let Some(tenant) = tenants::lock_by_key(&mut tx, &wanted.key).await? {
            check_living(&tenant, from.id)?;
            let mode = RestoreMode::Over;
            return self.note(tx, wanted, tenant, mode, outcome(false), now).await;
        }
        drop(tx);
        let id = if wanted.is_copy { TenantId::new() } else { from.id };
        let Place::Placed(mut tx, place) = self.provisioner.begin(None, id, now).await? else {
            return Err(KeeperError::Busy);
        };
        if let Some(other) = restores::find_key_of(&mut tx, id).await? {
            return Err(KeeperError::Renamed(other));
        }
        let schema = wanted.key.schema_name();
        let new = RestoredTenant {
            id,
            key: wanted.key.clone(),
            name: from.name.clone(),
            niche: wanted.niche.clone(),
            role: place.roles.tenant(&schema),
            schema,
            shard: place.shard,
            lane: place.lane,
            document: from.document.clone(),
            owner_email: from.owner_email.clone(),
            // A copy is another tenant.
            suspended_reason: from.suspended_reason.clone().filter(|_| !wanted.is_copy),
            now,
        };
        restores::insert_restored(&mut tx, &new)
            .await
            .map_err(key_taken)?;
        if reserved_keys::is_key_reserved_for_another(&mut tx, &wanted.key, id, now).await? {
            return Err(KeeperError::KeyTaken);
        }
        let tenant = tenants::lock_by_key(&mut tx, &wanted.key)
            .await?
            .ok_or(KeeperError::Unknown)?;
        let outcome = outcome(wanted.is_copy);
        self.subscribe(&mut tx, id, &outcome, now).await?;
        self.note(tx, wanted, tenant, RestoreMode::New, outcome, now)
            .await
    }

    /// What the tenant has bought from now on. Plans that this platform does not have, or a subscription that it would
    /// refuse, are found here, before anything is changed.
    async fn subscribe(
        &self,
        tx: &mut MasterTx,
        tenant: TenantId,
        outcome: &Outcome,
        now: DateTime<Utc>,
    ) -> Result<(), KeeperError> {
        let Some(bought) = subscription(outcome, now) else {
            return Ok(());
        };
        match restores::insert_restored_subscription(tx, tenant, &bought, now).await {
            Ok(true) => Ok(()),
            Ok(false) => {
                let version = bought
                    .version
                    .map_or_else(String::new, |number| format!(" {number}"));
                let what = format!("its plan, {}{version}, is none of this platform's", bought.plan);
                Err(KeeperError::Misfit(what))
            }
            Err(DbError::Constraint(_)) => {
                let what = "what it says of its subscription contradicts itself";
                Err(KeeperError::Misfit(what.to_owned()))
            }
            Err(other) => Err(other.into()),
        }
    }

    pub(super) async fn note(
        &self,
        mut tx: MasterTx,
        wanted: &Wanted,
        tenant: TenantRecord,
        mode: RestoreMode,
        outcome: Outcome,
        now: DateTime<Utc>,
    ) -> Result<Begun, KeeperError> {
        let restore = Uuid::now_v7();
        let rows = outcome.rows;
        let outcome =
            serde_json::to_value(outcome).map_err(|error| KeeperError::Misfit(error.to_string()))?;
        restores::insert_restore(&mut tx, restore, (tenant.id, mode), &outcome, now + LEASE, now)
            .await
            .map_err(|error| {
                if error.is_constraint("tenant_restores_tenant_id_key") {
                    KeeperError::Busy
                } else {
                    error.into()
                }
            })?;
        crate::kill_point!("restore.before_intent");
        tx.commit().await?;
        let destination = Destination {
            restore,
            tenant: tenant.id,
            niche: wanted.niche.clone(),
            owner_role: self.shards.roles(tenant.shard).await?.owner(),
            schema: tenant.schema,
            role: tenant.role,
            login: tenant.login,
            over: mode == RestoreMode::Over,
            suspended: tenant.suspended_reason.is_some(),
        };
        Ok(Begun {
            restore,
            shard: tenant.shard,
            destination,
            rows,
        })
    }
}

/// Only a tenant's own snapshot takes its place.
fn check_living(tenant: &TenantRecord, from: TenantId) -> Result<(), KeeperError> {
    match tenant.status {
        TenantStatus::Active | TenantStatus::Suspended => {}
        TenantStatus::Provisioning | TenantStatus::Deleting => return Err(KeeperError::Busy),
        status => return Err(KeeperError::WrongState(status)),
    }
    if tenant.id == from {
        Ok(())
    } else {
        Err(KeeperError::KeyTaken)
    }
}

fn key_taken(error: DbError) -> KeeperError {
    match error {
        DbError::Constraint(_) => KeeperError::KeyTaken,
        other => other.into(),
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
