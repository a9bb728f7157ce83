//! `/api/admin/invoices`: what all tenants owe, what is sold to one of them once, and what was charged wrongly.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, get, post, web};
use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use super::tenants::path_key;
use crate::billing::invoices::{InvoiceError, Item};
use crate::billing::subscriptions::Decision;
use crate::db::master::invoices::{self, InvoiceFilter, InvoiceRecord};
use crate::domain::billing::invoice::{InvoiceLine, InvoiceStatus};
use crate::domain::ids::{InvoiceId, TenantId};
use crate::domain::invalid::{FieldErrors, Invalid};
use crate::domain::money::Cents;
use crate::domain::page::{Cursor, Page};
use crate::domain::tenant_key::TenantKey;
use crate::domain::text::line;
use crate::http::body::{Body, Params, paging, path_id};
use crate::http::create::hash_at;
use crate::http::extract::{AdminAccess, IdempotencyHeader};
use crate::http::once::{Repeatable, answer_once};
use crate::http::problem::{Problem, ProblemBody};
use crate::http::tenant::invoices::Invoice;

/// Most lines of an invoice.
const ITEMS_MAX: usize = 100;
/// Longest description of a line.
const DESCRIPTION_MAX: usize = 200;
/// Most of one thing on a line.
const QUANTITY_MAX: i64 = 10_000;
/// The furthest day on which something may be due, in days.
const DUE_MAX: i64 = 366;

/// An invoice, and whose it is.
#[derive(Serialize, utoipa::ToSchema)]
pub struct TenantInvoice {
    tenant_id: TenantId,
    /// As of the day on which it was issued.
    tenant_key: String,
    #[serde(flatten)]
    invoice: Invoice,
}

/// An invoice with its lines, and whose it is.
#[derive(Serialize, utoipa::ToSchema)]
pub struct TenantInvoiceWithLines {
    #[serde(flatten)]
    invoice: TenantInvoice,
    /// In order; their sum is the total.
    lines: Vec<InvoiceLine>,
}

impl From<InvoiceRecord> for TenantInvoice {
    fn from(record: InvoiceRecord) -> Self {
        Self {
            tenant_id: record.tenant,
            tenant_key: record.tenant_key.clone(),
            invoice: record.into(),
        }
    }
}

/// What is sold once.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateInvoice {
    /// 1 to 100 lines.
    #[schema(value_type = Vec<CreateItem>, min_items = 1, max_items = 100)]
    items: Option<Vec<CreateItem>>,
    /// In America/Sao_Paulo; in three days, when left out.
    #[schema(value_type = Option<NaiveDate>)]
    due_date: Option<String>,
}

/// A line of it.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateItem {
    /// In Portuguese, as the customer reads it.
    #[schema(value_type = String, min_length = 1, max_length = 200)]
    description: Option<String>,
    /// 1 when left out.
    #[schema(minimum = 1, maximum = 10000)]
    quantity: Option<i64>,
    /// Of one.
    #[schema(value_type = Cents)]
    unit_cents: Option<i64>,
}

impl CreateInvoice {
    fn check(self, today: NaiveDate) -> Result<(Vec<Item>, Option<NaiveDate>), FieldErrors> {
        let mut errors = FieldErrors::new();
        let items = errors.require("items", self.items, |items| {
            if (1..=ITEMS_MAX).contains(&items.len()) {
                Ok(items)
            } else {
                Err(Invalid::out_of_range(1, 100))
            }
        });
        let items: Vec<Item> = items
            .into_iter()
            .flatten()
            .enumerate()
            .filter_map(|(index, item)| item.check(&format!("items[{index}]"), &mut errors))
            .collect();
        let total: i128 = items.iter().map(Item::cents).sum();
        if !items.is_empty() && !(1..=i128::from(Cents::MAX.get())).contains(&total) {
            errors.push("items", Invalid::out_of_range(1, Cents::MAX.get()));
        }
        let due_date = errors.check_opt("due_date", self.due_date, |day| due(&day, today));
        errors.finish(|| Some((items, due_date)))
    }
}

impl CreateItem {
    fn check(self, field: &str, errors: &mut FieldErrors) -> Option<Item> {
        let description = errors.require(&format!("{field}.description"), self.description, |text| {
            line(&text, DESCRIPTION_MAX)
        });
        let quantity = i32::try_from(self.quantity.unwrap_or(1))
            .ok()
            .filter(|quantity| (1..=QUANTITY_MAX).contains(&i64::from(*quantity)))
            .ok_or_else(|| Invalid::out_of_range(1, QUANTITY_MAX));
        let quantity = errors.check(&format!("{field}.quantity"), quantity);
        let unit = errors.require(&format!("{field}.unit_cents"), self.unit_cents, Cents::parse);
        Some(Item {
            description: description?,
            quantity: quantity?,
            unit: unit?,
        })
    }
}

fn due(day: &str, today: NaiveDate) -> Result<NaiveDate, Invalid> {
    let day: NaiveDate = day
        .parse()
        .map_err(|_| Invalid::format("must be a day, as 2026-11-21"))?;
    let ahead = day.signed_duration_since(today).num_days();
    if (0..=DUE_MAX).contains(&ahead) {
        Ok(day)
    } else {
        Err(Invalid::new("out_of_range", "must be today or within a year"))
    }
}

/// Narrows the list.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListTenantInvoices {
    /// Of the tenant that has this key, or had it when it was deleted.
    #[param(value_type = Option<TenantKey>)]
    tenant: Option<String>,
    /// In this state.
    #[param(value_type = Option<InvoiceStatus>)]
    status: Option<String>,
    /// 1 to 200; 50 when left out.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 200)]
    limit: Option<String>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// List invoices of all tenants, newest first.
#[utoipa::path(
    tag = "admin invoices", operation_id = "list_tenant_invoices", params(ListTenantInvoices), security(("admin" = [])),
    responses(
        (status = 200, body = Page<TenantInvoice>), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)
    )
)]
#[get("/api/admin/invoices")]
pub async fn list_tenant_invoices(
    access: AdminAccess,
    params: Params<ListTenantInvoices>,
) -> Result<web::Json<Page<TenantInvoice>>, Problem> {
    let params = params.0?;
    let mut errors = FieldErrors::new();
    let tenant_key = errors.check_opt("tenant", params.tenant, |key| TenantKey::parse(&key));
    let status = errors.check_opt("status", params.status, |status| InvoiceStatus::parse(&status));
    let (limit, after) = paging(&mut errors, params.limit, params.cursor);
    errors.into_result()?;
    let filter = InvoiceFilter {
        tenant: None,
        tenant_key,
        status,
    };
    let rows = invoices::list_invoices(&access.platform.master, &filter, after, limit).await?;
    let page = Page::from_rows(rows, limit, |row| Cursor::new(row.issued_at, row.id));
    Ok(web::Json(page.map(TenantInvoice::from)))
}

/// Read an invoice of any tenant.
#[utoipa::path(
    tag = "admin invoices", operation_id = "get_tenant_invoice", params(("id" = InvoiceId, Path)), security(("admin" = [])),
    responses(
        (status = 200, body = TenantInvoiceWithLines), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)
    )
)]
#[get("/api/admin/invoices/{id}")]
pub async fn get_tenant_invoice(
    access: AdminAccess,
    id: web::Path<String>,
) -> Result<web::Json<TenantInvoiceWithLines>, Problem> {
    let id: InvoiceId = path_id(&id)?;
    let master = &access.platform.master;
    let found = invoices::find_invoice(master, id, None).await?;
    let invoice = found.ok_or_else(Problem::not_found)?.into();
    let lines = invoices::list_lines(master, id).await?;
    Ok(web::Json(TenantInvoiceWithLines { invoice, lines }))
}

/// Charge a tenant for something that is sold once.
#[utoipa::path(
    tag = "admin invoices", operation_id = "create_tenant_invoice", params(
        ("tenant_key" = String, Path),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeats of a request with the same key are one request")
    ),
    request_body = CreateInvoice, security(("admin" = [])),
    responses((status = 201, body = TenantInvoice), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[post("/api/admin/tenants/{tenant_key}/invoices")]
pub async fn create_tenant_invoice(
    access: AdminAccess,
    key: web::Path<String>,
    header: IdempotencyHeader,
    body: Body<CreateInvoice>,
) -> Result<HttpResponse, Problem> {
    let tenant = path_key(&key)?;
    let platform = &access.platform;
    let decision = decision(&access);
    let today = crate::domain::billing::period::local_date(decision.now);
    let (items, due_date) = body.value?.check(today)?;
    let request = Repeatable {
        scope: format!("admin:{}:create_tenant_invoice:{tenant}", access.admin.id),
        key: header,
        hash: hash_at(uuid::Uuid::nil(), body.hash),
        status: StatusCode::CREATED,
    };
    answer_once(platform, request, async |tx| {
        let invoice = platform.books.sell(tx, &tenant, items, due_date, &decision).await;
        Ok(TenantInvoice::from(invoice.map_err(refused)?))
    })
    .await
}

/// Take back an invoice that is open; its number stays its own. That of a period is issued again by the billing clock, with what is
/// known of the customer by then.
#[utoipa::path(
    tag = "admin invoices", operation_id = "void_tenant_invoice", params(("id" = InvoiceId, Path)), security(("admin" = [])),
    responses(
        (status = 200, body = TenantInvoice), (status = 409, body = ProblemBody, description = "`invoice_not_open`"),
        (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)
    )
)]
#[post("/api/admin/invoices/{id}/void")]
pub async fn void_tenant_invoice(
    access: AdminAccess,
    id: web::Path<String>,
) -> Result<web::Json<TenantInvoice>, Problem> {
    let id: InvoiceId = path_id(&id)?;
    let invoice = access.platform.books.take_back(id, &decision(&access)).await;
    Ok(web::Json(invoice.map_err(refused)?.into()))
}

fn decision(access: &AdminAccess) -> Decision {
    Decision {
        origin: access.origin(),
        now: access.platform.clock.now(),
    }
}

fn refused(error: InvoiceError) -> Problem {
    match error {
        InvoiceError::Unknown => Problem::not_found(),
        InvoiceError::NotOpen => Problem::conflict(
            "invoice_not_open",
            "Only an open invoice can be taken back: one that is paid is refunded.",
        ),
        InvoiceError::Db(error) => error.into(),
    }
}
