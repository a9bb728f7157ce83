//! `/api/canned-replies`: words that people who answer use again and again, found by a shortcut. Everybody of the tenant has all of them.

use actix_web::{HttpResponse, delete, get, patch, post, web};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::db::tenant::{audit, canned_replies, settings};
use crate::db::{DbError, Refusal};
use crate::domain::ids::CannedReplyId;
use crate::domain::inbox::{self, CannedReply, MOST_REPLIES, Shortcut};
use crate::domain::invalid::{FieldErrors, Invalid};
use crate::domain::message_template::Filling;
use crate::domain::page::{Cursor, Page};
use crate::domain::settings::Settings;
use crate::http::body::{Body, ListSearched, Params, path_id};
use crate::http::create::Creation;
use crate::http::extract::{IdempotencyHeader, Permission, ReadData, TenantAccess, WriteData};
use crate::http::form::form;
use crate::http::problem::{Problem, ProblemBody};

const EXISTS: &str = "canned_reply_exists";

form! {
    /// A canned reply to be.
    CreateCannedReply,
    /// Changes to a canned reply: what is left out stays.
    UpdateCannedReply,
    required {
        /// What one types to have it: 1 to 40 small letters, digits, `-` and `_`. No two replies have the same.
        shortcut: String as Shortcut => Shortcut::parse(&shortcut),
        /// The words, 1 to 4,096 characters. Placeholders: `{{nome}}`, `{{primeiro_nome}}`, `{{empresa}}`. A line with one that has no
        /// value is left out.
        body: String as String => inbox::reply(&body),
    }
    default {}
    optional {}
}

/// Where a reply is to be used.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct FillFor {
    /// Filled for the contact of this conversation; with an example when left out.
    conversation_id: Option<String>,
}

/// A canned reply with its placeholders filled: to be looked at, and sent as a message.
#[derive(Serialize, utoipa::ToSchema)]
pub struct FilledReply {
    /// The words.
    body: String,
}

fn refuse(error: &DbError) -> Option<Problem> {
    if error.refusal() == Some(Refusal::LimitReached) {
        let most = format!("There are {MOST_REPLIES} canned replies, as many as there may be.");
        return Some(Problem::conflict("too_many_canned_replies", most));
    }
    error
        .is_constraint("canned_replies_shortcut_key")
        .then(|| Problem::conflict(EXISTS, "There is a reply with this shortcut: see `existing_id`."))
}

impl<P: Permission> TenantAccess<P> {
    /// Says which reply is there when that is why a request was refused.
    async fn name_reply(&self, problem: Problem, shortcut: Option<String>) -> Problem {
        let Some(shortcut) = shortcut.filter(|_| problem.code() == EXISTS) else {
            return problem;
        };
        match self.run(canned_replies::find_by_shortcut(shortcut)).await {
            Ok(reply) => match reply.output {
                Some(id) => problem.naming(id),
                // Removed a moment ago.
                None => problem,
            },
            Err(failure) => failure,
        }
    }
}

fn shortcut_of(fields: &Map<String, Value>) -> Option<String> {
    fields.get("shortcut")?.as_str().map(str::to_owned)
}

/// List canned replies, newest first.
#[utoipa::path(
    tag = "canned replies", operation_id = "list_canned_replies", params(ListSearched), security(("bearer" = [])),
    responses((status = 200, body = Page<CannedReply>), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[get("/api/canned-replies")]
pub async fn list_canned_replies(
    access: TenantAccess<ReadData>,
    params: Params<ListSearched>,
) -> Result<web::Json<Page<CannedReply>>, Problem> {
    let params = access.check(params.0).await?;
    let (text, after, limit) = access.check(params.check()).await?;
    let rows = access.run(canned_replies::list(text, after, limit)).await?.output;
    Ok(web::Json(Page::from_rows(rows, limit, |row| {
        Cursor::new(row.created_at, row.id)
    })))
}

/// Add a canned reply. A shortcut that is taken is refused with 409 `canned_reply_exists` and the `existing_id`.
#[utoipa::path(
    tag = "canned replies", operation_id = "create_canned_reply", request_body = CreateCannedReply, security(("bearer" = [])),
    params(("Idempotency-Key" = Option<String>, Header, description = "Repeats of a request with the same key are one request")),
    responses((status = 201, body = CannedReply), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[post("/api/canned-replies")]
pub async fn create_canned_reply(
    access: TenantAccess<WriteData>,
    key: IdempotencyHeader,
    body: Body<CreateCannedReply>,
) -> Result<HttpResponse, Problem> {
    let reply = access.check(body.value).await?;
    let fields = access.check(reply.check()).await?;
    let shortcut = shortcut_of(&fields);
    let id = CannedReplyId::new();
    let batch = (
        canned_replies::room(),
        canned_replies::insert(id, fields, access.now),
        audit::insert(&access.access, "canned_reply.create", "canned_replies", id),
    );
    let creation = Creation {
        operation: "create_canned_reply",
        key,
        hash: body.hash,
        row: Some(id.as_uuid()),
    };
    let show = |(_, reply, _)| reply;
    match access.create(creation, batch, show, refuse).await {
        Ok(created) => Ok(created),
        Err(problem) => Err(access.name_reply(problem, shortcut).await),
    }
}

/// Read a canned reply.
#[utoipa::path(
    tag = "canned replies", operation_id = "get_canned_reply", params(("id" = CannedReplyId, Path)), security(("bearer" = [])),
    responses((status = 200, body = CannedReply), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[get("/api/canned-replies/{id}")]
pub async fn get_canned_reply(
    access: TenantAccess<ReadData>,
    id: web::Path<String>,
) -> Result<web::Json<CannedReply>, Problem> {
    let id = access.check(path_id(&id)).await?;
    let reply = access.run(canned_replies::find(id)).await?.output;
    reply.map(web::Json).ok_or_else(Problem::not_found)
}

/// Show a canned reply with its placeholders filled, as the contact of a conversation would read it. Nothing is sent.
#[utoipa::path(
    tag = "canned replies", operation_id = "fill_canned_reply", params(("id" = CannedReplyId, Path), FillFor),
    security(("bearer" = [])),
    responses((status = 200, body = FilledReply), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[get("/api/canned-replies/{id}/filled")]
pub async fn fill_canned_reply(
    access: TenantAccess<ReadData>,
    id: web::Path<String>,
    params: Params<FillFor>,
) -> Result<web::Json<FilledReply>, Problem> {
    let id = access.check(path_id(&id)).await?;
    let params = access.check(params.0).await?;
    let mut errors = FieldErrors::new();
    let conversation = errors.check_opt("conversation_id", params.conversation_id, |id| id.parse());
    let conversation = access.check(errors.finish(|| Some(conversation))).await?;
    let batch = (
        canned_replies::find(id),
        conversation.map(canned_replies::find_name),
        settings::find_all(),
    );
    let (reply, name, stored) = access.run(batch).await?.output;
    let reply = reply.ok_or_else(Problem::not_found)?;
    let settings = Settings::of(&access.tenant.name, &stored.values);
    let today = settings.today(access.now);
    let mut filling = Filling::example(settings.company_name, today);
    if let Some(name) = name {
        let unknown = || Invalid::new("unknown_value", "does not exist");
        filling.name = name.ok_or_else(|| Problem::invalid_field("conversation_id", unknown()))?;
    }
    Ok(web::Json(FilledReply {
        body: filling.fill(&reply.body),
    }))
}

/// Change a canned reply.
#[utoipa::path(
    tag = "canned replies", operation_id = "update_canned_reply", params(("id" = CannedReplyId, Path)),
    request_body = UpdateCannedReply, security(("bearer" = [])),
    responses((status = 200, body = CannedReply), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[patch("/api/canned-replies/{id}")]
pub async fn update_canned_reply(
    access: TenantAccess<WriteData>,
    id: web::Path<String>,
    body: Body<UpdateCannedReply>,
) -> Result<web::Json<CannedReply>, Problem> {
    let id = access.check(path_id(&id)).await?;
    let update = access.check(body.value).await?;
    let (version, changes) = access.check(update.check()).await?;
    let shortcut = shortcut_of(&changes);
    let batch = (
        canned_replies::lock(id, version),
        canned_replies::update(id, changes, access.now),
        audit::insert(&access.access, "canned_reply.update", "canned_replies", id),
    );
    match access.run_or(batch, refuse).await {
        Ok(reply) => Ok(web::Json(reply.output.1)),
        Err(problem) => Err(access.name_reply(problem, shortcut).await),
    }
}

/// Remove a canned reply.
#[utoipa::path(
    tag = "canned replies", operation_id = "delete_canned_reply", params(("id" = CannedReplyId, Path)), security(("bearer" = [])),
    responses((status = 204), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[delete("/api/canned-replies/{id}")]
pub async fn delete_canned_reply(
    access: TenantAccess<WriteData>,
    id: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let id = access.check(path_id(&id)).await?;
    let audit = audit::insert(&access.access, "canned_reply.delete", "canned_replies", id);
    access
        .run((canned_replies::lock(id, None), canned_replies::delete(id), audit))
        .await?;
    Ok(HttpResponse::NoContent().finish())
}
