//! `/api/admin/subscriptions`: what all tenants have bought.

use actix_web::{get, web};
use serde::{Deserialize, Serialize};

use crate::db::master::subscriptions;
use crate::domain::invalid::FieldErrors;
use crate::domain::page::{Cursor, Page};
use crate::domain::tenant_key::TenantKey;
use crate::domain::text::line;
use crate::http::body::{Params, paging};
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

/// Narrows the list.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListSubscriptions {
    /// Of the tenant that has this key.
    #[param(value_type = Option<TenantKey>)]
    tenant_key: Option<String>,
    /// Of any version of the plan with this code.
    plan: Option<String>,
    /// 1 to 200; 50 when left out.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 200)]
    limit: Option<String>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// List subscriptions, newest first.
#[utoipa::path(
    tag = "admin plans", operation_id = "list_subscriptions", params(ListSubscriptions), security(("admin" = [])),
    responses(
        (status = 200, body = Page<TenantSubscription>), (status = "4XX", body = ProblemBody),
        (status = "5XX", body = ProblemBody)
    )
)]
#[get("/api/admin/subscriptions")]
pub async fn list_subscriptions(
    access: AdminAccess,
    params: Params<ListSubscriptions>,
) -> Result<web::Json<Page<TenantSubscription>>, Problem> {
    let params = params.0?;
    let mut errors = FieldErrors::new();
    let tenant = errors.check_opt("tenant_key", params.tenant_key, |key| TenantKey::parse(&key));
    let plan = errors.check_opt("plan", params.plan, |plan| line(&plan, 40));
    let (limit, after) = paging(&mut errors, params.limit, params.cursor);
    errors.into_result()?;
    let master = &access.platform.master;
    let (tenant, plan) = (tenant.as_ref(), plan.as_deref());
    let rows = subscriptions::list_subscriptions(master, tenant, plan, after, limit).await?;
    let now = access.platform.clock.now();
    let page = Page::from_rows(rows, limit, |row| Cursor::new(row.created_at, row.id));
    Ok(web::Json(page.map(|row| TenantSubscription {
        tenant_key: row.tenant_key.clone(),
        tenant_name: row.tenant_name.clone(),
        subscription: Subscription::new(row, now),
    })))
}
