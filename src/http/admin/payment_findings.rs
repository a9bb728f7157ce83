//! `/api/admin/payment-findings`: what gateways say of payments and nobody expected.

use actix_web::{get, post, web};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::db::master::payments::findings::{self, FindingRecord};
use crate::domain::charge::{FindingKind, FindingStatus, Payee};
use crate::domain::ids::{ChargeId, GatewayAccountId, InvoiceId, PaymentFindingId};
use crate::domain::invalid::FieldErrors;
use crate::domain::page::{Cursor, Page};
use crate::domain::payment::GatewayKind;
use crate::domain::tenant_key::TenantKey;
use crate::domain::text::line;
use crate::http::body::{Body, Params, paging, path_id};
use crate::http::extract::AdminAccess;
use crate::http::problem::{Problem, ProblemBody};

/// Longest note.
const NOTE_MAX: usize = 500;

/// Something about a payment that nobody expected. Money is where it is until somebody moves it: closing a finding moves none.
#[derive(Serialize, utoipa::ToSchema)]
pub struct PaymentFinding {
    id: PaymentFindingId,
    /// `amount`: less was paid than asked for; `currency`: in another one; `collector`: to another account of the gateway;
    /// `account`: names another account's charge; all four count for nothing. `overpaid`, `paid_twice`, `superfluous`: too much,
    /// to be given back. `chargeback_won`: the bank has given back what it took, and the invoice is open still.
    kind: FindingKind,
    gateway: GatewayKind,
    account_id: GatewayAccountId,
    /// As the gateway calls the payment.
    gateway_payment_id: String,
    charge_id: Option<ChargeId>,
    /// Of a payment to the platform: the invoice.
    invoice_id: Option<InvoiceId>,
    /// Whom it is about, as long as they are there.
    #[schema(value_type = Option<TenantKey>)]
    tenant_key: Option<String>,
    /// As the gateway says.
    amount_cents: i64,
    #[schema(example = "BRL")]
    currency: String,
    noted_at: DateTime<Utc>,
    resolved_at: Option<DateTime<Utc>>,
    note: Option<String>,
}

impl From<FindingRecord> for PaymentFinding {
    fn from(record: FindingRecord) -> Self {
        let invoice = |subject: Uuid| {
            Some(InvoiceId::from_uuid(subject)).filter(|_| record.payee == Some(Payee::Platform))
        };
        Self {
            id: record.id,
            kind: record.kind,
            gateway: record.gateway,
            account_id: record.account,
            gateway_payment_id: record.payment_id,
            charge_id: record.charge,
            invoice_id: record.subject.and_then(invoice),
            tenant_key: record.tenant.map(|(_, key)| key),
            amount_cents: record.amount_cents,
            currency: record.currency,
            noted_at: record.noted_at,
            resolved_at: record.resolved_at,
            note: record.note,
        }
    }
}

/// Which findings.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListPaymentFindings {
    /// `open` when left out.
    #[param(value_type = Option<FindingStatus>, inline)]
    status: Option<String>,
    /// 1 to 200; 50 when left out.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 200)]
    limit: Option<String>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// What was done about it.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ResolvePaymentFinding {
    /// For the platform's own people.
    #[schema(value_type = String, min_length = 1, max_length = 500)]
    note: Option<String>,
}

/// List what gateways said of payments and nobody expected, newest first.
#[utoipa::path(
    tag = "admin payments", operation_id = "list_payment_findings", params(ListPaymentFindings), security(("admin" = [])),
    responses(
        (status = 200, body = Page<PaymentFinding>), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)
    )
)]
#[get("/api/admin/payment-findings")]
pub async fn list_payment_findings(
    access: AdminAccess,
    params: Params<ListPaymentFindings>,
) -> Result<web::Json<Page<PaymentFinding>>, Problem> {
    let params = params.0?;
    let mut errors = FieldErrors::new();
    let status = errors.check_opt("status", params.status, |status| FindingStatus::parse(&status));
    let (limit, after) = paging(&mut errors, params.limit, params.cursor);
    errors.into_result()?;
    let status = status.unwrap_or(FindingStatus::Open);
    let rows = findings::list_findings(&access.platform.master, status, after, limit).await?;
    let page = Page::from_rows(rows, limit, |row| Cursor::new(row.noted_at, row.id));
    Ok(web::Json(page.map(PaymentFinding::from)))
}

/// Close a finding with a note. One that is closed stays as it is.
#[utoipa::path(
    tag = "admin payments", operation_id = "resolve_payment_finding", params(("id" = PaymentFindingId, Path)),
    request_body = ResolvePaymentFinding, security(("admin" = [])),
    responses(
        (status = 200, body = PaymentFinding), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)
    )
)]
#[post("/api/admin/payment-findings/{id}/resolve")]
pub async fn resolve_payment_finding(
    access: AdminAccess,
    id: web::Path<String>,
    body: Body<ResolvePaymentFinding>,
) -> Result<web::Json<PaymentFinding>, Problem> {
    let id = path_id(&id)?;
    let mut errors = FieldErrors::new();
    let note = errors.require("note", body.value?.note, |note| line(&note, NOTE_MAX));
    let note = errors.finish(|| note)?;
    let payments = &access.platform.payments;
    let resolved = payments.resolve_finding(id, &note, access.origin()).await?;
    let record = resolved.ok_or_else(Problem::not_found)?;
    Ok(web::Json(PaymentFinding::from(record)))
}
