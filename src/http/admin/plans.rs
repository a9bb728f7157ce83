//! `/api/admin/plans`: what is for sale.

use actix_web::{get, web};
use serde::Serialize;

use crate::db::master::plans::{self, PlanRecord};
use crate::domain::page::Page;
use crate::domain::plan::PlanLimit;
use crate::http::extract::AdminAccess;
use crate::http::problem::{Problem, ProblemBody};

/// A plan in its newest version.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Plan {
    /// What an onboarding names.
    code: String,
    name: String,
    /// A price or a limit never changes: another version does.
    version: i32,
    /// Of a month.
    price_cents: i64,
    trial_days: i32,
    /// How much of everything it includes.
    limits: Vec<PlanLimit>,
    /// Living subscriptions of this plan, of any version.
    subscriptions: i64,
}

impl From<PlanRecord> for Plan {
    fn from(record: PlanRecord) -> Self {
        Self {
            code: record.code,
            name: record.name,
            version: record.version,
            price_cents: record.price_cents,
            trial_days: record.trial_days,
            limits: record.limits,
            subscriptions: record.subscriptions,
        }
    }
}

/// List plans that are for sale, cheapest first. They are few: there is one page.
#[utoipa::path(
    tag = "admin plans", operation_id = "list_plans", security(("admin" = [])),
    responses((status = 200, body = Page<Plan>), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[get("/api/admin/plans")]
pub async fn list_plans(access: AdminAccess) -> Result<web::Json<Page<Plan>>, Problem> {
    let plans = plans::list_plans(&access.platform.master, None).await?;
    Ok(web::Json(Page {
        items: plans.into_iter().map(Plan::from).collect(),
        next_cursor: None,
    }))
}
