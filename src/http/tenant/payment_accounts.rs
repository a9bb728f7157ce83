//! `/api/payment-accounts`: where the tenant's own customers pay it. Owners only; each account is sealed for its tenant.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, get, patch, post, web};

use crate::db::master::audit::Origin;
use crate::db::master::payments::accounts::AccountRecord;
use crate::domain::ids::GatewayAccountId;
use crate::domain::page::Page;
use crate::http::body::{Body, path_id};
use crate::http::extract::{IdempotencyHeader, OwnAccounts, OwnTenant, Permission, TenantAccess};
use crate::http::gateway_account::{CreateGatewayAccount, GatewayAccount, UpdateGatewayAccount, refused};
use crate::http::once::{Repeatable, answer_once, origin_of};
use crate::http::problem::{Problem, ProblemBody};

/// List the tenant's accounts at gateways, newest first. They are few: there is one page.
#[utoipa::path(
    tag = "customers", operation_id = "list_payment_accounts", security(("bearer" = [])),
    responses((status = 200, body = Page<GatewayAccount>), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[get("/api/payment-accounts")]
pub async fn list_payment_accounts(
    access: TenantAccess<OwnAccounts>,
) -> Result<web::Json<Page<GatewayAccount>>, Problem> {
    access.run(()).await?;
    let payments = &access.platform().payments;
    let records = payments.accounts.list(Some(access.tenant.home.id)).await?;
    Ok(web::Json(Page {
        items: records
            .iter()
            .map(|record| GatewayAccount::new(record, payments))
            .collect(),
        next_cursor: None,
    }))
}

/// Read one of the tenant's accounts.
#[utoipa::path(
    tag = "customers", operation_id = "get_payment_account", params(("id" = GatewayAccountId, Path)), security(("bearer" = [])),
    responses((status = 200, body = GatewayAccount), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[get("/api/payment-accounts/{id}")]
pub async fn get_payment_account(
    access: TenantAccess<OwnAccounts>,
    id: web::Path<String>,
) -> Result<web::Json<GatewayAccount>, Problem> {
    let (record, _) = find(&access, &id).await?;
    Ok(web::Json(GatewayAccount::new(
        &record,
        &access.platform().payments,
    )))
}

/// Have customers pay to an account of yours
///
/// The gateway is asked whose credentials these are. Then enter `hook_url` there as the address of its webhooks.
#[utoipa::path(
    tag = "customers", operation_id = "create_payment_account", request_body = CreateGatewayAccount, security(("bearer" = [])),
    params(("Idempotency-Key" = Option<String>, Header, description = "Repeats of a request with the same key are one request")),
    responses(
        (status = 201, body = GatewayAccount),
        (status = 409, body = ProblemBody, description = "`gateway_account_exists`"),
        (status = 422, body = ProblemBody, description = "`invalid_fields`, `credentials_refused`, `idempotency_key_reused`"),
        (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)
    )
)]
#[post("/api/payment-accounts")]
pub async fn create_payment_account(
    access: TenantAccess<OwnTenant>,
    key: IdempotencyHeader,
    body: Body<CreateGatewayAccount>,
) -> Result<HttpResponse, Problem> {
    let tenant = access.tenant.home.id;
    let new = access.check(body.value).await?;
    let new = access.check(new.check(Some(tenant))).await?;
    let origin = origin_of(&access.run(()).await?.identity);
    let platform = access.platform();
    let accounts = &platform.payments.accounts;
    let collector = accounts.identify(&new.credentials).await.map_err(refused)?;
    let request = Repeatable {
        scope: format!("tenant:{tenant}:create_payment_account"),
        key,
        hash: body.hash,
        status: StatusCode::CREATED,
    };
    answer_once(platform, request, async |tx| {
        let made = accounts.insert(tx, &new, collector, origin).await;
        let record = made.map_err(refused)?;
        Ok(GatewayAccount::new(&record, &platform.payments))
    })
    .await
}

/// Rename an account, give it other credentials, disable it or use it again.
#[utoipa::path(
    tag = "customers", operation_id = "update_payment_account", params(("id" = GatewayAccountId, Path)),
    request_body = UpdateGatewayAccount, security(("bearer" = [])),
    responses(
        (status = 200, body = GatewayAccount),
        (status = 409, body = ProblemBody, description = "`gateway_account_exists`, `stale_version`"),
        (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)
    )
)]
#[patch("/api/payment-accounts/{id}")]
pub async fn update_payment_account(
    access: TenantAccess<OwnTenant>,
    id: web::Path<String>,
    body: Body<UpdateGatewayAccount>,
) -> Result<web::Json<GatewayAccount>, Problem> {
    let (record, origin) = find(&access, &id).await?;
    let change = body.value?.check(record.gateway)?;
    let payments = &access.platform().payments;
    let owner = Some(access.tenant.home.id);
    let changed = payments.accounts.update(owner, record.id, &change, origin).await;
    let record = changed.map_err(refused)?;
    Ok(web::Json(GatewayAccount::new(&record, payments)))
}

/// One of this tenant's, once the tenant's schema has proven who asks; another's is not there.
async fn find<P: Permission>(access: &TenantAccess<P>, id: &str) -> Result<(AccountRecord, Origin), Problem> {
    let id: GatewayAccountId = access.check(path_id(id)).await?;
    let origin = origin_of(&access.run(()).await?.identity);
    let owner = Some(access.tenant.home.id);
    let found = access.platform().payments.accounts.find_of(owner, id).await?;
    Ok((found.ok_or_else(Problem::not_found)?, origin))
}
