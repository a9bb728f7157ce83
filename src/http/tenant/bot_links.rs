//! Linking bots of WhatsApp to a telephone: codes to be scanned or typed, reconnecting, and giving the link up.
//!
//! A code is a secret: whoever has it links a telephone to the bot. It is shown to who may change the bot, and to nobody else.

use actix_web::{HttpResponse, get, post, web};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::bots::change;
use crate::billing::pix::PixCode;
use crate::channels::link_codes::LinkCode;
use crate::db::tenant::whatsapp_codes::{self, CodeKind, StoredCode};
use crate::db::tenant::{audit, instances, whatsapp};
use crate::db::{DbError, Refusal};
use crate::domain::ids::InstanceId;
use crate::domain::instance::Instance;
use crate::domain::invalid::FieldErrors;
use crate::domain::phone::Phone;
use crate::http::body::{Body, path_id};
use crate::http::extract::{TenantAccess, WriteData};
use crate::http::pix;
use crate::http::problem::{Problem, ProblemBody};

/// A code that is good now.
#[derive(Serialize, utoipa::ToSchema)]
pub struct ShownCode {
    /// What the telephone has to see, as a QR code; or what is typed into it.
    code: String,
    /// Until when it is good; ask again then.
    expires_at: DateTime<Utc>,
    /// The how manieth it is since the bot was started. After six QR codes the bot waits for a person (`qr_expired`).
    n: i32,
}

/// A bot and the code that it shows, if it does.
async fn shown(
    access: &TenantAccess<WriteData>,
    id: InstanceId,
    kind: CodeKind,
) -> Result<(Instance, Option<LinkCode>), Problem> {
    let find = instances::find(id, access.access.session());
    let (bot, code) = access.run((find, whatsapp_codes::find(id, kind))).await?.output;
    opened(access, bot, code, kind)
}

/// A bot that was found, and its code as it is shown.
pub(super) fn opened(
    access: &TenantAccess<WriteData>,
    bot: Option<Instance>,
    code: Option<StoredCode>,
    kind: CodeKind,
) -> Result<(Instance, Option<LinkCode>), Problem> {
    let bot = bot.ok_or_else(Problem::not_found)?;
    let (channels, tenant) = (&access.platform().channels, access.tenant.home.id);
    let code = code.and_then(|stored| channels.open_code(tenant, bot.id, kind, &stored));
    Ok((bot, code))
}

fn not_linkable(error: &DbError) -> Option<Problem> {
    (error.refusal() == Some(Refusal::State)).then(|| {
        Problem::conflict(
            "not_linkable",
            "Only a bot of WhatsApp is linked to a telephone; and only one that runs and is linked to none shows a code.",
        )
    })
}

async fn required(access: &TenantAccess<WriteData>, id: &str, kind: CodeKind) -> Result<LinkCode, Problem> {
    let id = access.check(path_id(id)).await?;
    let (_, code) = shown(access, id, kind).await?;
    code.ok_or_else(|| Problem::conflict("no_code", "The bot shows no code just now: its `state` says why."))
}

fn answer(code: LinkCode) -> web::Json<ShownCode> {
    web::Json(ShownCode {
        code: code.code,
        expires_at: code.expires_at,
        n: code.n,
    })
}

/// The QR code of a text.
pub(super) fn drawn(code: &LinkCode) -> Result<PixCode, Problem> {
    PixCode::of(&code.code).ok_or_else(Problem::internal)
}

/// The code that a telephone has to scan to be linked to the bot: in WhatsApp, *Linked devices*. 409 `no_code` when there is none.
#[utoipa::path(
    tag = "bots", operation_id = "get_bot_qr", params(("id" = InstanceId, Path)), security(("bearer" = [])),
    responses((status = 200, body = ShownCode), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[get("/api/bots/{id}/qr")]
pub async fn get_bot_qr(
    access: TenantAccess<WriteData>,
    id: web::Path<String>,
) -> Result<web::Json<ShownCode>, Problem> {
    Ok(answer(required(&access, &id, CodeKind::Qr).await?))
}

/// The same as a picture.
#[utoipa::path(
    tag = "bots", operation_id = "get_bot_qr_png", params(("id" = InstanceId, Path)), security(("bearer" = [])),
    responses(
        (status = 200, body = Vec<u8>, content_type = "image/png"),
        (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)
    )
)]
#[get("/api/bots/{id}/qr.png")]
pub async fn get_bot_qr_png(
    access: TenantAccess<WriteData>,
    id: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let code = required(&access, &id, CodeKind::Qr).await?;
    pix::png(&drawn(&code)?)
}

/// The same as a drawing.
#[utoipa::path(
    tag = "bots", operation_id = "get_bot_qr_svg", params(("id" = InstanceId, Path)), security(("bearer" = [])),
    responses(
        (status = 200, body = String, content_type = "image/svg+xml"),
        (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)
    )
)]
#[get("/api/bots/{id}/qr.svg")]
pub async fn get_bot_qr_svg(
    access: TenantAccess<WriteData>,
    id: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let code = required(&access, &id, CodeKind::Qr).await?;
    Ok(pix::svg(&drawn(&code)?))
}

/// A telephone that is to be told a code.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WantPairCode {
    /// Its number.
    #[schema(value_type = Phone)]
    phone: Option<String>,
}

/// Want a code that is typed into the telephone instead of scanning one. It is there a moment later: `GET …/pair-code`. 409
/// `not_linkable` when the bot is linked already, or does not run.
#[utoipa::path(
    tag = "bots", operation_id = "want_bot_pair_code", params(("id" = InstanceId, Path)), request_body = WantPairCode,
    security(("bearer" = [])),
    responses((status = 202, body = Instance), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[post("/api/bots/{id}/pair-code")]
pub async fn want_bot_pair_code(
    access: TenantAccess<WriteData>,
    id: web::Path<String>,
    body: Body<WantPairCode>,
) -> Result<HttpResponse, Problem> {
    let id = access.check(path_id(&id)).await?;
    let body = access.check(body.value).await?;
    let mut errors = FieldErrors::new();
    let phone = errors.require("phone", body.phone, |phone| Phone::parse(&phone));
    let phone = access.check(errors.finish(|| phone)).await?;
    let session = access.access.session();
    let batch = (
        instances::lock_linkable(id, true, session),
        instances::find(id, session),
        whatsapp_codes::want_pair_code(id, phone, access.now),
        instances::wake(id),
        audit::insert(&access.access, "bot.pair_code", "instances", id),
    );
    let (_, bot, _, _, _) = access.run_or(batch, not_linkable).await?.output;
    access.platform().channels.here.wake(id);
    let bot = bot.ok_or_else(Problem::not_found)?;
    Ok(HttpResponse::Accepted().json(bot))
}

/// The code that is to be typed into the telephone that one was wanted for. 409 `no_code` when there is none, or none yet.
#[utoipa::path(
    tag = "bots", operation_id = "get_bot_pair_code", params(("id" = InstanceId, Path)), security(("bearer" = [])),
    responses((status = 200, body = ShownCode), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[get("/api/bots/{id}/pair-code")]
pub async fn get_bot_pair_code(
    access: TenantAccess<WriteData>,
    id: web::Path<String>,
) -> Result<web::Json<ShownCode>, Problem> {
    Ok(answer(required(&access, &id, CodeKind::PairCode).await?))
}

/// Start a bot anew, whatever it waits for: the only way back for one that was replaced, banned, logged out or found outdated, or
/// whose codes nobody has scanned.
#[utoipa::path(
    tag = "bots", operation_id = "reconnect_bot", params(("id" = InstanceId, Path)), security(("bearer" = [])),
    responses((status = 200, body = Instance), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[post("/api/bots/{id}/reconnect")]
pub async fn reconnect_bot(
    access: TenantAccess<WriteData>,
    id: web::Path<String>,
) -> Result<web::Json<Instance>, Problem> {
    let id = access.check(path_id(&id)).await?;
    reconnect(&access, id).await
}

pub(super) async fn reconnect(
    access: &TenantAccess<WriteData>,
    id: InstanceId,
) -> Result<web::Json<Instance>, Problem> {
    let fields = Map::from_iter([("is_active".to_owned(), Value::Bool(true))]);
    change(access, id, None, fields, None, "bot.reconnect").await
}

/// Give up the telephone that a bot is linked to. It is unlinked there, too, if it can be reached; to be linked again, the bot is
/// reconnected and shows a code. 409 `not_linkable` for bots of other channels.
#[utoipa::path(
    tag = "bots", operation_id = "log_out_bot", params(("id" = InstanceId, Path)), security(("bearer" = [])),
    responses((status = 200, body = Instance), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[post("/api/bots/{id}/logout")]
pub async fn log_out_bot(
    access: TenantAccess<WriteData>,
    id: web::Path<String>,
) -> Result<web::Json<Instance>, Problem> {
    let id = access.check(path_id(&id)).await?;
    // Whoever runs it says good-bye first; when nobody does, the device is put aside at once.
    let nobody = Uuid::now_v7();
    let give_up = (
        whatsapp::want_unlinked(id),
        whatsapp::claim_idle(id, nobody, access.now),
        whatsapp::archive(id, nobody, access.now),
    );
    let batch = (
        instances::lock_linkable(id, false, access.access.session()),
        instances::log_out(id, access.now),
        (whatsapp_codes::delete_all(id), give_up),
        instances::note(id),
        audit::insert(&access.access, "bot.logout", "instances", id),
    );
    let (_, bot, _, _, _) = access.run_or(batch, not_linkable).await?.output;
    let channels = &access.platform().channels;
    channels.here.wake(id);
    channels.forget_copies((access.tenant.home.id, id)).await;
    Ok(web::Json(bot))
}
