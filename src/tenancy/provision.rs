//! Onboarding: a client becomes a tenant.
//!
//! Three steps, each one transaction: the registry notes the intent and takes a place (with everything needed to go
//! on, sealed), the shard makes role, schema and first rows, the registry declares it done. A crash in between
//! leaves a lease that expires; [`super::reconcile`] then goes on from the same sealed data.

use chrono::{DateTime, Duration, Utc};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::shards::Shards;
use crate::db::DbError;
use crate::db::master::audit::{MasterActor, MasterAudit, Subject, insert_audit};
use crate::db::master::subscriptions::{NewSubscription, insert_subscription};
use crate::db::master::tenants::{self, NewTenant, TenantRecord, Unfinished};
use crate::db::master::{MasterDb, MasterTx, idempotency, lanes, ledger, plans};
use crate::db::shard::provision::{self, NewApiKey, NewOwner, NewSchema, Versions};
use crate::domain::clock::Clock;
use crate::domain::email::Email;
use crate::domain::ids::{ApiKeyId, PlanVersionId, SubscriptionId, TenantId, UserId};
use crate::domain::month::local_day;
use crate::domain::password::Password;
use crate::domain::platform_key::PlatformKey;
use crate::domain::tenant::Niche;
use crate::domain::tenant_key::TenantKey;
use crate::domain::token::{NewToken, ParsedToken, TokenKind};
use crate::telemetry::metrics::record_provisioning;

/// The plan of an onboarding that names none.
pub const DEFAULT_PLAN: &str = "starter";
const SCOPE: &str = "tenants";
const KEY_KEPT: Duration = Duration::hours(24);

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

/// What the sealed record of an onboarding holds: all that is needed to go on after a crash.
#[derive(Clone, Serialize, Deserialize)]
struct Intent {
    owner_id: UserId,
    owner_name: String,
    owner_password_hash: String,
    temporary_password: Option<String>,
    api_key_id: ApiKeyId,
    api_key: String,
    plan_version: PlanVersionId,
    trial_days: i32,
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
        let plan = plans::list_plans(&self.master, Some(&code))
            .await?
            .into_iter()
            .next();
        let plan = plan.ok_or(OnboardError::UnknownPlan)?;

        let (password, temporary_password) = match &request.owner_password {
            Some(password) => (password.clone(), None),
            None => {
                let made = Password::generate();
                (made.clone(), Some(made.expose().to_owned()))
            }
        };
        // argon2 takes tens of milliseconds of a core on purpose: away from the request threads.
        let owner_password_hash = crate::accounts::hashing::hash(password).await?;
        let api_key = NewToken::generate(TokenKind::ApiKey);
        let intent = Intent {
            owner_id: UserId::new(),
            owner_name: request.owner_name.clone(),
            owner_password_hash,
            temporary_password,
            api_key_id: ApiKeyId::new(),
            api_key: api_key.plain.expose_secret().to_owned(),
            plan_version: plan.version_id,
            trial_days: plan.trial_days,
        };

        self.ensure_room().await?;
        let mut tx = self.master.begin().await?;
        if let Some(repeat) = &repeat {
            let scope = format!("{SCOPE}:{}", repeat.caller);
            let claimed = idempotency::claim(
                &mut tx,
                &scope,
                &repeat.key,
                &repeat.request_hash,
                id.as_uuid(),
                now + KEY_KEPT,
                now,
            )
            .await?;
            if let Some(known) = claimed {
                drop(tx);
                return self.replay(known, repeat, worker).await;
            }
        }
        let place = lanes::take_place(&mut tx, now)
            .await?
            .ok_or(OnboardError::NoRoom)?;
        let roles = self.shards.roles(place.shard)?;
        let schema = request.key.schema_name();
        let new = NewTenant {
            id,
            key: request.key.clone(),
            name: request.name.clone(),
            niche: request.niche.clone(),
            role: roles.tenant(&schema),
            schema,
            shard: place.shard,
            lane: place.lane,
            document: request.document.clone(),
            owner_email: request.owner_email.as_str().to_owned(),
            onboarding_sealed: self.seal(id, &intent)?,
            lease_owner: worker,
            lease_expires_at: now + self.lease,
            now,
        };
        tenants::insert_tenant(&mut tx, &new).await.map_err(key_taken)?;
        if tenants::is_key_reserved(&mut tx, &request.key, now).await? {
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
            status: crate::domain::tenant::TenantStatus::Provisioning,
            document: new.document,
            owner_email: new.owner_email,
            created_at: now,
            suspended_reason: None,
        };
        match self.finish(&tenant, &intent, worker).await {
            Ok(onboarded) => {
                record_provisioning("created", started.elapsed());
                Ok(onboarded)
            }
            Err(error) => {
                // A refusal will not change by waiting: take the intent back, so that the request can be repeated.
                // An outage may pass, or the outcome may be unknown: the reconciler decides.
                if let OnboardError::Db(cause) = &error
                    && !cause.is_transient()
                {
                    self.undo(&tenant, worker).await?;
                }
                Err(error)
            }
        }
    }

    /// Whether an onboarding is under way or was left, here or in another process.
    ///
    /// # Errors
    /// When the registry cannot be read.
    pub async fn has_unfinished(&self) -> Result<bool, DbError> {
        tenants::has_provisioning(&self.master).await
    }

    /// Goes on with what another process left.
    pub(super) async fn resume(
        &self,
        unfinished: Unfinished,
        worker: Uuid,
    ) -> Result<Onboarded, OnboardError> {
        let tenant = unfinished.tenant;
        let intent = self.unseal(tenant.id, &unfinished.onboarding_sealed)?;
        self.finish(&tenant, &intent, worker).await
    }

    /// Claims the oldest onboarding whose lease has run out.
    pub(super) async fn claim(
        &self,
        worker: Uuid,
        only: Option<TenantId>,
    ) -> Result<Option<Unfinished>, DbError> {
        let now = self.clock.now();
        let mut tx = self.master.begin().await?;
        let found = tenants::claim_unfinished(&mut tx, worker, now + self.lease, now, only).await?;
        tx.commit().await?;
        Ok(found)
    }

    async fn finish(
        &self,
        tenant: &TenantRecord,
        intent: &Intent,
        worker: Uuid,
    ) -> Result<Onboarded, OnboardError> {
        let roles = self.shards.roles(tenant.shard)?;
        let key = ParsedToken::parse(&intent.api_key).map_err(|_| damaged())?;
        let schema = NewSchema {
            tenant: tenant.id,
            name: tenant.name.clone(),
            niche: Niche::parse(&tenant.niche).map_err(|_| damaged())?,
            schema: tenant.schema.clone(),
            role: tenant.role.clone(),
            login: tenant.login.clone(),
            owner_role: roles.owner(),
            owner: NewOwner {
                id: intent.owner_id,
                email: tenant.owner_email.clone(),
                name: intent.owner_name.clone(),
                password_hash: intent.owner_password_hash.clone(),
            },
            api_key: NewApiKey {
                id: intent.api_key_id,
                prefix: key.prefix.unwrap_or_default(),
                hash: key.hash.as_bytes().to_vec(),
            },
            now: tenant.created_at,
        };
        let mut admin = self.shards.administrator(tenant.shard).await?;
        let versions = provision::provision(&mut admin, &schema).await?;
        drop(admin);
        self.declare_done(tenant, intent, worker, versions).await
    }

    async fn declare_done(
        &self,
        tenant: &TenantRecord,
        intent: &Intent,
        worker: Uuid,
        versions: Versions,
    ) -> Result<Onboarded, OnboardError> {
        let now = self.clock.now();
        let onboarded = Onboarded {
            id: tenant.id,
            tenant_key: tenant.key.clone(),
            name: tenant.name.clone(),
            niche: tenant.niche.clone(),
            schema_name: tenant.schema.clone(),
            api_key: intent.api_key.clone(),
            owner_email: tenant.owner_email.clone(),
            temporary_password: intent.temporary_password.clone(),
        };
        let mut tx = self.master.begin().await?;
        insert_subscription(&mut tx, &trial(tenant.id, intent, now)).await?;
        ledger::note_applied(&mut tx, tenant.id, &versions, now).await?;
        self.store_answer(&mut tx, tenant.id, &onboarded).await?;
        if !tenants::activate_provisioned(&mut tx, tenant.id, worker, now).await? {
            // Somebody took the lease over while this worker was slow; theirs is the answer.
            return Err(OnboardError::InProgress);
        }
        crate::kill_point!("onboard.before_done");
        tx.commit().await?;
        crate::kill_point!("onboard.done");
        Ok(onboarded)
    }

    async fn undo(&self, tenant: &TenantRecord, worker: Uuid) -> Result<(), OnboardError> {
        let mut admin = self.shards.administrator(tenant.shard).await?;
        provision::unprovision(&mut admin, &tenant.schema, &tenant.role).await?;
        let now = self.clock.now();
        let mut tx = self.master.begin().await?;
        if tenants::delete_provisioning(&mut tx, tenant.id, worker).await? {
            lanes::give_place_back(&mut tx, tenant.shard, &tenant.login, now).await?;
            idempotency::release(&mut tx, tenant.id.as_uuid()).await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// The answer of the first request with this key; finishes it when its worker is gone.
    async fn replay(
        &self,
        known: idempotency::IdempotencyRecord,
        repeat: &IdempotencyKey,
        worker: Uuid,
    ) -> Result<Onboarded, OnboardError> {
        if known.request_hash != repeat.request_hash {
            return Err(OnboardError::KeyReused);
        }
        let id = known.resource_id.map(TenantId::from_uuid).ok_or_else(damaged)?;
        if let Some(sealed) = known.response_sealed {
            let plain = self
                .platform_key
                .open(&answer_context(id), &sealed)
                .ok_or_else(damaged)?;
            return serde_json::from_slice(&plain).map_err(|_| damaged().into());
        }
        match self.claim(worker, Some(id)).await? {
            Some(unfinished) => self.resume(unfinished, worker).await,
            None => Err(OnboardError::InProgress),
        }
    }

    /// Opens the next lane when all are full: the login first, then its row, so that a crash leaves a login without
    /// a lane, which the next try finds and uses.
    async fn ensure_room(&self) -> Result<(), OnboardError> {
        if lanes::has_room(&self.master).await? {
            return Ok(());
        }
        let mut tx = self.master.begin().await?;
        let Some((shard, number)) = lanes::lock_next_lane(&mut tx, self.lane_capacity).await? else {
            return if lanes::has_room(&self.master).await? {
                Ok(())
            } else {
                Err(OnboardError::NoRoom)
            };
        };
        let login = shard.roles.lane(number);
        self.shards.open_lane(shard.id, &login).await?;
        lanes::insert_lane(
            &mut tx,
            shard.id,
            number,
            &login,
            self.lane_capacity,
            self.clock.now(),
        )
        .await?;
        tx.commit().await?;
        tracing::info!(%login, "a lane was opened: {login}");
        Ok(())
    }

    fn seal(&self, id: TenantId, intent: &Intent) -> Result<Vec<u8>, DbError> {
        let plain = serde_json::to_vec(intent)
            .map(secrecy::zeroize::Zeroizing::new)
            .map_err(|_| damaged())?;
        Ok(self.platform_key.seal(&intent_context(id), &plain))
    }

    fn unseal(&self, id: TenantId, sealed: &[u8]) -> Result<Intent, DbError> {
        let plain = self
            .platform_key
            .open(&intent_context(id), sealed)
            .ok_or_else(damaged)?;
        serde_json::from_slice(&plain).map_err(|_| damaged())
    }

    async fn store_answer(&self, tx: &mut MasterTx, id: TenantId, answer: &Onboarded) -> Result<(), DbError> {
        let plain = serde_json::to_vec(answer)
            .map(secrecy::zeroize::Zeroizing::new)
            .map_err(|_| damaged())?;
        let sealed = self.platform_key.seal(&answer_context(id), &plain);
        idempotency::answer(tx, id.as_uuid(), 201, &sealed).await
    }
}

fn intent_context(id: TenantId) -> String {
    format!("onboarding:{id}")
}

fn answer_context(id: TenantId) -> String {
    format!("onboarded:{id}")
}

fn damaged() -> DbError {
    DbError::Other {
        code: "sealed".to_owned(),
        message: "a sealed record does not open: was platform.key changed?".to_owned(),
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

fn trial(tenant: TenantId, intent: &Intent, now: DateTime<Utc>) -> NewSubscription {
    let period_end = now + Duration::days(i64::from(intent.trial_days.max(1)));
    NewSubscription {
        id: SubscriptionId::new(),
        tenant,
        plan_version: intent.plan_version,
        trial_ends_at: Some(period_end),
        period_end,
        anchor_day: local_day(period_end),
        now,
    }
}

/// The fingerprint of a request, for its `Idempotency-Key`.
pub fn request_hash(body: &[u8]) -> [u8; 32] {
    Sha256::digest(body).into()
}
