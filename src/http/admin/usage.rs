//! `/api/admin/tenants/{tenant_key}/usage`: what a tenant has consumed this month, and which alerts that has written.

use actix_web::{get, web};

use super::tenants::path_key;
use crate::db::master::tenants;
use crate::db::master::usage::counters;
use crate::domain::month::{BOOKS_TZ, local_month};
use crate::domain::usage::{TenantUsage, Usage};
use crate::http::extract::AdminAccess;
use crate::http::problem::{Problem, ProblemBody};

/// Read a tenant's usage of this month.
#[utoipa::path(
    tag = "admin tenants", operation_id = "get_tenant_usage", params(("tenant_key" = String, Path)), security(("admin" = [])),
    responses((status = 200, body = TenantUsage), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[get("/api/admin/tenants/{tenant_key}/usage")]
pub async fn get_tenant_usage(
    access: AdminAccess,
    key: web::Path<String>,
) -> Result<web::Json<TenantUsage>, Problem> {
    let key = path_key(&key)?;
    let master = &access.platform.master;
    let tenant = tenants::find_record(master, &key)
        .await?
        .ok_or_else(Problem::not_found)?;
    let period = local_month(access.platform.clock.now(), BOOKS_TZ);
    let meters = counters::list_meters(master, tenant.id, period).await?;
    let alerts = counters::list_alerts(master, tenant.id, period).await?;
    let usage = Usage::of(period, meters);
    Ok(web::Json(TenantUsage { usage, alerts }))
}
