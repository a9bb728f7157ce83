//! `/api/customer-plans`: what the tenant's customers may pay by the month.

use actix_web::{HttpResponse, delete, get, patch, post, web};
use serde::Deserialize;

use super::NOTES_MAX;
use crate::db::DbError;
use crate::db::tenant::audit;
use crate::db::tenant::customers::plans;
use crate::domain::customer::{CustomerPlan, CustomerPlanStatus, price};
use crate::domain::ids::CustomerPlanId;
use crate::domain::invalid::FieldErrors;
use crate::domain::money::Cents;
use crate::domain::page::{Cursor, Limit, Page};
use crate::domain::text::{Name, text};
use crate::http::body::{Body, Params, paging, path_id, search_text};
use crate::http::create::Creation;
use crate::http::extract::{IdempotencyHeader, ReadData, TenantAccess, TradeData};
use crate::http::form::form;
use crate::http::problem::{Problem, ProblemBody};

form! {
    /// A plan of the tenant's customers to be.
    CreateCustomerPlan,
    /// Changes to a plan: what is left out stays, `null` empties. A new price counts for dues that are made from now on.
    UpdateCustomerPlan,
    required {
        /// As customers know it.
        name: String as Name => Name::parse(&name),
        /// Of a month: at most a billion reais.
        price_cents: i64 as Cents => price(price_cents),
    }
    default {
        /// `active` when left out.
        status: String as CustomerPlanStatus = CustomerPlanStatus::Active.as_str() => CustomerPlanStatus::parse(&status),
    }
    optional {
        /// At most 10,000 characters in any number of lines.
        description: String as String => text(&description, NOTES_MAX),
    }
}

/// Narrows the list.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListCustomerPlans {
    /// In this state.
    #[param(value_type = Option<CustomerPlanStatus>)]
    status: Option<String>,
    /// With this in the name; accents do not matter.
    q: Option<String>,
    /// 1 to 200; 50 when left out.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 200)]
    limit: Option<String>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// State, words, place and length of a page.
type Listed = (Option<&'static str>, Option<String>, Option<Cursor>, Limit);

impl ListCustomerPlans {
    fn check(self) -> Result<Listed, FieldErrors> {
        let mut errors = FieldErrors::new();
        let status = errors.check_opt("status", self.status, |status| CustomerPlanStatus::parse(&status));
        let text = errors.check_opt("q", self.q, |q| search_text(&q));
        let (limit, cursor) = paging(&mut errors, self.limit, self.cursor);
        errors.finish(|| Some((status.map(CustomerPlanStatus::as_str), text, cursor, limit)))
    }
}

fn refuse(error: &DbError) -> Option<Problem> {
    error.is_constraint("customers_customer_plan_id_fkey").then(|| {
        Problem::conflict(
            "customer_plan_in_use",
            "Customers have this plan: change theirs first, or change its status to `archived`.",
        )
    })
}

/// List plans of customers, newest first.
#[utoipa::path(
    tag = "customers", operation_id = "list_customer_plans", params(ListCustomerPlans), security(("bearer" = [])),
    responses((status = 200, body = Page<CustomerPlan>), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[get("/api/customer-plans")]
pub async fn list_customer_plans(
    access: TenantAccess<ReadData>,
    params: Params<ListCustomerPlans>,
) -> Result<web::Json<Page<CustomerPlan>>, Problem> {
    let params = access.check(params.0).await?;
    let (status, text, after, limit) = access.check(params.check()).await?;
    let rows = access.run(plans::list(status, text, after, limit)).await?.output;
    Ok(web::Json(Page::from_rows(rows, limit, |row| {
        Cursor::new(row.created_at, row.id)
    })))
}

/// Add a plan of customers.
#[utoipa::path(
    tag = "customers", operation_id = "create_customer_plan", request_body = CreateCustomerPlan, security(("bearer" = [])),
    params(("Idempotency-Key" = Option<String>, Header, description = "Repeats of a request with the same key are one request")),
    responses((status = 201, body = CustomerPlan), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[post("/api/customer-plans")]
pub async fn create_customer_plan(
    access: TenantAccess<TradeData>,
    key: IdempotencyHeader,
    body: Body<CreateCustomerPlan>,
) -> Result<HttpResponse, Problem> {
    let plan = access.check(body.value).await?;
    let fields = access.check(plan.check()).await?;
    let id = CustomerPlanId::new();
    let batch = (
        plans::insert(id, fields, access.now),
        audit::insert(&access.access, "customer_plan.create", "customer_plans", id),
    );
    let creation = Creation {
        operation: "create_customer_plan",
        key,
        hash: body.hash,
        row: Some(id.as_uuid()),
    };
    access.create(creation, batch, |(plan, _)| plan, refuse).await
}

/// Read a plan of customers.
#[utoipa::path(
    tag = "customers", operation_id = "get_customer_plan", params(("id" = CustomerPlanId, Path)), security(("bearer" = [])),
    responses((status = 200, body = CustomerPlan), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[get("/api/customer-plans/{id}")]
pub async fn get_customer_plan(
    access: TenantAccess<ReadData>,
    id: web::Path<String>,
) -> Result<web::Json<CustomerPlan>, Problem> {
    let id = access.check(path_id(&id)).await?;
    let plan = access.run(plans::find(id)).await?.output;
    plan.map(web::Json).ok_or_else(Problem::not_found)
}

/// Change a plan of customers.
#[utoipa::path(
    tag = "customers", operation_id = "update_customer_plan", params(("id" = CustomerPlanId, Path)),
    request_body = UpdateCustomerPlan, security(("bearer" = [])),
    responses((status = 200, body = CustomerPlan), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[patch("/api/customer-plans/{id}")]
pub async fn update_customer_plan(
    access: TenantAccess<TradeData>,
    id: web::Path<String>,
    body: Body<UpdateCustomerPlan>,
) -> Result<web::Json<CustomerPlan>, Problem> {
    let id = access.check(path_id(&id)).await?;
    let update = access.check(body.value).await?;
    let (version, changes) = access.check(update.check()).await?;
    let batch = (
        plans::lock(id, version),
        plans::update(id, changes, access.now),
        audit::insert(&access.access, "customer_plan.update", "customer_plans", id),
    );
    Ok(web::Json(access.run(batch).await?.output.1))
}

/// Remove a plan of customers. One that customers have is refused with 409 `customer_plan_in_use`.
#[utoipa::path(
    tag = "customers", operation_id = "delete_customer_plan", params(("id" = CustomerPlanId, Path)), security(("bearer" = [])),
    responses((status = 204), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[delete("/api/customer-plans/{id}")]
pub async fn delete_customer_plan(
    access: TenantAccess<TradeData>,
    id: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let id = access.check(path_id(&id)).await?;
    let audit = audit::insert(&access.access, "customer_plan.delete", "customer_plans", id);
    access
        .run_or((plans::lock(id, None), plans::delete(id), audit), refuse)
        .await?;
    Ok(HttpResponse::NoContent().finish())
}
