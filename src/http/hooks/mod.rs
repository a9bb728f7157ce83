//! Where gateways and channels ([`telegram`], [`whatsapp_cloud`]) tell their news, on the base domain only. Whoever comes is known by the
//! signature of what they bring, or by a secret: that is verified on the body as it came in, which is stored once and answered. What a
//! gateway says is asked for again before anything is done; what a channel says was said.

pub mod telegram;
pub mod whatsapp_cloud;

use actix_web::dev::Payload as Incoming;
use actix_web::{FromRequest, HttpRequest, HttpResponse, post, web};
use serde::Serialize;

use crate::billing::gateways::Delivery;
use crate::billing::payments::hooks::HookError;
use crate::channels::inbound::WebhookError;
use crate::db::Refusal;
use crate::domain::ids::GatewayAccountId;
use crate::domain::payment::GatewayKind;
use crate::http::body::{path_id, receive};
use crate::http::extract::on_base_domain;
use crate::http::problem::{Problem, ProblemBody};
use crate::platform::Platform;

/// The largest event, in bytes; gateways' are a few thousand.
const LARGEST: usize = 256 * 1024;

/// What a gateway is told.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Heard {
    /// Always.
    received: bool,
}

impl Heard {
    const YES: Self = Self { received: true };
}

/// Hear Mercado Pago
///
/// Webhooks signed with the account's secret (`x-signature`). The same event again is answered the same.
#[utoipa::path(
    tag = "hooks", operation_id = "hear_mercado_pago", params(("account" = GatewayAccountId, Path)), security(()),
    responses(
        (status = 200, body = Heard), (status = 401, body = ProblemBody, description = "`signature_invalid`"),
        (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)
    )
)]
#[post("/hooks/mercado-pago/{account}")]
pub async fn hear_mercado_pago(hook: Hook, account: web::Path<String>) -> Result<HttpResponse, Problem> {
    hook.hear(GatewayKind::MercadoPago, &account).await
}

/// Hear Stripe
///
/// Webhooks signed with the endpoint's secret (`Stripe-Signature`). The same event again is answered the same.
#[utoipa::path(
    tag = "hooks", operation_id = "hear_stripe", params(("account" = GatewayAccountId, Path)), security(()),
    responses(
        (status = 200, body = Heard), (status = 401, body = ProblemBody, description = "`signature_invalid`"),
        (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)
    )
)]
#[post("/hooks/stripe/{account}")]
pub async fn hear_stripe(hook: Hook, account: web::Path<String>) -> Result<HttpResponse, Problem> {
    hook.hear(GatewayKind::Stripe, &account).await
}

/// Hear Asaas
///
/// Webhooks with the account's token (`asaas-access-token`). The same event again is answered the same.
#[utoipa::path(
    tag = "hooks", operation_id = "hear_asaas", params(("account" = GatewayAccountId, Path)), security(()),
    responses(
        (status = 200, body = Heard), (status = 401, body = ProblemBody, description = "`signature_invalid`"),
        (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)
    )
)]
#[post("/hooks/asaas/{account}")]
pub async fn hear_asaas(hook: Hook, account: web::Path<String>) -> Result<HttpResponse, Problem> {
    hook.hear(GatewayKind::Asaas, &account).await
}

/// A webhook that nobody has read yet.
pub struct Hook {
    request: HttpRequest,
    payload: Incoming,
    platform: web::Data<Platform>,
}

impl FromRequest for Hook {
    type Error = Problem;
    type Future = std::future::Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut Incoming) -> Self::Future {
        let platform = request.app_data::<web::Data<Platform>>().cloned();
        let hook = platform.ok_or_else(Problem::internal).and_then(|platform| {
            on_base_domain(request, &platform)?;
            Ok(Self {
                request: request.clone(),
                payload: payload.take(),
                platform,
            })
        });
        std::future::ready(hook)
    }
}

impl Hook {
    async fn hear(self, gateway: GatewayKind, account: &str) -> Result<HttpResponse, Problem> {
        let payments = &self.platform.payments;
        let account = payments.find_hook(gateway, path_id(account)?).await?;
        let account = account.ok_or_else(Problem::not_found)?;
        let time = self.platform.settings.server.request_timeout / 2;
        let body = receive(&self.request, self.payload, LARGEST, time).await?;
        let texts = self.request.headers().iter();
        let headers: Vec<(&str, &str)> = texts
            .filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)))
            .collect();
        let delivery = Delivery {
            query: self.request.query_string(),
            headers: &headers,
            body: &body,
        };
        payments.receive(&account, &delivery).await.map_err(refused)?;
        Ok(HttpResponse::Ok().json(Heard::YES))
    }
}

fn refused(error: HookError) -> Problem {
    match error {
        HookError::Signature => Problem::new(
            actix_web::http::StatusCode::UNAUTHORIZED,
            "signature_invalid",
            "The signature is missing, wrong or too old: nothing was stored.",
        ),
        HookError::Unreadable => Problem::bad_request(
            "event_unreadable",
            "The event is signed, but says nothing that is known.",
        ),
        HookError::Unknown => Problem::not_found(),
        HookError::Db(error) => error.into(),
    }
}

/// What a channel is told of which nothing was heard: it brings it again.
fn unheard(error: WebhookError) -> Problem {
    match error {
        WebhookError::Secret => Problem::new(
            actix_web::http::StatusCode::UNAUTHORIZED,
            "signature_invalid",
            "The secret or the signature is missing or wrong: nothing was stored.",
        ),
        WebhookError::Unreadable => Problem::bad_request(
            "event_unreadable",
            "This is nothing that the channel's provider says.",
        ),
        WebhookError::Db(error) if error.refusal() == Some(Refusal::NotFound) => Problem::not_found(),
        WebhookError::Db(error) if error.refusal().is_none() => error.into(),
        WebhookError::NotServed | WebhookError::Db(_) => {
            Problem::unavailable("tenant_unavailable", "The bot's tenant is not served just now.")
        }
    }
}
