//! From an intent to a served tenant, by whoever holds the lease: the request, its replay or the reconciler.

use chrono::{DateTime, Duration, Utc};
use uuid::Uuid;

use super::intent::{Intent, damaged, open_answer, seal_answer};
use super::{IdempotencyKey, OnboardError, Onboarded, Provisioner};
use crate::db::DbError;
use crate::db::master::idempotency::{self, IdempotencyRecord};
use crate::db::master::onboarding::{self, Unfinished};
use crate::db::master::subscriptions::{NewSubscription, insert_subscription};
use crate::db::master::tenants::TenantRecord;
use crate::db::master::{lanes, ledger};
use crate::db::shard::provision::{self, NewApiKey, NewOwner, NewSchema, Versions};
use crate::domain::ids::{SubscriptionId, TenantId};
use crate::domain::month::local_day;
use crate::domain::tenant::Niche;
use crate::domain::token::ParsedToken;

impl Provisioner {
    /// Whether an onboarding is under way or was left, here or in another process.
    ///
    /// # Errors
    /// When the registry cannot be read.
    pub async fn has_unfinished(&self) -> Result<bool, DbError> {
        onboarding::has_provisioning(&self.master).await
    }

    /// Goes on with what another process left.
    pub(in crate::tenancy) async fn resume(
        &self,
        unfinished: Unfinished,
        worker: Uuid,
    ) -> Result<Onboarded, OnboardError> {
        let tenant = unfinished.tenant;
        let intent = Intent::open(&self.platform_key, tenant.id, &unfinished.onboarding_sealed)?;
        self.finish(&tenant, &intent, worker).await
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
        // First of all: without the lease nothing here is this worker's to write.
        if !onboarding::activate_provisioned(&mut tx, tenant.id, worker, now).await? {
            // Somebody took the lease over while this worker was slow; theirs is the answer.
            return Err(OnboardError::InProgress);
        }
        insert_subscription(&mut tx, &trial(tenant.id, intent, now)).await?;
        ledger::note_applied(&mut tx, tenant.id, &versions, now).await?;
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
