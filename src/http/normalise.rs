//! Requests as the routes expect them and answers as the contract promises them, so that no route has to think of it:
//! `HEAD` is a `GET` whose body the server leaves out, a wish for encodings that nobody can fulfil is no reason to
//! answer nothing, a request ends in time, and what a library refuses is a problem document, too.

use actix_web::ResponseError;
use actix_web::body::{BoxBody, EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{ACCEPT_ENCODING, AcceptEncoding, CONTENT_TYPE, Encoding, Header};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::web;

use super::problem::Problem;
use crate::platform::Platform;

/// The middleware, for `actix_web::middleware::from_fn`; outside of compression.
///
/// # Errors
/// What the inner service fails with; 503 when it takes longer than `server.request_timeout_secs`.
pub async fn normalise<B: MessageBody + 'static>(
    mut request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B, BoxBody>>, actix_web::Error> {
    if request.method() == Method::HEAD {
        request.head_mut().method = Method::GET;
    }
    // RFC 9110, 12.5.3: a server may then ignore the header; compression would answer 406.
    let offered = [Encoding::identity(), Encoding::brotli(), Encoding::gzip()];
    let fits = |wanted: AcceptEncoding| wanted.negotiate(offered.iter()).is_some();
    if !AcceptEncoding::parse(&request).is_ok_and(fits) {
        request.headers_mut().remove(ACCEPT_ENCODING);
    }
    let time = request
        .app_data::<web::Data<Platform>>()
        .map(|platform| platform.settings.server.request_timeout)
        .ok_or_else(Problem::internal)?;
    let response = tokio::time::timeout(time, next.call(request))
        .await
        .map_err(|_| {
            tracing::warn!("a request was given up: it took longer than server.request_timeout_secs");
            Problem::unavailable(
                "request_timeout",
                "The service is too busy to answer in time: try again in a moment.",
            )
        })??;
    let refused = response.status().is_client_error() || response.status().is_server_error();
    if refused && !response.headers().contains_key(CONTENT_TYPE) {
        let problem = match response.status() {
            StatusCode::NOT_FOUND => Problem::not_found(),
            status => Problem::new(status, "refused", "The request cannot be served."),
        };
        return Ok(response
            .into_response(problem.error_response())
            .map_into_right_body());
    }
    Ok(response.map_into_left_body())
}
