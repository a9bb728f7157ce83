//! What a request says of itself: where it comes from, and whether it is a repetition.

use std::future::{Ready, ready};
use std::net::{IpAddr, Ipv4Addr};

use actix_web::dev::Payload;
use actix_web::http::header::{AUTHORIZATION, HOST, HeaderName, HeaderValue};
use actix_web::{FromRequest, HttpRequest, web};

use crate::config::ServerSettings;
use crate::domain::invalid::Invalid;
use crate::http::problem::Problem;
use crate::platform::Platform;

/// The address of the client; of a trusted proxy's client when there is one.
#[derive(Debug, Clone, Copy)]
pub struct ClientAddress(pub IpAddr);

impl FromRequest for ClientAddress {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let Some(platform) = request.app_data::<web::Data<Platform>>() else {
            return ready(Err(Problem::internal()));
        };
        ready(Ok(Self(client_address(request, &platform.settings.server))))
    }
}

/// The address of the client; of a trusted proxy's client when there is one.
pub(in crate::http) fn client_address(request: &HttpRequest, server: &ServerSettings) -> IpAddr {
    let peer = request
        .peer_addr()
        .map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.ip());
    if !server.trusts(peer) {
        return peer;
    }
    // The last address that no trusted proxy wrote about itself. A proxy may add a line of its own to those that
    // the client has sent: only all of them together are the list.
    let lines = request.headers().get_all("x-forwarded-for");
    let forwarded: Vec<&str> = lines.filter_map(|line| line.to_str().ok()).collect();
    let client = forwarded
        .iter()
        .flat_map(|line| line.split(','))
        .rev()
        .map_while(|address| address.trim().parse::<IpAddr>().ok())
        .find(|address| !server.trusts(*address));
    client.unwrap_or(peer)
}

/// The host that was asked for: HTTP/2 has it in the address, HTTP/1.1 in a header.
///
/// # Errors
/// 400 for several: a proxy before us may have looked at another one (RFC 9112, 3.2).
pub(in crate::http) fn host(request: &HttpRequest) -> Result<Option<&str>, Problem> {
    match only_header(request, HOST)? {
        Some(host) => Ok(host.to_str().ok()),
        None => Ok(request.uri().host()),
    }
}

/// A header that may be given once.
///
/// # Errors
/// 400 when it is repeated.
pub(in crate::http) fn only_header(
    request: &HttpRequest,
    name: HeaderName,
) -> Result<Option<&HeaderValue>, Problem> {
    let mut values = request.headers().get_all(name);
    match (values.next(), values.next()) {
        (value, None) => Ok(value),
        (_, Some(_)) => Err(Problem::bad_request(
            "repeated_header",
            "Host and X-Tenant-Key may each be sent once: nobody knows which of them counts.",
        )),
    }
}

/// The token of the header `Authorization: Bearer <token>`; the scheme's case does not matter (RFC 9110, 11.1).
pub(in crate::http) fn bearer(request: &HttpRequest) -> Option<&str> {
    let header = request.headers().get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = header.trim().split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// The header `Idempotency-Key`, checked.
#[derive(Debug, Clone)]
pub struct IdempotencyHeader(pub Result<Option<String>, Invalid>);

impl FromRequest for IdempotencyHeader {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let key = match request.headers().get("idempotency-key").map(|key| key.to_str()) {
            None => Ok(None),
            Some(Ok(key)) if (1..=200).contains(&key.trim().len()) => Ok(Some(key.trim().to_owned())),
            Some(_) => Err(Invalid::format("must be 1 to 200 visible ASCII characters")),
        };
        ready(Ok(Self(key)))
    }
}

impl IdempotencyHeader {
    /// The key, or the refusal of its form.
    ///
    /// # Errors
    /// 422.
    pub fn key(self) -> Result<Option<String>, Problem> {
        self.0
            .map_err(|invalid| Problem::invalid_field("Idempotency-Key", invalid))
    }
}
