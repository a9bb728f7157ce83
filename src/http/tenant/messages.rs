//! `/api/conversations/{id}/messages`: what was said, and saying something.
//!
//! Nothing is sent here: a message is stored with its line in the outbox, in one transaction, and the channel of its
//! conversation sends it after that.

use actix_web::{HttpResponse, get, post, web};
use serde::Deserialize;

use crate::db::tenant::{audit, conversations, messages, outbox};
use crate::db::{DbError, Refusal};
use crate::domain::conversation::BOT_PAUSE;
use crate::domain::ids::{ConversationId, MessageId};
use crate::domain::invalid::FieldErrors;
use crate::domain::message::{Message, MessageText};
use crate::domain::page::{Cursor, Page};
use crate::http::body::{Body, ListAll, Params, path_id};
use crate::http::create::{Creation, hash_at};
use crate::http::extract::{IdempotencyHeader, ReadData, TenantAccess, WriteData};
use crate::http::problem::{Problem, ProblemBody};

/// A message to be sent.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateMessage {
    /// Its words: at most 4,096 characters.
    #[schema(value_type = MessageText)]
    body: Option<String>,
}

impl CreateMessage {
    fn check(self) -> Result<MessageText, FieldErrors> {
        let mut errors = FieldErrors::new();
        let body = errors.require("body", self.body, |body| MessageText::parse(&body));
        errors.finish(|| body)
    }
}

/// List the messages of a conversation, newest first.
#[utoipa::path(
    tag = "conversations", operation_id = "list_messages", params(("id" = ConversationId, Path), ListAll),
    security(("bearer" = [])),
    responses((status = 200, body = Page<Message>), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[get("/api/conversations/{id}/messages")]
pub async fn list_messages(
    access: TenantAccess<ReadData>,
    id: web::Path<String>,
    params: Params<ListAll>,
) -> Result<web::Json<Page<Message>>, Problem> {
    let id = access.check(path_id(&id)).await?;
    let params = access.check(params.0).await?;
    let (after, limit) = access.check(params.check()).await?;
    let batch = (conversations::require(id), messages::list(id, after, limit));
    let (_, rows) = access.run(batch).await?.output;
    Ok(web::Json(Page::from_rows(rows, limit, |row| {
        Cursor::new(row.created_at, row.id)
    })))
}

/// Say something in a conversation. The message is `queued` until its channel has sent it. When a user says it, the bot
/// is silent for twelve hours.
#[utoipa::path(
    tag = "conversations", operation_id = "create_message", request_body = CreateMessage, security(("bearer" = [])),
    params(
        ("id" = ConversationId, Path),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeats of a request with the same key are one request")
    ),
    responses((status = 201, body = Message), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[post("/api/conversations/{id}/messages")]
pub async fn create_message(
    access: TenantAccess<WriteData>,
    conversation: web::Path<String>,
    key: IdempotencyHeader,
    body: Body<CreateMessage>,
) -> Result<HttpResponse, Problem> {
    let conversation: ConversationId = access.check(path_id(&conversation)).await?;
    let message = access.check(body.value).await?;
    let words = access.check(message.check()).await?;
    let id = MessageId::new();
    let bot_paused_until = access.access.session().map(|_| access.now + BOT_PAUSE);
    let batch = (
        conversations::lock(conversation, None),
        messages::insert_outbound(id, conversation, words, &access.access),
        conversations::note_outbound(conversation, access.now, bot_paused_until),
        outbox::insert_message(id, conversation, access.now),
        audit::insert(&access.access, "message.create", "messages", id),
    );
    let creation = Creation {
        operation: "create_message",
        key,
        hash: hash_at(conversation, body.hash),
        row: Some(id.as_uuid()),
    };
    let show = |(_, message, _, _, _)| message;
    access.create(creation, batch, show, |_| None).await
}

/// Say again what could not be sent: a new message with the same content. One that has not failed is refused with 409 `wrong_state`.
#[utoipa::path(
    tag = "conversations", operation_id = "resend_message", security(("bearer" = [])),
    params(
        ("id" = ConversationId, Path), ("message_id" = MessageId, Path),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeats of a request with the same key are one request")
    ),
    responses((status = 201, body = Message), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[post("/api/conversations/{id}/messages/{message_id}/resend")]
pub async fn resend_message(
    access: TenantAccess<WriteData>,
    path: web::Path<(String, String)>,
    key: IdempotencyHeader,
) -> Result<HttpResponse, Problem> {
    let (conversation, failed) = path.into_inner();
    let conversation: ConversationId = access.check(path_id(&conversation)).await?;
    let failed: MessageId = access.check(path_id(&failed)).await?;
    let id = MessageId::new();
    let batch = (
        conversations::lock(conversation, None),
        messages::require_failed(failed, conversation),
        messages::insert_again(id, failed, &access.access),
        outbox::insert_message(id, conversation, access.now),
        audit::insert(&access.access, "message.resend", "messages", id),
    );
    let creation = Creation {
        operation: "resend_message",
        key,
        hash: hash_at(failed, [0; 32]),
        row: Some(id.as_uuid()),
    };
    let show = |(_, _, message, _, _)| message;
    access.create(creation, batch, show, refuse_resend).await
}

fn refuse_resend(error: &DbError) -> Option<Problem> {
    let wrong = error.refusal() == Some(Refusal::State);
    wrong.then(|| Problem::conflict("wrong_state", "Only a message that has failed is sent again."))
}
