//! `/api/conversations/{id}/notes`: what people who answer write for each other. No contact ever sees it.

use actix_web::{HttpResponse, delete, get, patch, post, web};
use serde::Deserialize;

use crate::db::tenant::{audit, conversations, idempotency, notes};
use crate::domain::ids::{ConversationId, NoteId};
use crate::domain::inbox::{Note, NoteText};
use crate::domain::invalid::FieldErrors;
use crate::domain::page::{Cursor, Page};
use crate::domain::patch::Patch;
use crate::http::body::{Body, ListAll, Params, path_id};
use crate::http::create::{Creation, hash_at};
use crate::http::extract::{IdempotencyHeader, ReadData, TenantAccess, WriteData};
use crate::http::problem::{Problem, ProblemBody};

/// A note to be.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateNote {
    /// What is noted: at most 4,096 characters.
    #[schema(value_type = NoteText)]
    body: Option<String>,
}

/// Changes to a note: what is left out stays.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateNote {
    /// What is noted.
    #[serde(default)]
    #[schema(value_type = NoteText, required = false)]
    body: Patch<String>,
    /// The version that was read; what has another one since is not changed.
    version: Option<i32>,
}

impl UpdateNote {
    fn check(self) -> Result<(Option<i32>, Option<NoteText>), FieldErrors> {
        let mut errors = FieldErrors::new();
        let body = errors.check("body", self.body.parse_required(|body| NoteText::parse(&body)));
        let version = self.version;
        errors.finish(|| Some((version, body?)))
    }
}

/// List the notes about a conversation, newest first.
#[utoipa::path(
    tag = "conversations", operation_id = "list_notes", params(("id" = ConversationId, Path), ListAll),
    security(("bearer" = [])),
    responses((status = 200, body = Page<Note>), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[get("/api/conversations/{id}/notes")]
pub async fn list_notes(
    access: TenantAccess<ReadData>,
    id: web::Path<String>,
    params: Params<ListAll>,
) -> Result<web::Json<Page<Note>>, Problem> {
    let id = access.check(path_id(&id)).await?;
    let params = access.check(params.0).await?;
    let (after, limit) = access.check(params.check()).await?;
    let batch = (conversations::require(id), notes::list(id, after, limit));
    let (_, rows) = access.run(batch).await?.output;
    Ok(web::Json(Page::from_rows(rows, limit, |row| {
        Cursor::new(row.created_at, row.id)
    })))
}

/// Note something about a conversation, for those who answer: nothing is sent.
#[utoipa::path(
    tag = "conversations", operation_id = "create_note", request_body = CreateNote, security(("bearer" = [])),
    params(
        ("id" = ConversationId, Path),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeats of a request with the same key are one request")
    ),
    responses((status = 201, body = Note), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[post("/api/conversations/{id}/notes")]
pub async fn create_note(
    access: TenantAccess<WriteData>,
    conversation: web::Path<String>,
    key: IdempotencyHeader,
    body: Body<CreateNote>,
) -> Result<HttpResponse, Problem> {
    let conversation: ConversationId = access.check(path_id(&conversation)).await?;
    let note = access.check(body.value).await?;
    let mut errors = FieldErrors::new();
    let words = errors.require("body", note.body, |body| NoteText::parse(&body));
    let words = access.check(errors.finish(|| words)).await?;
    let id = NoteId::new();
    let batch = (
        conversations::lock(conversation, None),
        notes::insert(id, conversation, words, &access.access),
        conversations::tell(conversation),
        audit::insert(&access.access, "note.create", "conversation_notes", id),
    );
    let creation = Creation {
        operation: "create_note",
        key,
        hash: hash_at(conversation, body.hash),
        row: Some(id.as_uuid()),
    };
    let show = |(_, note, _, _)| note;
    access.create(creation, batch, show, |_| None).await
}

/// Change a note. An agent changes their own.
#[utoipa::path(
    tag = "conversations", operation_id = "update_note", request_body = UpdateNote, security(("bearer" = [])),
    params(("id" = ConversationId, Path), ("note_id" = NoteId, Path)),
    responses((status = 200, body = Note), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[patch("/api/conversations/{id}/notes/{note_id}")]
pub async fn update_note(
    access: TenantAccess<WriteData>,
    path: web::Path<(String, String)>,
    body: Body<UpdateNote>,
) -> Result<web::Json<Note>, Problem> {
    let (conversation, id) = path.into_inner();
    let conversation: ConversationId = access.check(path_id(&conversation)).await?;
    let id: NoteId = access.check(path_id(&id)).await?;
    let update = access.check(body.value).await?;
    let (version, words) = access.check(update.check()).await?;
    let batch = (
        notes::lock(id, conversation, version, &access.access),
        notes::update(id, words, access.now),
        conversations::tell(conversation),
        audit::insert(&access.access, "note.update", "conversation_notes", id),
    );
    Ok(web::Json(access.run(batch).await?.output.1))
}

/// Remove a note, also from the answers that are kept for repeated requests. An agent removes their own.
#[utoipa::path(
    tag = "conversations", operation_id = "delete_note", security(("bearer" = [])),
    params(("id" = ConversationId, Path), ("note_id" = NoteId, Path)),
    responses((status = 204), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[delete("/api/conversations/{id}/notes/{note_id}")]
pub async fn delete_note(
    access: TenantAccess<WriteData>,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse, Problem> {
    let (conversation, id) = path.into_inner();
    let conversation: ConversationId = access.check(path_id(&conversation)).await?;
    let id: NoteId = access.check(path_id(&id)).await?;
    let batch = (
        notes::lock(id, conversation, None, &access.access),
        (notes::delete(id), idempotency::forget(id.as_uuid())),
        conversations::tell(conversation),
        audit::insert(&access.access, "note.delete", "conversation_notes", id),
    );
    access.run(batch).await?;
    Ok(HttpResponse::NoContent().finish())
}
