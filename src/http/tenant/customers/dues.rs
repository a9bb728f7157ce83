//! `/api/dues`: what customers owe on a day, and what they have paid of it.
//!
//! What is due is a day of the tenant's own time zone. Whether a due is late is told by that day, so an answer reads the settings
//! beside the dues, in the same round trip; only `status=overdue` asks for them first.

use actix_web::{HttpResponse, delete, get, patch, post, web};
use chrono::NaiveDate;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::unknown;
use crate::db::tenant::audit;
use crate::db::tenant::customers::dues::{self, DueRange, NewDue};
use crate::db::tenant::customers::{charges, clock, payments, reminders};
use crate::db::tenant::settings;
use crate::db::{DbError, Refusal};
use crate::domain::day;
use crate::domain::due::{self, Due, DueDetail, DueFilter, PaidBy};
use crate::domain::ids::{CustomerId, DueId, DuePaymentId};
use crate::domain::invalid::{FieldErrors, Invalid};
use crate::domain::month::next_month;
use crate::domain::page::{Cursor, Limit, Page};
use crate::domain::patch::Patch;
use crate::domain::text::{Name, line};
use crate::http::body::{Body, Params, paging, path_id};
use crate::http::create::{Creation, hash_at};
use crate::http::extract::{IdempotencyHeader, ReadData, TenantAccess, TradeData};
use crate::http::form::Changes;
use crate::http::problem::{Problem, ProblemBody};

const DESCRIPTION_MAX: usize = 300;

/// A due to be.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateDue {
    /// Who owes it.
    #[schema(value_type = CustomerId)]
    customer_id: Option<String>,
    /// What for: one line of at most 300 characters.
    #[schema(value_type = Name)]
    description: Option<String>,
    /// How much.
    #[schema(value_type = i64, minimum = 1, maximum = 100000000000i64, example = 9900)]
    amount_cents: Option<i64>,
    /// When, in the tenant's time zone.
    #[schema(value_type = NaiveDate)]
    due_date: Option<String>,
}

impl CreateDue {
    fn check(self) -> Result<NewDue, FieldErrors> {
        let mut errors = FieldErrors::new();
        let customer = errors.require("customer_id", self.customer_id, |id| id.parse());
        let description = errors.require("description", self.description, |description| {
            line(&description, DESCRIPTION_MAX)
        });
        let amount = errors.require("amount_cents", self.amount_cents, due::amount);
        let due_date = errors.require("due_date", self.due_date, |day| day::parse(&day));
        errors.finish(|| {
            Some(NewDue {
                id: DueId::new(),
                customer: customer?,
                order: None,
                description: description?,
                amount_cents: amount?,
                due_date: due_date?,
            })
        })
    }
}

/// Changes to a due that is open.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateDue {
    /// What for.
    #[serde(default)]
    #[schema(value_type = Name, required = false)]
    description: Patch<String>,
    /// How much: more than was paid of it. A PIX code for the former amount is no longer shown, and taken
    /// back at the gateway.
    #[serde(default)]
    #[schema(value_type = i64, required = false, minimum = 1, maximum = 100000000000i64)]
    amount_cents: Patch<i64>,
    /// When.
    #[serde(default)]
    #[schema(value_type = NaiveDate, required = false)]
    due_date: Patch<String>,
    /// The version that was read; what has another one since is not changed.
    version: Option<i32>,
}

impl UpdateDue {
    fn check(self) -> Result<(Option<i32>, Map<String, Value>), FieldErrors> {
        let mut form = Changes::default();
        form.required("description", self.description, |description| {
            line(&description, DESCRIPTION_MAX)
        });
        form.required("amount_cents", self.amount_cents, due::amount);
        form.required("due_date", self.due_date, |day| day::parse(&day));
        Ok((self.version, form.finish()?))
    }
}

/// Money that came in, without a charge of this program.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateDuePayment {
    /// When, in the tenant's time zone.
    #[schema(value_type = NaiveDate)]
    paid_on: Option<String>,
    /// `cash` when left out.
    #[schema(value_type = Option<PaidBy>)]
    method: Option<String>,
    /// All that is left when left out.
    #[schema(value_type = Option<i64>, minimum = 1, maximum = 100000000000i64)]
    amount_cents: Option<i64>,
    /// The version of the due that was read; one that has another one since is not changed.
    version: Option<i32>,
}

impl CreateDuePayment {
    fn check(self) -> Result<(NaiveDate, PaidBy, Option<i64>, Option<i32>), FieldErrors> {
        let mut errors = FieldErrors::new();
        let paid_on = errors.require("paid_on", self.paid_on, |day| day::parse(&day));
        let method = match self.method {
            None => Some(PaidBy::Cash),
            Some(method) => errors.check("method", PaidBy::parse(&method)),
        };
        let amount = errors.check_opt("amount_cents", self.amount_cents, due::amount);
        errors.finish(|| Some((paid_on?, method?, amount, self.version)))
    }
}

/// Narrows the list.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListDues {
    /// In this state.
    #[param(value_type = Option<DueFilter>, inline)]
    status: Option<String>,
    /// Due in this month, as `2026-11`.
    month: Option<String>,
    /// Of this customer.
    customer_id: Option<String>,
    /// 1 to 200; 50 when left out.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 200)]
    limit: Option<String>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

impl ListDues {
    /// The range, whether only what is late is meant, the place and the length of a page.
    fn check(self) -> Result<(DueRange, bool, Option<Cursor>, Limit), FieldErrors> {
        let mut errors = FieldErrors::new();
        let filter = errors.check_opt("status", self.status, |status| DueFilter::parse(&status));
        let month = errors.check_opt("month", self.month, |month| day::parse_month(&month));
        let customer = errors.check_opt("customer_id", self.customer_id, |id| id.parse());
        let (limit, cursor) = paging(&mut errors, self.limit, self.cursor);
        let range = DueRange {
            status: filter.map(|filter| match filter {
                DueFilter::Overdue => DueFilter::Open.as_str(),
                other => other.as_str(),
            }),
            from: month.unwrap_or(NaiveDate::from_ymd_opt(2000, 1, 1).unwrap_or_default()),
            until: month
                .map(next_month)
                .unwrap_or(NaiveDate::from_ymd_opt(2300, 1, 1).unwrap_or_default()),
            customer,
        };
        errors.finish(|| Some((range, filter == Some(DueFilter::Overdue), cursor, limit)))
    }
}

fn refuse(error: &DbError) -> Option<Problem> {
    match error {
        DbError::Refused(Refusal::State) => Some(Problem::conflict(
            "wrong_state",
            "This due is not open any more, or less than the amount is left to be paid: read it again.",
        )),
        DbError::Constraint(name) if name == "dues_customer_id_fkey" => Some(unknown("customer_id")),
        DbError::Constraint(name) if name == "dues_paid_cents_check" => Some(Problem::invalid_field(
            "amount_cents",
            Invalid::new("out_of_range", "must be more than was paid of it"),
        )),
        _ => None,
    }
}

/// List dues, latest day first.
#[utoipa::path(
    tag = "customers", operation_id = "list_dues", params(ListDues), security(("bearer" = [])),
    responses((status = 200, body = Page<Due>), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[get("/api/dues")]
pub async fn list_dues(
    access: TenantAccess<ReadData>,
    params: Params<ListDues>,
) -> Result<web::Json<Page<Due>>, Problem> {
    let params = access.check(params.0).await?;
    let (mut range, overdue, after, limit) = access.check(params.check()).await?;
    let (today, rows) = if overdue {
        let (tx, reply) = access.begin(settings::find_all()).await?;
        let today = access.today(&reply.output);
        range.until = range.until.min(today);
        (today, tx.commit(dues::list(range, after, limit)).await?)
    } else {
        let batch = (settings::find_all(), dues::list(range, after, limit));
        let (stored, rows) = access.run(batch).await?.output;
        (access.today(&stored), rows)
    };
    let page = Page::from_rows(rows, limit, dues::place);
    Ok(web::Json(page.map(|due| due.on(today))))
}

/// Add a due of a customer that is for no month and no order.
#[utoipa::path(
    tag = "customers", operation_id = "create_due", request_body = CreateDue, security(("bearer" = [])),
    params(("Idempotency-Key" = Option<String>, Header, description = "Repeats of a request with the same key are one request")),
    responses((status = 201, body = Due), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[post("/api/dues")]
pub async fn create_due(
    access: TenantAccess<TradeData>,
    key: IdempotencyHeader,
    body: Body<CreateDue>,
) -> Result<HttpResponse, Problem> {
    let new = access.check(body.value).await?;
    let new = access.check(new.check()).await?;
    let id = new.id;
    let batch = (
        dues::insert(new, access.now),
        clock::wake(access.now),
        audit::insert(&access.access, "due.create", "dues", id),
        dues::shown(id),
        settings::find_all(),
    );
    let creation = Creation {
        operation: "create_due",
        key,
        hash: body.hash,
        row: Some(id.as_uuid()),
    };
    let show = |(_, _, _, due, stored): (_, _, _, Due, _)| due.on(access.today(&stored));
    access.create(creation, batch, show, refuse).await
}

/// Read a due with its payments.
#[utoipa::path(
    tag = "customers", operation_id = "get_due", params(("id" = DueId, Path)), security(("bearer" = [])),
    responses((status = 200, body = DueDetail), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[get("/api/dues/{id}")]
pub async fn get_due(
    access: TenantAccess<ReadData>,
    id: web::Path<String>,
) -> Result<web::Json<DueDetail>, Problem> {
    let id = access.check(path_id(&id)).await?;
    let batch = (dues::find(id), payments::list(id), settings::find_all());
    let (due, payments, stored) = access.run(batch).await?.output;
    let due = due.ok_or_else(Problem::not_found)?.on(access.today(&stored));
    Ok(web::Json(DueDetail { due, payments }))
}

/// Change a due. Another day is another occasion: what was decided about reminders is decided anew. One that is not open is refused with 409 `wrong_state`.
#[utoipa::path(
    tag = "customers", operation_id = "update_due", params(("id" = DueId, Path)), request_body = UpdateDue,
    security(("bearer" = [])),
    responses((status = 200, body = Due), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[patch("/api/dues/{id}")]
pub async fn update_due(
    access: TenantAccess<TradeData>,
    id: web::Path<String>,
    body: Body<UpdateDue>,
) -> Result<web::Json<Due>, Problem> {
    let id = access.check(path_id(&id)).await?;
    let update = access.check(body.value).await?;
    let (version, changes) = access.check(update.check()).await?;
    let new_day = changes
        .get("due_date")
        .and_then(Value::as_str)
        .and_then(|day| day::parse(day).ok());
    let recheck = changes.contains_key("amount_cents");
    let recheck = recheck.then(|| charges::recheck(id, access.now));
    let batch = (
        dues::lock_open(id, version, None),
        (
            reminders::forget(id, new_day, access.now),
            dues::update(id, changes, access.now),
            recheck,
            clock::wake(access.now),
        ),
        audit::insert(&access.access, "due.update", "dues", id),
        dues::shown(id),
        settings::find_all(),
    );
    let (_, _, _, due, stored) = access.run_or(batch, refuse).await?.output;
    Ok(web::Json(due.on(access.today(&stored))))
}

/// Note that a due is not owed any more: nobody is reminded of it, and its open charge is taken back at the gateway. One that was paid
/// is refused with 409 `wrong_state`. Repeating it is no error.
#[utoipa::path(
    tag = "customers", operation_id = "cancel_due", params(("id" = DueId, Path)), security(("bearer" = [])),
    responses((status = 200, body = Due), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[post("/api/dues/{id}/cancel")]
pub async fn cancel_due(
    access: TenantAccess<TradeData>,
    id: web::Path<String>,
) -> Result<web::Json<Due>, Problem> {
    let id = access.check(path_id(&id)).await?;
    let batch = (
        dues::lock_unpaid(id, None),
        (
            dues::cancel(id, access.now),
            charges::recheck(id, access.now),
            reminders::cancel(id, access.now),
        ),
        audit::insert(&access.access, "due.cancel", "dues", id),
        dues::shown(id),
        settings::find_all(),
    );
    let (_, _, _, due, stored) = access.run_or(batch, refuse).await?.output;
    Ok(web::Json(due.on(access.today(&stored))))
}

/// Note that a due was paid, or a part of it, in cash or in any other way without a charge. A due that is not open, and more than
/// is left to be paid, are refused with 409 `wrong_state`.
#[utoipa::path(
    tag = "customers", operation_id = "create_due_payment", request_body = CreateDuePayment, security(("bearer" = [])),
    params(
        ("id" = DueId, Path),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeats of a request with the same key are one request")
    ),
    responses((status = 201, body = DueDetail), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[post("/api/dues/{id}/payments")]
pub async fn create_due_payment(
    access: TenantAccess<TradeData>,
    id: web::Path<String>,
    key: IdempotencyHeader,
    body: Body<CreateDuePayment>,
) -> Result<HttpResponse, Problem> {
    let id: DueId = access.check(path_id(&id)).await?;
    let payment = access.check(body.value).await?;
    let (paid_on, method, amount, version) = access.check(payment.check()).await?;
    let payment = DuePaymentId::new();
    let batch = (
        dues::lock_open(id, version, amount),
        (
            payments::insert(id, payment, method.as_str(), amount, paid_on, access.now),
            charges::recheck(id, access.now),
            reminders::cancel(id, access.now),
        ),
        audit::insert(&access.access, "due.pay", "dues", id),
        (dues::shown(id), payments::list(id)),
        settings::find_all(),
    );
    let creation = Creation {
        operation: "create_due_payment",
        key,
        hash: hash_at(id, body.hash),
        row: Some(id.as_uuid()),
    };
    let show = |(_, _, _, (due, payments), stored): (_, _, _, (Due, _), _)| DueDetail {
        due: due.on(access.today(&stored)),
        payments,
    };
    access.answer_once(creation, batch, show, refuse).await
}

/// Take back a payment that somebody has written down; the due is open again when something of it is to be paid. What a charge has
/// brought in is refused with 409 `wrong_state`.
#[utoipa::path(
    tag = "customers", operation_id = "delete_due_payment",
    params(("id" = DueId, Path), ("payment_id" = DuePaymentId, Path)), security(("bearer" = [])),
    responses((status = 204), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[delete("/api/dues/{id}/payments/{payment_id}")]
pub async fn delete_due_payment(
    access: TenantAccess<TradeData>,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse, Problem> {
    let id = access.check(path_id(&path.0)).await?;
    let payment = access.check(path_id(&path.1)).await?;
    let batch = (
        payments::lock_written(id, payment),
        payments::delete(id, payment, access.now),
        (charges::recheck(id, access.now), clock::wake(access.now)),
        audit::insert(&access.access, "due.unpay", "dues", id),
    );
    access.run(batch).await?;
    Ok(HttpResponse::NoContent().finish())
}
