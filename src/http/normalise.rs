//! Requests as the routes expect them, so that no route has to think of it: `HEAD` is a `GET` whose body the server
//! leaves out, and a wish for encodings that nobody can fulfil is no reason to answer nothing.

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{ACCEPT_ENCODING, AcceptEncoding, Encoding, Header};
use actix_web::middleware::Next;

/// The middleware, for `actix_web::middleware::from_fn`; outside of compression.
///
/// # Errors
/// What the inner service fails with.
pub async fn normalise(
    mut request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    if request.method() == Method::HEAD {
        request.head_mut().method = Method::GET;
    }
    // RFC 9110, 12.5.3: a server may then ignore the header; compression would answer 406.
    let offered = [Encoding::identity(), Encoding::brotli(), Encoding::gzip()];
    let fits = |wanted: AcceptEncoding| wanted.negotiate(offered.iter()).is_some();
    if !AcceptEncoding::parse(&request).is_ok_and(fits) {
        request.headers_mut().remove(ACCEPT_ENCODING);
    }
    next.call(request).await
}
