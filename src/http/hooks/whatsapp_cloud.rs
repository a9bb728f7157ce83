//! Where Meta brings what was said to a number of WhatsApp's Cloud API, and what has become of what the number has said.

use actix_web::http::header::ContentType;
use actix_web::{HttpResponse, get, post, web};
use serde::Deserialize;

use super::{Heard, Hook, unheard};
use crate::channels::inbound::WebhookError;
use crate::channels::whatsapp_cloud::webhook::{CloudHook, is_meta};
use crate::domain::ids::{InstanceId, TenantId};
use crate::http::body::{path_id, receive};
use crate::http::problem::{Problem, ProblemBody};

const SIGNATURE: &str = "x-hub-signature-256";
/// The largest body, in bytes: Meta gathers up to three megabytes.
const LARGEST: usize = 3 << 20;
/// The longest text that is said back.
const LONGEST_CHALLENGE: usize = 200;

/// What Meta shows when the address is entered.
#[derive(Deserialize)]
pub struct Shown {
    #[serde(rename = "hub.mode", default)]
    mode: String,
    #[serde(rename = "hub.verify_token", default)]
    token: String,
    #[serde(rename = "hub.challenge", default)]
    challenge: String,
}

impl Shown {
    /// Whether this is said back: it is text, and not much.
    fn is_echoed(&self) -> bool {
        self.mode == "subscribe"
            && (1..=LONGEST_CHALLENGE).contains(&self.challenge.len())
            && self.challenge.bytes().all(|byte| byte.is_ascii_graphic())
    }
}

/// Answer Meta
///
/// Meta shows the bot's verify token once, when this address is entered there, and is said back the challenge. 403 `verify_token_wrong` for another token.
#[utoipa::path(
    tag = "hooks", operation_id = "verify_whatsapp_cloud", security(()),
    params(
        ("tenant" = TenantId, Path), ("bot" = InstanceId, Path), ("hub.mode" = String, Query), ("hub.verify_token" = String, Query),
        ("hub.challenge" = String, Query)
    ),
    responses(
        (status = 200, body = String, content_type = "text/plain"), (status = 403, body = ProblemBody, description = "`verify_token_wrong`"),
        (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)
    )
)]
#[get("/hooks/whatsapp-cloud/{tenant}/{bot}")]
pub async fn verify_whatsapp_cloud(
    hook: Hook,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse, Problem> {
    let found = find(&hook, path.into_inner())
        .await?
        .ok_or_else(Problem::not_found)?;
    let shown = web::Query::<Shown>::from_query(hook.request.query_string()).ok();
    let shown = shown.filter(|shown| found.is_shown(&shown.token) && shown.is_echoed());
    let Some(shown) = shown else {
        return Err(Problem::forbidden(
            "verify_token_wrong",
            "This is not the bot's verify token: enter the one that was told when the bot was made.",
        ));
    };
    let challenge = shown.into_inner().challenge;
    Ok(HttpResponse::Ok()
        .content_type(ContentType::plaintext())
        .body(challenge))
}

/// Hear WhatsApp's Cloud API
///
/// What was said to a number, signed with the secret of its application (`X-Hub-Signature-256`). It is stored before it is answered; the same
/// message again is answered the same.
#[utoipa::path(
    tag = "hooks", operation_id = "hear_whatsapp_cloud", params(("tenant" = TenantId, Path), ("bot" = InstanceId, Path)), security(()),
    responses(
        (status = 200, body = Heard), (status = 401, body = ProblemBody, description = "`signature_invalid`"),
        (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)
    )
)]
#[post("/hooks/whatsapp-cloud/{tenant}/{bot}")]
pub async fn hear_whatsapp_cloud(
    hook: Hook,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse, Problem> {
    let found = find(&hook, path.into_inner()).await?;
    let signature = hook.request.headers().get(SIGNATURE);
    let signature = signature
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let time = hook.platform.settings.server.request_timeout / 2;
    let body = receive(&hook.request, hook.payload, LARGEST, time).await?;
    let signed = is_meta(found.as_ref(), signature, &body);
    let found = found.ok_or_else(Problem::not_found)?;
    if !signed {
        return Err(unheard(WebhookError::Secret));
    }
    let channels = &hook.platform.channels;
    channels.hear_cloud(&found, &body).await.map_err(unheard)?;
    Ok(HttpResponse::Ok().json(Heard::YES))
}

async fn find(hook: &Hook, (tenant, bot): (String, String)) -> Result<Option<CloudHook>, Problem> {
    let (tenant, bot) = (path_id(&tenant)?, path_id(&bot)?);
    let found = hook.platform.channels.find_cloud_hook(tenant, bot).await;
    found.map_err(|error| unheard(error.into()))
}
