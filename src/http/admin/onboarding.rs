//! `POST /api/admin/tenants`: a client comes to be.

use std::time::Duration;

use actix_web::{HttpResponse, post, web};
use serde::Serialize;

use super::tenants::{path_key, wrong_state};
use crate::billing::subscriptions::Decision;
use crate::domain::ids::TenantId;
use crate::domain::invalid::Invalid;
use crate::domain::tenant::TenantStatus;
use crate::http::body::Body;
use crate::http::create::key_reused;
use crate::http::extract::{AdminAccess, IdempotencyHeader};
use crate::http::problem::{Problem, ProblemBody};
use crate::platform::Platform;
use crate::tenancy::onboarding_form::OnboardingForm;
use crate::tenancy::provision::{IdempotencyKey, OnboardError, Onboarded, RetryError};

/// How long an onboarding waits for a page to pay at.
const CHECKOUT_BUDGET: Duration = Duration::from_secs(3);

/// A tenant that has just come to be. Its secrets are shown this once.
#[derive(Serialize, utoipa::ToSchema)]
pub struct NewTenantAnswer {
    pub(super) id: TenantId,
    pub(super) tenant_key: String,
    name: String,
    niche: String,
    pub(super) schema_name: String,
    status: TenantStatus,
    /// The tenant's own address.
    pub(super) url: String,
    /// The first API key, with all scopes.
    pub(super) api_key: String,
    pub(super) owner: NewOwnerAnswer,
    /// Where to pay the first period, also before the trial has ended; none when the platform collects nowhere, or the gateway
    /// does not answer: see `POST /api/checkout`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) checkout_url: Option<String>,
}

/// The first user of a new tenant.
#[derive(Serialize, utoipa::ToSchema)]
pub struct NewOwnerAnswer {
    email: String,
    /// Present when no password was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    temporary_password: Option<String>,
}

impl NewTenantAnswer {
    /// The answer about a tenant that this platform has just made.
    pub fn new(tenant: Onboarded, platform: &Platform) -> Self {
        Self {
            id: tenant.id,
            url: platform.settings.server.tenant_url(&tenant.tenant_key),
            tenant_key: tenant.tenant_key,
            name: tenant.name,
            niche: tenant.niche,
            schema_name: tenant.schema_name,
            status: TenantStatus::Active,
            api_key: tenant.api_key,
            owner: NewOwnerAnswer {
                email: tenant.owner_email,
                temporary_password: tenant.temporary_password,
            },
            checkout_url: None,
        }
    }
}

/// Onboard a client.
#[utoipa::path(
    tag = "admin tenants", operation_id = "create_tenant", request_body = OnboardingForm, security(("admin" = [])),
    params(("Idempotency-Key" = Option<String>, Header, description = "Repeats of a request with the same key are one request")),
    responses(
        (status = 201, body = NewTenantAnswer), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)
    )
)]
#[post("/api/admin/tenants")]
pub async fn create_tenant(
    access: AdminAccess,
    key: IdempotencyHeader,
    body: Body<OnboardingForm>,
) -> Result<HttpResponse, Problem> {
    let tenant = onboard(&access, key, body.value?, |field| field).await?;
    Ok(HttpResponse::Created().json(tenant))
}

/// Onboards a client for an administrator; `name` says what the request calls a field.
///
/// # Errors
/// What the request is refused for.
pub(super) async fn onboard(
    access: &AdminAccess,
    key: IdempotencyHeader,
    form: OnboardingForm,
    name: fn(&str) -> &str,
) -> Result<NewTenantAnswer, Problem> {
    let request_hash = form.fingerprint(&access.platform.key);
    let onboarding = form.check().map_err(|errors| errors.renamed(name))?;
    let repeat = key.key()?.map(|key| IdempotencyKey {
        caller: format!("admin:{}", access.admin.id),
        key,
        request_hash,
    });
    let origin = access.origin();
    // Spawned: a client that hangs up does not leave an onboarding half-way.
    let provisioner = access.platform.provisioner.clone();
    let work = tokio::spawn(async move {
        provisioner
            .onboard(onboarding, repeat, origin.actor, origin.request_id)
            .await
    });
    let done = work.await.map_err(|_| Problem::internal())?;
    let tenant = done.map_err(|error| refused(error, name))?;
    access.platform.resolver.changed(&tenant.tenant_key);
    Ok(with_checkout(access, NewTenantAnswer::new(tenant, &access.platform)).await)
}

/// Says where to pay. The tenant is there, whatever becomes of this; what was ordered is placed by the worker.
async fn with_checkout(access: &AdminAccess, tenant: NewTenantAnswer) -> NewTenantAnswer {
    let platform = access.platform.clone();
    let decision = Decision {
        origin: access.origin(),
        now: platform.clock.now(),
    };
    let id = tenant.id;
    let work = tokio::spawn(async move {
        let payments = &platform.payments;
        payments
            .first_page(&platform.books, id, &decision, CHECKOUT_BUDGET)
            .await
    });
    NewTenantAnswer {
        checkout_url: work.await.ok().flatten(),
        ..tenant
    }
}

/// Take an onboarding up again that was given up (`failed`), or whose worker is gone. The answer is that of the onboarding,
/// secrets included.
#[utoipa::path(
    tag = "admin tenants", operation_id = "retry_tenant", params(("tenant_key" = String, Path)), security(("admin" = [])),
    responses(
        (status = 201, body = NewTenantAnswer), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)
    )
)]
#[post("/api/admin/tenants/{tenant_key}/retry")]
pub async fn retry_tenant(access: AdminAccess, key: web::Path<String>) -> Result<HttpResponse, Problem> {
    let key = path_key(&key)?;
    let (provisioner, origin) = (access.platform.provisioner.clone(), access.origin());
    // Spawned: a client that hangs up does not leave an onboarding half-way.
    let work = tokio::spawn(async move { provisioner.retry(&key, origin.actor, origin.request_id).await });
    let done = work.await.map_err(|_| Problem::internal())?;
    let tenant = done.map_err(|error| match error {
        RetryError::Unknown => Problem::not_found(),
        RetryError::WrongState(status) => wrong_state(status),
        RetryError::Onboard(error) => refused(error, |field| field),
    })?;
    access.platform.resolver.changed(&tenant.tenant_key);
    let answer = NewTenantAnswer::new(tenant, &access.platform);
    Ok(HttpResponse::Created().json(with_checkout(&access, answer).await))
}

fn refused(error: OnboardError, name: fn(&str) -> &str) -> Problem {
    match error {
        OnboardError::KeyTaken => Problem::conflict(
            "tenant_key_taken",
            "Another client has or had this key: choose another.",
        ),
        OnboardError::UnknownPlan => Problem::invalid_field(
            name("plan"),
            Invalid::new(
                "unknown_value",
                "is not the code of a plan: see GET /api/admin/plans",
            ),
        ),
        OnboardError::KeyReused => key_reused(),
        OnboardError::InProgress => Problem::conflict(
            "request_in_progress",
            "The first request with this Idempotency-Key is still at work.",
        ),
        OnboardError::NoRoom => {
            tracing::error!("no shard has room for another tenant: run `helixai shard add`");
            Problem::unavailable(
                "no_room",
                "There is no room for another client: an administrator has to add a shard.",
            )
        }
        OnboardError::Db(error) => error.into(),
    }
}
