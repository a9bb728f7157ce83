//! `/api/admin/plans`: what is for sale, what was, and what will be.

use actix_web::{HttpResponse, get, patch, post, web};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::billing::plans::{Plan as FoundPlan, PlanError};
use crate::db::master::plans::{PlanRecord, VersionRecord};
use crate::domain::invalid::FieldErrors;
use crate::domain::money::Cents;
use crate::domain::page::Page;
use crate::domain::plan::{PlanCode, PlanLimit, PlanMeter, PlanStatus, PlanTerms};
use crate::domain::text::line;
use crate::http::body::{Body, Params};
use crate::http::extract::AdminAccess;
use crate::http::problem::{Problem, ProblemBody};

/// Longest name.
const NAME_MAX: usize = 100;
/// Days of a trial, when nothing is said.
const TRIAL_DAYS: i64 = 7;

/// A plan in its newest version.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Plan {
    /// What an onboarding names.
    code: String,
    name: String,
    /// A price or a limit never changes: another version does.
    version: i32,
    /// Of a month.
    price_cents: i64,
    trial_days: i32,
    /// How much of everything it includes.
    limits: Vec<PlanLimit>,
    /// Living subscriptions of this plan, of any version.
    subscriptions: i64,
}

/// A plan with all its versions.
#[derive(Serialize, utoipa::ToSchema)]
pub struct PlanWithVersions {
    /// What an onboarding names.
    #[schema(value_type = PlanCode)]
    code: String,
    name: String,
    status: PlanStatus,
    /// Newest first: that one is for sale; the others belong to those who have bought them.
    versions: Vec<PlanVersion>,
}

/// One version of a plan: it never changes.
#[derive(Serialize, utoipa::ToSchema)]
pub struct PlanVersion {
    version: i32,
    /// Of a month.
    price_cents: i64,
    trial_days: i32,
    /// How much of everything it includes.
    limits: Vec<PlanLimit>,
    published_at: DateTime<Utc>,
    /// Living subscriptions of this version.
    subscriptions: i64,
}

/// A plan to be.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreatePlan {
    #[schema(value_type = PlanCode)]
    code: Option<String>,
    #[schema(value_type = String, min_length = 1, max_length = 100)]
    name: Option<String>,
    /// Of a month.
    #[schema(value_type = Cents)]
    price_cents: Option<i64>,
    /// Days of the trial: 7 when left out.
    #[schema(minimum = 0, maximum = 90)]
    trial_days: Option<i64>,
    /// `messages` and `ai_tokens` must be among them; what is left out is not part of the plan.
    #[schema(value_type = Vec<CreateLimit>)]
    limits: Option<Vec<CreateLimit>>,
}

/// How much of something a plan includes.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateLimit {
    #[schema(value_type = PlanMeter)]
    meter: String,
    /// None: as much as one likes.
    #[schema(value_type = Option<Cents>)]
    limit: Option<i64>,
}

/// Another version of a plan.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreatePlanVersion {
    /// Of a month.
    #[schema(value_type = Cents)]
    price_cents: Option<i64>,
    /// Days of the trial: 7 when left out.
    #[schema(minimum = 0, maximum = 90)]
    trial_days: Option<i64>,
    /// `messages` and `ai_tokens` must be among them; what is left out is not part of the plan.
    #[schema(value_type = Vec<CreateLimit>)]
    limits: Option<Vec<CreateLimit>>,
}

/// What of a plan may change by itself.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdatePlan {
    #[schema(value_type = Option<String>, min_length = 1, max_length = 100)]
    name: Option<String>,
    /// `retired`: no longer for sale; whoever has bought it keeps it.
    #[schema(value_type = Option<PlanStatus>)]
    status: Option<String>,
}

/// Which plans.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListPlans {
    /// `active`, when left out.
    #[param(value_type = Option<PlanStatus>)]
    status: Option<String>,
}

impl From<PlanRecord> for Plan {
    fn from(record: PlanRecord) -> Self {
        Self {
            code: record.code,
            name: record.name,
            version: record.version,
            price_cents: record.price_cents,
            trial_days: record.trial_days,
            limits: record.limits,
            subscriptions: record.subscriptions,
        }
    }
}

impl From<VersionRecord> for PlanVersion {
    fn from(record: VersionRecord) -> Self {
        Self {
            version: record.version,
            price_cents: record.price_cents,
            trial_days: record.trial_days,
            limits: record.limits,
            published_at: record.published_at,
            subscriptions: record.subscriptions,
        }
    }
}

impl From<FoundPlan> for PlanWithVersions {
    fn from(plan: FoundPlan) -> Self {
        Self {
            code: plan.head.code,
            name: plan.head.name,
            status: plan.head.status,
            versions: plan.versions.into_iter().map(PlanVersion::from).collect(),
        }
    }
}

impl CreatePlan {
    fn check(self) -> Result<(PlanCode, String, PlanTerms), FieldErrors> {
        let mut errors = FieldErrors::new();
        let code = errors.require("code", self.code, |code| PlanCode::parse(&code));
        let name = errors.require("name", self.name, |name| line(&name, NAME_MAX));
        let terms = CreatePlanVersion {
            price_cents: self.price_cents,
            trial_days: self.trial_days,
            limits: self.limits,
        };
        let terms = errors.merge(terms.check());
        errors.finish(|| Some((code?, name?, terms?)))
    }
}

impl CreatePlanVersion {
    fn check(self) -> Result<PlanTerms, FieldErrors> {
        let limits = self.limits.map(|limits| {
            limits
                .into_iter()
                .map(|limit| (limit.meter, limit.limit))
                .collect()
        });
        PlanTerms::check(self.price_cents, self.trial_days.unwrap_or(TRIAL_DAYS), limits)
    }
}

impl UpdatePlan {
    fn check(self) -> Result<(Option<String>, Option<PlanStatus>), FieldErrors> {
        let mut errors = FieldErrors::new();
        let name = errors.check_opt("name", self.name, |name| line(&name, NAME_MAX));
        let status = errors.check_opt("status", self.status, |status| PlanStatus::parse(&status));
        errors.finish(|| Some((name, status)))
    }
}

/// List plans that are for sale, cheapest first. They are few: there is one page.
#[utoipa::path(
    tag = "admin plans", operation_id = "list_plans", params(ListPlans), security(("admin" = [])),
    responses((status = 200, body = Page<Plan>), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[get("/api/admin/plans")]
pub async fn list_plans(
    access: AdminAccess,
    params: Params<ListPlans>,
) -> Result<web::Json<Page<Plan>>, Problem> {
    let mut errors = FieldErrors::new();
    let status = errors.check_opt("status", params.0?.status, |status| PlanStatus::parse(&status));
    let status = errors.finish(|| Some(status))?.unwrap_or(PlanStatus::Active);
    let plans = access.platform.plans.list(status).await?;
    Ok(web::Json(Page {
        items: plans.into_iter().map(Plan::from).collect(),
        next_cursor: None,
    }))
}

/// A plan with all its versions.
#[utoipa::path(
    tag = "admin plans", operation_id = "get_plan", params(("code" = String, Path)), security(("admin" = [])),
    responses((status = 200, body = PlanWithVersions), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[get("/api/admin/plans/{code}")]
pub async fn get_plan(
    access: AdminAccess,
    code: web::Path<String>,
) -> Result<web::Json<PlanWithVersions>, Problem> {
    let plan = access.platform.plans.find(&path_code(&code)?).await;
    Ok(web::Json(plan.map_err(refused)?.into()))
}

/// Make a plan and put it on sale.
#[utoipa::path(
    tag = "admin plans", operation_id = "create_plan", request_body = CreatePlan, security(("admin" = [])),
    responses(
        (status = 201, body = PlanWithVersions), (status = 409, body = ProblemBody, description = "`plan_code_taken`"),
        (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)
    )
)]
#[post("/api/admin/plans")]
pub async fn create_plan(access: AdminAccess, body: Body<CreatePlan>) -> Result<HttpResponse, Problem> {
    let (code, name, terms) = body.value?.check()?;
    let plans = &access.platform.plans;
    let plan = plans.create(&code, &name, &terms, access.origin()).await;
    Ok(HttpResponse::Created().json(PlanWithVersions::from(plan.map_err(refused)?)))
}

/// Put another version on sale, with other prices or limits. Subscriptions keep the one that they have. A version that
/// says what the newest says is not added again.
#[utoipa::path(
    tag = "admin plans", operation_id = "create_plan_version", params(("code" = String, Path)),
    request_body = CreatePlanVersion, security(("admin" = [])),
    responses((status = 201, body = PlanWithVersions), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[post("/api/admin/plans/{code}/versions")]
pub async fn create_plan_version(
    access: AdminAccess,
    code: web::Path<String>,
    body: Body<CreatePlanVersion>,
) -> Result<HttpResponse, Problem> {
    let code = path_code(&code)?;
    let terms = body.value?.check()?;
    let plan = access
        .platform
        .plans
        .publish(&code, &terms, access.origin())
        .await;
    Ok(HttpResponse::Created().json(PlanWithVersions::from(plan.map_err(refused)?)))
}

/// Rename a plan, retire it, or put it on sale again.
#[utoipa::path(
    tag = "admin plans", operation_id = "update_plan", params(("code" = String, Path)), request_body = UpdatePlan,
    security(("admin" = [])),
    responses((status = 200, body = PlanWithVersions), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[patch("/api/admin/plans/{code}")]
pub async fn update_plan(
    access: AdminAccess,
    code: web::Path<String>,
    body: Body<UpdatePlan>,
) -> Result<web::Json<PlanWithVersions>, Problem> {
    let code = path_code(&code)?;
    let (name, status) = body.value?.check()?;
    let plans = &access.platform.plans;
    let plan = plans.update(&code, name, status, access.origin()).await;
    Ok(web::Json(plan.map_err(refused)?.into()))
}

fn path_code(raw: &str) -> Result<PlanCode, Problem> {
    PlanCode::parse(raw).map_err(|_| Problem::not_found())
}

fn refused(error: PlanError) -> Problem {
    match error {
        PlanError::Unknown => Problem::not_found(),
        PlanError::CodeTaken => Problem::conflict(
            "plan_code_taken",
            "There is a plan of this code: publish another version of it, or choose another code.",
        ),
        PlanError::Internal => Problem::conflict(
            "plan_is_internal",
            "The program gives this plan to copies of tenants: it stays as it is.",
        ),
        PlanError::Db(error) => error.into(),
    }
}
