//! `/api/scheduled-messages`: what is said later, once or again and again. It is said by the clock of each tenant (`schedules`), in the
//! transaction that moves it on.

use actix_web::{HttpResponse, delete, get, patch, post, web};
use serde::Deserialize;

use super::customers::unknown;
use super::schedule_forms::{CreateScheduledMessage, Place, UpdateScheduledMessage};
use crate::db::tenant::schedules::messages::{self, Planned};
use crate::db::tenant::{audit, schedules};
use crate::db::{DbError, Refusal};
use crate::domain::ids::{ConversationId, ScheduledMessageId};
use crate::domain::invalid::{FieldErrors, Invalid};
use crate::domain::page::{Cursor, Limit, Page};
use crate::domain::scheduled_message::{ScheduleState, ScheduledMessage};
use crate::http::body::{Body, Params, paging, path_id};
use crate::http::create::Creation;
use crate::http::extract::{IdempotencyHeader, ReadData, TenantAccess, WriteData};
use crate::http::problem::{Problem, ProblemBody};

const SCHEDULED: &str = ScheduleState::Scheduled.as_str();
const CANCELED: &str = ScheduleState::Canceled.as_str();

/// Narrows the list.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListScheduledMessages {
    /// In this state.
    #[param(value_type = Option<ScheduleState>)]
    state: Option<String>,
    /// In this conversation.
    conversation_id: Option<String>,
    /// 1 to 200; 50 when left out.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 200)]
    limit: Option<String>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

type Filter = (
    Option<&'static str>,
    Option<ConversationId>,
    Option<Cursor>,
    Limit,
);

impl ListScheduledMessages {
    fn check(self) -> Result<Filter, FieldErrors> {
        let mut errors = FieldErrors::new();
        let state = errors.check_opt("state", self.state, |state| ScheduleState::parse(&state));
        let conversation = errors.check_opt("conversation_id", self.conversation_id, |id| id.parse());
        let (limit, cursor) = paging(&mut errors, self.limit, self.cursor);
        errors.finish(|| Some((state.map(ScheduleState::as_str), conversation, cursor, limit)))
    }
}

fn refuse(error: &DbError) -> Option<Problem> {
    if error.refusal() == Some(Refusal::State) {
        return Some(wrong_state());
    }
    let gone = error.is_constraint("scheduled_messages_conversation_id_fkey");
    gone.then(|| unknown("conversation_id"))
}

fn wrong_state() -> Problem {
    let told = "It was said, or was taken back: plan another one.";
    Problem::conflict("wrong_state", told)
}

/// List messages that are said later, newest first; those that were said, too.
#[utoipa::path(
    tag = "conversations", operation_id = "list_scheduled_messages", params(ListScheduledMessages), security(("bearer" = [])),
    responses((status = 200, body = Page<ScheduledMessage>), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[get("/api/scheduled-messages")]
pub async fn list_scheduled_messages(
    access: TenantAccess<ReadData>,
    params: Params<ListScheduledMessages>,
) -> Result<web::Json<Page<ScheduledMessage>>, Problem> {
    let params = access.check(params.0).await?;
    let (state, conversation, after, limit) = access.check(params.check()).await?;
    let list = messages::list(state, conversation, after, limit);
    let rows = access.run(list).await?.output;
    Ok(web::Json(Page::from_rows(rows, limit, |row| {
        Cursor::new(row.created_at, row.id)
    })))
}

/// Plan a message: once, or again and again. Of what is missed while the service is away the last moment is said, once. What is due while
/// the subscription is not active, or while no bot holds the conversation, is not said: `last_reason` tells why.
#[utoipa::path(
    tag = "conversations", operation_id = "create_scheduled_message", request_body = CreateScheduledMessage, security(("bearer" = [])),
    params(("Idempotency-Key" = Option<String>, Header, description = "Repeats of a request with the same key are one request")),
    responses((status = 201, body = ScheduledMessage), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[post("/api/scheduled-messages")]
pub async fn create_scheduled_message(
    access: TenantAccess<WriteData>,
    key: IdempotencyHeader,
    body: Body<CreateScheduledMessage>,
) -> Result<HttpResponse, Problem> {
    let form = access.check(body.value).await?;
    let (place, words, variables, timing) = access.check(form.check()).await?;
    let id = ScheduledMessageId::new();
    let creation = Creation {
        operation: "create_scheduled_message",
        key,
        hash: body.hash,
        row: Some(id.as_uuid()),
    };
    let find = match place {
        Place::Conversation(_) => None,
        Place::With(contact, instance) => Some(messages::find_conversation(contact, instance)),
    };
    let (answered, reply) = access.answered(&creation, (words.find(), find)).await?;
    if let Some(answered) = answered {
        return Ok(answered);
    }
    let (template, held) = reply.output;
    let conversation = match place {
        Place::Conversation(conversation) => conversation,
        Place::With(..) => held.flatten().ok_or_else(|| {
            let none = Invalid::new("no_conversation", "has not written to this bot");
            Problem::invalid_field("contact_id", none)
        })?,
    };
    let body = words.text(template)?;
    variables.check_for(&body)?;
    let next_at = timing.first(access.now)?;
    let planned = Planned {
        body,
        variables,
        time_zone: timing.time_zone.into(),
        recurrence: timing.recurrence,
        next_at,
    };
    let batch = (
        messages::insert(id, conversation, planned, &access.access),
        schedules::wake(next_at, access.now),
        audit::insert(
            &access.access,
            "scheduled_message.create",
            "scheduled_messages",
            id,
        ),
    );
    access
        .create(creation, batch, |(scheduled, _, _)| scheduled, refuse)
        .await
}

/// Read a message that is said later.
#[utoipa::path(
    tag = "conversations", operation_id = "get_scheduled_message", params(("id" = ScheduledMessageId, Path)), security(("bearer" = [])),
    responses((status = 200, body = ScheduledMessage), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[get("/api/scheduled-messages/{id}")]
pub async fn get_scheduled_message(
    access: TenantAccess<ReadData>,
    id: web::Path<String>,
) -> Result<web::Json<ScheduledMessage>, Problem> {
    let id = access.check(path_id(&id)).await?;
    let scheduled = access.run(messages::find(id)).await?.output;
    scheduled.map(web::Json).ok_or_else(Problem::not_found)
}

/// Change what is said, or when. One that was said or taken back is refused with 409 `wrong_state`.
#[utoipa::path(
    tag = "conversations", operation_id = "update_scheduled_message", params(("id" = ScheduledMessageId, Path)),
    request_body = UpdateScheduledMessage, security(("bearer" = [])),
    responses((status = 200, body = ScheduledMessage), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[patch("/api/scheduled-messages/{id}")]
pub async fn update_scheduled_message(
    access: TenantAccess<WriteData>,
    id: web::Path<String>,
    body: Body<UpdateScheduledMessage>,
) -> Result<web::Json<ScheduledMessage>, Problem> {
    let id = access.check(path_id(&id)).await?;
    let update = access.check(body.value).await?;
    let current = access.run(messages::find(id)).await?.output;
    let current = current.ok_or_else(Problem::not_found)?;
    if current.state != SCHEDULED {
        return Err(wrong_state());
    }
    let version = update.version.unwrap_or(current.version);
    let changed = update.apply(&current)?;
    changed.variables.check_for(&changed.body)?;
    let next_at = match current.next_at.filter(|_| !changed.moved) {
        Some(next_at) => next_at,
        None => changed.timing.first(access.now)?,
    };
    let planned = Planned {
        body: changed.body,
        variables: changed.variables,
        time_zone: changed.timing.time_zone.into(),
        recurrence: changed.timing.recurrence,
        next_at,
    };
    let batch = (
        (
            messages::lock(id, Some(version)),
            messages::require_state(id, vec![SCHEDULED]),
        ),
        messages::update(id, planned, access.now),
        schedules::wake(next_at, access.now),
        audit::insert(
            &access.access,
            "scheduled_message.update",
            "scheduled_messages",
            id,
        ),
    );
    Ok(web::Json(access.run_or(batch, refuse).await?.output.1))
}

/// Take a message back before it is said; one that is said again and again is not said any more. One that was said is refused with 409
/// `wrong_state`.
#[utoipa::path(
    tag = "conversations", operation_id = "cancel_scheduled_message", params(("id" = ScheduledMessageId, Path)),
    security(("bearer" = [])),
    responses((status = 204), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[delete("/api/scheduled-messages/{id}")]
pub async fn cancel_scheduled_message(
    access: TenantAccess<WriteData>,
    id: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let id = access.check(path_id(&id)).await?;
    let batch = (
        messages::lock(id, None),
        messages::require_state(id, vec![SCHEDULED, CANCELED]),
        messages::cancel(id, access.now),
        audit::insert(
            &access.access,
            "scheduled_message.cancel",
            "scheduled_messages",
            id,
        ),
    );
    access.run_or(batch, refuse).await?;
    Ok(HttpResponse::NoContent().finish())
}
