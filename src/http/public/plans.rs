//! `/api/plans`: the price list, at any address of the platform.

use actix_web::{get, web};
use serde::Serialize;

use crate::db::master::plans::PlanRecord;
use crate::domain::page::Page;
use crate::domain::plan::{PlanLimit, PlanStatus};
use crate::http::problem::{Problem, ProblemBody};
use crate::platform::Platform;

/// A plan that may be bought.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Offer {
    /// What a checkout names.
    code: String,
    name: String,
    /// Of a month.
    price_cents: i64,
    /// Days for which it may be tried.
    trial_days: i32,
    /// How much of everything it includes.
    limits: Vec<PlanLimit>,
}

impl From<PlanRecord> for Offer {
    fn from(record: PlanRecord) -> Self {
        Self {
            code: record.code,
            name: record.name,
            price_cents: record.price_cents,
            trial_days: record.trial_days,
            limits: record.limits,
        }
    }
}

/// The price list, cheapest first. There is one page.
#[utoipa::path(
    tag = "plans", operation_id = "list_offers", security(()),
    responses((status = 200, body = Page<Offer>), (status = "5XX", body = ProblemBody))
)]
#[get("/api/plans")]
pub async fn list_offers(platform: web::Data<Platform>) -> Result<web::Json<Page<Offer>>, Problem> {
    let plans = platform.plans.list(PlanStatus::Active).await?;
    Ok(web::Json(Page {
        items: plans.into_iter().map(Offer::from).collect(),
        next_cursor: None,
    }))
}
