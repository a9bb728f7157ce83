//! The one place that turns failures into answers: `application/problem+json` (RFC 9457).
//!
//! A client gets a stable code and a sentence that says what to do. A 5xx is opaque; its cause is logged here, once.

mod from;

use std::borrow::Cow;
use std::fmt;

use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, CONTENT_TYPE, LOCATION, RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::{HttpResponse, ResponseError};
use serde::Serialize;
use uuid::Uuid;

use crate::domain::invalid::{FieldError, FieldErrors, Invalid};
use crate::domain::metering::Exhausted;
use crate::telemetry::request_id;

/// Seconds after which a client may try again when the database is away.
const RETRY_SECONDS: u32 = 2;

/// The media type of refusals.
pub const PROBLEM_JSON: &str = "application/problem+json";

/// A refused or failed request.
#[derive(Debug)]
pub struct Problem {
    status: StatusCode,
    code: &'static str,
    detail: Cow<'static, str>,
    errors: Vec<FieldError>,
    retry_after: Option<u32>,
    allow: Option<String>,
    /// Rare, and large beside the rest.
    more: Option<Box<More>>,
}

/// What only some refusals say.
#[derive(Debug)]
enum More {
    Existing(Uuid),
    Exhausted(Exhaustion),
    /// The address that is to be asked instead.
    Moved(String),
}

/// What there is no more of.
#[derive(Debug)]
pub struct Exhaustion {
    /// The word of plans and meters for it.
    pub meter: &'static str,
    /// How much there was.
    pub exhausted: Exhausted,
    /// Code of the plan that includes more.
    pub plan: Option<String>,
}

/// The body of a refused or failed request.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ProblemBody<'a> {
    /// A URN that ends in `code`.
    #[serde(rename = "type")]
    kind: String,
    /// The status in words.
    title: &'a str,
    /// The HTTP status.
    status: u16,
    /// Stable, `snake_case`: for programs.
    code: &'a str,
    /// What went wrong and what to do: for people.
    detail: &'a str,
    /// As in the header `x-request-id`: name it when asking for help.
    request_id: Option<String>,
    /// The refused fields.
    errors: &'a [FieldError],
    /// What is there already and stands in the way.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = Uuid)]
    existing_id: Option<Uuid>,
    /// Of `limit_exceeded`: what the plan includes.
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<i64>,
    /// Of `limit_exceeded`: what is in use or was consumed this month.
    #[serde(skip_serializing_if = "Option::is_none")]
    used: Option<i64>,
    /// Of `limit_exceeded`: what is promised to what is under way.
    #[serde(skip_serializing_if = "Option::is_none")]
    reserved: Option<i64>,
    /// Of `limit_exceeded`: code of the cheapest plan on sale that includes more, if one does.
    #[serde(skip_serializing_if = "Option::is_none")]
    plan: Option<&'a str>,
}

impl Problem {
    /// A refusal.
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            status,
            code,
            detail: detail.into(),
            errors: Vec::new(),
            retry_after: None,
            allow: None,
            more: None,
        }
    }

    /// 308: the client has another address now; the request is to be repeated there as it is.
    pub fn moved(to: String) -> Self {
        Self {
            more: Some(Box::new(More::Moved(to))),
            ..Self::new(
                StatusCode::PERMANENT_REDIRECT,
                "tenant_renamed",
                "This client has another address now: see the header Location.",
            )
        }
    }

    /// 400.
    pub fn bad_request(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, detail)
    }

    /// The code of [`Problem::limit_exceeded`].
    pub const LIMIT_EXCEEDED: &'static str = "limit_exceeded";

    /// 402: the plan includes no more of `meter`.
    pub fn limit_exceeded(meter: &'static str, exhausted: Exhausted) -> Self {
        let detail = format!(
            "The plan includes {} {meter}, and {} are in use: see GET /api/subscription, and GET /api/plans for larger ones.",
            exhausted.limit,
            exhausted.used + exhausted.reserved
        );
        let exhaustion = Exhaustion {
            meter,
            exhausted,
            plan: None,
        };
        Self {
            more: Some(Box::new(More::Exhausted(exhaustion))),
            ..Self::new(StatusCode::PAYMENT_REQUIRED, Self::LIMIT_EXCEEDED, detail)
        }
    }

    /// What there is no more of, when that is the refusal.
    pub fn exhaustion(&self) -> Option<&Exhaustion> {
        match self.more.as_deref() {
            Some(More::Exhausted(exhaustion)) => Some(exhaustion),
            _ => None,
        }
    }

    /// The same, to name a plan.
    pub fn exhaustion_mut(&mut self) -> Option<&mut Exhaustion> {
        match self.more.as_deref_mut() {
            Some(More::Exhausted(exhaustion)) => Some(exhaustion),
            _ => None,
        }
    }

    /// 401.
    pub fn unauthorized() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "unauthorized",
            "Credentials are missing, expired or not valid here: log in, or send `Authorization: Bearer <token or API key>`.",
        )
    }

    /// 403.
    pub fn forbidden(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::FORBIDDEN, code, detail)
    }

    /// 403 for who is known but may not.
    pub fn no_right() -> Self {
        Self::forbidden(
            "insufficient_rights",
            "Your role, or the scopes of the API key, do not allow this.",
        )
    }

    /// 404.
    pub fn not_found() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "not_found",
            "There is nothing at this address.",
        )
    }

    /// 405 for an address that takes the methods `allowed`.
    pub fn method_not_allowed(allowed: String) -> Self {
        Self {
            allow: Some(allowed),
            ..Self::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "method_not_allowed",
                "This address does not take this method: see the header Allow.",
            )
        }
    }

    /// 409.
    pub fn conflict(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::CONFLICT, code, detail)
    }

    /// 422 with its fields.
    pub fn invalid_fields(errors: FieldErrors) -> Self {
        Self {
            errors: errors.into_iter().collect(),
            ..Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "invalid_fields",
                "Some fields are not valid: see `errors`.",
            )
        }
    }

    /// 422 with one field.
    pub fn invalid_field(field: &str, invalid: Invalid) -> Self {
        let mut errors = FieldErrors::new();
        errors.push(field, invalid);
        Self::invalid_fields(errors)
    }

    /// 429.
    pub fn too_many(code: &'static str, detail: impl Into<Cow<'static, str>>, retry_after: u32) -> Self {
        Self {
            retry_after: Some(retry_after),
            ..Self::new(StatusCode::TOO_MANY_REQUESTS, code, detail)
        }
    }

    /// 429: so much of one tenant is under way that its share of the process is taken.
    pub fn crowded() -> Self {
        Self::too_many(
            "too_many_at_once",
            "More requests of this account are under way than its share: wait for answers before you ask for more.",
            RETRY_SECONDS,
        )
    }

    /// 503: what the tenant may use at once is in use, and nothing of it came back in time.
    pub fn tenant_busy() -> Self {
        Self::unavailable(
            "tenant_busy",
            "This account has too much under way at once: try again in a moment.",
        )
    }

    /// 503, to be tried again.
    pub fn unavailable(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            retry_after: Some(RETRY_SECONDS),
            ..Self::new(StatusCode::SERVICE_UNAVAILABLE, code, detail)
        }
    }

    /// Says when to try again.
    pub fn after(self, seconds: u32) -> Self {
        Self {
            retry_after: Some(seconds),
            ..self
        }
    }

    /// 500, opaque. The caller has logged why.
    pub fn internal() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal_error",
            "Something failed on our side. Try again; if it goes on, tell us the request_id.",
        )
    }

    /// Names what is there already, in the member `existing_id`.
    pub fn naming(self, id: impl Into<Uuid>) -> Self {
        Self {
            more: Some(Box::new(More::Existing(id.into()))),
            ..self
        }
    }

    /// The code.
    pub fn code(&self) -> &'static str {
        self.code
    }

    /// The status.
    pub fn status(&self) -> StatusCode {
        self.status
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.status.as_u16(), self.code)
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        let (existing_id, exhausted, moved) = match self.more.as_deref() {
            Some(More::Existing(id)) => (Some(*id), None, None),
            Some(More::Exhausted(exhausted)) => (None, Some(exhausted), None),
            Some(More::Moved(to)) => (None, None, Some(to)),
            None => (None, None, None),
        };
        let body = ProblemBody {
            kind: format!("urn:helixai:problem:{}", self.code),
            title: self.status.canonical_reason().unwrap_or_default(),
            status: self.status.as_u16(),
            code: self.code,
            detail: &self.detail,
            request_id: request_id::current().map(|id| id.to_string()),
            errors: &self.errors,
            existing_id,
            limit: exhausted.map(|of| of.exhausted.limit),
            used: exhausted.map(|of| of.exhausted.used),
            reserved: exhausted.map(|of| of.exhausted.reserved),
            plan: exhausted.and_then(|of| of.plan.as_deref()),
        };
        let mut response = HttpResponse::build(self.status);
        if let Some(to) = moved {
            response.insert_header((LOCATION, to.as_str()));
        }
        if let Some(seconds) = self.retry_after {
            response.insert_header((RETRY_AFTER, seconds.to_string()));
        }
        if let Some(methods) = &self.allow {
            response.insert_header((ALLOW, methods.as_str()));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            response.insert_header((WWW_AUTHENTICATE, "Bearer"));
        }
        response.insert_header((CONTENT_TYPE, PROBLEM_JSON));
        response.body(serde_json::to_string(&body).unwrap_or_default())
    }
}
