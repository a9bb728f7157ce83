//! `/api/conversations`: the inbox. What is said in a conversation is in [`super::messages`].

use actix_web::{HttpResponse, delete, get, patch, post, web};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::db::tenant::conversations::{self, ConversationFilter, NewConversation};
use crate::db::tenant::{Query, audit, message_files, notifications, outbox};
use crate::db::{DbError, Refusal};
use crate::domain::conversation::{Channel, Conversation, ConversationStatus, Label};
use crate::domain::ids::{ContactId, ConversationId, UserId};
use crate::domain::invalid::{FieldErrors, Invalid};
use crate::domain::page::{Cursor, Limit, Page};
use crate::domain::patch::Patch;
use crate::http::body::{Body, Params, flag, instant, paging, path_id, search_people};
use crate::http::create::Creation;
use crate::http::extract::{IdempotencyHeader, ReadData, TenantAccess, WriteData};
use crate::http::form::Changes;
use crate::http::problem::{Problem, ProblemBody};

const EXISTS: &str = "conversation_exists";

/// A conversation to be begun.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateConversation {
    /// With whom.
    #[schema(value_type = ContactId)]
    contact_id: Option<String>,
    /// `whatsapp_web` when left out.
    #[schema(value_type = Option<Channel>)]
    channel: Option<String>,
    /// Who looks after it.
    #[schema(value_type = Option<UserId>)]
    assigned_to: Option<String>,
    /// Words by which it is sorted: at most 20.
    #[schema(value_type = Option<Vec<Label>>)]
    labels: Option<Vec<String>>,
}

impl CreateConversation {
    fn check(self) -> Result<NewConversation, FieldErrors> {
        let mut errors = FieldErrors::new();
        let contact = errors.require("contact_id", self.contact_id, |id| id.parse());
        let channel = match self.channel {
            None => Some(Channel::WhatsappWeb),
            Some(channel) => errors.check("channel", Channel::parse(&channel)),
        };
        let assigned_to = errors.check_opt("assigned_to", self.assigned_to, |id| id.parse());
        let labels = errors.check_opt("labels", self.labels, |labels| Label::parse_all(&labels));
        errors.finish(|| {
            Some(NewConversation {
                contact: contact?,
                channel: channel?.as_str(),
                assigned_to,
                labels: labels.unwrap_or_default().into_iter().map(String::from).collect(),
            })
        })
    }
}

/// Changes to a conversation: what is left out stays, `null` empties.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateConversation {
    /// Where it stands.
    #[serde(default)]
    #[schema(value_type = ConversationStatus, required = false)]
    status: Patch<String>,
    /// Who looks after it.
    #[serde(default)]
    #[schema(value_type = Option<UserId>)]
    assigned_to: Patch<String>,
    /// Words by which it is sorted, instead of those it has: at most 20.
    #[serde(default)]
    #[schema(value_type = Vec<Label>, required = false)]
    labels: Patch<Vec<String>>,
    /// Out of sight until then.
    #[serde(default)]
    #[schema(value_type = Option<DateTime<Utc>>)]
    snoozed_until: Patch<String>,
    /// The bot is silent until then; empty: it may speak.
    #[serde(default)]
    #[schema(value_type = Option<DateTime<Utc>>)]
    bot_paused_until: Patch<String>,
    /// The version that was read; what has another one since is not changed.
    version: Option<i32>,
}

impl UpdateConversation {
    fn check(self) -> Result<(Option<i32>, Map<String, Value>), FieldErrors> {
        let mut form = Changes::default();
        form.required("status", self.status, |status| ConversationStatus::parse(&status));
        form.optional("assigned_to", self.assigned_to, |id| id.parse::<UserId>());
        form.required("labels", self.labels, |labels| Label::parse_all(&labels));
        form.optional("snoozed_until", self.snoozed_until, |at| instant(&at));
        form.optional("bot_paused_until", self.bot_paused_until, |at| instant(&at));
        Ok((self.version, form.finish()?))
    }
}

/// Narrows the list.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListConversations {
    /// In this state.
    #[param(value_type = Option<ConversationStatus>)]
    status: Option<String>,
    /// On this channel.
    #[param(value_type = Option<Channel>)]
    channel: Option<String>,
    /// Looked after by this user, or `none`: by nobody.
    assigned_to: Option<String>,
    /// With messages that nobody has seen, or without.
    #[param(value_type = Option<bool>)]
    unread: Option<String>,
    /// Put off until later, or not.
    #[param(value_type = Option<bool>)]
    snoozed: Option<String>,
    /// With this label.
    label: Option<String>,
    /// With this contact.
    contact_id: Option<String>,
    /// With a contact who has these words in name, e-mail, phone or notes; the last word may be a beginning.
    q: Option<String>,
    /// 1 to 200; 50 when left out.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 200)]
    limit: Option<String>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

impl ListConversations {
    fn check(self) -> Result<(ConversationFilter, Option<Cursor>, Limit), FieldErrors> {
        let mut errors = FieldErrors::new();
        let unassigned = self.assigned_to.as_deref() == Some("none");
        let assigned_to = self.assigned_to.filter(|_| !unassigned);
        let filter = ConversationFilter {
            status: errors
                .check_opt("status", self.status, |status| ConversationStatus::parse(&status))
                .map(ConversationStatus::as_str),
            channel: errors
                .check_opt("channel", self.channel, |channel| Channel::parse(&channel))
                .map(Channel::as_str),
            assigned_to: errors.check_opt("assigned_to", assigned_to, |id| id.parse()),
            unassigned,
            unread: errors.check_opt("unread", self.unread, |unread| flag(&unread)),
            snoozed: errors.check_opt("snoozed", self.snoozed, |snoozed| flag(&snoozed)),
            label: errors
                .check_opt("label", self.label, |label| Label::parse(&label))
                .map(String::from),
            contact: errors.check_opt("contact_id", self.contact_id, |id| id.parse()),
            text: errors.check_opt("q", self.q, |q| search_people(&q)),
        };
        let (limit, cursor) = paging(&mut errors, self.limit, self.cursor);
        errors.finish(|| Some((filter, cursor, limit)))
    }
}

/// What does not exist is a field error, not a failure.
fn refuse(error: &DbError) -> Option<Problem> {
    let unknown = |field| {
        Some(Problem::invalid_field(
            field,
            Invalid::new("unknown_value", "does not exist"),
        ))
    };
    match error {
        DbError::Constraint(name) if name == "conversations_contact_id_fkey" => unknown("contact_id"),
        DbError::Constraint(name) if name == "conversations_assigned_to_fkey" => unknown("assigned_to"),
        _ => None,
    }
}

fn refuse_creation(error: &DbError) -> Option<Problem> {
    let second = error.is_constraint("conversations_contact_id_channel_instance_id_external_id_key")
        || error.refusal() == Some(Refusal::Stale);
    if second {
        return Some(Problem::conflict(
            EXISTS,
            "There is a conversation with this contact on this channel: see `existing_id`.",
        ));
    }
    refuse(error)
}

/// List conversations, latest word first.
#[utoipa::path(
    tag = "conversations", operation_id = "list_conversations", params(ListConversations), security(("bearer" = [])),
    responses((status = 200, body = Page<Conversation>), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[get("/api/conversations")]
pub async fn list_conversations(
    access: TenantAccess<ReadData>,
    params: Params<ListConversations>,
) -> Result<web::Json<Page<Conversation>>, Problem> {
    let params = access.check(params.0).await?;
    let (filter, after, limit) = access.check(params.check()).await?;
    let list = conversations::list(filter, access.now, after, limit);
    let rows = access.run(list).await?.output;
    Ok(web::Json(Page::from_rows(rows, limit, |row| {
        Cursor::new(row.last_message_at, row.id)
    })))
}

/// Begin a conversation. When there is one with the contact on the channel: 409 `conversation_exists`, with its
/// `existing_id`.
#[utoipa::path(
    tag = "conversations", operation_id = "create_conversation", request_body = CreateConversation,
    security(("bearer" = [])),
    params(("Idempotency-Key" = Option<String>, Header, description = "Repeats of a request with the same key are one request")),
    responses((status = 201, body = Conversation), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[post("/api/conversations")]
pub async fn create_conversation(
    access: TenantAccess<WriteData>,
    key: IdempotencyHeader,
    body: Body<CreateConversation>,
) -> Result<HttpResponse, Problem> {
    let new = access.check(body.value).await?;
    let new = access.check(new.check()).await?;
    let (contact, channel) = (new.contact, new.channel);
    let id = ConversationId::new();
    let batch = (
        conversations::refuse_second(contact, channel),
        conversations::insert(id, new, access.now),
        (notifications::begun(id, &access.access), conversations::tell(id)),
        audit::insert(&access.access, "conversation.create", "conversations", id),
    );
    let creation = Creation {
        operation: "create_conversation",
        key,
        hash: body.hash,
        row: Some(id.as_uuid()),
    };
    let show = |(_, conversation, _, _)| conversation;
    match access.create(creation, batch, show, refuse_creation).await {
        Err(problem) if problem.code() == EXISTS => {
            let existing = access
                .run(conversations::find_with(contact, channel))
                .await?
                .output;
            Err(match existing {
                Some(id) => problem.naming(id),
                // Removed a moment ago.
                None => problem,
            })
        }
        answer => answer,
    }
}

/// Read a conversation.
#[utoipa::path(
    tag = "conversations", operation_id = "get_conversation", params(("id" = ConversationId, Path)),
    security(("bearer" = [])),
    responses((status = 200, body = Conversation), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[get("/api/conversations/{id}")]
pub async fn get_conversation(
    access: TenantAccess<ReadData>,
    id: web::Path<String>,
) -> Result<web::Json<Conversation>, Problem> {
    let id = access.check(path_id(&id)).await?;
    let conversation = access.run(conversations::find(id)).await?.output;
    conversation.map(web::Json).ok_or_else(Problem::not_found)
}

/// Assign, close, label, put off a conversation, or silence its bot.
#[utoipa::path(
    tag = "conversations", operation_id = "update_conversation", params(("id" = ConversationId, Path)),
    request_body = UpdateConversation, security(("bearer" = [])),
    responses((status = 200, body = Conversation), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[patch("/api/conversations/{id}")]
pub async fn update_conversation(
    access: TenantAccess<WriteData>,
    id: web::Path<String>,
    body: Body<UpdateConversation>,
) -> Result<web::Json<Conversation>, Problem> {
    let id = access.check(path_id(&id)).await?;
    let update = access.check(body.value).await?;
    let (version, changes) = access.check(update.check()).await?;
    let batch = (
        conversations::lock(id, version),
        notifications::assigned(id, &changes, &access.access),
        conversations::update(id, changes, access.now),
        conversations::tell(id),
        audit::insert(&access.access, "conversation.update", "conversations", id),
    );
    let (_, _, conversation, _, _) = access.run_or(batch, refuse).await?.output;
    Ok(web::Json(conversation))
}

async fn changed(
    access: &TenantAccess<WriteData>,
    id: ConversationId,
    action: &'static str,
    change: Query<Conversation>,
) -> Result<web::Json<Conversation>, Problem> {
    let batch = (
        conversations::lock(id, None),
        change,
        conversations::tell(id),
        audit::insert(&access.access, action, "conversations", id),
    );
    let (_, conversation, _, _) = access.run(batch).await?.output;
    Ok(web::Json(conversation))
}

/// Note that all messages of a conversation have been seen.
#[utoipa::path(
    tag = "conversations", operation_id = "read_conversation", params(("id" = ConversationId, Path)),
    security(("bearer" = [])),
    responses((status = 200, body = Conversation), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[post("/api/conversations/{id}/read")]
pub async fn read_conversation(
    access: TenantAccess<WriteData>,
    id: web::Path<String>,
) -> Result<web::Json<Conversation>, Problem> {
    let id = access.check(path_id(&id)).await?;
    changed(&access, id, "conversation.read", conversations::mark_read(id)).await
}

/// Hand a conversation back to its bot: it may speak again, and nobody looks after it. What was said meanwhile it does not answer.
#[utoipa::path(
    tag = "conversations", operation_id = "hand_back_conversation", params(("id" = ConversationId, Path)),
    security(("bearer" = [])),
    responses((status = 200, body = Conversation), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[post("/api/conversations/{id}/hand-back")]
pub async fn hand_back_conversation(
    access: TenantAccess<WriteData>,
    id: web::Path<String>,
) -> Result<web::Json<Conversation>, Problem> {
    let id = access.check(path_id(&id)).await?;
    changed(
        &access,
        id,
        "conversation.hand_back",
        conversations::hand_back(id, access.now),
    )
    .await
}

/// Remove a conversation and its messages; those that wait to be sent are not sent.
#[utoipa::path(
    tag = "conversations", operation_id = "delete_conversation", params(("id" = ConversationId, Path)),
    security(("bearer" = [])),
    responses((status = 204), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[delete("/api/conversations/{id}")]
pub async fn delete_conversation(
    access: TenantAccess<WriteData>,
    id: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let id = access.check(path_id(&id)).await?;
    let batch = (
        conversations::lock(id, None),
        message_files::lock_of_conversation(id),
        outbox::cancel_messages(id, access.now),
        conversations::delete(id),
        audit::insert(&access.access, "conversation.delete", "conversations", id),
    );
    let (_, files, _, _, _) = access.run(batch).await?.output;
    let tenant = access.tenant.home.id;
    access.platform().channels.media.remove(tenant, &files).await;
    Ok(HttpResponse::NoContent().finish())
}
