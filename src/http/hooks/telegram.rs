//! Where Telegram brings what was said to a bot.

use actix_web::{HttpResponse, post, web};

use super::{Heard, Hook, LARGEST, unheard};
use crate::channels::inbound::WebhookError;
use crate::domain::ids::{InstanceId, TenantId};
use crate::http::body::{path_id, receive};
use crate::http::problem::{Problem, ProblemBody};

const SECRET: &str = "x-telegram-bot-api-secret-token";

/// Hear Telegram
///
/// What was said to a bot, with the secret that was agreed on (`X-Telegram-Bot-Api-Secret-Token`). It is stored before it is answered;
/// the same update again is answered the same.
#[utoipa::path(
    tag = "hooks", operation_id = "hear_telegram", params(("tenant" = TenantId, Path), ("bot" = InstanceId, Path)), security(()),
    responses(
        (status = 200, body = Heard), (status = 401, body = ProblemBody, description = "`signature_invalid`"),
        (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)
    )
)]
#[post("/hooks/telegram/{tenant}/{bot}")]
pub async fn hear_telegram(hook: Hook, path: web::Path<(String, String)>) -> Result<HttpResponse, Problem> {
    let (tenant, bot) = path.into_inner();
    let (tenant, bot) = (path_id(&tenant)?, path_id(&bot)?);
    let channels = &hook.platform.channels;
    let presented = hook.request.headers().get(SECRET);
    let presented = presented
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let Some(number) = channels.telegram_calls(tenant, bot, presented) else {
        return Err(unheard(WebhookError::Secret));
    };
    let time = hook.platform.settings.server.request_timeout / 2;
    let body = receive(&hook.request, hook.payload, LARGEST, time).await?;
    channels
        .hear_telegram(tenant, bot, number, &body)
        .await
        .map_err(unheard)?;
    Ok(HttpResponse::Ok().json(Heard::YES))
}
