//! `/api/assistant/links`: the chats in which the platform's own bot knows the caller. Each has their own; nobody sees another's.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, delete, get, post, web};
use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::channels::assistant::Invitation;
use crate::db::master::assistant;
use crate::db::tenant::{Actor, Batch, audit};
use crate::domain::ids::UserId;
use crate::domain::page::Page;
use crate::http::extract::{ManageTenant, Permission, SeeSettings, TenantAccess};
use crate::http::problem::{Problem, ProblemBody};

/// A code to be shown to the platform's bot.
#[derive(Serialize, utoipa::ToSchema)]
pub struct AssistantInvitation {
    /// Send it to the bot as `/start CODE`. It works once.
    code: String,
    /// Opens the bot and sends it; null when Telegram cannot be asked for the bot's name.
    url: Option<String>,
    /// Until when.
    expires_at: DateTime<Utc>,
}

impl From<Invitation> for AssistantInvitation {
    fn from(invitation: Invitation) -> Self {
        Self {
            code: invitation.code,
            url: invitation.url,
            expires_at: invitation.expires_at,
        }
    }
}

/// A chat in which the bot knows the caller.
#[derive(Serialize, utoipa::ToSchema)]
pub struct AssistantLink {
    /// Telegram's number of it.
    chat_id: i64,
    linked_at: DateTime<Utc>,
}

/// Who asks, and in the same trip what is noted of it.
async fn caller<P: Permission>(access: &TenantAccess<P>, batch: impl Batch) -> Result<UserId, Problem> {
    match access.run(batch).await?.identity.actor {
        Actor::User { id, .. } | Actor::Linked { id } => Ok(id),
        // The right that is asked for is a person's.
        Actor::ApiKey { .. } | Actor::Public | Actor::System => Err(Problem::unauthorized()),
    }
}

/// Have the platform's bot know you
///
/// For owners and managers. The code before this one is not valid any more.
#[utoipa::path(
    tag = "assistant", operation_id = "invite_assistant", security(("bearer" = [])),
    responses(
        (status = 201, body = AssistantInvitation),
        (status = 404, body = ProblemBody, description = "`no_assistant`: the platform has no bot"),
        (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)
    )
)]
#[post("/api/assistant/links")]
pub async fn invite_assistant(access: TenantAccess<ManageTenant>) -> Result<HttpResponse, Problem> {
    let channels = &access.platform().channels;
    let assistant = channels.assistant.as_ref().ok_or_else(|| {
        Problem::new(
            StatusCode::NOT_FOUND,
            "no_assistant",
            "The platform has no bot of its own.",
        )
    });
    let assistant = access.check(assistant).await?;
    let noted = audit::insert(&access.access, "assistant.invite", "assistant_codes", "own");
    let user = caller(&access, noted).await?;
    let invitation = channels.invite(assistant, access.tenant.home.id, user).await?;
    Ok(HttpResponse::Created().json(AssistantInvitation::from(invitation)))
}

/// List the chats in which the platform's bot knows you. They are few: there is one page.
#[utoipa::path(
    tag = "assistant", operation_id = "list_assistant_links", security(("bearer" = [])),
    responses((status = 200, body = Page<AssistantLink>), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[get("/api/assistant/links")]
pub async fn list_assistant_links(
    access: TenantAccess<SeeSettings>,
) -> Result<web::Json<Page<AssistantLink>>, Problem> {
    let user = caller(&access, ()).await?;
    let chats = assistant::list(&access.platform().master, access.tenant.home.id, user).await?;
    let items = chats.into_iter().map(|linked| AssistantLink {
        chat_id: linked.chat,
        linked_at: linked.since,
    });
    Ok(web::Json(Page {
        items: items.collect(),
        next_cursor: None,
    }))
}

/// Have the platform's bot forget you, in all chats.
#[utoipa::path(
    tag = "assistant", operation_id = "delete_assistant_links", security(("bearer" = [])),
    responses((status = 204), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[delete("/api/assistant/links")]
pub async fn delete_assistant_links(access: TenantAccess<ManageTenant>) -> Result<HttpResponse, Problem> {
    let noted = audit::insert(&access.access, "assistant.unlink", "assistant_chats", "own");
    let user = caller(&access, noted).await?;
    assistant::unlink_user(&access.platform().master, access.tenant.home.id, user).await?;
    Ok(HttpResponse::NoContent().finish())
}
