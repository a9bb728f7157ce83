//! Onboarding: a client becomes a tenant.
//!
//! Three steps, each one transaction: the registry notes the intent and takes a [`place`] (with everything needed to
//! go on, sealed as an [`intent`]), the shard makes role, schema and first rows, the registry declares it done
//! ([`finish`]). A crash in between leaves a lease that expires; [`super::reconcile`] then goes on from the same
//! sealed data.

mod finish;
mod intent;
mod place;

use chrono::Duration;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

pub use self::finish::{ATTEMPTS, RetryError};
use self::intent::Intent;
pub(in crate::tenancy) use self::place::{Begun, PLACE_ATTEMPTS};
use super::shards::Shards;
use crate::db::DbError;
use crate::db::master::audit::{MasterActor, MasterAudit, Subject, insert_audit};
use crate::db::master::onboarding::{self, NewTenant};
use crate::db::master::tenants::TenantRecord;
use crate::db::master::{MasterDb, plans};
use crate::domain::clock::Clock;
use crate::domain::email::Email;
use crate::domain::ids::TenantId;
use crate::domain::password::Password;
use crate::domain::plan::PlanStatus;
use crate::domain::platform_key::PlatformKey;
use crate::domain::tenant::{Niche, TenantStatus};
use crate::domain::tenant_key::TenantKey;
use crate::telemetry::metrics::{count_provisioning, record_provisioning};

/// The plan of an onboarding that names none.
pub const DEFAULT_PLAN: &str = "starter";

/// A checked request for onboarding.
#[derive(Debug, Clone)]
pub struct Onboarding {
    /// The key asked for.
    pub key: TenantKey,
    /// Display name.
    pub name: String,
    /// Niche, one of the template's.
    pub niche: Niche,
    /// Code of the plan.
    pub plan: Option<String>,
    /// CPF or CNPJ.
    pub document: Option<String>,
    /// Address of the first user.
    pub owner_email: Email,
    /// Name of the first user.
    pub owner_name: String,
    /// Their password; generated when absent.
    pub owner_password: Option<Password>,
}

/// A repeatable request: the same key and the same body get the same answer for 24 hours.
#[derive(Debug, Clone)]
pub struct IdempotencyKey {
    /// Who repeats it: keys of two administrators do not meet.
    pub caller: String,
    /// As sent.
    pub key: String,
    /// SHA-256 of the request.
    pub request_hash: [u8; 32],
}

/// A tenant that has just come to be, with the secrets that are shown once.
#[derive(Clone, Serialize, Deserialize)]
pub struct Onboarded {
    /// Its id.
    pub id: TenantId,
    /// Its key.
    pub tenant_key: String,
    /// Its display name.
    pub name: String,
    /// Its niche.
    pub niche: String,
    /// Its schema.
    pub schema_name: String,
    /// The first API key.
    pub api_key: String,
    /// Address of the first user.
    pub owner_email: String,
    /// The generated password, when none was given.
    pub temporary_password: Option<String>,
}

/// Why an onboarding does not happen.
#[derive(Debug, thiserror::Error)]
pub enum OnboardError {
    /// Another tenant has or had this key.
    #[error("the key is taken")]
    KeyTaken,
    /// There is no such plan.
    #[error("unknown plan")]
    UnknownPlan,
    /// The `Idempotency-Key` belongs to another body.
    #[error("the idempotency key was used for another request")]
    KeyReused,
    /// The first request with this `Idempotency-Key` is still at work.
    #[error("the same request is still being worked on")]
    InProgress,
    /// All lanes of all shards are full.
    #[error("no shard has room")]
    NoRoom,
    /// A database failed; nothing is left half-made for longer than a lease.
    #[error(transparent)]
    Db(#[from] DbError),
}

/// Onboards tenants. Cheap to clone.
#[derive(Clone)]
pub struct Provisioner {
    /// The registry.
    pub master: MasterDb,
    /// The databases that tenants live in.
    pub shards: Shards,
    /// Seals secrets.
    pub platform_key: PlatformKey,
    /// Tells the time.
    pub clock: Clock,
    /// How long a worker may be silent before another goes on.
    pub lease: Duration,
    /// Tenants of a new lane.
    pub lane_capacity: i32,
}

impl Provisioner {
    /// Makes the tenant, or answers what an earlier request with the same key made.
    ///
    /// # Errors
    /// See [`OnboardError`].
    pub async fn onboard(
        &self,
        request: Onboarding,
        repeat: Option<IdempotencyKey>,
        actor: MasterActor,
        request_id: Option<String>,
    ) -> Result<Onboarded, OnboardError> {
        let started = std::time::Instant::now();
        let now = self.clock.now();
        let worker = Uuid::now_v7();
        let id = TenantId::new();
        let code = request.plan.clone().unwrap_or_else(|| DEFAULT_PLAN.to_owned());
        let plan = plans::list_plans(&self.master, PlanStatus::Active, Some(&code))
            .await?
            .into_iter()
            .next();
        let plan = plan.ok_or(OnboardError::UnknownPlan)?;

        let intent = Intent::make(&request, &plan).await?;

        let (mut tx, place) = match self.begin(repeat.as_ref(), id, now).await? {
            Begun::Placed(tx, place) => (tx, place),
            Begun::Known(known, repeat) => return self.replay(known, repeat, worker).await,
        };
        let schema = request.key.schema_name();
        let new = NewTenant {
            id,
            key: request.key.clone(),
            name: request.name.clone(),
            niche: request.niche.clone(),
            role: place.roles.tenant(&schema),
            schema,
            shard: place.shard,
            lane: place.lane,
            document: request.document.clone(),
            owner_email: request.owner_email.as_str().to_owned(),
            onboarding_sealed: intent.seal(&self.platform_key, id)?,
            lease_owner: worker,
            lease_expires_at: now + self.lease,
            now,
        };
        onboarding::insert_tenant(&mut tx, &new)
            .await
            .map_err(key_taken)?;
        if onboarding::is_key_reserved(&mut tx, &request.key, now).await? {
            return Err(OnboardError::KeyTaken);
        }
        insert_audit(
            &mut tx,
            &MasterAudit {
                actor,
                action: "tenant.create",
                subject: Subject::Tenant(id),
                request_id,
                details: serde_json::json!({ "niche": request.niche.as_str(), "plan": code }),
                at: now,
            },
        )
        .await?;
        crate::kill_point!("onboard.before_intent");
        tx.commit().await?;
        crate::kill_point!("onboard.intent");

        let tenant = TenantRecord {
            id,
            key: new.key.to_string(),
            name: new.name,
            niche: new.niche.as_str().to_owned(),
            schema: new.schema,
            role: new.role,
            shard: place.shard,
            login: place.login,
            status: TenantStatus::Provisioning,
            document: new.document,
            owner_email: new.owner_email,
            created_at: now,
            suspended_reason: None,
            version: 1,
            onboarding_attempts: 0,
            onboarding_error: None,
        };
        match self.finish(&tenant, &intent, worker).await {
            Ok(onboarded) => {
                record_provisioning("created", started.elapsed());
                Ok(onboarded)
            }
            Err(error) => {
                // A refusal will not change by waiting: take the intent back, so that the request can be repeated.
                // An outage may pass, or the outcome may be unknown: the reconciler decides.
                match error {
                    OnboardError::Db(cause) if !cause.is_transient() => {
                        count_provisioning("refused");
                        self.undo(&tenant, worker).await?;
                        Err(in_the_way(cause))
                    }
                    other => {
                        count_provisioning("failed");
                        Err(other)
                    }
                }
            }
        }
    }
}

fn key_taken(error: DbError) -> OnboardError {
    let taken = [
        "tenants_tenant_key_key",
        "tenants_shard_id_schema_name_key",
        "tenants_role_name_key",
    ];
    if taken.iter().any(|name| error.is_constraint(name)) {
        OnboardError::KeyTaken
    } else {
        error.into()
    }
}

/// A schema of this name that the registry does not know: made by hand, or left by a restore. It is somebody's.
fn in_the_way(error: DbError) -> OnboardError {
    match error {
        DbError::Other { code, .. } if code == DUPLICATE_SCHEMA => OnboardError::KeyTaken,
        other => other.into(),
    }
}

const DUPLICATE_SCHEMA: &str = "42P06";

/// The fingerprint of a request, for its `Idempotency-Key`.
pub fn request_hash(body: &[u8]) -> [u8; 32] {
    Sha256::digest(body).into()
}
