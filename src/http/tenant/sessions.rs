//! `/api/sessions`: logging in and out. The same answer for an unknown address and a wrong password, in the same time.

use actix_web::cookie::{Cookie, SameSite, time};
use actix_web::http::StatusCode;
use actix_web::http::header::USER_AGENT;
use actix_web::{HttpRequest, HttpResponse, delete, post};
use chrono::{DateTime, Duration, Utc};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};

use crate::accounts::{hashing, throttle as limits};
use crate::db::tenant::{audit, sessions, throttle};
use crate::domain::email::Email;
use crate::domain::invalid::FieldErrors;
use crate::domain::password::Password;
use crate::domain::token::{NewToken, TokenKind};
use crate::http::body::Body;
use crate::http::extract::{ClientAddress, LogIn, OwnAccount, PublicTenant, SESSION_COOKIE, TenantAccess};
use crate::http::problem::{Problem, ProblemBody};
use crate::telemetry::metrics;

/// Credentials.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Credentials {
    #[schema(value_type = String)]
    email: Option<String>,
    #[schema(value_type = String, format = Password)]
    password: Option<String>,
}

impl Credentials {
    /// An address that cannot be one is a field error; a password is never judged here.
    ///
    /// # Errors
    /// The missing or malformed fields.
    pub fn check(self) -> Result<(Email, Password), FieldErrors> {
        let mut errors = FieldErrors::new();
        let email = errors.require("email", self.email, |email| Email::parse(&email));
        let password = errors.require("password", self.password, |password| {
            Ok(Password::presented(password))
        });
        errors.finish(|| Some((email?, password?)))
    }
}

/// A session that has begun.
#[derive(Serialize, utoipa::ToSchema)]
pub struct NewSession {
    /// Send it as `Authorization: Bearer <token>`.
    pub token: String,
    /// When it ends by itself.
    pub expires_at: DateTime<Utc>,
}

/// 401 for a login.
pub fn wrong_credentials() -> Problem {
    Problem::new(
        StatusCode::UNAUTHORIZED,
        "wrong_credentials",
        "The e-mail address or the password is wrong.",
    )
}

/// 429 for a login.
pub fn too_many_failures(until: DateTime<Utc>, now: DateTime<Utc>) -> Problem {
    metrics::count_rate_limited("login_failures");
    Problem::too_many(
        "too_many_failures",
        "Too many failed logins: wait, or ask somebody with rights to give you a new password.",
        limits::wait(until, now),
    )
}

/// Log in.
#[utoipa::path(
    tag = "sessions", operation_id = "create_session", request_body = Credentials, security(()),
    responses(
        (status = 201, body = NewSession, description = "Also sets a host-only cookie"),
        (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)
    )
)]
#[post("/api/sessions")]
pub async fn create_session(
    public: PublicTenant<LogIn>,
    from: ClientAddress,
    request: HttpRequest,
    body: Body<Credentials>,
) -> Result<HttpResponse, Problem> {
    let access = public.0;
    let (email, password) = body.value?.check()?;
    let now = access.now;
    let settings = &access.platform().settings;
    let attempt = limits::attempt(&email, from.0, &settings.sessions, now);

    let (_, blocked, user) = access
        .run((
            throttle::prune(&attempt),
            throttle::note_attempt(&attempt),
            sessions::find_login(&email),
        ))
        .await?
        .output;
    if let Some(until) = blocked {
        return Err(too_many_failures(until, now));
    }
    let (user, hash) = user.map(|user| (user.id, user.password_hash)).unzip();
    let fits = hashing::verify(password, hash).await?;
    let user = user.filter(|_| fits).ok_or_else(wrong_credentials)?;

    let token = NewToken::generate(TokenKind::Session);
    let life = Duration::from_std(settings.sessions.user_life).unwrap_or(Duration::days(30));
    let expires_at = now + life;
    let agent = request
        .headers()
        .get(USER_AGENT)
        .and_then(|agent| agent.to_str().ok());
    let agent = agent.map(|agent| agent.chars().take(400).collect());
    let (begun, _, _, _) = access
        .run((
            sessions::insert(user, &token.hash, agent, expires_at, now),
            sessions::delete_expired(user, now),
            throttle::clear(&attempt),
            audit::insert(&access.access, "session.create", "users", user),
        ))
        .await?
        .output;
    if begun == 0 {
        return Err(wrong_credentials());
    }
    let token = token.plain.expose_secret().to_owned();
    let cookie = Cookie::build(SESSION_COOKIE, token.clone())
        .path("/")
        .http_only(true)
        .same_site(SameSite::Lax)
        .secure(settings.server.is_https())
        .max_age(time::Duration::seconds(life.num_seconds()))
        .finish();
    Ok(HttpResponse::Created()
        .cookie(cookie)
        .json(NewSession { token, expires_at }))
}

/// Log out: the token is worth nothing from now on.
#[utoipa::path(
    tag = "sessions", operation_id = "delete_session", security(("bearer" = [])),
    responses((status = 204), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[delete("/api/sessions/current")]
pub async fn delete_session(access: TenantAccess<OwnAccount>) -> Result<HttpResponse, Problem> {
    let hash = access.session().await?;
    let audit = audit::insert(&access.access, "session.delete", "sessions", "current");
    access.run((audit, sessions::delete(&hash))).await?;
    let mut cookie = Cookie::build(SESSION_COOKIE, "").path("/").finish();
    cookie.make_removal();
    Ok(HttpResponse::NoContent().cookie(cookie).finish())
}
