//! `POST /api/admin/invoices/{id}/refund`: what was paid for an invoice goes back.

use actix_web::{HttpResponse, post, web};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::billing::payments::RefundError;
use crate::billing::payments::refunds::RefundOrder;
use crate::db::master::payments::refunds::RefundRecord;
use crate::domain::charge::RefundState;
use crate::domain::ids::{ChargeId, InvoiceId, RefundId};
use crate::domain::invalid::{FieldErrors, Invalid};
use crate::domain::money::Cents;
use crate::domain::text::line;
use crate::http::body::{Body, path_id};
use crate::http::create::{hash_at, key_reused};
use crate::http::extract::{AdminAccess, IdempotencyHeader};
use crate::http::problem::{Problem, ProblemBody};

/// Longest reason.
const REASON_MAX: usize = 500;

/// Money to go back.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateRefund {
    /// All that was paid and has not gone back, when left out.
    #[schema(value_type = Option<Cents>, minimum = 1)]
    amount_cents: Option<i64>,
    /// For the platform's own people.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 500)]
    reason: Option<String>,
}

/// Money that goes back.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Refund {
    id: RefundId,
    /// The charge by which it was paid.
    charge_id: ChargeId,
    amount_cents: i64,
    /// `requested`: the gateway is being asked.
    state: RefundState,
    /// Why the gateway has not done so.
    last_error: Option<String>,
    created_at: DateTime<Utc>,
}

impl From<RefundRecord> for Refund {
    fn from(record: RefundRecord) -> Self {
        Self {
            id: record.id,
            charge_id: record.charge,
            amount_cents: record.amount.get(),
            state: record.state,
            last_error: record.last_error,
            created_at: record.created_at,
        }
    }
}

impl CreateRefund {
    fn check(self) -> Result<(Option<Cents>, Option<String>), FieldErrors> {
        let mut errors = FieldErrors::new();
        let amount = errors.check_opt("amount_cents", self.amount_cents, |cents| {
            match Cents::parse(cents)? {
                Cents::ZERO => Err(Invalid::out_of_range(1, Cents::MAX.get())),
                amount => Ok(amount),
            }
        });
        let reason = errors.check_opt("reason", self.reason, |reason| line(&reason, REASON_MAX));
        errors.finish(|| Some((amount, reason)))
    }
}

/// Give back what was paid for an invoice
///
/// All of it, or a part. The gateway is asked at once, and again by itself until it has answered.
#[utoipa::path(
    tag = "admin payments", operation_id = "refund_invoice", params(
        ("id" = InvoiceId, Path),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeats of a request with the same key are one request")
    ),
    request_body = CreateRefund, security(("admin" = [])),
    responses(
        (status = 201, body = Refund),
        (status = 409, body = ProblemBody, description = "`nothing_to_refund`, `refund_under_way`"),
        (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)
    )
)]
#[post("/api/admin/invoices/{id}/refund")]
pub async fn refund_invoice(
    access: AdminAccess,
    id: web::Path<String>,
    key: IdempotencyHeader,
    body: Body<CreateRefund>,
) -> Result<HttpResponse, Problem> {
    let invoice: InvoiceId = path_id(&id)?;
    let hash = hash_at(invoice, body.hash);
    let (amount, reason) = body.value?.check()?;
    let order = RefundOrder {
        invoice,
        amount,
        reason,
        repeat: key
            .key()?
            .map(|key| (format!("refund:{}", access.admin.id), key, hash)),
    };
    let (payments, origin) = (access.platform.payments.clone(), access.origin());
    // Spawned: a client that hangs up does not leave the gateway's answer unread.
    let work = tokio::spawn(async move { payments.refund(&order, origin).await });
    let refund = work.await.map_err(|_| Problem::internal())?;
    Ok(HttpResponse::Created().json(Refund::from(refund.map_err(refused)?)))
}

fn refused(error: RefundError) -> Problem {
    match error {
        RefundError::Unknown => Problem::not_found(),
        RefundError::NothingPaid => Problem::conflict(
            "nothing_to_refund",
            "Nothing was paid for this invoice, or all of it has gone back.",
        ),
        RefundError::TooMuch(left) => {
            Problem::invalid_field("amount_cents", Invalid::out_of_range(1, left.get()))
        }
        RefundError::UnderWay => Problem::conflict(
            "refund_under_way",
            "An earlier refund of this payment is being carried out: wait for it.",
        ),
        RefundError::KeyReused => key_reused(),
        RefundError::Db(error) => error.into(),
    }
}
