//! `/api/invoices`: what the tenant owes the platform and what it has paid. They are in the registry, and read once the tenant's own
//! schema has proven who asks.

use actix_web::{get, web};
use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

use crate::db::master::invoices::{self, InvoiceFilter, InvoiceRecord};
use crate::domain::billing::invoice::{InvoiceKind, InvoiceLine, InvoiceStatus};
use crate::domain::ids::InvoiceId;
use crate::domain::invalid::FieldErrors;
use crate::domain::page::{Cursor, Page};
use crate::http::body::{Params, paging, path_id};
use crate::http::extract::{Invoices, TenantAccess};
use crate::http::problem::{Problem, ProblemBody};

/// An invoice of the platform.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Invoice {
    id: InvoiceId,
    /// Of the platform's invoices, without gaps.
    number: i64,
    kind: InvoiceKind,
    status: InvoiceStatus,
    #[schema(example = "BRL")]
    currency: &'static str,
    total_cents: i64,
    /// What of its payments went away again.
    refunded_cents: i64,
    /// The period that it charges or changes; none for what is sold once.
    period_start: Option<DateTime<Utc>>,
    period_end: Option<DateTime<Utc>>,
    /// In America/Sao_Paulo.
    due_date: NaiveDate,
    issued_at: DateTime<Utc>,
    paid_at: Option<DateTime<Utc>>,
    voided_at: Option<DateTime<Utc>>,
    /// As of the day on which it was issued.
    customer_name: String,
    /// CPF or CNPJ, as of that day.
    customer_document: Option<String>,
}

/// An invoice with its lines.
#[derive(Serialize, utoipa::ToSchema)]
pub struct InvoiceWithLines {
    #[serde(flatten)]
    invoice: Invoice,
    /// In order; their sum is the total.
    lines: Vec<InvoiceLine>,
}

impl From<InvoiceRecord> for Invoice {
    fn from(record: InvoiceRecord) -> Self {
        Self {
            id: record.id,
            number: record.number,
            kind: record.kind,
            status: record.status,
            currency: "BRL",
            total_cents: record.total_cents,
            refunded_cents: record.refunded_cents,
            period_start: record.period.map(|period| period.start),
            period_end: record.period.map(|period| period.end),
            due_date: record.due_date,
            issued_at: record.issued_at,
            paid_at: record.paid_at,
            voided_at: record.voided_at,
            customer_name: record.customer_name,
            customer_document: record.customer_document,
        }
    }
}

/// Narrows the list.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListInvoices {
    /// In this state.
    #[param(value_type = Option<InvoiceStatus>)]
    status: Option<String>,
    /// 1 to 200; 50 when left out.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 200)]
    limit: Option<String>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// List invoices, newest first.
#[utoipa::path(
    tag = "invoices", operation_id = "list_invoices", params(ListInvoices), security(("bearer" = [])),
    responses((status = 200, body = Page<Invoice>), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[get("/api/invoices")]
pub async fn list_invoices(
    access: TenantAccess<Invoices>,
    params: Params<ListInvoices>,
) -> Result<web::Json<Page<Invoice>>, Problem> {
    let params = access.check(params.0).await?;
    let mut errors = FieldErrors::new();
    let status = errors.check_opt("status", params.status, |status| InvoiceStatus::parse(&status));
    let (limit, after) = paging(&mut errors, params.limit, params.cursor);
    access.check(errors.into_result()).await?;
    access.run(()).await?;
    let filter = InvoiceFilter {
        tenant: Some(access.tenant.home.id),
        tenant_key: None,
        status,
    };
    let rows = invoices::list_invoices(&access.platform().master, &filter, after, limit).await?;
    let page = Page::from_rows(rows, limit, |row| Cursor::new(row.issued_at, row.id));
    Ok(web::Json(page.map(Invoice::from)))
}

/// Read an invoice.
#[utoipa::path(
    tag = "invoices", operation_id = "get_invoice", params(("id" = InvoiceId, Path)), security(("bearer" = [])),
    responses((status = 200, body = InvoiceWithLines), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[get("/api/invoices/{id}")]
pub async fn get_invoice(
    access: TenantAccess<Invoices>,
    id: web::Path<String>,
) -> Result<web::Json<InvoiceWithLines>, Problem> {
    let id: InvoiceId = access.check(path_id(&id)).await?;
    access.run(()).await?;
    let (master, tenant) = (&access.platform().master, access.tenant.home.id);
    let found = invoices::find_invoice(master, id, Some(tenant)).await?;
    let invoice = found.ok_or_else(Problem::not_found)?.into();
    let lines = invoices::list_lines(master, id).await?;
    Ok(web::Json(InvoiceWithLines { invoice, lines }))
}
