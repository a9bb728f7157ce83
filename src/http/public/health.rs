//! Whether the program lives, and whether it can work.

use actix_web::http::header::CONTENT_TYPE;
use actix_web::{HttpRequest, HttpResponse, get, web};
use secrecy::ExposeSecret;
use serde::Serialize;
use subtle::ConstantTimeEq;

use crate::http::extract::bearer;
use crate::http::problem::{Problem, ProblemBody};
use crate::platform::Platform;
use crate::telemetry::metrics::{Metrics, Plane, set_cache_entries, set_open_lanes, set_pool_size};

/// The answer of a health check.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Health {
    status: &'static str,
}

/// The program lives.
#[utoipa::path(tag = "health", operation_id = "get_health", responses((status = 200, body = Health)))]
#[get("/healthz")]
pub async fn get_health() -> web::Json<Health> {
    web::Json(Health { status: "ok" })
}

/// The program can work: the registry answers.
#[utoipa::path(
    tag = "health", operation_id = "get_readiness",
    responses((status = 200, body = Health), (status = 503, body = ProblemBody))
)]
#[get("/readyz")]
pub async fn get_readiness(platform: web::Data<Platform>) -> Result<web::Json<Health>, Problem> {
    platform.master.ping().await?;
    Ok(web::Json(Health { status: "ok" }))
}

/// Prometheus' metrics, where a token is configured for them (`metrics.token`); otherwise they have a port of their own.
#[utoipa::path(
    tag = "health", operation_id = "get_metrics", security(("metrics_token" = [])),
    responses(
        (status = 200, body = String, content_type = "text/plain"),
        (status = "4XX", body = ProblemBody)
    )
)]
#[get("/metrics")]
pub async fn get_metrics(
    request: HttpRequest,
    platform: web::Data<Platform>,
    metrics: web::Data<Metrics>,
) -> Result<HttpResponse, Problem> {
    let wanted = platform
        .settings
        .metrics
        .token
        .as_ref()
        .ok_or_else(Problem::not_found)?;
    let given = bearer(&request);
    let fits = given.is_some_and(|given| given.as_bytes().ct_eq(wanted.expose_secret().as_bytes()).into());
    if !fits {
        return Err(Problem::unauthorized());
    }
    Ok(render(&platform, &metrics))
}

/// The metrics as an answer. What has a size is measured now.
pub fn render(platform: &Platform, metrics: &Metrics) -> HttpResponse {
    let (open, busy) = platform.master.status();
    set_pool_size(Plane::Master, open, busy);
    let lanes = platform.lanes.status();
    let open = lanes.iter().map(|(_, open, _)| open).sum::<usize>();
    let idle = lanes.iter().map(|(_, _, idle)| idle).sum::<usize>();
    set_pool_size(Plane::Tenant, open, open.saturating_sub(idle));
    set_open_lanes(lanes.len());
    set_cache_entries(platform.resolver.cached());
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, Metrics::CONTENT_TYPE))
        .body(metrics.render())
}
