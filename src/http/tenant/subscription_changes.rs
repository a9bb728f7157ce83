//! `/api/subscription/change`, `/cancel` and `/reactivate`: what the owner decides about the tenant's subscription.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, post};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::invoices::Invoice;
use crate::billing::subscriptions::{Decision, SubscriptionError};
use crate::db::DbError;
use crate::db::master::audit::{MasterActor, Origin};
use crate::db::master::invoices::InvoiceRecord;
use crate::db::tenant::Actor;
use crate::domain::invalid::{FieldErrors, Invalid};
use crate::domain::plan::PlanCode;
use crate::domain::text::line;
use crate::http::body::{Body, OptionalBody};
use crate::http::extract::{Checkout, IdempotencyHeader, OwnBilling, Permission, TenantAccess};
use crate::http::once::{Repeatable, answer_once};
use crate::http::problem::{Problem, ProblemBody};
use crate::telemetry::request_id;

/// Longest reason.
const REASON_MAX: usize = 500;

/// Another plan.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeSubscription {
    /// Of `GET /api/plans`.
    #[schema(value_type = PlanCode)]
    plan: Option<String>,
}

/// Why, if somebody wants to say.
#[derive(Deserialize, Default, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CancelSubscription {
    #[schema(value_type = Option<String>, max_length = 500)]
    reason: Option<String>,
}

/// With which plan.
#[derive(Deserialize, Default, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReactivateSubscription {
    /// The one before, when left out.
    #[schema(value_type = Option<PlanCode>)]
    plan: Option<String>,
}

/// What has become of it: `GET /api/subscription` shows the subscription.
#[derive(Serialize, utoipa::ToSchema)]
pub struct SubscriptionChanged {
    /// What is to be paid for it; none: nothing is, or not yet.
    invoice: Option<Invoice>,
}

impl From<Option<InvoiceRecord>> for SubscriptionChanged {
    fn from(invoice: Option<InvoiceRecord>) -> Self {
        Self {
            invoice: invoice.map(Invoice::from),
        }
    }
}

/// Take another plan. A larger one is there when the answered invoice over the rest of the period is paid; a smaller one begins
/// with the next period. Before the first payment it is simply another plan.
#[utoipa::path(
    tag = "subscription", operation_id = "change_subscription", request_body = ChangeSubscription, security(("bearer" = [])),
    params(("Idempotency-Key" = Option<String>, Header, description = "Repeats of a request with the same key are one request")),
    responses(
        (status = 200, body = SubscriptionChanged),
        (status = 409, body = ProblemBody, description = "`subscription_ends`, `subscription_canceled`, `invoice_reopened`, `period_paid`"),
        (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)
    )
)]
#[post("/api/subscription/change")]
pub async fn change_subscription(
    access: TenantAccess<Checkout>,
    key: IdempotencyHeader,
    body: Body<ChangeSubscription>,
) -> Result<HttpResponse, Problem> {
    let change = access.check(body.value).await?;
    let mut errors = FieldErrors::new();
    let plan = errors.require("plan", change.plan, |plan| PlanCode::parse(&plan));
    let plan = access.check(errors.finish(|| plan)).await?;
    let (decision, request) = prepare(&access, "change_subscription", key, plan.as_str()).await?;
    let (platform, tenant) = (access.platform(), access.tenant.home.id);
    answer_once(platform, request, async |tx| {
        let invoice = platform.books.change_plan(tx, tenant, &plan, &decision).await?;
        Ok(SubscriptionChanged::from(invoice))
    })
    .await
}

/// End the subscription: with the trial or the period that is paid; at once, where something is owed. Repeating it is no error, also
/// after the end.
#[utoipa::path(
    tag = "subscription", operation_id = "cancel_subscription", request_body = CancelSubscription, security(("bearer" = [])),
    params(("Idempotency-Key" = Option<String>, Header, description = "Repeats of a request with the same key are one request")),
    responses(
        (status = 200, body = SubscriptionChanged), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)
    )
)]
#[post("/api/subscription/cancel")]
pub async fn cancel_subscription(
    access: TenantAccess<OwnBilling>,
    key: IdempotencyHeader,
    body: OptionalBody<CancelSubscription>,
) -> Result<HttpResponse, Problem> {
    let cancel = access.check(body.0).await?;
    let mut errors = FieldErrors::new();
    let reason = errors.check_opt("reason", cancel.reason, |reason| line(&reason, REASON_MAX));
    access.check(errors.into_result()).await?;
    let words = reason.as_deref().unwrap_or_default();
    let (decision, request) = prepare(&access, "cancel_subscription", key, words).await?;
    let (platform, tenant) = (access.platform(), access.tenant.home.id);
    answer_once(platform, request, async |tx| {
        let books = &platform.books;
        books
            .cancel_subscription(tx, tenant, reason.as_deref(), &decision)
            .await?;
        Ok(SubscriptionChanged::from(None))
    })
    .await
}

/// Go on with a subscription that was to end; or begin another after the end of the last, with the payment of the answered invoice
/// and without another trial.
#[utoipa::path(
    tag = "subscription", operation_id = "reactivate_subscription", request_body = ReactivateSubscription,
    security(("bearer" = [])),
    params(("Idempotency-Key" = Option<String>, Header, description = "Repeats of a request with the same key are one request")),
    responses(
        (status = 200, body = SubscriptionChanged),
        (status = 409, body = ProblemBody, description = "`subscription_active`"),
        (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)
    )
)]
#[post("/api/subscription/reactivate")]
pub async fn reactivate_subscription(
    access: TenantAccess<OwnBilling>,
    key: IdempotencyHeader,
    body: OptionalBody<ReactivateSubscription>,
) -> Result<HttpResponse, Problem> {
    let reactivate = access.check(body.0).await?;
    let mut errors = FieldErrors::new();
    let plan = errors.check_opt("plan", reactivate.plan, |plan| PlanCode::parse(&plan));
    access.check(errors.into_result()).await?;
    let words = plan.as_ref().map_or("", PlanCode::as_str);
    let (decision, request) = prepare(&access, "reactivate_subscription", key, words).await?;
    let (platform, tenant) = (access.platform(), access.tenant.home.id);
    answer_once(platform, request, async |tx| {
        let invoice = platform.books.reactivate(tx, tenant, plan, &decision).await?;
        Ok(SubscriptionChanged::from(invoice))
    })
    .await
}

/// Proves who asks, and says what makes a repetition the same request.
async fn prepare<P: Permission>(
    access: &TenantAccess<P>,
    operation: &str,
    key: IdempotencyHeader,
    words: &str,
) -> Result<(Decision, Repeatable), Problem> {
    let actor = match access.run(()).await?.identity.actor {
        Actor::User { id, .. } | Actor::Linked { id } => MasterActor::User(id),
        Actor::ApiKey { .. } | Actor::Public | Actor::System => return Err(Problem::no_right()),
    };
    let decision = Decision {
        origin: Origin {
            actor,
            request_id: request_id::current().map(|id| id.to_string()),
        },
        now: access.now,
    };
    let request = Repeatable {
        scope: format!("tenant:{}:{operation}", access.tenant.home.id),
        key,
        hash: Sha256::digest(words).into(),
        status: StatusCode::OK,
    };
    Ok((decision, request))
}

impl From<SubscriptionError> for Problem {
    fn from(error: SubscriptionError) -> Self {
        match error {
            SubscriptionError::None => Self::new(
                StatusCode::NOT_FOUND,
                "no_subscription",
                "This account has no subscription: begin one with POST /api/subscription/reactivate.",
            ),
            SubscriptionError::Canceled => Self::conflict(
                "subscription_canceled",
                "The subscription has ended: begin another with POST /api/subscription/reactivate.",
            ),
            SubscriptionError::Ends => Self::conflict(
                "subscription_ends",
                "The subscription ends with its period: go on with POST /api/subscription/reactivate first.",
            ),
            SubscriptionError::Living => Self::conflict(
                "subscription_active",
                "There is a subscription that has not ended: see GET /api/subscription.",
            ),
            SubscriptionError::UnknownPlan => Self::invalid_field(
                "plan",
                Invalid::new("unknown_value", "is not the code of a plan: see GET /api/plans"),
            ),
            SubscriptionError::Reopened => Self::conflict(
                "invoice_reopened",
                "A payment was taken back: pay the open invoice first, see GET /api/invoices.",
            ),
            SubscriptionError::PaidAhead => Self::conflict(
                "period_paid",
                "The next period is paid with the present plan: change it when that has begun.",
            ),
            SubscriptionError::NothingDue => {
                Self::conflict("nothing_due", "There is nothing to be paid at the moment.")
            }
            SubscriptionError::Db(error) if error.is_constraint("subscriptions_tenant_id_living_key") => {
                SubscriptionError::Living.into()
            }
            SubscriptionError::Db(DbError::Constraint(name))
                if name.starts_with("invoices_subscription_id") =>
            {
                Self::conflict(
                    "request_in_progress",
                    "The same is being changed by another request: try again.",
                )
            }
            SubscriptionError::Db(error) => error.into(),
        }
    }
}
