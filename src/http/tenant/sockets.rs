//! `/ws`, `/api/socket-tickets`: what happens is told to pages that are open. A socket says that something has changed, by ids and states;
//! what it is now is read from the other addresses.

use std::time::{Duration, Instant};

use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::http::header::UPGRADE;
use actix_web::{FromRequest as _, HttpRequest, HttpResponse, get, post, web};
use actix_ws::{CloseCode, CloseReason, Message, MessageStream, Session};
use chrono::{DateTime, TimeDelta, Utc};
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};

use crate::db::tenant::Actor;
use crate::db::tenant::sockets::{self, Holder};
use crate::domain::token::{NewToken, ParsedToken, TokenKind};
use crate::http::body::Params;
use crate::http::extract::{OwnReading, PublicTenant, ReadData, TenantAccess};
use crate::http::problem::{Problem, ProblemBody};
use crate::realtime::{Ending, Heard, Refused, Socket};

/// How long a ticket may wait to be used.
const TICKET: TimeDelta = TimeDelta::seconds(30);
const PING: Duration = Duration::from_secs(20);
/// Who has not been heard of for so long is gone.
const SILENT: Duration = Duration::from_secs(50);
/// How long sending may take.
const SENDING: Duration = Duration::from_secs(10);
/// Nothing that is expected from the other side is longer.
const FRAME: usize = 4096;
/// When there may be room for another socket.
const FULL_SECONDS: u32 = 30;

/// A way to open one socket.
#[derive(Serialize, utoipa::ToSchema)]
pub struct SocketTicket {
    /// `GET /ws?ticket=…`, once.
    ticket: String,
    /// Until then.
    expires_at: DateTime<Utc>,
}

/// How a socket is asked for.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AskForSocket {
    /// From `POST /api/socket-tickets`; else the session's cookie from this site's own pages, or the header `Authorization`.
    ticket: Option<String>,
    /// The tenant's id or key: must be the one that is asked anyway.
    empresa_id: Option<String>,
}

/// Ask for a ticket: for a page that cannot send credentials. It opens one socket within 30 seconds, which ends with the session.
#[utoipa::path(
    tag = "sockets", operation_id = "create_socket_ticket", security(("bearer" = [])),
    responses((status = 201, body = SocketTicket), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[post("/api/socket-tickets")]
pub async fn create_socket_ticket(access: TenantAccess<OwnReading>) -> Result<HttpResponse, Problem> {
    let session = access.session().await?;
    let ticket = NewToken::generate(TokenKind::SocketTicket);
    let expires_at = access.now + TICKET;
    access
        .run(sockets::insert_ticket(
            &ticket.hash,
            &session,
            expires_at,
            access.now,
        ))
        .await?;
    Ok(HttpResponse::Created().json(SocketTicket {
        ticket: ticket.plain.expose_secret().to_owned(),
        expires_at,
    }))
}

/// Open a WebSocket. It sends texts `{"type", "at", "data"}`: `ready` first; then `message.created`, `message.updated`,
/// `conversation.updated`, `conversation.deleted`, `bot.state`, `notification.created` as they happen, with ids and states in `data`;
/// `resync` when something was missed, so that everything is to be read again. What is sent to it is passed over. It is closed
/// with 4401 when the credentials count no more, 4403 when the account is not served, 1001 or 1012 when it is to be opened again.
#[utoipa::path(
    tag = "sockets", operation_id = "open_socket", params(AskForSocket), security(("bearer" = [])),
    responses(
        (status = 101, description = "The socket is open"),
        (status = 426, body = ProblemBody, description = "`upgrade_required`: not asked for as a WebSocket"),
        (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)
    )
)]
#[get("/ws")]
pub async fn open_socket(
    request: HttpRequest,
    params: Params<AskForSocket>,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let ticket = params.0.as_ref().ok().and_then(|params| params.ticket.as_deref());
    let (access, holder) = match ticket {
        Some(ticket) => by_ticket(&request, ticket).await?,
        None => by_credentials(&request).await?,
    };
    let params = access.check(params.0).await?;
    let tenant = &access.tenant;
    let own = [tenant.home.id.to_string(), tenant.key.to_string()];
    if params.empresa_id.is_some_and(|named| !own.contains(&named)) {
        return Err(Problem::not_found());
    }
    if !request.headers().contains_key(UPGRADE) {
        return Err(Problem::new(
            StatusCode::UPGRADE_REQUIRED,
            "upgrade_required",
            "This address opens a WebSocket.",
        ));
    }
    let socket = access.platform().realtime.enter(tenant, holder);
    let socket = socket.map_err(|refused| match refused {
        Refused::Full => Problem::too_many(
            "too_many_sockets",
            "There are as many sockets open as there may be: close one.",
            FULL_SECONDS,
        ),
        Refused::GoingAway => Problem::unavailable("shutting_down", "Try again in a moment."),
    })?;
    let (response, session, messages) = actix_ws::handle(&request, payload)
        .map_err(|error| Problem::bad_request("bad_handshake", error.to_string()))?;
    actix_web::rt::spawn(serve(session, messages.max_frame_size(FRAME), socket));
    Ok(response)
}

async fn by_ticket(request: &HttpRequest, ticket: &str) -> Result<(TenantAccess<ReadData>, Holder), Problem> {
    let PublicTenant(access) = PublicTenant::<ReadData>::from_request(request, &mut Payload::None).await?;
    let ticket = ParsedToken::parse(ticket).ok();
    let ticket = ticket.filter(|ticket| ticket.kind == TokenKind::SocketTicket);
    let ticket = ticket.ok_or_else(Problem::unauthorized)?;
    let holder = access
        .run(sockets::take_ticket(&ticket.hash, access.now))
        .await?
        .output;
    Ok((access, holder))
}

async fn by_credentials(request: &HttpRequest) -> Result<(TenantAccess<ReadData>, Holder), Problem> {
    let access = TenantAccess::<ReadData>::from_request(request, &mut Payload::None).await?;
    let reply = access.run(sockets::find_end(access.access.session())).await?;
    let holder = match (reply.identity.actor, reply.output) {
        (Actor::User { id, session, role }, Some(until)) => Holder::Session {
            id: session,
            user: id,
            role,
            until,
        },
        (Actor::ApiKey { id, .. }, _) => Holder::ApiKey(id),
        _ => return Err(Problem::unauthorized()),
    };
    Ok((access, holder))
}

/// Serves a socket until either side closes it.
async fn serve(mut session: Session, mut messages: MessageStream, mut socket: Socket) {
    let ending = match socket.open().await {
        Ok(ready) if sent(&mut session, &ready).await => tell(&mut session, &mut messages, &mut socket).await,
        Ok(_) => None,
        Err(ending) => Some(ending),
    };
    drop(socket);
    // Whoever does not read is not waited for.
    let _ = tokio::time::timeout(SENDING, session.close(ending.map(reason))).await;
}

/// Tells until there is a reason to end; `None`: the other side is gone.
async fn tell(session: &mut Session, messages: &mut MessageStream, socket: &mut Socket) -> Option<Ending> {
    let mut heard_at = Instant::now();
    let mut ping = tokio::time::interval(PING);
    loop {
        tokio::select! {
            heard = socket.next() => match heard {
                Heard::Text(text) => if !sent(session, &text).await {
                    return None;
                },
                Heard::End(ending) => return Some(ending),
            },
            message = messages.recv() => {
                heard_at = Instant::now();
                match message? {
                    Ok(Message::Ping(bytes)) => {
                        let pong = tokio::time::timeout(SENDING, session.pong(&bytes));
                        pong.await.ok()?.ok()?;
                    }
                    Ok(Message::Close(_)) | Err(_) => return None,
                    Ok(_) => {}
                }
            }
            _ = ping.tick() => {
                if heard_at.elapsed() > SILENT {
                    return None;
                }
                let ping = tokio::time::timeout(SENDING, session.ping(b""));
                ping.await.ok()?.ok()?;
            }
        }
    }
}

/// Whether it went out in time.
async fn sent(session: &mut Session, text: &str) -> bool {
    let sent = tokio::time::timeout(SENDING, session.text(text)).await;
    matches!(sent, Ok(Ok(())))
}

fn reason(ending: Ending) -> CloseReason {
    let (code, description) = match ending {
        Ending::Unauthorized => (CloseCode::Other(4401), "unauthorized"),
        Ending::NotServed => (CloseCode::Other(4403), "not_served"),
        Ending::Restart => (CloseCode::Restart, "restart"),
        Ending::GoingAway => (CloseCode::Away, "going_away"),
    };
    CloseReason {
        code,
        description: Some(description.to_owned()),
    }
}
