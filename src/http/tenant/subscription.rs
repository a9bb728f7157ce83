//! `/api/subscription`: what the tenant has bought. It is read from the registry once the tenant's own schema has proven
//! who asks.

use actix_web::http::StatusCode;
use actix_web::{get, web};
use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::db::master::subscriptions::{self, SubscriptionRecord};
use crate::domain::ids::SubscriptionId;
use crate::domain::plan::PlanLimit;
use crate::domain::subscription::SubscriptionStatus;
use crate::http::extract::{Invoices, TenantAccess};
use crate::http::problem::{Problem, ProblemBody};

/// What a tenant has bought.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Subscription {
    id: SubscriptionId,
    /// Code of the plan.
    plan: String,
    plan_name: String,
    /// A plan that changes is another version; who has bought the former one keeps it.
    plan_version: i32,
    /// Of a month.
    price_cents: i64,
    /// At this moment.
    status: SubscriptionStatus,
    trial_ends_at: Option<DateTime<Utc>>,
    current_period_start: DateTime<Utc>,
    current_period_end: DateTime<Utc>,
    /// Code of the plan from the next period on, when that is another.
    next_plan: Option<String>,
    /// Whether it ends with its period.
    cancel_at_period_end: bool,
    /// How much of everything the plan includes.
    limits: Vec<PlanLimit>,
    created_at: DateTime<Utc>,
}

impl Subscription {
    /// What is shown of a subscription at a moment.
    pub fn new(record: SubscriptionRecord, now: DateTime<Utc>) -> Self {
        Self {
            id: record.id,
            plan: record.plan,
            plan_name: record.plan_name,
            plan_version: record.plan_version,
            price_cents: record.price_cents,
            status: record.state.at(now),
            trial_ends_at: record.state.trial_ends_at,
            current_period_start: record.current_period_start,
            current_period_end: record.current_period_end,
            next_plan: record.next_plan,
            cancel_at_period_end: record.cancel_at_period_end,
            limits: record.limits,
            created_at: record.created_at,
        }
    }
}

/// Read the subscription.
#[utoipa::path(
    tag = "subscription", operation_id = "get_subscription", security(("bearer" = [])),
    responses((status = 200, body = Subscription), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[get("/api/subscription")]
pub async fn get_subscription(access: TenantAccess<Invoices>) -> Result<web::Json<Subscription>, Problem> {
    access.run(()).await?;
    let newest = subscriptions::find_newest(&access.platform().master, &access.tenant.key).await?;
    let record = newest.ok_or_else(|| {
        Problem::new(
            StatusCode::NOT_FOUND,
            "no_subscription",
            "This account has never had a subscription.",
        )
    })?;
    Ok(web::Json(Subscription::new(record, access.now)))
}
