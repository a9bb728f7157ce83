//! `/api/reminder-rules`: on which days customers are reminded of what they owe, and in which words. Without a rule nobody is.

use actix_web::{HttpResponse, delete, get, patch, post, web};
use serde_json::{Map, Value};

use super::unknown;
use crate::db::tenant::audit;
use crate::db::tenant::customers::{clock, rules};
use crate::db::{DbError, Refusal};
use crate::domain::ids::{MessageTemplateId, ReminderRuleId};
use crate::domain::message_template::{ReminderDays, ReminderRule};
use crate::domain::page::Page;
use crate::http::body::{Body, path_id};
use crate::http::create::Creation;
use crate::http::extract::{IdempotencyHeader, ReadData, TenantAccess, TradeData};
use crate::http::form::form;
use crate::http::problem::{Problem, ProblemBody};

const EXISTS: &str = "reminder_rule_exists";

form! {
    /// A rule to be.
    CreateReminderRule,
    /// Changes to a rule: what is left out stays.
    UpdateReminderRule,
    required {
        /// So many days after the day on which something is due, at most 90; negative: before it, at most 10.
        days: i64 as ReminderDays => ReminderDays::parse(days),
        /// In which words.
        template_id: String as MessageTemplateId => template_id.parse::<MessageTemplateId>(),
    }
    default {
        /// Whether it counts; yes when left out.
        active: bool as bool = true => Ok(active),
    }
    optional {}
}

fn refuse(error: &DbError) -> Option<Problem> {
    match error {
        DbError::Constraint(name) if name == "reminder_rules_days_key" => Some(Problem::conflict(
            EXISTS,
            "There is a rule for these days: see `existing_id`.",
        )),
        DbError::Constraint(name) if name == "reminder_rules_template_id_fkey" => {
            Some(unknown("template_id"))
        }
        _ => None,
    }
}

// Nothing else of a new rule can be missing.
fn refuse_new(error: &DbError) -> Option<Problem> {
    match error.refusal() {
        Some(Refusal::NotFound) => Some(unknown("template_id")),
        _ => refuse(error),
    }
}

fn days_of(fields: &Map<String, Value>) -> Option<i32> {
    fields.get("days")?.as_i64()?.try_into().ok()
}

impl TenantAccess<TradeData> {
    /// Says which rule is there when that is why a request was refused.
    async fn name_rule(&self, problem: Problem, days: Option<i32>) -> Problem {
        let Some(days) = days.filter(|_| problem.code() == EXISTS) else {
            return problem;
        };
        match self.run(rules::find_by_days(days)).await {
            Ok(reply) => match reply.output {
                Some(id) => problem.naming(id),
                // Removed a moment ago.
                None => problem,
            },
            Err(failure) => failure,
        }
    }
}

/// List reminder rules, in the order of their days: all of them.
#[utoipa::path(
    tag = "customers", operation_id = "list_reminder_rules", security(("bearer" = [])),
    responses((status = 200, body = Page<ReminderRule>), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[get("/api/reminder-rules")]
pub async fn list_reminder_rules(
    access: TenantAccess<ReadData>,
) -> Result<web::Json<Page<ReminderRule>>, Problem> {
    let items = access.run(rules::list()).await?.output;
    Ok(web::Json(Page {
        items,
        next_cursor: None,
    }))
}

/// Add a reminder rule. A second one for the same days is refused with 409 `reminder_rule_exists` and the `existing_id`.
#[utoipa::path(
    tag = "customers", operation_id = "create_reminder_rule", request_body = CreateReminderRule, security(("bearer" = [])),
    params(("Idempotency-Key" = Option<String>, Header, description = "Repeats of a request with the same key are one request")),
    responses((status = 201, body = ReminderRule), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[post("/api/reminder-rules")]
pub async fn create_reminder_rule(
    access: TenantAccess<TradeData>,
    key: IdempotencyHeader,
    body: Body<CreateReminderRule>,
) -> Result<HttpResponse, Problem> {
    let rule = access.check(body.value).await?;
    let fields = access.check(rule.check()).await?;
    let days = days_of(&fields);
    let id = ReminderRuleId::new();
    let batch = (
        rules::require_template(&fields),
        rules::insert(id, fields, access.now),
        clock::wake(access.now),
        audit::insert(&access.access, "reminder_rule.create", "reminder_rules", id),
    );
    let creation = Creation {
        operation: "create_reminder_rule",
        key,
        hash: body.hash,
        row: Some(id.as_uuid()),
    };
    let show = |(_, rule, _, _)| rule;
    match access.create(creation, batch, show, refuse_new).await {
        Ok(created) => Ok(created),
        Err(problem) => Err(access.name_rule(problem, days).await),
    }
}

/// Read a reminder rule.
#[utoipa::path(
    tag = "customers", operation_id = "get_reminder_rule", params(("id" = ReminderRuleId, Path)), security(("bearer" = [])),
    responses((status = 200, body = ReminderRule), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[get("/api/reminder-rules/{id}")]
pub async fn get_reminder_rule(
    access: TenantAccess<ReadData>,
    id: web::Path<String>,
) -> Result<web::Json<ReminderRule>, Problem> {
    let id = access.check(path_id(&id)).await?;
    let rule = access.run(rules::find(id)).await?.output;
    rule.map(web::Json).ok_or_else(Problem::not_found)
}

/// Change a reminder rule. What was decided about a due by a rule for the same days is not decided again.
#[utoipa::path(
    tag = "customers", operation_id = "update_reminder_rule", params(("id" = ReminderRuleId, Path)),
    request_body = UpdateReminderRule, security(("bearer" = [])),
    responses((status = 200, body = ReminderRule), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[patch("/api/reminder-rules/{id}")]
pub async fn update_reminder_rule(
    access: TenantAccess<TradeData>,
    id: web::Path<String>,
    body: Body<UpdateReminderRule>,
) -> Result<web::Json<ReminderRule>, Problem> {
    let id = access.check(path_id(&id)).await?;
    let update = access.check(body.value).await?;
    let (version, changes) = access.check(update.check()).await?;
    let days = days_of(&changes);
    let batch = (
        rules::lock(id, version),
        rules::update(id, changes, access.now),
        clock::wake(access.now),
        audit::insert(&access.access, "reminder_rule.update", "reminder_rules", id),
    );
    match access.run_or(batch, refuse).await {
        Ok(reply) => Ok(web::Json(reply.output.1)),
        Err(problem) => Err(access.name_rule(problem, days).await),
    }
}

/// Remove a reminder rule: nobody is reminded by it any more.
#[utoipa::path(
    tag = "customers", operation_id = "delete_reminder_rule", params(("id" = ReminderRuleId, Path)), security(("bearer" = [])),
    responses((status = 204), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[delete("/api/reminder-rules/{id}")]
pub async fn delete_reminder_rule(
    access: TenantAccess<TradeData>,
    id: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let id = access.check(path_id(&id)).await?;
    let audit = audit::insert(&access.access, "reminder_rule.delete", "reminder_rules", id);
    access
        .run((rules::lock(id, None), rules::delete(id), audit))
        .await?;
    Ok(HttpResponse::NoContent().finish())
}
