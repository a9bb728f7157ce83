//! `/api/admin/reports`: how the platform's own business goes.

use actix_web::{HttpResponse, get, web};
use chrono::{DateTime, Months, NaiveDate, Utc};
use serde::Deserialize;

use crate::db::master::billing_reports;
use crate::domain::billing::report::{BillingReport, Overdue, PlanRevenue};
use crate::domain::day;
use crate::domain::finance::ReportFormat;
use crate::domain::invalid::{FieldErrors, Invalid};
use crate::domain::month::{self, BOOKS_TZ, local_month, next_month, start_of_day};
use crate::domain::page::Page;
use crate::http::body::Params;
use crate::http::csv;
use crate::http::extract::AdminAccess;
use crate::http::problem::{Problem, ProblemBody};

/// Most months of a report.
const MONTHS_MAX: u32 = 36;

/// Which month.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct BillingOf {
    /// As `2026-11`; the present month when left out.
    month: Option<String>,
}

/// Which months, and how they are written.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct RevenueOf {
    /// The first month, as `2026-01`; eleven months before `until` when left out.
    from: Option<String>,
    /// The last month; the present one when left out. At most 36 months in all.
    until: Option<String>,
    /// `json` when left out.
    #[param(value_type = Option<ReportFormat>, inline)]
    format: Option<String>,
}

/// How it is written.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct OverdueAs {
    /// `json` when left out.
    #[param(value_type = Option<ReportFormat>, inline)]
    format: Option<String>,
}

/// Monthly recurring revenue and who owes, of this moment; churn and trials of a month.
#[utoipa::path(
    tag = "admin reports", operation_id = "get_billing_report", params(BillingOf), security(("admin" = [])),
    responses((status = 200, body = BillingReport), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[get("/api/admin/reports/billing")]
pub async fn get_billing_report(
    access: AdminAccess,
    params: Params<BillingOf>,
) -> Result<web::Json<BillingReport>, Problem> {
    let now = access.platform.clock.now();
    let mut errors = FieldErrors::new();
    let month = errors.check_opt("month", params.0?.month, |month| day::parse_month(&month));
    let month = errors
        .finish(|| Some(month))?
        .unwrap_or_else(|| local_month(now, BOOKS_TZ));
    let master = &access.platform.master;
    let (from, until) = (begin(month), begin(next_month(month)));
    Ok(web::Json(BillingReport {
        now: billing_reports::state(master, day::local(now, BOOKS_TZ)).await?,
        month: month::name(month),
        events: billing_reports::events(master, from, until).await?,
    }))
}

/// What each plan brought in each month.
#[utoipa::path(
    tag = "admin reports", operation_id = "get_revenue_report", params(RevenueOf), security(("admin" = [])),
    responses(
        (status = 200, content((Page<PlanRevenue> = "application/json"), (String = "text/csv"))),
        (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)
    )
)]
#[get("/api/admin/reports/revenue")]
pub async fn get_revenue_report(
    access: AdminAccess,
    params: Params<RevenueOf>,
) -> Result<HttpResponse, Problem> {
    let (from, until, format) = params.0?.check(access.platform.clock.now())?;
    let span = (begin(from), begin(next_month(until)));
    let items = billing_reports::revenue(&access.platform.master, span.0, span.1).await?;
    let name = format!("revenue-{}-{}.csv", month::name(from), month::name(until));
    let titles = [
        "month",
        "plan",
        "invoiced_cents",
        "received_cents",
        "returned_cents",
    ];
    answer(items, format, &name, &titles, |revenue| {
        [
            revenue.month,
            revenue.plan,
            revenue.invoiced_cents.to_string(),
            revenue.received_cents.to_string(),
            revenue.returned_cents.to_string(),
        ]
    })
}

/// Who owes, the longest first. There is one page.
#[utoipa::path(
    tag = "admin reports", operation_id = "get_overdue_report", params(OverdueAs), security(("admin" = [])),
    responses(
        (status = 200, content((Page<Overdue> = "application/json"), (String = "text/csv"))),
        (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)
    )
)]
#[get("/api/admin/reports/overdue")]
pub async fn get_overdue_report(
    access: AdminAccess,
    params: Params<OverdueAs>,
) -> Result<HttpResponse, Problem> {
    let mut errors = FieldErrors::new();
    let format = format(&mut errors, params.0?.format);
    let format = errors.finish(|| format)?;
    let today = day::local(access.platform.clock.now(), BOOKS_TZ);
    let items = billing_reports::overdue(&access.platform.master, today).await?;
    let titles = [
        "tenant_id",
        "tenant_key",
        "customer_name",
        "invoices",
        "overdue_cents",
        "since",
    ];
    answer(items, format, &format!("overdue-{today}.csv"), &titles, |owing| {
        [
            owing.tenant_id.to_string(),
            owing.tenant_key,
            owing.customer_name,
            owing.invoices.to_string(),
            owing.overdue_cents.to_string(),
            owing.since.to_string(),
        ]
    })
}

impl RevenueOf {
    fn check(self, now: DateTime<Utc>) -> Result<(NaiveDate, NaiveDate, ReportFormat), FieldErrors> {
        let mut errors = FieldErrors::new();
        let from = errors.check_opt("from", self.from, |month| day::parse_month(&month));
        let until = errors.check_opt("until", self.until, |month| day::parse_month(&month));
        let format = format(&mut errors, self.format);
        let until = until.unwrap_or_else(|| local_month(now, BOOKS_TZ));
        let from = from.unwrap_or_else(|| back(until, 11));
        if from > until || from <= back(until, MONTHS_MAX) {
            let message = format!("must be one of the {MONTHS_MAX} months up to `until`");
            errors.push("from", Invalid::new("out_of_range", message));
        }
        errors.finish(|| Some((from, until, format?)))
    }
}

fn format(errors: &mut FieldErrors, raw: Option<String>) -> Option<ReportFormat> {
    match raw {
        Some(_) => errors.check_opt("format", raw, |format| ReportFormat::parse(&format)),
        None => Some(ReportFormat::Json),
    }
}

fn back(month: NaiveDate, months: u32) -> NaiveDate {
    month.checked_sub_months(Months::new(months)).unwrap_or(month)
}

fn begin(month: NaiveDate) -> DateTime<Utc> {
    start_of_day(month, BOOKS_TZ)
}

fn answer<T: serde::Serialize, const N: usize>(
    items: Vec<T>,
    format: ReportFormat,
    name: &str,
    titles: &[&str; N],
    line: impl Fn(T) -> [String; N],
) -> Result<HttpResponse, Problem> {
    match format {
        ReportFormat::Json => Ok(HttpResponse::Ok().json(Page {
            items,
            next_cursor: None,
        })),
        ReportFormat::Csv => csv::answer(name, titles, items.into_iter().map(line)),
    }
}
