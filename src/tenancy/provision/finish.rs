//! From an intent to a served tenant, by whoever holds the lease: the request, its replay or the reconciler.

use chrono::{DateTime, Duration, Utc};
use serde_json::json;
use uuid::Uuid;

use super::intent::{Intent, damaged, open_answer, seal_answer};
use super::{IdempotencyKey, OnboardError, Onboarded, Provisioner};
use crate::db::DbError;
use crate::db::master::audit::{MasterActor, MasterAudit, Subject, insert_audit};
use crate::db::master::idempotency::{self, IdempotencyRecord};
use crate::db::master::onboarding::{self, Unfinished};
use crate::db::master::subscriptions::{Beginning, NewSubscription, insert_subscription};
use crate::db::master::tenants::{self, TenantRecord};
use crate::db::master::{MasterTx, lanes, ledger, trials};
use crate::db::shard::provision::{self, NewApiKey, NewOwner, NewSchema, Versions};
use crate::domain::billing::period::Period;
use crate::domain::email::Email;
use crate::domain::ids::{MailId, SubscriptionId, TenantId};
use crate::domain::month::local_day;
use crate::domain::password_link::LinkPurpose;
use crate::domain::platform_key::PlatformKey;
use crate::domain::tenant::{Niche, TenantStatus};
use crate::domain::tenant_key::TenantKey;
use crate::domain::token::{ParsedToken, TokenHash};
use crate::mail::{MailKind, NewMail, enqueue};
use crate::telemetry::metrics::count_provisioning;

/// How often an onboarding is taken up before it is given up. Each waits twice as long as the one before.
pub const ATTEMPTS: i32 = 10;

/// Why an onboarding is not taken up again.
#[derive(Debug, thiserror::Error)]
pub enum RetryError {
    /// There is no such tenant.
    #[error("unknown tenant")]
    Unknown,
    /// It is not unfinished, or somebody is at work on it.
    #[error("a tenant that is {0} has no onboarding to be finished")]
    WrongState(TenantStatus),
    /// The attempt did not succeed either.
    #[error(transparent)]
    Onboard(#[from] OnboardError),
}

impl Provisioner {
    /// Whether an onboarding is under way or was left, here or in another process.
    ///
    /// # Errors
    /// When the registry cannot be read.
    pub async fn has_unfinished(&self) -> Result<bool, DbError> {
        onboarding::has_provisioning(&self.master).await
    }

    /// Goes on with what another process left. A failure is noted at the tenant, and after [`ATTEMPTS`] of them the
    /// onboarding is given up: the tenant is `failed` until somebody asks for it again.
    pub(in crate::tenancy) async fn resume(
        &self,
        unfinished: Unfinished,
        worker: Uuid,
    ) -> Result<Onboarded, OnboardError> {
        let tenant = unfinished.tenant;
        let outcome = match Intent::open(&self.platform_key, tenant.id, &unfinished.onboarding_sealed) {
            Ok(intent) => self.finish(&tenant, &intent, worker).await,
            Err(error) => Err(error.into()),
        };
        match &outcome {
            Ok(_) => count_provisioning("resumed"),
            Err(OnboardError::Db(error)) => self.note_failure(&tenant, worker, error).await?,
            Err(_) => {}
        }
        outcome
    }

    async fn note_failure(
        &self,
        tenant: &TenantRecord,
        worker: Uuid,
        error: &DbError,
    ) -> Result<(), OnboardError> {
        let now = self.clock.now();
        let mut tx = self.master.begin().await?;
        let text = error.to_string();
        let gave_up =
            onboarding::note_failed_attempt(&mut tx, tenant.id, worker, &text, ATTEMPTS, now).await?;
        count_provisioning(if gave_up { "given_up" } else { "failed" });
        if gave_up {
            insert_audit(
                &mut tx,
                &MasterAudit {
                    actor: MasterActor::System,
                    action: "tenant.onboarding_failed",
                    subject: Subject::Tenant(tenant.id),
                    request_id: None,
                    details: serde_json::json!({ "attempts": ATTEMPTS }),
                    at: now,
                },
            )
            .await?;
            tracing::error!(tenant_id = %tenant.id, "an onboarding was given up: {}", tenant.id);
        }
        tx.commit().await?;
        Ok(())
    }

    /// Takes up an onboarding that was given up, or whose worker is gone: its answer has the secrets that nobody was
    /// shown.
    ///
    /// # Errors
    /// [`RetryError::WrongState`] when there is nothing to be finished, or somebody is at it.
    pub async fn retry(
        &self,
        key: &TenantKey,
        actor: MasterActor,
        request_id: Option<String>,
    ) -> Result<Onboarded, RetryError> {
        let tenant = tenants::find_record(&self.master, key)
            .await
            .map_err(OnboardError::from)?
            .ok_or(RetryError::Unknown)?;
        let worker = Uuid::now_v7();
        let unfinished = self
            .claim(worker, Some(tenant.id))
            .await
            .map_err(OnboardError::from)?
            .ok_or(RetryError::WrongState(tenant.status))?;
        let mut tx = self.master.begin().await.map_err(OnboardError::from)?;
        let line = MasterAudit {
            actor,
            action: "tenant.retry_onboarding",
            subject: Subject::Tenant(tenant.id),
            request_id,
            details: serde_json::json!({}),
            at: self.clock.now(),
        };
        insert_audit(&mut tx, &line).await.map_err(OnboardError::from)?;
        tx.commit().await.map_err(OnboardError::from)?;
        Ok(self.resume(unfinished, worker).await?)
    }

    /// Claims the oldest onboarding whose lease has run out.
    pub(in crate::tenancy) async fn claim(
        &self,
        worker: Uuid,
        only: Option<TenantId>,
    ) -> Result<Option<Unfinished>, DbError> {
        let now = self.clock.now();
        let mut tx = self.master.begin().await?;
        let found = onboarding::claim_unfinished(&mut tx, worker, now + self.lease, now, only).await?;
        tx.commit().await?;
        Ok(found)
    }

    pub(super) async fn finish(
        &self,
        tenant: &TenantRecord,
        intent: &Intent,
        worker: Uuid,
    ) -> Result<Onboarded, OnboardError> {
        let roles = self.shards.roles(tenant.shard).await?;
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
                password_link: intent.password_link.as_deref().map(|token| {
                    let until = tenant.created_at + LinkPurpose::Invitation.life();
                    (TokenHash::of(token).as_bytes().to_vec(), until)
                }),
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
        // First of all: without the lease nothing here is this worker's to write.
        if !onboarding::activate_provisioned(&mut tx, tenant.id, worker, now).await? {
            // Somebody took the lease over while this worker was slow; theirs is the answer.
            return Err(OnboardError::InProgress);
        }
        let bought = bought(&mut tx, &self.platform_key, tenant, intent, now).await?;
        insert_subscription(&mut tx, &bought).await?;
        ledger::note_applied(&mut tx, tenant.id, &versions, now).await?;
        enqueue(&mut tx, &self.platform_key, &welcome(tenant, intent, now)?).await?;
        let sealed = seal_answer(&self.platform_key, &onboarded)?;
        idempotency::answer(&mut tx, tenant.id.as_uuid(), 201, &sealed).await?;
        crate::kill_point!("onboard.before_done");
        tx.commit().await?;
        crate::kill_point!("onboard.done");
        Ok(onboarded)
    }

    /// Takes the intent back and removes what was made, as long as nobody has taken the lease over: the tenant may
    /// be theirs, and served, by now. The row stays locked until the shard is clean, and a crash in between leaves
    /// it to the reconciler.
    pub(super) async fn undo(&self, tenant: &TenantRecord, worker: Uuid) -> Result<(), OnboardError> {
        let mut tx = self.master.begin().await?;
        if !onboarding::delete_provisioning(&mut tx, tenant.id, worker).await? {
            return Ok(());
        }
        let mut admin = self.shards.administrator(tenant.shard).await?;
        provision::unprovision(&mut admin, tenant.id, &tenant.schema, &tenant.role).await?;
        let now = self.clock.now();
        lanes::give_place_back(&mut tx, tenant.shard, &tenant.login, now).await?;
        idempotency::release(&mut tx, tenant.id.as_uuid()).await?;
        tx.commit().await?;
        Ok(())
    }

    /// The answer of the first request with this key; finishes it when its worker is gone.
    pub(super) async fn replay(
        &self,
        known: IdempotencyRecord,
        repeat: &IdempotencyKey,
        worker: Uuid,
    ) -> Result<Onboarded, OnboardError> {
        if known.request_hash != repeat.request_hash {
            return Err(OnboardError::KeyReused);
        }
        let id = known.resource_id.map(TenantId::from_uuid).ok_or_else(damaged)?;
        if let Some(sealed) = known.response_sealed {
            return Ok(open_answer(&self.platform_key, id, &sealed)?);
        }
        match self.claim(worker, Some(id)).await? {
            Some(unfinished) => self.resume(unfinished, worker).await,
            None => Err(OnboardError::InProgress),
        }
    }
}

/// To the owner; with a link to choose a password, when none was given.
fn welcome(tenant: &TenantRecord, intent: &Intent, now: DateTime<Utc>) -> Result<NewMail, DbError> {
    Ok(NewMail {
        id: MailId::new(),
        kind: MailKind::Welcome,
        tenant: Some(tenant.id),
        invoice: None,
        locale: None,
        to: Email::parse(&tenant.owner_email).map_err(|_| damaged())?,
        values: json!({
            "name": intent.owner_name, "email": tenant.owner_email, "token": intent.password_link,
        }),
        due_at: now,
        dedupe_key: format!("welcome:{}", tenant.id),
    })
}

/// What a new tenant has: a trial, once for each CPF or CNPJ; nothing to pay; or a plan that begins with its payment.
async fn bought(
    tx: &mut MasterTx,
    key: &PlatformKey,
    tenant: &TenantRecord,
    intent: &Intent,
    now: DateTime<Utc>,
) -> Result<NewSubscription, DbError> {
    let trial_end = now + Duration::days(intent.trial_days.into());
    let month = Period::anchored_at(now);
    let (beginning, period_end) = if intent.is_free {
        (Beginning::Active, month.end)
    } else if intent.trial_days > 0 && has_trial(tx, key, tenant, now).await? {
        (Beginning::Trial(trial_end), trial_end)
    } else {
        (Beginning::AwaitsPayment, month.end)
    };
    let anchor = match beginning {
        Beginning::Trial(end) => end,
        Beginning::Active | Beginning::AwaitsPayment => now,
    };
    Ok(NewSubscription {
        id: SubscriptionId::new(),
        tenant: tenant.id,
        plan_version: intent.plan_version,
        beginning,
        period_end,
        anchor_day: local_day(anchor),
        now,
    })
}

/// Who names no document is nobody that is known to have had a trial.
async fn has_trial(
    tx: &mut MasterTx,
    key: &PlatformKey,
    tenant: &TenantRecord,
    now: DateTime<Utc>,
) -> Result<bool, DbError> {
    match &tenant.document {
        None => Ok(true),
        Some(document) => {
            let digest = key.fingerprint("document", document.as_bytes());
            trials::take(tx, &digest, tenant.id, now).await
        }
    }
}
