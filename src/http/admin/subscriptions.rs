//! `/api/admin/subscriptions`: what all tenants have bought.

use actix_web::{get, web};
use serde::Serialize;

use super::tenants::ListOfTenant;
use crate::db::master::subscriptions;
use crate::domain::page::{Cursor, Page};
use crate::http::body::Params;
use crate::http::extract::AdminAccess;
use crate::http::problem::{Problem, ProblemBody};
use crate::http::tenant::subscription::Subscription;

/// What one tenant has bought.
#[derive(Serialize, utoipa::ToSchema)]
pub struct TenantSubscription {
    tenant_key: String,
    tenant_name: String,
    #[serde(flatten)]
    subscription: Subscription,
}

/// List subscriptions, newest first.
#[utoipa::path(
    tag = "admin plans", operation_id = "list_subscriptions", params(ListOfTenant), security(("admin" = [])),
    responses(
        (status = 200, body = Page<TenantSubscription>), (status = "4XX", body = ProblemBody),
        (status = "5XX", body = ProblemBody)
    )
)]
#[get("/api/admin/subscriptions")]
pub async fn list_subscriptions(
    access: AdminAccess,
    params: Params<ListOfTenant>,
) -> Result<web::Json<Page<TenantSubscription>>, Problem> {
    let (tenant, after, limit) = params.0?.check()?;
    let master = &access.platform.master;
    let rows = subscriptions::list_subscriptions(master, tenant.as_ref(), after, limit).await?;
    let now = access.platform.clock.now();
    let page = Page::from_rows(rows, limit, |row| Cursor::new(row.created_at, row.id));
    Ok(web::Json(page.map(|row| TenantSubscription {
        tenant_key: row.tenant_key.clone(),
        tenant_name: row.tenant_name.clone(),
        subscription: Subscription::new(row, now),
    })))
}
