//! Bots of WhatsApp at the addresses that programs for their predecessors know: `/qr/…`, `/status/…`, `/reconnect`, `/sessions`,
//! `/send-message`, `/api/bot/…`.
//!
//! A session is a bot, named by its id, its name or that in small letters and hyphens; by nothing, or by the tenant's own id or key,
//! it is the tenant's oldest. Whatever is named, only the tenant's own are looked for.

use actix_web::{HttpResponse, get, post, web};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::bot_links::{opened, reconnect};
use crate::channels::link_codes::LinkCode;
use crate::db::tenant::whatsapp_codes::CodeKind;
use crate::db::tenant::{audit, instances, messages, numbers, outbox};
use crate::domain::conversation::{BOT_PAUSE, Channel};
use crate::domain::ids::{ConversationId, InstanceId, MessageId};
use crate::domain::instance::Instance;
use crate::domain::invalid::FieldErrors;
use crate::domain::message::{Message, MessageText};
use crate::domain::page::Limit;
use crate::domain::phone::Phone;
use crate::domain::token::TokenHash;
use crate::http::body::{Body, Params};
use crate::http::create::Creation;
use crate::http::extract::{IdempotencyHeader, Permission, ReadData, TenantAccess, WriteData};
use crate::http::problem::{Problem, ProblemBody};

/// Which session is meant, where the path does not say it.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct NamedSession {
    /// The session.
    #[serde(rename = "sessionId")]
    session_id: Option<String>,
    /// The same.
    #[serde(rename = "session_id")]
    session: Option<String>,
    /// The same.
    empresa_id: Option<String>,
}

impl NamedSession {
    fn name(self) -> Option<String> {
        self.session_id.or(self.session).or(self.empresa_id)
    }
}

/// A session as it is now.
#[derive(Serialize, utoipa::ToSchema)]
pub struct SessionStatus {
    /// `true`.
    success: bool,
    /// The bot.
    #[serde(rename = "sessionId")]
    session_id: InstanceId,
    /// What the tenant calls it.
    name: String,
    /// Whether it hears and speaks.
    connected: bool,
    /// `connected` or `disconnected`.
    #[serde(rename = "connectionStatus")]
    connection_status: &'static str,
    /// The bot's state, in full.
    state: String,
    /// The number that it is linked to, once it was.
    #[serde(rename = "phoneNumber")]
    phone_number: Option<String>,
    /// What a telephone has to see to be linked; only at `/qr`.
    #[serde(rename = "qrCode")]
    qr_code: Option<String>,
    /// Until when that is good.
    #[serde(rename = "qrExpiresAt")]
    qr_expires_at: Option<DateTime<Utc>>,
}

impl SessionStatus {
    fn of(bot: Instance, code: Option<LinkCode>) -> Self {
        let connected = bot.is_active && bot.state == "connected";
        let (qr_code, qr_expires_at) = code.map(|code| (code.code, code.expires_at)).unzip();
        Self {
            success: true,
            session_id: bot.id,
            name: bot.name,
            connected,
            connection_status: if connected { "connected" } else { "disconnected" },
            state: bot.state,
            phone_number: bot.username,
            qr_code,
            qr_expires_at,
        }
    }
}

/// What a session is looked for by: its name, and the tenant's own names.
fn named<P: Permission>(
    access: &TenantAccess<P>,
    name: Option<String>,
) -> (Option<String>, Vec<String>, Option<&TokenHash>) {
    let name = name.map(|name| name.chars().filter(|c| *c != '\0').take(200).collect());
    let own = vec![access.tenant.home.id.to_string(), access.tenant.key.to_string()];
    (name, own, access.access.session())
}

/// The session of this name; another tenant's is none.
async fn find<P: Permission>(access: &TenantAccess<P>, name: Option<String>) -> Result<Instance, Problem> {
    let (name, own, session) = named(access, name);
    let bot = access.run(instances::find_session(name, own, session)).await?;
    bot.output.ok_or_else(Problem::not_found)
}

async fn qr(
    access: &TenantAccess<WriteData>,
    name: Option<String>,
) -> Result<web::Json<SessionStatus>, Problem> {
    let (name, own, session) = named(access, name);
    let find = instances::find_session_code(name, own, session, CodeKind::Qr);
    let (bot, code) = access.run(find).await?.output;
    let (bot, code) = opened(access, bot, code, CodeKind::Qr)?;
    Ok(web::Json(SessionStatus::of(bot, code)))
}

/// The QR code of a session, as text; `qrCode` is null while there is none. As a picture: `GET /api/bots/{id}/qr.png`.
#[utoipa::path(
    tag = "bots", operation_id = "get_session_qr", params(("session" = String, Path)), security(("bearer" = [])),
    responses((status = 200, body = SessionStatus), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[get("/qr/{session}")]
pub async fn get_session_qr(
    access: TenantAccess<WriteData>,
    session: web::Path<String>,
) -> Result<web::Json<SessionStatus>, Problem> {
    qr(&access, Some(session.into_inner())).await
}

/// As `GET /qr/{session}`.
#[utoipa::path(
    tag = "bots", operation_id = "get_named_qr", params(NamedSession), security(("bearer" = [])),
    responses((status = 200, body = SessionStatus), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[get("/qr")]
pub async fn get_named_qr(
    access: TenantAccess<WriteData>,
    params: Params<NamedSession>,
) -> Result<web::Json<SessionStatus>, Problem> {
    let params = access.check(params.0).await?;
    qr(&access, params.name()).await
}

/// How a session is.
#[utoipa::path(
    tag = "bots", operation_id = "get_session_status", params(("session" = String, Path)),
    security(("bearer" = [])),
    responses((status = 200, body = SessionStatus), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[get("/status/{session}")]
pub async fn get_session_status(
    access: TenantAccess<ReadData>,
    session: web::Path<String>,
) -> Result<web::Json<SessionStatus>, Problem> {
    let bot = find(&access, Some(session.into_inner())).await?;
    Ok(web::Json(SessionStatus::of(bot, None)))
}

/// As `GET /status/{session}`.
#[utoipa::path(
    tag = "bots", operation_id = "get_named_status", params(NamedSession), security(("bearer" = [])),
    responses((status = 200, body = SessionStatus), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[get("/status")]
pub async fn get_named_status(
    access: TenantAccess<ReadData>,
    params: Params<NamedSession>,
) -> Result<web::Json<SessionStatus>, Problem> {
    let params = access.check(params.0).await?;
    let bot = find(&access, params.name()).await?;
    Ok(web::Json(SessionStatus::of(bot, None)))
}

/// As `GET /status/{session}`.
#[utoipa::path(
    tag = "bots", operation_id = "get_bot_session_status", params(("session" = String, Path)),
    security(("bearer" = [])),
    responses((status = 200, body = SessionStatus), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[get("/api/bot/status/{session}")]
pub async fn get_bot_session_status(
    access: TenantAccess<ReadData>,
    session: web::Path<String>,
) -> Result<web::Json<SessionStatus>, Problem> {
    let bot = find(&access, Some(session.into_inner())).await?;
    Ok(web::Json(SessionStatus::of(bot, None)))
}

async fn restart(
    access: &TenantAccess<WriteData>,
    name: Option<String>,
) -> Result<web::Json<SessionStatus>, Problem> {
    let id = find(access, name).await?.id;
    let bot = reconnect(access, id).await?.into_inner();
    Ok(web::Json(SessionStatus::of(bot, None)))
}

/// Start a session: it comes back, or shows a QR code.
#[utoipa::path(
    tag = "bots", operation_id = "connect_session", params(("session" = String, Path)), security(("bearer" = [])),
    responses((status = 200, body = SessionStatus), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[post("/api/bot/connect/{session}")]
pub async fn connect_session(
    access: TenantAccess<WriteData>,
    session: web::Path<String>,
) -> Result<web::Json<SessionStatus>, Problem> {
    restart(&access, Some(session.into_inner())).await
}

/// As `POST /api/bot/connect/{session}`.
#[utoipa::path(
    tag = "bots", operation_id = "reconnect_session", params(("session" = String, Path)), security(("bearer" = [])),
    responses((status = 200, body = SessionStatus), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[post("/reconnect/{session}")]
pub async fn reconnect_session(
    access: TenantAccess<WriteData>,
    session: web::Path<String>,
) -> Result<web::Json<SessionStatus>, Problem> {
    restart(&access, Some(session.into_inner())).await
}

/// As `POST /api/bot/connect/{session}`.
#[utoipa::path(
    tag = "bots", operation_id = "reconnect_named_session", params(NamedSession), security(("bearer" = [])),
    responses((status = 200, body = SessionStatus), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[post("/reconnect")]
pub async fn reconnect_named_session(
    access: TenantAccess<WriteData>,
    params: Params<NamedSession>,
) -> Result<web::Json<SessionStatus>, Problem> {
    let params = access.check(params.0).await?;
    restart(&access, params.name()).await
}

/// The caller's sessions.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Sessions {
    /// `true`.
    success: bool,
    /// Newest first: of the 200 newest bots, those of WhatsApp.
    sessions: Vec<SessionStatus>,
}

/// List the caller's sessions: an agent's own, for everybody else all of the tenant's.
#[utoipa::path(
    tag = "bots", operation_id = "list_sessions", security(("bearer" = [])),
    responses((status = 200, body = Sessions), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[get("/sessions")]
pub async fn list_sessions(access: TenantAccess<ReadData>) -> Result<web::Json<Sessions>, Problem> {
    let list = instances::list(access.access.session(), None, Limit::MOST);
    let bots = access.run(list).await?.output.into_iter();
    let bots = bots.filter(|bot| bot.channel == Channel::WhatsappWeb.as_str());
    Ok(web::Json(Sessions {
        success: true,
        sessions: bots.map(|bot| SessionStatus::of(bot, None)).collect(),
    }))
}

/// A message to a number.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SendMessage {
    /// Whom it is for; `phone` and `to` are the same.
    #[serde(alias = "phone", alias = "to")]
    #[schema(value_type = Phone)]
    number: Option<String>,
    /// Its words; `text` and `body` are the same.
    #[serde(alias = "text", alias = "body")]
    #[schema(value_type = MessageText)]
    message: Option<String>,
    /// The session that says it, the tenant's oldest when left out; `session_id` and `empresa_id` are the same.
    #[serde(rename = "sessionId", alias = "session_id", alias = "empresa_id")]
    #[schema(value_type = Option<String>)]
    session: Option<String>,
}

/// A message that waits to be sent.
#[derive(Serialize, utoipa::ToSchema)]
pub struct QueuedMessage {
    /// `true`.
    success: bool,
    /// The message: see `GET /api/conversations/{id}/messages` for what becomes of it.
    #[serde(rename = "messageId")]
    message_id: MessageId,
    /// Where it is said.
    #[serde(rename = "conversationId")]
    conversation_id: ConversationId,
    /// `queued`.
    status: String,
}

impl QueuedMessage {
    fn of(message: Message) -> Self {
        Self {
            success: true,
            message_id: message.id,
            conversation_id: message.conversation_id,
            status: message.status,
        }
    }
}

/// Say something to a number, by WhatsApp. Contact and conversation are found or made; the message waits until the session has sent
/// it. When a user says it, the bot is silent there for twelve hours.
#[utoipa::path(
    tag = "bots", operation_id = "send_message", request_body = SendMessage, security(("bearer" = [])),
    params(("Idempotency-Key" = Option<String>, Header, description = "Repeats of a request with the same key are one request")),
    responses((status = 201, body = QueuedMessage), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[post("/send-message")]
pub async fn send_message(
    access: TenantAccess<WriteData>,
    key: IdempotencyHeader,
    body: Body<SendMessage>,
) -> Result<HttpResponse, Problem> {
    let sent = access.check(body.value).await?;
    let mut errors = FieldErrors::new();
    let phone = errors.require("number", sent.number, |number| Phone::parse(&number));
    let words = errors.require("message", sent.message, |words| MessageText::parse(&words));
    let (phone, words) = access.check(errors.finish(|| Some((phone?, words?)))).await?;
    let id = MessageId::new();
    let creation = Creation {
        operation: "send_message",
        key,
        hash: body.hash,
        row: Some(id.as_uuid()),
    };
    let (name, own, session) = named(&access, sent.session);
    let find = instances::find_session(name, own, session);
    let (answer, found) = access.answered(&creation, find).await?;
    if let Some(answer) = answer {
        return Ok(answer);
    }
    let bot = found.output.ok_or_else(Problem::not_found)?.id;
    let (now, said_by) = (access.now, access.access.session());
    // As WhatsApp names whoever has this number.
    let chat = format!(
        "{}@s.whatsapp.net",
        String::from(phone.clone()).trim_start_matches('+')
    );
    let paused_until = said_by.map(|_| now + BOT_PAUSE);
    let batch = (
        numbers::ensure(bot, Channel::WhatsappWeb, chat.clone(), &phone, now),
        messages::insert_to(id, bot, (&chat, &phone), words, &access.access, paused_until),
        (outbox::insert_message_of(id, now), instances::wake(bot)),
        audit::insert(&access.access, "message.create", "messages", id),
    );
    let show = |(_, message, _, _)| QueuedMessage::of(message);
    let answer = access.create(creation, batch, show, |_| None).await;
    access.platform().channels.here.wake(bot);
    answer
}
