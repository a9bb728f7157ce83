//! `/api/usage`: what the tenant has consumed this month. It is read from the registry once the tenant's own schema has
//! proven who asks.

use actix_web::{get, web};

use crate::db::master::usage;
use crate::domain::month::{BOOKS_TZ, local_month};
use crate::domain::usage::Usage;
use crate::http::extract::{Invoices, TenantAccess};
use crate::http::problem::{Problem, ProblemBody};

/// Read this month's usage.
#[utoipa::path(
    tag = "subscription", operation_id = "get_usage", security(("bearer" = [])),
    responses((status = 200, body = Usage), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[get("/api/usage")]
pub async fn get_usage(access: TenantAccess<Invoices>) -> Result<web::Json<Usage>, Problem> {
    access.run(()).await?;
    let period = local_month(access.now, BOOKS_TZ);
    let meters = usage::list_meters(&access.platform().master, access.tenant.home.id, period).await?;
    Ok(web::Json(Usage::of(period, meters)))
}
