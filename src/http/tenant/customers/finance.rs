//! `/api/reports/finance`: a month of the tenant's customers, as JSON or as a table for a spreadsheet.

use actix_web::{HttpResponse, get};
use chrono::NaiveDate;
use serde::Deserialize;

use crate::db::tenant::customers::finance;
use crate::db::tenant::settings;
use crate::domain::day;
use crate::domain::finance::{CustomerFinance, FinanceReport, ReportFormat};
use crate::domain::invalid::FieldErrors;
use crate::domain::month::{self, next_month};
use crate::http::body::Params;
use crate::http::csv;
use crate::http::extract::{ReadData, TenantAccess};
use crate::http::problem::{Problem, ProblemBody};

/// Which month, and how it is written.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct FinanceOf {
    /// As `2026-11`; the present month when left out.
    month: Option<String>,
    /// `json` when left out.
    #[param(value_type = Option<ReportFormat>, inline)]
    format: Option<String>,
}

impl FinanceOf {
    fn check(self) -> Result<(Option<NaiveDate>, ReportFormat), FieldErrors> {
        let mut errors = FieldErrors::new();
        let month = errors.check_opt("month", self.month, |month| day::parse_month(&month));
        let format = errors.check_opt("format", self.format, |format| ReportFormat::parse(&format));
        errors.finish(|| Some((month, format.unwrap_or(ReportFormat::Json))))
    }
}

const TITLES: [&str; 6] = [
    "customer_id",
    "name",
    "received_cents",
    "due_cents",
    "overdue_cents",
    "forecast_cents",
];

fn line(customer: &CustomerFinance) -> [String; 6] {
    let sums = customer.sums;
    [
        customer.customer_id.to_string(),
        customer.name.clone().unwrap_or_default(),
        sums.received_cents.to_string(),
        sums.due_cents.to_string(),
        sums.overdue_cents.to_string(),
        sums.forecast_cents.to_string(),
    ]
}

/// What came in within a month, what is due, what is late, and what is to come, in all and by customer.
#[utoipa::path(
    tag = "customers", operation_id = "get_finance_report", params(FinanceOf), security(("bearer" = [])),
    responses(
        (status = 200, content((FinanceReport = "application/json"), (String = "text/csv"))),
        (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)
    )
)]
#[get("/api/reports/finance")]
pub async fn get_finance_report(
    access: TenantAccess<ReadData>,
    params: Params<FinanceOf>,
) -> Result<HttpResponse, Problem> {
    let params = access.check(params.0).await?;
    let (month, format) = access.check(params.check()).await?;
    let (tx, reply) = access.begin(settings::find_all()).await?;
    let today = access.today(&reply.output);
    let month = month.unwrap_or_else(|| day::month_of(today));
    let (sums, customers) = tx.commit(finance::month(month, next_month(month), today)).await?;
    let name = month::name(month);
    match format {
        ReportFormat::Json => Ok(HttpResponse::Ok().json(FinanceReport {
            month: name,
            sums,
            customers,
        })),
        ReportFormat::Csv => csv::answer(
            &format!("finance-{name}.csv"),
            &TITLES,
            customers.iter().map(line),
        ),
    }
}
