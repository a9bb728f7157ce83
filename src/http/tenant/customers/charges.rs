//! `/api/dues/{id}/charge`: a customer pays a due by PIX, to the tenant's own account at a gateway.
//!
//! The due is read first, with the proof of who asks; then the charge is ordered in the registry and placed at the gateway; then the due
//! is told of it. Killed or refused anywhere in between, the same request finds the same charge.

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, get, post, web};
use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::billing::gateways::GatewayError;
use crate::billing::payments::dues::made_pix;
use crate::billing::payments::{DueError, DueToPay, PaymentError};
use crate::billing::pix::PixCode;
use crate::db::master::payments::charges::ChargeRecord;
use crate::db::tenant::audit;
use crate::db::tenant::customers::{charges, dues};
use crate::db::{DbError, Refusal};
use crate::domain::due::DueStatus;
use crate::domain::ids::{ChargeId, DueId};
use crate::domain::money::Cents;
use crate::domain::payment::{GatewayKind, PaymentStatus};
use crate::http::body::path_id;
use crate::http::create::{Creation, hash_at};
use crate::http::extract::{IdempotencyHeader, ReadData, TenantAccess, TradeData};
use crate::http::once::origin_of;
use crate::http::pix;
use crate::http::problem::{Problem, ProblemBody};

/// A PIX by which a due is paid.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct DueCharge {
    id: ChargeId,
    due_id: DueId,
    gateway: GatewayKind,
    status: PaymentStatus,
    amount_cents: i64,
    /// To be copied and pasted; none once it cannot be paid any more, or before the gateway has answered.
    pix_code: Option<String>,
    /// Where its QR code is as a picture.
    qr_png: Option<String>,
    /// Where its QR code is as a drawing.
    qr_svg: Option<String>,
    /// Until when it can be paid.
    expires_at: DateTime<Utc>,
    created_at: DateTime<Utc>,
}

impl DueCharge {
    fn of(charge: ChargeRecord, now: DateTime<Utc>) -> Self {
        let payable = charge.is_payable_pix(now);
        let due_id = DueId::from_uuid(charge.subject);
        let code = |kind: &str| payable.then(|| format!("/api/dues/{due_id}/pix.{kind}"));
        Self {
            id: charge.id,
            due_id,
            gateway: charge.gateway,
            status: charge.status,
            amount_cents: charge.amount.get(),
            qr_png: code("png"),
            qr_svg: code("svg"),
            pix_code: charge.pix_code.filter(|_| payable),
            expires_at: charge.expires_at,
            created_at: charge.created_at,
        }
    }
}

/// Charge a due by PIX
///
/// Answers the PIX by which what is left of a due can be paid to the tenant's own account: the open one, if there is one for the
/// amount. Asked again, it asks the gateway whether it was paid meanwhile and answers the same.
#[utoipa::path(
    tag = "customers", operation_id = "create_due_charge", security(("bearer" = [])),
    params(
        ("id" = DueId, Path),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeats of a request with the same key are one request")
    ),
    responses(
        (status = 201, body = DueCharge),
        (status = 409, body = ProblemBody, description = "`wrong_state`, `payment_account_missing`, `payment_account_refused`"),
        (status = 422, body = ProblemBody, description = "`payment_refused`, `payer_document_required`, `idempotency_key_reused`"),
        (status = 503, body = ProblemBody, description = "`payment_unavailable`"),
        (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)
    )
)]
#[post("/api/dues/{id}/charge")]
pub async fn create_due_charge(
    access: TenantAccess<TradeData>,
    id: web::Path<String>,
    key: IdempotencyHeader,
) -> Result<HttpResponse, Problem> {
    let id: DueId = access.check(path_id(&id)).await?;
    let creation = Creation {
        operation: "create_due_charge",
        key,
        hash: hash_at(id, [0; 32]),
        row: Some(id.as_uuid()),
    };
    let (answer, reply) = access.answered(&creation, dues::find(id)).await?;
    if let Some(answer) = answer {
        return Ok(answer);
    }
    let due = reply.output.ok_or_else(Problem::not_found)?;
    let left = Cents::parse(due.amount_cents - due.paid_cents).ok();
    let left = left.filter(|left| due.status == DueStatus::Open.as_str() && *left > Cents::ZERO);
    let wanted = DueToPay {
        tenant: access.tenant.home.id,
        due: id,
        amount: left.ok_or_else(not_owed)?,
        due_date: due.due_date,
    };
    let payments = &access.platform().payments;
    let origin = origin_of(&reply.identity);
    let charged = payments.charge_due(&wanted, origin, budget(&access)).await;
    let charge = charged.map_err(refused)?;
    let batch = (
        dues::lock_open(id, Some(due.version), None),
        made_pix(&charge).map(|made| charges::note(id, made, access.now)),
        audit::insert(&access.access, "due.charge", "dues", id),
    );
    let show = |_| DueCharge::of(charge, access.now);
    access.answer_once(creation, batch, show, changed).await
}

/// Read the newest charge of a due. No gateway is asked.
#[utoipa::path(
    tag = "customers", operation_id = "get_due_charge", params(("id" = DueId, Path)), security(("bearer" = [])),
    responses(
        (status = 200, body = DueCharge),
        (status = 404, body = ProblemBody, description = "There is no such due, or nobody has charged it yet: see `POST`"),
        (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)
    )
)]
#[get("/api/dues/{id}/charge")]
pub async fn get_due_charge(
    access: TenantAccess<ReadData>,
    id: web::Path<String>,
) -> Result<web::Json<DueCharge>, Problem> {
    let id = known(&access, &id).await?;
    let payments = &access.platform().payments;
    let charge = payments.find_due_charge(access.tenant.home.id, id).await?;
    let charge = charge.ok_or_else(Problem::not_found)?;
    Ok(web::Json(DueCharge::of(charge, access.now)))
}

/// The QR code of a due's PIX, as a picture.
#[utoipa::path(
    tag = "customers", operation_id = "get_due_pix_png", params(("id" = DueId, Path)), security(("bearer" = [])),
    responses(
        (status = 200, body = Vec<u8>, content_type = "image/png"),
        (status = 404, body = ProblemBody, description = "There is nothing that could be paid: see `POST …/charge`"),
        (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)
    )
)]
#[get("/api/dues/{id}/pix.png")]
pub async fn get_due_pix_png(
    access: TenantAccess<ReadData>,
    id: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    pix::png(&code(&access, &id).await?)
}

/// The QR code of a due's PIX, as a drawing.
#[utoipa::path(
    tag = "customers", operation_id = "get_due_pix_svg", params(("id" = DueId, Path)), security(("bearer" = [])),
    responses(
        (status = 200, body = String, content_type = "image/svg+xml"),
        (status = 404, body = ProblemBody, description = "There is nothing that could be paid: see `POST …/charge`"),
        (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)
    )
)]
#[get("/api/dues/{id}/pix.svg")]
pub async fn get_due_pix_svg(
    access: TenantAccess<ReadData>,
    id: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    Ok(pix::svg(&code(&access, &id).await?))
}

async fn code(access: &TenantAccess<ReadData>, id: &str) -> Result<PixCode, Problem> {
    let id = known(access, id).await?;
    let payments = &access.platform().payments;
    let charge = payments.find_due_pix(access.tenant.home.id, id).await?;
    let text = charge.and_then(|charge| charge.pix_code);
    text.as_deref()
        .and_then(PixCode::of)
        .ok_or_else(Problem::not_found)
}

/// A due that the tenant has.
async fn known(access: &TenantAccess<ReadData>, id: &str) -> Result<DueId, Problem> {
    let id = access.check(path_id(id)).await?;
    let due = access.run(dues::find(id)).await?.output;
    due.map(|_| id).ok_or_else(Problem::not_found)
}

/// Half of what a request may take: the other half is for the rest of it.
fn budget(access: &TenantAccess<TradeData>) -> Duration {
    access.platform().settings.server.request_timeout / 2
}

fn not_owed() -> Problem {
    Problem::conflict(
        "wrong_state",
        "Nothing is owed of this due: it was paid, or canceled.",
    )
}

/// Somebody has changed the due while the gateway was asked.
fn changed(error: &DbError) -> Option<Problem> {
    matches!(error, DbError::Refused(Refusal::State)).then(not_owed)
}

fn refused(error: DueError) -> Problem {
    match error {
        DueError::NoAccount => Problem::conflict(
            "payment_account_missing",
            "No account of yours takes PIX: connect Mercado Pago or Asaas with `POST /api/payment-accounts`.",
        ),
        DueError::NothingOwed => not_owed(),
        DueError::Payment(PaymentError::Gateway(error)) => refused_by_gateway(error),
        DueError::Payment(PaymentError::Db(error)) | DueError::Db(error) => error.into(),
        DueError::Payment(PaymentError::Unknown | PaymentError::Busy | PaymentError::PayeeAway(_)) => away(),
    }
}

fn refused_by_gateway(error: GatewayError) -> Problem {
    match error {
        GatewayError::Refused { code, .. } if code == "payer_document_required" => Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "payer_document_required",
            "This gateway asks for the payer's CPF or CNPJ: note it as the customer's `document`.",
        ),
        GatewayError::Refused { message, .. } => Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "payment_refused",
            format!("The gateway refuses this: {}", message.as_str()),
        ),
        GatewayError::Credentials => Problem::conflict(
            "payment_account_refused",
            "The gateway does not accept the account's credentials any more: change them with `PATCH /api/payment-accounts/{id}`.",
        ),
        _ => away(),
    }
}

fn away() -> Problem {
    Problem::unavailable(
        "payment_unavailable",
        "The gateway does not answer: nothing was charged. Repeat this in a moment; it will be the same charge.",
    )
}
