//! `/api/usage`: what the tenant has consumed this month, and its own programs' way of asking for more of it. The registry
//! is asked once the tenant's own schema has proven who asks.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, get, post, web};
use serde::Deserialize;

use crate::billing::metering::MeteringError;
use crate::db::master::usage::counters;
use crate::domain::invalid::FieldErrors;
use crate::domain::metering::{ActualUse, Amount, Reservation, UsageKey};
use crate::domain::month::{BOOKS_TZ, local_month};
use crate::domain::usage::{Meter, Usage};
use crate::http::body::Body;
use crate::http::extract::{Invoices, SettleUsage, TenantAccess, WriteData};
use crate::http::problem::{Problem, ProblemBody};

/// Something to be kept free.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateReservation {
    /// Of what.
    #[schema(value_type = Meter)]
    meter: Option<String>,
    /// How much: 1 to 1,000,000,000.
    #[schema(value_type = Amount)]
    amount: Option<i64>,
    /// Names it from now on, whatever the meter: 1 to 200 visible ASCII characters of your own choosing. The same key again is the
    /// same reservation.
    #[schema(value_type = String, min_length = 1, max_length = 200)]
    key: Option<String>,
}

impl CreateReservation {
    fn check(self) -> Result<(Meter, Amount, UsageKey), FieldErrors> {
        let mut errors = FieldErrors::new();
        let meter = errors.require("meter", self.meter, |meter| Meter::parse(&meter));
        let amount = errors.require("amount", self.amount, Amount::parse);
        let key = errors.require("key", self.key, |key| UsageKey::parse(&key));
        errors.finish(|| Some((meter?, amount?, key?)))
    }
}

/// What was used of a reservation.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SettleReservation {
    /// How much: 0 to 1,000,000,000. It is booked even where it is more than was reserved.
    #[schema(value_type = ActualUse)]
    amount: Option<i64>,
}

impl SettleReservation {
    fn check(self) -> Result<ActualUse, FieldErrors> {
        let mut errors = FieldErrors::new();
        let amount = errors.require("amount", self.amount, ActualUse::parse);
        errors.finish(|| amount)
    }
}

impl From<MeteringError> for Problem {
    fn from(error: MeteringError) -> Self {
        match error {
            MeteringError::LimitExceeded(meter, exhausted) => Self::limit_exceeded(meter.as_str(), exhausted),
            MeteringError::KeyReused => Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "idempotency_key_reused",
                "This key belongs to a reservation of another meter or amount: use a new key for each reservation.",
            ),
            MeteringError::Unknown => Self::not_found(),
            MeteringError::Released => Self::conflict(
                "reservation_released",
                "This reservation has been released: reserve again under a new key.",
            ),
            MeteringError::Expired => Self::conflict(
                "reservation_expired",
                "This reservation was not settled in time. What was used can still be settled; to go on, reserve under a new key.",
            ),
            MeteringError::Settled => Self::conflict(
                "reservation_settled",
                "This reservation has been settled, and what is booked stays.",
            ),
            MeteringError::Busy => Self::tenant_busy(),
            MeteringError::Db(error) => error.into(),
        }
    }
}

/// The key in a path. One that cannot be a key names nothing: 404.
fn path_key(raw: &str) -> Result<UsageKey, Problem> {
    UsageKey::parse(raw).map_err(|_| Problem::not_found())
}

/// Read this month's usage.
#[utoipa::path(
    tag = "subscription", operation_id = "get_usage", security(("bearer" = [])),
    responses((status = 200, body = Usage), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[get("/api/usage")]
pub async fn get_usage(access: TenantAccess<Invoices>) -> Result<web::Json<Usage>, Problem> {
    access.run(()).await?;
    let period = local_month(access.now, BOOKS_TZ);
    let meters = counters::list_meters(&access.platform().master, access.tenant.home.id, period).await?;
    Ok(web::Json(Usage::of(period, meters)))
}

/// Keep an amount of this month's limit free. Repeating the same request answers the same reservation.
#[utoipa::path(
    tag = "usage", operation_id = "create_reservation", request_body = CreateReservation, security(("bearer" = [])),
    responses((status = 201, body = Reservation), (status = 402, body = ProblemBody, description = "`limit_exceeded`, with `limit`, `used`, `reserved`, and the `plan` that includes more"),
              (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[post("/api/usage/reservations")]
pub async fn create_reservation(
    access: TenantAccess<WriteData>,
    body: Body<CreateReservation>,
) -> Result<HttpResponse, Problem> {
    let new = access.check(body.value).await?;
    let (meter, amount, key) = access.check(new.check()).await?;
    access.run(()).await?;
    let (metering, tenant) = (&access.platform().metering, access.tenant.home.id);
    let outcome = metering.reserve(tenant, meter, amount, &key).await;
    let reservation = access.naming_plan(outcome.map_err(Problem::from)).await?;
    Ok(HttpResponse::Created().json(reservation))
}

/// Book what was used of a reservation. Repeating the same request answers the same.
#[utoipa::path(
    tag = "usage", operation_id = "settle_reservation", params(("key" = String, Path)), request_body = SettleReservation,
    security(("bearer" = [])),
    responses((status = 200, body = Reservation), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[post("/api/usage/reservations/{key}/settle")]
pub async fn settle_reservation(
    access: TenantAccess<SettleUsage>,
    key: web::Path<String>,
    body: Body<SettleReservation>,
) -> Result<web::Json<Reservation>, Problem> {
    let key = access.check(path_key(&key)).await?;
    let settle = access.check(body.value).await?;
    let actual = access.check(settle.check()).await?;
    access.run(()).await?;
    let (metering, tenant) = (&access.platform().metering, access.tenant.home.id);
    Ok(web::Json(metering.settle(tenant, &key, actual).await?))
}

/// Give a reservation back: nothing was used. Repeating the request answers the same.
#[utoipa::path(
    tag = "usage", operation_id = "release_reservation", params(("key" = String, Path)), security(("bearer" = [])),
    responses((status = 200, body = Reservation), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[post("/api/usage/reservations/{key}/release")]
pub async fn release_reservation(
    access: TenantAccess<SettleUsage>,
    key: web::Path<String>,
) -> Result<web::Json<Reservation>, Problem> {
    let key = access.check(path_key(&key)).await?;
    access.run(()).await?;
    let (metering, tenant) = (&access.platform().metering, access.tenant.home.id);
    Ok(web::Json(metering.release(tenant, &key).await?))
}
