//! `/api/lead-stages`: the stages that leads go through, and their order. Everybody sees them; owners and managers
//! change them.

use actix_web::{HttpResponse, delete, get, patch, post, web};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::db::tenant::{audit, lead_stages};
use crate::db::{DbError, Refusal};
use crate::domain::invalid::FieldErrors;
use crate::domain::lead::Stage;
use crate::domain::lead_stage::{LeadStage, MOST_STAGES, StagePosition};
use crate::domain::page::Page;
use crate::domain::patch::Patch;
use crate::domain::text::line;
use crate::http::body::{Body, path_id};
use crate::http::create::Creation;
use crate::http::extract::{IdempotencyHeader, ManageTenant, ReadData, TenantAccess};
use crate::http::form::Changes;
use crate::http::problem::{Problem, ProblemBody};

const NAME_MAX: usize = 100;

/// A stage to be.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateLeadStage {
    /// In Portuguese: at most 100 characters.
    #[schema(value_type = String)]
    name_pt: Option<String>,
    /// In English; the Portuguese one when left out.
    name_en: Option<String>,
    /// By which leads name it; made of the Portuguese name when left out.
    #[schema(value_type = Option<Stage>)]
    code: Option<String>,
}

impl CreateLeadStage {
    fn check(self) -> Result<(Stage, String, String), FieldErrors> {
        let mut errors = FieldErrors::new();
        let name_pt = errors.require("name_pt", self.name_pt, |name| line(&name, NAME_MAX));
        let name_en = errors.check_opt("name_en", self.name_en, |name| line(&name, NAME_MAX));
        let code = errors.check_opt("code", self.code, |code| Stage::parse(&code));
        errors.finish(|| {
            let name_pt = name_pt?;
            Some((
                code.unwrap_or_else(|| Stage::of_name(&name_pt)),
                name_pt.clone(),
                name_en.unwrap_or(name_pt),
            ))
        })
    }
}

/// Changes to a stage: what is left out stays.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateLeadStage {
    /// In Portuguese: at most 100 characters.
    #[serde(default)]
    #[schema(value_type = String, required = false)]
    name_pt: Patch<String>,
    /// In English: at most 100 characters.
    #[serde(default)]
    #[schema(value_type = String, required = false)]
    name_en: Patch<String>,
    /// The place where it shall be, from 1; the others make room.
    #[serde(default)]
    #[schema(value_type = StagePosition, required = false)]
    position: Patch<i64>,
}

impl UpdateLeadStage {
    fn check(self) -> Result<(Map<String, Value>, Option<StagePosition>), FieldErrors> {
        let mut form = Changes::default();
        let mut position = None;
        form.required("name_pt", self.name_pt, |name| line(&name, NAME_MAX));
        form.required("name_en", self.name_en, |name| line(&name, NAME_MAX));
        form.required("position", self.position, |place| {
            position = Some(StagePosition::parse(place)?);
            Ok(position)
        });
        Ok((form.finish()?, position))
    }
}

fn refuse(error: &DbError) -> Option<Problem> {
    match error {
        DbError::Constraint(name) if name == "lead_stages_pkey" => Some(Problem::conflict(
            "stage_exists",
            "Another stage has this code: choose one in `code`.",
        )),
        DbError::Constraint(name) if name == "leads_stage_fkey" => Some(Problem::conflict(
            "stage_in_use",
            "Some leads are in this stage: move them to another one first.",
        )),
        DbError::Refused(Refusal::Stale) => Some(Problem::conflict(
            "too_many_stages",
            format!("There may be {MOST_STAGES} stages: remove some first."),
        )),
        _ => None,
    }
}

/// List the stages of the sales funnel, in their order. They are few: there is one page.
#[utoipa::path(
    tag = "leads", operation_id = "list_lead_stages", security(("bearer" = [])),
    responses((status = 200, body = Page<LeadStage>), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[get("/api/lead-stages")]
pub async fn list_lead_stages(access: TenantAccess<ReadData>) -> Result<web::Json<Page<LeadStage>>, Problem> {
    let items = access.run(lead_stages::list()).await?.output;
    Ok(web::Json(Page {
        items,
        next_cursor: None,
    }))
}

/// Add a stage behind the others.
#[utoipa::path(
    tag = "leads", operation_id = "create_lead_stage", request_body = CreateLeadStage, security(("bearer" = [])),
    params(("Idempotency-Key" = Option<String>, Header, description = "Repeats of a request with the same key are one request")),
    responses((status = 201, body = LeadStage), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[post("/api/lead-stages")]
pub async fn create_lead_stage(
    access: TenantAccess<ManageTenant>,
    key: IdempotencyHeader,
    body: Body<CreateLeadStage>,
) -> Result<HttpResponse, Problem> {
    let stage = access.check(body.value).await?;
    let (code, name_pt, name_en) = access.check(stage.check()).await?;
    let batch = (
        lead_stages::room(),
        lead_stages::insert(&code, name_pt, name_en),
        audit::insert(&access.access, "lead_stage.create", "lead_stages", &code),
    );
    let creation = Creation {
        operation: "create_lead_stage",
        key,
        hash: body.hash,
        row: None,
    };
    access
        .create(creation, batch, |(_, stage, _)| stage, refuse)
        .await
}

/// Rename a stage, or put it at another place; the others make room.
#[utoipa::path(
    tag = "leads", operation_id = "update_lead_stage", params(("code" = Stage, Path)), request_body = UpdateLeadStage,
    security(("bearer" = [])),
    responses((status = 200, body = LeadStage), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[patch("/api/lead-stages/{code}")]
pub async fn update_lead_stage(
    access: TenantAccess<ManageTenant>,
    code: web::Path<String>,
    body: Body<UpdateLeadStage>,
) -> Result<web::Json<LeadStage>, Problem> {
    let code: Stage = access.check(path_id(&code)).await?;
    let update = access.check(body.value).await?;
    let (changes, position) = access.check(update.check()).await?;
    let batch = (
        lead_stages::lock(&code),
        lead_stages::rename(&code, changes),
        position.map(|position| lead_stages::place(&code, position)),
        lead_stages::find(&code),
        audit::insert(&access.access, "lead_stage.update", "lead_stages", &code),
    );
    let (_, _, _, stage, _) = access.run(batch).await?.output;
    Ok(web::Json(stage))
}

/// Remove a stage in which no lead is. The one in which leads begin stays.
#[utoipa::path(
    tag = "leads", operation_id = "delete_lead_stage", params(("code" = Stage, Path)), security(("bearer" = [])),
    responses((status = 204), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[delete("/api/lead-stages/{code}")]
pub async fn delete_lead_stage(
    access: TenantAccess<ManageTenant>,
    code: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let code: Stage = access.check(path_id(&code)).await?;
    let stays = (code == Stage::first()).then(|| {
        Problem::conflict(
            "first_stage",
            "Leads begin in this stage: it can be renamed, not removed.",
        )
    });
    access.check(stays.map_or(Ok(()), Err)).await?;
    let audit = audit::insert(&access.access, "lead_stage.delete", "lead_stages", &code);
    access
        .run_or(
            (lead_stages::lock(&code), lead_stages::delete(&code), audit),
            refuse,
        )
        .await?;
    Ok(HttpResponse::NoContent().finish())
}
