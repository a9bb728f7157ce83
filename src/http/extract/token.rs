//! The token that a request shows: in its header, or in the cookie of a page of the tenant's own.

use actix_web::HttpRequest;
use actix_web::http::Method;
use actix_web::http::header::{AUTHORIZATION, ORIGIN, UPGRADE};

use super::client::{bearer, host};
use super::tenant::SESSION_COOKIE;
use crate::config::PublicScheme;
use crate::domain::token::{ParsedToken, TokenKind};
use crate::http::problem::Problem;

/// The token; `None` when there is none at all.
///
/// # Errors
/// 401 for what is no token, 403 for a cookie that another site's page sends along.
pub(super) fn token(request: &HttpRequest, scheme: PublicScheme) -> Result<Option<ParsedToken>, Problem> {
    if request.headers().contains_key(AUTHORIZATION) {
        let token = bearer(request).and_then(|token| ParsedToken::parse(token).ok());
        return token.map(Some).ok_or_else(Problem::unauthorized);
    }
    let Some(cookie) = request.cookie(SESSION_COOKIE) else {
        return Ok(None);
    };
    // Only what a login has put there: an API key does not belong into a browser.
    let token = ParsedToken::parse(cookie.value())
        .ok()
        .filter(|token| token.kind == TokenKind::Session)
        .ok_or_else(Problem::unauthorized)?;
    // What a socket hears no browser keeps from the page that has opened it, whoever's that is.
    let upgrade = request.headers().get(UPGRADE).and_then(|to| to.to_str().ok());
    let opens = upgrade.is_some_and(|to| to.to_ascii_lowercase().contains("websocket"));
    let safe = matches!(*request.method(), Method::GET | Method::HEAD) && !opens;
    if !safe && !same_origin(request, scheme) {
        return Err(Problem::forbidden(
            "origin_mismatch",
            "A cookie only counts from this site's own pages: send the token in the Authorization header.",
        ));
    }
    Ok(Some(token))
}

/// Scheme, host and port must be those of the address that was asked: a page that came in the clear may be anybody's.
fn same_origin(request: &HttpRequest, scheme: PublicScheme) -> bool {
    let origin = request
        .headers()
        .get(ORIGIN)
        .and_then(|origin| origin.to_str().ok());
    let parts = origin.and_then(|origin| origin.split_once("://"));
    parts.is_some_and(|(from, authority)| {
        from == scheme.to_string() && host(request).is_ok_and(|host| host == Some(authority))
    })
}
