//! `/api/invoices/{id}/pdf`: an invoice, or its receipt once it is paid, to print and keep; for administrators
//! `/api/admin/invoices/{id}/pdf`.

use actix_web::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use actix_web::{HttpResponse, get, web};

use crate::billing::papers;
use crate::db::master::invoices;
use crate::domain::ids::{InvoiceId, TenantId};
use crate::http::body::path_id;
use crate::http::extract::{AdminAccess, Invoices, TenantAccess};
use crate::http::problem::{Problem, ProblemBody};
use crate::platform::Platform;

/// An invoice as PDF, in Portuguese; with the PIX by which it can be paid, when one was ordered; its receipt once it is paid.
#[utoipa::path(
    tag = "invoices", operation_id = "get_invoice_pdf", params(("id" = InvoiceId, Path)), security(("bearer" = [])),
    responses(
        (status = 200, body = Vec<u8>, content_type = "application/pdf"),
        (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)
    )
)]
#[get("/api/invoices/{id}/pdf")]
pub async fn get_invoice_pdf(
    access: TenantAccess<Invoices>,
    id: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let id: InvoiceId = access.check(path_id(&id)).await?;
    access.run(()).await?;
    paper(access.platform(), id, Some(access.tenant.home.id)).await
}

/// Any tenant's invoice as PDF.
#[utoipa::path(
    tag = "admin invoices", operation_id = "get_tenant_invoice_pdf", params(("id" = InvoiceId, Path)), security(("admin" = [])),
    responses(
        (status = 200, body = Vec<u8>, content_type = "application/pdf"),
        (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)
    )
)]
#[get("/api/admin/invoices/{id}/pdf")]
pub async fn get_tenant_invoice_pdf(
    access: AdminAccess,
    id: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    paper(&access.platform, path_id(&id)?, None).await
}

async fn paper(platform: &Platform, id: InvoiceId, of: Option<TenantId>) -> Result<HttpResponse, Problem> {
    let invoice = invoices::find_invoice(&platform.master, id, of)
        .await?
        .ok_or_else(Problem::not_found)?;
    let lines = invoices::list_lines(&platform.master, id).await?;
    let pix = platform.payments.find_pix(invoice.tenant, id).await?;
    let pix = pix.and_then(|charge| charge.pix_code);
    let issuer = platform.settings.billing.issuer();
    let pdf = papers::invoice(&issuer, &invoice, &lines, pix.as_deref());
    let name = format!("attachment; filename=\"fatura-{}.pdf\"", invoice.number);
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "application/pdf"))
        .insert_header((CONTENT_DISPOSITION, name))
        .body(pdf))
}
