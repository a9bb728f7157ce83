//! `/api/admin/sessions`: administrators log in and out.

use actix_web::{HttpRequest, HttpResponse, delete, post, web};
use chrono::{DateTime, Duration, Utc};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::accounts::{hashing, throttle as limits};
use crate::db::master::audit::{MasterActor, MasterAudit, Subject, insert_audit};
use crate::db::master::{admins, throttle};
use crate::domain::ids::AdminId;
use crate::domain::token::{NewToken, TokenKind};
use crate::http::body::Body;
use crate::http::extract::{AdminAccess, ClientAddress, on_base_domain};
use crate::http::problem::{Problem, ProblemBody};
use crate::http::tenant::sessions::{Credentials, NewSession, too_many_failures, wrong_credentials};
use crate::platform::Platform;
use crate::telemetry::request_id;

/// Log in as an administrator.
#[utoipa::path(
    tag = "admin sessions", operation_id = "create_admin_session", request_body = Credentials, security(()),
    responses((status = 201, body = NewSession), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[post("/api/admin/sessions")]
pub async fn create_admin_session(
    platform: web::Data<Platform>,
    from: ClientAddress,
    request: HttpRequest,
    body: Body<Credentials>,
) -> Result<HttpResponse, Problem> {
    on_base_domain(&request, &platform)?;
    let (email, password) = body.value?.check()?;
    let now = platform.clock.now();
    let attempt = limits::attempt(&email, from.0, &platform.settings.sessions, now);
    throttle::prune(&platform.master, &attempt).await?;
    if let Some(until) = throttle::note_attempt(&platform.master, &attempt).await? {
        return Err(too_many_failures(until, now));
    }
    let (admin, hash) = admins::find_login(&platform.master, &email)
        .await?
        .map(|admin| (admin.id, admin.password_hash))
        .unzip();
    let fits = hashing::verify(password, hash).await?;
    let admin = admin.filter(|_| fits).ok_or_else(wrong_credentials)?;
    let token = NewToken::generate(TokenKind::AdminSession);
    let expires_at =
        now + Duration::from_std(platform.settings.sessions.admin_life).unwrap_or(Duration::hours(12));
    let mut tx = platform.master.begin().await?;
    let failures = throttle::clear(&mut tx, &attempt).await?;
    admins::insert_session(&mut tx, admin, &token.hash, expires_at, now).await?;
    let line = audit(admin, "admin.log_in", json!({ "failures_before": failures }), now);
    insert_audit(&mut tx, &line).await?;
    tx.commit().await?;
    Ok(HttpResponse::Created().json(NewSession {
        token: token.plain.expose_secret().to_owned(),
        expires_at,
    }))
}

/// Log out.
#[utoipa::path(
    tag = "admin sessions", operation_id = "delete_admin_session", security(("admin" = [])),
    responses((status = 204), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[delete("/api/admin/sessions/current")]
pub async fn delete_admin_session(access: AdminAccess) -> Result<HttpResponse, Problem> {
    let mut tx = access.platform.master.begin().await?;
    admins::delete_session(&mut tx, access.admin.session).await?;
    let line = audit(
        access.admin.id,
        "admin.log_out",
        json!({}),
        access.platform.clock.now(),
    );
    insert_audit(&mut tx, &line).await?;
    tx.commit().await?;
    Ok(HttpResponse::NoContent().finish())
}

/// What an administrator does to their own session. Of failures only their number is told, of an account that exists.
fn audit(admin: AdminId, action: &'static str, details: Value, at: DateTime<Utc>) -> MasterAudit {
    MasterAudit {
        actor: MasterActor::Admin(admin),
        action,
        subject: Subject::Admin(admin),
        request_id: request_id::current().map(|id| id.to_string()),
        details,
        at,
    }
}
