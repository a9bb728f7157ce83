//! Around every request: its id, its span, its line in the log, its metrics, and the headers that every answer has.

use std::time::Instant;

use actix_web::HttpMessage as _;
use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::error::InternalError;
use actix_web::http::header::{CACHE_CONTROL, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use chrono::{DateTime, Utc};
use tracing::Instrument;

use crate::domain::ids::RequestId;
use crate::domain::tenant_key::TenantKey;
use crate::telemetry::{metrics, request_id};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The present key of a tenant that was asked for by a former one.
const PRESENT_KEY: HeaderName = HeaderName::from_static("x-tenant-key");
/// Until when the former one is served (RFC 8594).
const SUNSET: HeaderName = HeaderName::from_static("sunset");
const NO_SNIFF: HeaderName = HeaderName::from_static("x-content-type-options");

/// A request that named its tenant by a former key: the answer tells.
#[derive(Debug, Clone)]
pub struct FormerKey {
    /// The present key.
    pub key: TenantKey,
    /// Until when the former one is served.
    pub until: DateTime<Utc>,
}

/// The middleware, for `actix_web::middleware::from_fn`.
///
/// # Errors
/// What the inner service fails with.
pub async fn observe(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    let id = RequestId::new();
    let started = Instant::now();
    let in_flight = metrics::InFlight::begin();
    let method = request.method().clone();
    // The pattern, never the path: a path may hold personal data.
    let route = request.match_pattern().unwrap_or_else(|| "unmatched".to_owned());
    let span =
        tracing::info_span!("request", request_id = %id, %method, route, tenant = tracing::field::Empty);
    let work = async move {
        // An error is made into an answer here, where it still has its id and gets its headers.
        let mut answer = next.call(request).await.map_err(|error| {
            let response = error.error_response();
            (error, response)
        });
        let former = answer
            .as_ref()
            .ok()
            .and_then(|response| response.request().extensions().get::<FormerKey>().cloned());
        let (status, headers) = match &mut answer {
            Ok(response) => (response.status().as_u16(), response.headers_mut()),
            Err((_, response)) => (response.status().as_u16(), response.headers_mut()),
        };
        if let Ok(value) = HeaderValue::from_str(&id.to_string()) {
            headers.insert(REQUEST_ID, value);
        }
        if let Some(FormerKey { key, until }) = former {
            let until = until.format("%a, %d %b %Y %H:%M:%S GMT").to_string();
            for (name, value) in [(PRESENT_KEY, key.as_str()), (SUNSET, &until)] {
                if let Ok(value) = HeaderValue::from_str(value) {
                    headers.insert(name, value);
                }
            }
        }
        headers.insert(NO_SNIFF, HeaderValue::from_static("nosniff"));
        // A cache in between knows neither X-Tenant-Key nor cookies: it must not hand one client's answer to another.
        if !headers.contains_key(CACHE_CONTROL) {
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        }
        let took = started.elapsed();
        metrics::record_http_request(method.as_str(), &route, status, took);
        drop(in_flight);
        tracing::info!(
            status,
            took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
            "answered"
        );
        answer.map_err(|(error, response)| InternalError::from_response(error, response).into())
    };
    request_id::scope(id, work.instrument(span)).await
}
