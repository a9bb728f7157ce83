//! `/api/admin/gateway-accounts`: where the platform's own money is collected.

use actix_web::{HttpResponse, delete, get, patch, post, web};

use crate::db::master::payments::accounts::AccountRecord;
use crate::domain::ids::GatewayAccountId;
use crate::domain::page::Page;
use crate::http::body::{Body, path_id};
use crate::http::extract::AdminAccess;
use crate::http::gateway_account::{CreateGatewayAccount, GatewayAccount, UpdateGatewayAccount, refused};
use crate::http::problem::{Problem, ProblemBody};

/// List the platform's accounts at gateways, newest first. They are few: there is one page.
#[utoipa::path(
    tag = "admin payments", operation_id = "list_gateway_accounts", security(("admin" = [])),
    responses((status = 200, body = Page<GatewayAccount>), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[get("/api/admin/gateway-accounts")]
pub async fn list_gateway_accounts(access: AdminAccess) -> Result<web::Json<Page<GatewayAccount>>, Problem> {
    let payments = &access.platform.payments;
    let records = payments.accounts.list(None).await?;
    Ok(web::Json(Page {
        items: records
            .iter()
            .map(|record| GatewayAccount::new(record, payments))
            .collect(),
        next_cursor: None,
    }))
}

/// Read one of the platform's accounts.
#[utoipa::path(
    tag = "admin payments", operation_id = "get_gateway_account", params(("id" = GatewayAccountId, Path)),
    security(("admin" = [])),
    responses((status = 200, body = GatewayAccount), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[get("/api/admin/gateway-accounts/{id}")]
pub async fn get_gateway_account(
    access: AdminAccess,
    id: web::Path<String>,
) -> Result<web::Json<GatewayAccount>, Problem> {
    let record = find(&access, path_id(&id)?).await?;
    Ok(web::Json(GatewayAccount::new(&record, &access.platform.payments)))
}

/// Collect the platform's money through an account
///
/// The gateway is asked whose credentials these are. Then send its webhooks to `hook_url`.
#[utoipa::path(
    tag = "admin payments", operation_id = "create_gateway_account", request_body = CreateGatewayAccount,
    security(("admin" = [])),
    responses(
        (status = 201, body = GatewayAccount),
        (status = 409, body = ProblemBody, description = "`gateway_account_exists`"),
        (status = 422, body = ProblemBody, description = "`invalid_fields`, `credentials_refused`"),
        (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)
    )
)]
#[post("/api/admin/gateway-accounts")]
pub async fn create_gateway_account(
    access: AdminAccess,
    body: Body<CreateGatewayAccount>,
) -> Result<HttpResponse, Problem> {
    let new = body.value?.check(None)?;
    let payments = &access.platform.payments;
    let made = payments.accounts.create(&new, access.origin()).await;
    let record = made.map_err(refused)?;
    Ok(HttpResponse::Created().json(GatewayAccount::new(&record, payments)))
}

/// Rename an account, give it other credentials, disable it or use it again.
#[utoipa::path(
    tag = "admin payments", operation_id = "update_gateway_account", params(("id" = GatewayAccountId, Path)),
    request_body = UpdateGatewayAccount, security(("admin" = [])),
    responses(
        (status = 200, body = GatewayAccount),
        (status = 409, body = ProblemBody, description = "`gateway_account_exists`, `gateway_account_other`, `stale_version`"),
        (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)
    )
)]
#[patch("/api/admin/gateway-accounts/{id}")]
pub async fn update_gateway_account(
    access: AdminAccess,
    id: web::Path<String>,
    body: Body<UpdateGatewayAccount>,
) -> Result<web::Json<GatewayAccount>, Problem> {
    let record = find(&access, path_id(&id)?).await?;
    let change = body.value?.check(record.gateway)?;
    let payments = &access.platform.payments;
    let changed = payments
        .accounts
        .update(None, record.id, &change, access.origin())
        .await;
    let record = changed.map_err(refused)?;
    Ok(web::Json(GatewayAccount::new(&record, payments)))
}

/// Remove an account that was never used.
#[utoipa::path(
    tag = "admin payments", operation_id = "delete_gateway_account", params(("id" = GatewayAccountId, Path)),
    security(("admin" = [])),
    responses(
        (status = 204), (status = 409, body = ProblemBody, description = "`gateway_account_used`"),
        (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)
    )
)]
#[delete("/api/admin/gateway-accounts/{id}")]
pub async fn delete_gateway_account(
    access: AdminAccess,
    id: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let accounts = &access.platform.payments.accounts;
    let deleted = accounts.delete(None, path_id(&id)?, access.origin()).await;
    deleted.map_err(refused)?;
    Ok(HttpResponse::NoContent().finish())
}

/// One of the platform's; a tenant's is not there.
async fn find(access: &AdminAccess, id: GatewayAccountId) -> Result<AccountRecord, Problem> {
    let found = access.platform.payments.accounts.find_of(None, id).await?;
    found.ok_or_else(Problem::not_found)
}
