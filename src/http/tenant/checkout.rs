//! `POST /api/checkout` and what pays an invoice: the page, the PIX, its QR code. Proven in the tenant's own schema first, as
//! everything that the registry holds of a tenant.

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, get, post, web};
use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

use crate::billing::gateways::GatewayError;
use crate::billing::payments::checkout::ToPay;
use crate::billing::payments::{Checkout as Wanted, CheckoutError, PaymentError};
use crate::billing::pix::PixCode;
use crate::billing::subscriptions::{Decision, SubscriptionError};
use crate::db::master::invoices::InvoiceRecord;
use crate::db::master::payments::charges::ChargeRecord;
use crate::domain::billing::invoice::InvoiceStatus;
use crate::domain::ids::{ChargeId, InvoiceId};
use crate::domain::invalid::{FieldErrors, Invalid};
use crate::domain::payment::{GatewayKind, PaymentMethod, PaymentStatus};
use crate::domain::plan::PlanCode;
use crate::http::body::{Body, path_id};
use crate::http::extract::{Checkout, Invoices, OwnBilling, TenantAccess};
use crate::http::once::origin_of;
use crate::http::pix;
use crate::http::problem::{Problem, ProblemBody};

/// How somebody wants to pay.
#[derive(Deserialize, Default, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateCheckout {
    /// The plan that is to be had; the present one, when left out.
    #[schema(value_type = Option<PlanCode>)]
    plan: Option<String>,
    /// With what; by PIX and on a page, as far as there are accounts for them, when left out.
    #[schema(value_type = Option<PayableMethod>)]
    method: Option<String>,
    /// Where; wherever there is an account, when left out.
    #[schema(value_type = Option<GatewayKind>)]
    gateway: Option<String>,
}

/// How an invoice is to be paid.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PayInvoice {
    /// With what; by PIX and on a page, as far as there are accounts for them, when left out.
    #[schema(value_type = Option<PayableMethod>)]
    method: Option<String>,
    /// Where; wherever there is an account, when left out.
    #[schema(value_type = Option<GatewayKind>)]
    gateway: Option<String>,
}

/// What a payer can be asked to pay with.
#[derive(utoipa::ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(dead_code, reason = "a schema: a saved card is charged without its owner")]
enum PayableMethod {
    Pix,
    Checkout,
    Boleto,
}

/// What is to be paid, and how.
#[derive(Serialize, utoipa::ToSchema)]
pub struct ToBePaid {
    invoice: InvoiceToPay,
    /// A page on which to pay; none when there is none, or the gateway has not answered yet: ask again.
    checkout_url: Option<String>,
    /// The text of a PIX, to be copied; its QR code is at `/api/invoices/{id}/pix.png` and `….svg`.
    pix_code: Option<String>,
    /// Each way to pay.
    charges: Vec<Charge>,
}

/// The invoice that is paid by it.
#[derive(Serialize, utoipa::ToSchema)]
pub struct InvoiceToPay {
    id: InvoiceId,
    number: i64,
    status: InvoiceStatus,
    total_cents: i64,
    /// In São Paulo.
    due_date: NaiveDate,
}

/// One way to pay.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Charge {
    id: ChargeId,
    method: PaymentMethod,
    gateway: GatewayKind,
    status: PaymentStatus,
    amount_cents: i64,
    expires_at: DateTime<Utc>,
    pix_code: Option<String>,
    pay_url: Option<String>,
    /// Of a bank slip: the digits to type.
    barcode: Option<String>,
}

impl From<ChargeRecord> for Charge {
    fn from(charge: ChargeRecord) -> Self {
        Self {
            id: charge.id,
            method: charge.method,
            gateway: charge.gateway,
            status: charge.status,
            amount_cents: charge.amount.get(),
            expires_at: charge.expires_at,
            pix_code: charge.pix_code,
            pay_url: charge.pay_url,
            barcode: charge.barcode,
        }
    }
}

impl From<InvoiceRecord> for InvoiceToPay {
    fn from(invoice: InvoiceRecord) -> Self {
        Self {
            id: invoice.id,
            number: invoice.number,
            status: invoice.status,
            total_cents: invoice.total_cents,
            due_date: invoice.due_date,
        }
    }
}

impl From<ToPay> for ToBePaid {
    fn from(to_pay: ToPay) -> Self {
        let of = |method| to_pay.charges.iter().find(move |charge| charge.method == method);
        Self {
            checkout_url: of(PaymentMethod::Checkout).and_then(|charge| charge.pay_url.clone()),
            pix_code: of(PaymentMethod::Pix).and_then(|charge| charge.pix_code.clone()),
            invoice: to_pay.invoice.into(),
            charges: to_pay.charges.into_iter().map(Charge::from).collect(),
        }
    }
}

impl CreateCheckout {
    fn check(self) -> Result<Wanted, FieldErrors> {
        let mut errors = FieldErrors::new();
        let plan = errors.check_opt("plan", self.plan, |plan| PlanCode::parse(&plan));
        let rest = PayInvoice {
            method: self.method,
            gateway: self.gateway,
        };
        let rest = errors.merge(rest.check());
        errors.finish(|| Some(Wanted { plan, ..rest? }))
    }
}

impl PayInvoice {
    fn check(self) -> Result<Wanted, FieldErrors> {
        let mut errors = FieldErrors::new();
        let method = errors.check_opt("method", self.method, |method| {
            match PaymentMethod::parse(&method) {
                Ok(PaymentMethod::Card) | Err(_) => {
                    Err(Invalid::unknown_value(&["pix", "checkout", "boleto"]))
                }
                payable => payable,
            }
        });
        let gateway = errors.check_opt("gateway", self.gateway, |gateway| GatewayKind::parse(&gateway));
        errors.finish(|| {
            Some(Wanted {
                plan: None,
                method,
                gateway,
            })
        })
    }
}

/// Pay for the subscription
///
/// Answers the invoice that is to be paid next, issued now if there is none yet, with a page and a PIX by which to pay it.
/// With `plan`, the plan is changed first. Asked again, it answers the same.
#[utoipa::path(
    tag = "subscription", operation_id = "create_checkout", request_body = CreateCheckout, security(("bearer" = [])),
    responses(
        (status = 200, body = ToBePaid),
        (status = 409, body = ProblemBody, description = "`nothing_to_pay`, and whatever stands against the plan"),
        (status = 503, body = ProblemBody, description = "`payment_unavailable`"),
        (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)
    )
)]
#[post("/api/checkout")]
pub async fn create_checkout(
    access: TenantAccess<Checkout>,
    body: Body<CreateCheckout>,
) -> Result<web::Json<ToBePaid>, Problem> {
    let wanted = access.check(body.value).await?;
    let wanted = access.check(wanted.check()).await?;
    let decision = decide(&access).await?;
    let platform = access.platform();
    let to_pay = platform.payments.check_out(
        &platform.books,
        access.tenant.home.id,
        &wanted,
        &decision,
        budget(&access),
    );
    answer(to_pay.await)
}

/// Pay an invoice
///
/// Answers the ways to pay it. Asked again, also by who comes back from a page, it asks the gateway whether it was paid and
/// answers the same.
#[utoipa::path(
    tag = "invoices", operation_id = "pay_invoice", params(("id" = InvoiceId, Path)), request_body = PayInvoice,
    security(("bearer" = [])),
    responses(
        (status = 200, body = ToBePaid),
        (status = 409, body = ProblemBody, description = "`nothing_to_pay`"),
        (status = 503, body = ProblemBody, description = "`payment_unavailable`"),
        (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)
    )
)]
#[post("/api/invoices/{id}/pay")]
pub async fn pay_invoice(
    access: TenantAccess<OwnBilling>,
    id: web::Path<String>,
    body: Body<PayInvoice>,
) -> Result<web::Json<ToBePaid>, Problem> {
    let id = access.check(path_id(&id)).await?;
    let wanted = access.check(body.value).await?;
    let wanted = access.check(wanted.check()).await?;
    access.run(()).await?;
    let payments = &access.platform().payments;
    let budget = budget(&access);
    let to_pay = payments.pay(access.tenant.home.id, id, &wanted, access.now, budget);
    answer(to_pay.await)
}

/// The QR code of an invoice's PIX, as a picture.
#[utoipa::path(
    tag = "invoices", operation_id = "get_invoice_pix_png", params(("id" = InvoiceId, Path)), security(("bearer" = [])),
    responses(
        (status = 200, body = Vec<u8>, content_type = "image/png"),
        (status = 404, body = ProblemBody, description = "No PIX was ordered for it yet: see `POST …/pay`"),
        (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)
    )
)]
#[get("/api/invoices/{id}/pix.png")]
pub async fn get_invoice_pix_png(
    access: TenantAccess<Invoices>,
    id: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    pix::png(&code(&access, &id).await?)
}

/// The QR code of an invoice's PIX, as a drawing.
#[utoipa::path(
    tag = "invoices", operation_id = "get_invoice_pix_svg", params(("id" = InvoiceId, Path)), security(("bearer" = [])),
    responses(
        (status = 200, body = String, content_type = "image/svg+xml"),
        (status = 404, body = ProblemBody, description = "No PIX was ordered for it yet: see `POST …/pay`"),
        (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)
    )
)]
#[get("/api/invoices/{id}/pix.svg")]
pub async fn get_invoice_pix_svg(
    access: TenantAccess<Invoices>,
    id: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    Ok(pix::svg(&code(&access, &id).await?))
}

async fn code(access: &TenantAccess<Invoices>, id: &str) -> Result<PixCode, Problem> {
    let id = access.check(path_id(id)).await?;
    access.run(()).await?;
    let payments = &access.platform().payments;
    let charge = payments.find_pix(access.tenant.home.id, id).await?;
    let text = charge.and_then(|charge| charge.pix_code);
    text.as_deref()
        .and_then(PixCode::of)
        .ok_or_else(Problem::not_found)
}

/// Who pays, once the tenant's schema has proven it.
async fn decide(access: &TenantAccess<Checkout>) -> Result<Decision, Problem> {
    let identity = access.run(()).await?.identity;
    Ok(Decision {
        origin: origin_of(&identity),
        now: access.now,
    })
}

/// Half of what a request may take: the other half is for the rest of it.
fn budget<P>(access: &TenantAccess<P>) -> Duration
where
    P: crate::http::extract::Permission,
{
    access.platform().settings.server.request_timeout / 2
}

/// As long as there is one way to pay, it is answered.
fn answer(to_pay: Result<ToPay, CheckoutError>) -> Result<web::Json<ToBePaid>, Problem> {
    let to_pay = to_pay.map_err(refused)?;
    match to_pay.error {
        Some(error) if to_pay.charges.is_empty() => Err(refused(error.into())),
        _ => Ok(web::Json(to_pay.into())),
    }
}

fn refused(error: CheckoutError) -> Problem {
    let away = || {
        Problem::unavailable(
            "payment_unavailable",
            "The payment service does not answer: nothing was charged. Try again in a moment.",
        )
    };
    match error {
        CheckoutError::Subscription(error) => undecided(error),
        CheckoutError::UnknownInvoice => Problem::not_found(),
        CheckoutError::NothingOwed => {
            Problem::conflict("nothing_to_pay", "Nothing is owed: it was paid, or taken back.")
        }
        CheckoutError::NoAccount => Problem::conflict(
            "method_not_offered",
            "Payments cannot be taken in this way: choose another, or ask the platform's support.",
        ),
        CheckoutError::Payment(PaymentError::Gateway(GatewayError::Refused { message, .. })) => Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "payment_refused",
            format!("The payment service refuses this: {}", message.as_str()),
        ),
        CheckoutError::Payment(PaymentError::Db(error)) | CheckoutError::Db(error) => error.into(),
        CheckoutError::Payment(_) => away(),
    }
}

fn undecided(error: SubscriptionError) -> Problem {
    use SubscriptionError::{Canceled, Db, Ends, Living, None, NothingDue, PaidAhead, Reopened, UnknownPlan};
    match error {
        None | Canceled => Problem::conflict(
            "subscription_canceled",
            "There is no subscription to pay for: reactivate it with `POST /api/subscription/reactivate`.",
        ),
        Ends => Problem::conflict(
            "subscription_ends",
            "The subscription ends with its period: reactivate it with `POST /api/subscription/reactivate`.",
        ),
        UnknownPlan => Problem::invalid_field(
            "plan",
            Invalid::new("unknown_value", "is no plan that is for sale: see GET /api/plans"),
        ),
        Reopened => Problem::conflict(
            "invoice_reopened",
            "An invoice whose payment was taken back is to be paid first: see GET /api/invoices.",
        ),
        PaidAhead => Problem::conflict(
            "paid_ahead",
            "The next period is paid with the present plan: change it once that has begun.",
        ),
        NothingDue | Living => Problem::conflict("nothing_to_pay", "Nothing is to be paid at the moment."),
        Db(error) => error.into(),
    }
}
