//! `/api/customers`: who pays the tenant. A customer is a contact with an agreement: how much by the month, and on which day.
//!
//! Beside them: [`plans`], [`orders`], [`dues`] and their [`charges`], [`templates`] and [`rules`] of reminders, and the [`finance`] of
//! a month.
//! Everybody of the tenant sees them; owners, managers and API keys that write change them.

pub mod charges;
pub mod dues;
pub mod finance;
pub mod orders;
pub mod plans;
pub mod rules;
pub mod template_fillings;
pub mod templates;

use actix_web::{HttpResponse, delete, get, patch, post, web};
use chrono::NaiveDate;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::db::DbError;
use crate::db::tenant::audit;
use crate::db::tenant::customers::{self, CustomerFilter, clock};
use crate::db::tenant::settings::StoredSettings;
use crate::domain::customer::{Customer, CustomerStatus, price};
use crate::domain::day::{self, DueDay};
use crate::domain::document::Document;
use crate::domain::ids::{ContactId, CustomerId, CustomerPlanId};
use crate::domain::invalid::{FieldErrors, Invalid};
use crate::domain::page::{Cursor, Limit, Page};
use crate::domain::patch::Patch;
use crate::domain::settings::Settings;
use crate::domain::text::text;
use crate::http::body::{Body, Params, paging, path_id, search_people};
use crate::http::create::Creation;
use crate::http::extract::{IdempotencyHeader, Permission, ReadData, TenantAccess, TradeData};
use crate::http::form::Changes;
use crate::http::problem::{Problem, ProblemBody};

pub(super) const NOTES_MAX: usize = 10_000;
const EXISTS: &str = "customer_exists";

/// A customer to be.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateCustomer {
    /// The person: a contact is one customer at most.
    #[schema(value_type = ContactId)]
    contact_id: Option<String>,
    /// What they have agreed to.
    #[schema(value_type = Option<CustomerPlanId>)]
    customer_plan_id: Option<String>,
    /// Instead of the plan's price.
    #[schema(value_type = Option<i64>, minimum = 0, maximum = 100000000000i64)]
    price_cents: Option<i64>,
    /// The day of the month on which a month is due; a month without it: its last day. Without one nothing is owed by the month.
    #[schema(value_type = Option<DueDay>)]
    due_day: Option<i64>,
    /// No month is due before this day.
    #[schema(value_type = Option<NaiveDate>)]
    starts_on: Option<String>,
    /// `active` when left out.
    #[schema(value_type = Option<CustomerStatus>)]
    status: Option<String>,
    /// CPF or CNPJ.
    #[schema(value_type = Option<Document>)]
    document: Option<String>,
    /// At most 10,000 characters in any number of lines.
    notes: Option<String>,
}

/// Changes to a customer: what is left out stays, `null` empties. Dues that were made stay what they are.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateCustomer {
    /// What they have agreed to.
    #[serde(default)]
    #[schema(value_type = Option<CustomerPlanId>)]
    customer_plan_id: Patch<String>,
    /// Instead of the plan's price.
    #[serde(default)]
    #[schema(value_type = Option<i64>, minimum = 0, maximum = 100000000000i64)]
    price_cents: Patch<i64>,
    /// The day of the month on which a month is due.
    #[serde(default)]
    #[schema(value_type = Option<DueDay>)]
    due_day: Patch<i64>,
    /// No month is due before this day.
    #[serde(default)]
    #[schema(value_type = Option<NaiveDate>)]
    starts_on: Patch<String>,
    /// Where they stand.
    #[serde(default)]
    #[schema(value_type = CustomerStatus, required = false)]
    status: Patch<String>,
    /// CPF or CNPJ.
    #[serde(default)]
    #[schema(value_type = Option<Document>)]
    document: Patch<String>,
    /// At most 10,000 characters in any number of lines.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    notes: Patch<String>,
    /// The version that was read; what has another one since is not changed.
    version: Option<i32>,
}

impl UpdateCustomer {
    fn check(self) -> Result<(Option<i32>, Map<String, Value>), FieldErrors> {
        let mut form = Changes::default();
        form.optional("customer_plan_id", self.customer_plan_id, |id| {
            id.parse::<CustomerPlanId>()
        });
        form.optional("price_cents", self.price_cents, price);
        form.optional("due_day", self.due_day, DueDay::parse);
        form.optional("starts_on", self.starts_on, |day| day::parse(&day));
        form.required("status", self.status, |status| CustomerStatus::parse(&status));
        form.optional("document", self.document, |document| Document::parse(&document));
        form.optional("notes", self.notes, |notes| text(&notes, NOTES_MAX));
        Ok((self.version, form.finish()?))
    }
}

impl CreateCustomer {
    fn check(self) -> Result<(ContactId, Map<String, Value>), FieldErrors> {
        let mut errors = FieldErrors::new();
        let contact = errors.require("contact_id", self.contact_id, |id| id.parse());
        let rest = UpdateCustomer {
            customer_plan_id: given(self.customer_plan_id),
            price_cents: given(self.price_cents),
            due_day: given(self.due_day),
            starts_on: given(self.starts_on),
            status: Patch::Value(
                self.status
                    .unwrap_or_else(|| CustomerStatus::Active.as_str().to_owned()),
            ),
            document: given(self.document),
            notes: given(self.notes),
            version: None,
        };
        let fields = errors.merge(rest.check());
        errors.finish(|| Some((contact?, fields?.1)))
    }
}

fn given<T>(value: Option<T>) -> Patch<T> {
    value.map_or(Patch::Null, Patch::Value)
}

/// Narrows the list.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListCustomers {
    /// In this state.
    #[param(value_type = Option<CustomerStatus>)]
    status: Option<String>,
    /// With this plan.
    customer_plan_id: Option<String>,
    /// With these words in name, e-mail, phone or notes of the contact; accents do not matter, the last word may be a beginning.
    q: Option<String>,
    /// 1 to 200; 50 when left out.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 200)]
    limit: Option<String>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

impl ListCustomers {
    fn check(self) -> Result<(CustomerFilter, Option<Cursor>, Limit), FieldErrors> {
        let mut errors = FieldErrors::new();
        let filter = CustomerFilter {
            status: errors
                .check_opt("status", self.status, |status| CustomerStatus::parse(&status))
                .map(CustomerStatus::as_str),
            plan: errors.check_opt("customer_plan_id", self.customer_plan_id, |id| id.parse()),
            text: errors.check_opt("q", self.q, |q| search_people(&q)),
        };
        let (limit, cursor) = paging(&mut errors, self.limit, self.cursor);
        errors.finish(|| Some((filter, cursor, limit)))
    }
}

/// A field that names what is not there.
pub(super) fn unknown(field: &str) -> Problem {
    Problem::invalid_field(field, Invalid::new("unknown_value", "does not exist"))
}

fn refuse(error: &DbError) -> Option<Problem> {
    let DbError::Constraint(name) = error else {
        return None;
    };
    Some(match name.as_str() {
        "customers_contact_id_key" => {
            Problem::conflict(EXISTS, "This contact is a customer already: see `existing_id`.")
        }
        "customers_contact_id_fkey" => unknown("contact_id"),
        "customers_customer_plan_id_fkey" => unknown("customer_plan_id"),
        "customers_monthly_check" => Problem::invalid_field(
            "due_day",
            Invalid::new("price_missing", "needs a plan, or a price of the customer's own"),
        ),
        "orders_customer_id_fkey" | "dues_customer_id_fkey" => Problem::conflict(
            "customer_in_use",
            "This customer has orders or dues, which stay: change the status to `canceled`.",
        ),
        _ => return None,
    })
}

impl<P: Permission> TenantAccess<P> {
    /// The day that it is for the tenant.
    pub(super) fn today(&self, stored: &StoredSettings) -> NaiveDate {
        Settings::of(&self.tenant.name, &stored.values).today(self.now)
    }
}

/// List customers, newest first.
#[utoipa::path(
    tag = "customers", operation_id = "list_customers", params(ListCustomers), security(("bearer" = [])),
    responses((status = 200, body = Page<Customer>), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[get("/api/customers")]
pub async fn list_customers(
    access: TenantAccess<ReadData>,
    params: Params<ListCustomers>,
) -> Result<web::Json<Page<Customer>>, Problem> {
    let params = access.check(params.0).await?;
    let (filter, after, limit) = access.check(params.check()).await?;
    let rows = access.run(customers::list(filter, after, limit)).await?.output;
    Ok(web::Json(Page::from_rows(rows, limit, |row| {
        Cursor::new(row.created_at, row.id)
    })))
}

/// Make a contact a customer. One who is a customer is refused with 409 `customer_exists` and that customer's `existing_id`.
/// With a day and a price, what is due within ten days is made at once, each further month ten days before its day.
#[utoipa::path(
    tag = "customers", operation_id = "create_customer", request_body = CreateCustomer, security(("bearer" = [])),
    params(("Idempotency-Key" = Option<String>, Header, description = "Repeats of a request with the same key are one request")),
    responses((status = 201, body = Customer), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[post("/api/customers")]
pub async fn create_customer(
    access: TenantAccess<TradeData>,
    key: IdempotencyHeader,
    body: Body<CreateCustomer>,
) -> Result<HttpResponse, Problem> {
    let customer = access.check(body.value).await?;
    let (contact, fields) = access.check(customer.check()).await?;
    let id = CustomerId::new();
    let batch = (
        customers::insert(id, contact, fields, access.now),
        clock::wake(access.now),
        audit::insert(&access.access, "customer.create", "customers", id),
    );
    let creation = Creation {
        operation: "create_customer",
        key,
        hash: body.hash,
        row: Some(id.as_uuid()),
    };
    let answer = access
        .create(creation, batch, |(customer, _, _)| customer, refuse)
        .await;
    match answer {
        Err(problem) if problem.code() == EXISTS => {
            let existing = access.run(customers::find_by_contact(contact)).await?.output;
            Err(match existing {
                Some(id) => problem.naming(id),
                // Removed a moment ago.
                None => problem,
            })
        }
        answer => answer,
    }
}

/// Read a customer.
#[utoipa::path(
    tag = "customers", operation_id = "get_customer", params(("id" = CustomerId, Path)), security(("bearer" = [])),
    responses((status = 200, body = Customer), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[get("/api/customers/{id}")]
pub async fn get_customer(
    access: TenantAccess<ReadData>,
    id: web::Path<String>,
) -> Result<web::Json<Customer>, Problem> {
    let id = access.check(path_id(&id)).await?;
    let customer = access.run(customers::find(id)).await?.output;
    customer.map(web::Json).ok_or_else(Problem::not_found)
}

/// Change a customer.
#[utoipa::path(
    tag = "customers", operation_id = "update_customer", params(("id" = CustomerId, Path)), request_body = UpdateCustomer,
    security(("bearer" = [])),
    responses((status = 200, body = Customer), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[patch("/api/customers/{id}")]
pub async fn update_customer(
    access: TenantAccess<TradeData>,
    id: web::Path<String>,
    body: Body<UpdateCustomer>,
) -> Result<web::Json<Customer>, Problem> {
    let id = access.check(path_id(&id)).await?;
    let update = access.check(body.value).await?;
    let (version, changes) = access.check(update.check()).await?;
    let batch = (
        customers::lock(id, version),
        customers::update(id, changes, access.now),
        clock::wake(access.now),
        audit::insert(&access.access, "customer.update", "customers", id),
    );
    Ok(web::Json(access.run_or(batch, refuse).await?.output.1))
}

/// Remove a customer; the contact stays. One with orders or dues is refused with 409 `customer_in_use`.
#[utoipa::path(
    tag = "customers", operation_id = "delete_customer", params(("id" = CustomerId, Path)), security(("bearer" = [])),
    responses((status = 204), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[delete("/api/customers/{id}")]
pub async fn delete_customer(
    access: TenantAccess<TradeData>,
    id: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let id = access.check(path_id(&id)).await?;
    let audit = audit::insert(&access.access, "customer.delete", "customers", id);
    access
        .run_or((customers::lock(id, None), customers::delete(id), audit), refuse)
        .await?;
    Ok(HttpResponse::NoContent().finish())
}
