//! `/api/bots`: the tenant's bots. An agent has the bots that are theirs, everybody else of the tenant all of them; another's is 404.
//!
//! Credentials come in and never go out. Whatever is changed here is heard at once by the process that runs the bot.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, delete, get, patch, post, put, web};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::bot_forms::{BotWebhook, CreateBot, ShownBot, UpdateBot};
use crate::channels::telegram::TokenOf;
use crate::db::tenant::{audit, instances, message_files, sending, whatsapp, whatsapp_codes};
use crate::db::{DbError, Refusal};
use crate::domain::bot_credentials::Credentials;
use crate::domain::conversation::Channel;
use crate::domain::ids::InstanceId;
use crate::domain::instance::{BotToken, Instance, InstanceStats};
use crate::domain::invalid::{FieldErrors, Invalid};
use crate::domain::page::{Cursor, Page};
use crate::domain::plan::PlanMeter;
use crate::http::body::{Body, ListAll, Params, path_id};
use crate::http::create::Creation;
use crate::http::extract::{IdempotencyHeader, ReadData, TenantAccess, WriteData};
use crate::http::problem::{Problem, ProblemBody};

const METER: &str = PlanMeter::Instances.as_str();
/// When Telegram may be asked again.
const AGAIN_SECONDS: u32 = 5;

fn taken() -> Problem {
    Problem::conflict(
        "bot_token_taken",
        "Another bot has this token or number already: each bot needs one of its own.",
    )
}

/// List the caller's bots, newest first: an agent's own, for everybody else all of the tenant's.
#[utoipa::path(
    tag = "bots", operation_id = "list_my_bots", params(ListAll), security(("bearer" = [])),
    responses((status = 200, body = Page<Instance>), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[get("/api/bots/my")]
pub async fn list_my_bots(
    access: TenantAccess<ReadData>,
    params: Params<ListAll>,
) -> Result<web::Json<Page<Instance>>, Problem> {
    let params = access.check(params.0).await?;
    let (after, limit) = access.check(params.check()).await?;
    let rows = access
        .run(instances::list(access.access.session(), after, limit))
        .await?
        .output;
    Ok(web::Json(Page::from_rows(rows, limit, |row| {
        Cursor::new(row.created_at, row.id)
    })))
}

/// How many bots the caller has, and what they do.
#[utoipa::path(
    tag = "bots", operation_id = "get_bot_stats", security(("bearer" = [])),
    responses((status = 200, body = InstanceStats), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[get("/api/bots/stats")]
pub async fn get_bot_stats(access: TenantAccess<ReadData>) -> Result<web::Json<InstanceStats>, Problem> {
    let stats = instances::stats(access.access.session());
    Ok(web::Json(access.run(stats).await?.output))
}

/// A token to be asked about.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ValidateToken {
    /// The token.
    #[schema(value_type = String)]
    token: Option<String>,
}

/// What Telegram says of a token.
#[derive(Serialize, utoipa::ToSchema)]
pub struct TokenValidity {
    /// Whether it is a bot's.
    valid: bool,
    /// The bot's number.
    bot_id: Option<u64>,
    /// Without the `@`.
    username: Option<String>,
    /// As people see it.
    name: Option<String>,
}

/// Ask Telegram whose a token is. Nothing is stored. 503 `telegram_unavailable` when Telegram cannot be asked.
#[utoipa::path(
    tag = "bots", operation_id = "validate_bot_token", request_body = ValidateToken, security(("bearer" = [])),
    responses((status = 200, body = TokenValidity), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[post("/api/bots/validate-token")]
pub async fn validate_bot_token(
    access: TenantAccess<WriteData>,
    body: Body<ValidateToken>,
) -> Result<web::Json<TokenValidity>, Problem> {
    let body = access.check(body.value).await?;
    let mut errors = FieldErrors::new();
    let token = errors.require("token", body.token, |token| BotToken::parse(&token));
    let token = access.check(errors.finish(|| token)).await?;
    // Only who may is told.
    access.run(()).await?;
    match access.platform().channels.telegram.ask(&token).await {
        TokenOf::Bot { id, username, name } => Ok(web::Json(TokenValidity {
            valid: true,
            bot_id: Some(id),
            username: Some(username),
            name: Some(name),
        })),
        TokenOf::Nobody => Ok(web::Json(TokenValidity {
            valid: false,
            bot_id: None,
            username: None,
            name: None,
        })),
        TokenOf::Unknown => {
            let problem = Problem::unavailable(
                "telegram_unavailable",
                "Telegram cannot be asked just now: try again.",
            );
            Err(problem.after(AGAIN_SECONDS))
        }
    }
}

/// Make a bot, of Telegram with a token, of WhatsApp's Cloud API with a number, of a linked telephone with nothing: see `GET /api/bots/{id}/qr`. It is started at once, unless `is_active` is `false`; what becomes of it is its `state`. A token or a number that another bot
/// has, of whatever tenant, is refused with 409 `bot_token_taken`. The answer for a number of WhatsApp's Cloud API says what is to be entered as its webhook
/// at Meta.
#[utoipa::path(
    tag = "bots", operation_id = "create_bot", request_body = CreateBot, security(("bearer" = [])),
    params(("Idempotency-Key" = Option<String>, Header, description = "Repeats of a request with the same key are one request")),
    responses(
        (status = 201, body = ShownBot),
        (status = 402, body = ProblemBody, description = "`limit_exceeded`: the plan includes no more bots"),
        (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)
    )
)]
#[post("/api/bots")]
pub async fn create_bot(
    access: TenantAccess<WriteData>,
    key: IdempotencyHeader,
    body: Body<CreateBot>,
) -> Result<HttpResponse, Problem> {
    let bot = access.check(body.value).await?;
    let bot = access.check(bot.check()).await?;
    let id = InstanceId::new();
    let (channels, tenant) = (&access.platform().channels, access.tenant.home.id);
    let (mut ours, mut sealed) = (true, None);
    if let Some(credentials) = &bot.credentials {
        // Only who may takes a token.
        access.run(()).await?;
        ours = channels.claim_token(tenant, id, credentials).await?;
        sealed = Some(channels.seal_token(tenant, id, credentials));
    }
    let webhook = match &bot.credentials {
        Some(Credentials::WhatsappCloud(account)) => Some(BotWebhook {
            url: channels.cloud_address(tenant, id),
            verify_token: Some(account.verify_token.expose_secret().to_owned()),
        }),
        Some(Credentials::Telegram(_)) | None => None,
    };
    let batch = (
        // A repeated request is answered what it was; any other is refused here.
        (!ours).then(instances::refuse_taken),
        instances::room(access.tenant.limit_of(METER)),
        instances::insert(
            id,
            bot.channel,
            bot.fields,
            sealed,
            access.access.session(),
            access.now,
        ),
        instances::note(id),
        audit::insert(&access.access, "bot.create", "instances", id),
    );
    let creation = Creation {
        operation: "create_bot",
        key,
        hash: body.hash,
        row: Some(id.as_uuid()),
    };
    let show = |(_, _, bot, _, _)| ShownBot { bot, webhook };
    let outcome = access.create(creation, batch, show, refuse).await;
    if let (true, Some(credentials), true) = (ours, &bot.credentials, outcome.is_err()) {
        // What is not let go now counts no more after a while.
        let _ = channels.release_token(id, Some(credentials)).await;
    }
    access.counting(outcome, METER, instances::count()).await
}

fn refuse(error: &DbError) -> Option<Problem> {
    (error.refusal() == Some(Refusal::State)).then(taken)
}

/// Read a bot, without its credentials.
#[utoipa::path(
    tag = "bots", operation_id = "get_bot", params(("id" = InstanceId, Path)), security(("bearer" = [])),
    responses((status = 200, body = ShownBot), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[get("/api/bots/{id}")]
pub async fn get_bot(
    access: TenantAccess<ReadData>,
    id: web::Path<String>,
) -> Result<web::Json<ShownBot>, Problem> {
    let id = access.check(path_id(&id)).await?;
    let find = instances::find(id, access.access.session());
    let bot = access.run(find).await?.output.ok_or_else(Problem::not_found)?;
    let is_told = bot.channel == Channel::WhatsappCloud.as_str();
    let webhook = is_told.then(|| BotWebhook {
        url: access
            .platform()
            .channels
            .cloud_address(access.tenant.home.id, id),
        verify_token: None,
    });
    Ok(web::Json(ShownBot { bot, webhook }))
}

/// Change a bot: what is left out stays. It goes on with the change at once, without a restart of anything.
#[utoipa::path(
    tag = "bots", operation_id = "update_bot", params(("id" = InstanceId, Path)), request_body = UpdateBot,
    security(("bearer" = [])),
    responses((status = 200, body = Instance), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[put("/api/bots/{id}")]
pub async fn update_bot(
    access: TenantAccess<WriteData>,
    id: web::Path<String>,
    body: Body<UpdateBot>,
) -> Result<web::Json<Instance>, Problem> {
    let id = access.check(path_id(&id)).await?;
    let update = access.check(body.value).await?;
    let checked = access.check(update.check()).await?;
    let (channels, tenant) = (&access.platform().channels, access.tenant.home.id);
    let (mut version, mut sealed, mut before) = (checked.version, None, None);
    if checked.credentials.any() {
        // Only who may change this bot takes a token for it.
        let session = access.access.session();
        let lock = instances::lock(id, version, session);
        let batch = (lock, instances::find(id, session), instances::find_sealed(id));
        let (_, bot, stored) = access.run(batch).await?.output;
        if bot.is_some_and(|bot| bot.channel == Channel::WhatsappWeb.as_str()) {
            access
                .check(checked.credentials.only_of(Channel::WhatsappWeb))
                .await?;
        }
        let stored = stored.ok_or_else(Problem::not_found)?;
        let account = channels.open_account(tenant, id, &stored.sealed);
        before = match &account {
            Some(account) => Some(Credentials::from(account.clone())),
            None => channels
                .open_token(tenant, id, &stored.sealed)
                .map(Credentials::from),
        };
        let credentials = access
            .check(checked.credentials.onto(stored.channel, account))
            .await?;
        if !channels.claim_token(tenant, id, &credentials).await? {
            return Err(taken());
        }
        // What was not given is as it was read.
        version = Some(stored.version);
        sealed = Some(channels.seal_token(tenant, id, &credentials));
    }
    let changed = change(&access, id, version, checked.fields, sealed, "bot.update").await;
    // Somebody else has changed it meanwhile: it goes on with what it had.
    if matches!(&changed, Err(problem) if problem.status() == StatusCode::CONFLICT)
        && let Some(before) = before
        && !channels.claim_token(tenant, id, &before).await?
    {
        tracing::error!(instance_id = %id, "a bot goes on with a token that another has taken meanwhile: {id}");
    }
    changed
}

pub(super) async fn change(
    access: &TenantAccess<WriteData>,
    id: InstanceId,
    version: Option<i32>,
    fields: Map<String, Value>,
    sealed: Option<Vec<u8>>,
    action: &'static str,
) -> Result<web::Json<Instance>, Problem> {
    let batch = (
        instances::lock(id, version, access.access.session()),
        instances::update(id, fields, sealed, access.now),
        instances::note(id),
        audit::insert(&access.access, action, "instances", id),
    );
    let (_, bot, _, _) = access.run(batch).await?.output;
    access.platform().channels.here.wake(id);
    Ok(web::Json(bot))
}

/// Whether a bot is to run.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BotStatus {
    /// Whether it is.
    #[schema(value_type = bool)]
    is_active: Option<bool>,
}

/// Start or stop a bot.
#[utoipa::path(
    tag = "bots", operation_id = "set_bot_status", params(("id" = InstanceId, Path)), request_body = BotStatus,
    security(("bearer" = [])),
    responses((status = 200, body = Instance), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[patch("/api/bots/{id}/status")]
pub async fn set_bot_status(
    access: TenantAccess<WriteData>,
    id: web::Path<String>,
    body: Body<BotStatus>,
) -> Result<web::Json<Instance>, Problem> {
    let id = access.check(path_id(&id)).await?;
    let body = access.check(body.value).await?;
    let mut errors = FieldErrors::new();
    let active = errors.require("is_active", body.is_active, Ok::<_, Invalid>);
    let active = access.check(errors.finish(|| active)).await?;
    let fields = Map::from_iter([("is_active".to_owned(), Value::Bool(active))]);
    change(&access, id, None, fields, None, "bot.status").await
}

/// Remove a bot: it stops, and its token may be used again. Its conversations stay.
#[utoipa::path(
    tag = "bots", operation_id = "delete_bot", params(("id" = InstanceId, Path)), security(("bearer" = [])),
    responses((status = 204), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[delete("/api/bots/{id}")]
pub async fn delete_bot(
    access: TenantAccess<WriteData>,
    id: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let id = access.check(path_id(&id)).await?;
    let batch = (
        instances::lock(id, None, access.access.session()),
        (
            instances::delete(id, access.now),
            whatsapp::remove(id),
            whatsapp_codes::delete_all(id),
            sending::cancel_all(id, access.now),
            message_files::give_up(id),
        ),
        instances::note(id),
        audit::insert(&access.access, "bot.delete", "instances", id),
    );
    access.run(batch).await?;
    let channels = &access.platform().channels;
    channels.here.wake(id);
    channels.forget_copies((access.tenant.home.id, id)).await;
    // What is not let go now counts no more as soon as somebody asks for the token.
    if let Err(error) = channels.release_token(id, None).await {
        tracing::warn!(instance_id = %id, %error, "the token of a removed bot is let go later: {id}");
    }
    Ok(HttpResponse::NoContent().finish())
}
