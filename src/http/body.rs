//! JSON bodies and query strings, read without judging the caller: a handler proves the credentials before it says
//! what is wrong with what was sent.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::error::PayloadError;
use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING};
use actix_web::{FromRequest, HttpRequest, web};
use chrono::{DateTime, Datelike as _, Utc};
use futures_util::{Stream, StreamExt};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::problem::Problem;
use crate::domain::invalid::{FieldErrors, Invalid};
use crate::domain::page::{Cursor, Limit};
use crate::domain::phone::searched_digits;
use crate::domain::text::line;
use crate::platform::Platform;

/// A JSON body, or why it is not one. Extracting it never fails.
#[derive(Debug)]
pub struct Body<T> {
    /// The body.
    pub value: Result<T, Problem>,
    /// SHA-256 of the bytes, for the `Idempotency-Key`.
    pub hash: [u8; 32],
}

/// A JSON body that may be left out: nothing at all is the default.
#[derive(Debug)]
pub struct OptionalBody<T>(pub Result<T, Problem>);

/// The query string, or why it cannot be read. Every parameter is a text.
#[derive(Debug)]
pub struct Params<T>(pub Result<T, Problem>);

impl<T: DeserializeOwned> FromRequest for Body<T> {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, payload) = (request.clone(), payload.take());
        Box::pin(async move {
            let bytes = match read(&request, payload).await {
                Ok(bytes) => bytes,
                Err(problem) => {
                    return Ok(Self {
                        value: Err(problem),
                        hash: [0; 32],
                    });
                }
            };
            let hash = Sha256::digest(&bytes).into();
            Ok(Self {
                value: parse(&mut serde_json::Deserializer::from_slice(&bytes), &bytes),
                hash,
            })
        })
    }
}

impl<T: DeserializeOwned + Default + 'static> FromRequest for OptionalBody<T> {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let headers = request.headers();
        let announced = headers.contains_key(TRANSFER_ENCODING)
            || headers.get(CONTENT_LENGTH).is_some_and(|length| length != "0");
        if !announced {
            return Box::pin(async { Ok(Self(Ok(T::default()))) });
        }
        let body = Body::from_request(request, payload);
        Box::pin(async { Ok(Self(body.await?.value)) })
    }
}

async fn read(request: &HttpRequest, payload: Payload) -> Result<web::BytesMut, Problem> {
    let server = request
        .app_data::<web::Data<Platform>>()
        .map(|platform| &platform.settings.server)
        .ok_or_else(Problem::internal)?;
    let kind = request
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .unwrap_or_default();
    let essence = kind.split(';').next().unwrap_or_default().trim();
    if !essence.eq_ignore_ascii_case("application/json") {
        return Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported_media_type",
            "Send JSON, with the header Content-Type: application/json.",
        ));
    }
    // The other half is for the work.
    receive(
        request,
        payload,
        server.body_limit_bytes,
        server.request_timeout / 2,
    )
    .await
}

/// A body of at most `limit` bytes that arrives within `time`.
pub(super) async fn receive(
    request: &HttpRequest,
    payload: impl Stream<Item = Result<web::Bytes, PayloadError>> + Unpin,
    limit: usize,
    time: Duration,
) -> Result<web::BytesMut, Problem> {
    let announced = request
        .headers()
        .get(CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > limit) {
        return Err(too_large(limit));
    }
    tokio::time::timeout(time, collect(payload, limit))
        .await
        .unwrap_or_else(|_| {
            Err(Problem::new(
                StatusCode::REQUEST_TIMEOUT,
                "body_too_slow",
                "The body did not arrive in time.",
            ))
        })
}

async fn collect(
    mut payload: impl Stream<Item = Result<web::Bytes, PayloadError>> + Unpin,
    limit: usize,
) -> Result<web::BytesMut, Problem> {
    let mut bytes = web::BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk
            .map_err(|_| Problem::bad_request("body_incomplete", "The body ended before it was complete."))?;
        if bytes.len() + chunk.len() > limit {
            return Err(too_large(limit));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

fn too_large(limit: usize) -> Problem {
    Problem::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "body_too_large",
        format!("The body is larger than {limit} bytes: send less at once."),
    )
}

fn parse<'de, T: DeserializeOwned, R: serde_json::de::Read<'de>>(
    json: &mut serde_json::Deserializer<R>,
    bytes: &[u8],
) -> Result<T, Problem> {
    let malformed =
        |what: &str| Problem::bad_request("malformed_json", format!("The body is not JSON: {what}."));
    match serde_path_to_error::deserialize(&mut *json) {
        // A list of values in the order of the fields would do for serde; nobody means that.
        Ok(_) if bytes.trim_ascii_start().first() != Some(&b'{') => Err(Problem::invalid_field(
            ".",
            Invalid::new("invalid_type", "must be an object"),
        )),
        Ok(value) => match json.end() {
            Ok(()) => Ok(value),
            Err(_) => Err(malformed("something follows the value")),
        },
        Err(error) => {
            let path = error.path().to_string();
            let error = error.into_inner();
            // The value is only blamed when the whole text is JSON.
            if !error.is_data() || serde_json::from_slice::<serde::de::IgnoredAny>(bytes).is_err() {
                return Err(malformed(&format!(
                    "line {}, column {}",
                    error.line(),
                    error.column()
                )));
            }
            Err(Problem::invalid_field(&path, wrong_shape(&error.to_string())))
        }
    }
}

impl<T: DeserializeOwned> FromRequest for Params<T> {
    type Error = Problem;
    type Future = std::future::Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        std::future::ready(Ok(Self(parse_query(request.query_string()))))
    }
}

fn parse_query<T: DeserializeOwned>(query: &str) -> Result<T, Problem> {
    let pairs = web::Query::<Vec<(String, String)>>::from_query(query)
        .map_err(|_| Problem::bad_request("malformed_query", "The query string cannot be read."))?;
    let mut object = Map::new();
    for (name, value) in pairs.into_inner() {
        if value.contains('\0') {
            return Err(Problem::invalid_field(
                &name,
                Invalid::format("must not hold NUL"),
            ));
        }
        if object.insert(name.clone(), Value::String(value)).is_some() {
            return Err(Problem::invalid_field(
                &name,
                Invalid::new("repeated", "is given more than once"),
            ));
        }
    }
    serde_path_to_error::deserialize(Value::Object(object)).map_err(|error| {
        let path = error.path().to_string();
        Problem::invalid_field(&path, wrong_shape(&error.into_inner().to_string()))
    })
}

/// The id in a path. One that is no id names nothing: 404.
///
/// # Errors
/// 404.
pub fn path_id<T: std::str::FromStr>(raw: &str) -> Result<T, Problem> {
    raw.parse().map_err(|_| Problem::not_found())
}

/// Words to search for: at most 200 characters.
///
/// # Errors
/// `too_long` and the like.
pub fn search_text(raw: &str) -> Result<String, Invalid> {
    line(raw, 200)
}

/// Words to search people for: a telephone number, or a part of one, is found however it is typed.
///
/// # Errors
/// As [`search_text`].
pub fn search_people(raw: &str) -> Result<String, Invalid> {
    search_text(raw).map(|text| searched_digits(&text).unwrap_or(text))
}

/// A whole number in a query string.
///
/// # Errors
/// `invalid_format`.
pub fn number(raw: &str) -> Result<i64, Invalid> {
    raw.parse().map_err(|_| Invalid::format("must be a whole number"))
}

/// Yes or no in a query string.
///
/// # Errors
/// `invalid_format`.
pub fn flag(raw: &str) -> Result<bool, Invalid> {
    raw.parse().map_err(|_| Invalid::format("must be true or false"))
}

/// A moment, in a year that the database can hold.
///
/// # Errors
/// `invalid_format`.
pub fn instant(raw: &str) -> Result<DateTime<Utc>, Invalid> {
    DateTime::parse_from_rfc3339(raw)
        .ok()
        .map(|at| at.with_timezone(&Utc))
        .filter(|at| (1..=9999).contains(&at.year()))
        .ok_or_else(|| Invalid::format("must be a moment of RFC 3339, as 2026-11-21T09:30:00-03:00"))
}

/// The parameters of a list that cannot be narrowed.
#[derive(Debug, serde::Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListAll {
    /// 1 to 200; 50 when left out.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 200)]
    limit: Option<String>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

impl ListAll {
    /// Where the page begins and how long it is.
    ///
    /// # Errors
    /// The refused parameters.
    pub fn check(self) -> Result<(Option<Cursor>, Limit), FieldErrors> {
        let mut errors = FieldErrors::new();
        let (limit, cursor) = paging(&mut errors, self.limit, self.cursor);
        errors.finish(|| Some((cursor, limit)))
    }
}

/// The parameters of a list that words narrow.
#[derive(Debug, serde::Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListSearched {
    /// With this in name, shortcut or words; accents do not matter.
    q: Option<String>,
    /// 1 to 200; 50 when left out.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 200)]
    limit: Option<String>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

impl ListSearched {
    /// The words, where the page begins and how long it is.
    ///
    /// # Errors
    /// The refused parameters.
    pub fn check(self) -> Result<(Option<String>, Option<Cursor>, Limit), FieldErrors> {
        let mut errors = FieldErrors::new();
        let text = errors.check_opt("q", self.q, |q| search_text(&q));
        let (limit, cursor) = paging(&mut errors, self.limit, self.cursor);
        errors.finish(|| Some((text, cursor, limit)))
    }
}

/// The parameters that every list has.
pub fn paging(
    errors: &mut FieldErrors,
    limit: Option<String>,
    cursor: Option<String>,
) -> (Limit, Option<Cursor>) {
    let limit = errors.check_opt("limit", limit, |limit| Limit::parse(&limit));
    let cursor = errors.check_opt("cursor", cursor, |cursor| Cursor::parse(&cursor));
    (limit.unwrap_or_default(), cursor)
}

/// serde says which value it met and which it wants; the position in the text helps nobody.
fn wrong_shape(message: &str) -> Invalid {
    let message = message.split(" at line ").next().unwrap_or_default();
    if message.starts_with("unknown field") {
        Invalid::new("unknown_field", message)
    } else if message.starts_with("missing field") {
        Invalid::new("required", message)
    } else {
        Invalid::new("invalid_type", message)
    }
}
