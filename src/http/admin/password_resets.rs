//! `/api/admin/password-resets`: an administrator has forgotten the password. As `/api/password-resets` for users.

use actix_web::{HttpRequest, HttpResponse, post, web};
use chrono::{DateTime, TimeDelta, Utc};
use secrecy::ExposeSecret as _;
use serde_json::json;

use crate::accounts::{hashing, throttle as limits};
use crate::db::master::audit::{MasterActor, MasterAudit, Subject, insert_audit};
use crate::db::master::{admin_links, throttle};
use crate::domain::email::Email;
use crate::domain::ids::{AdminId, MailId};
use crate::domain::password_link::LinkPurpose;
use crate::domain::token::{NewToken, TokenKind};
use crate::http::body::Body;
use crate::http::extract::{ClientAddress, on_base_domain};
use crate::http::problem::{Problem, ProblemBody};
use crate::http::tenant::password_links::{AskForPassword, ChoosePassword, unknown_token};
use crate::mail::{MailKind, NewMail, enqueue};
use crate::platform::Platform;
use crate::telemetry::request_id;

/// Links that one administrator can ask for within an hour.
const AN_HOUR: i64 = 3;

/// Ask for another password: a mail with a link that works for an hour, once, goes to the administrator of this address.
#[utoipa::path(
    tag = "admin sessions", operation_id = "create_admin_password_reset", request_body = AskForPassword, security(()),
    responses(
        (status = 202, description = "Whether or not there is such an administrator, and also when one has asked too often"),
        (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)
    )
)]
#[post("/api/admin/password-resets")]
pub async fn create_admin_password_reset(
    platform: web::Data<Platform>,
    from: ClientAddress,
    request: HttpRequest,
    body: Body<AskForPassword>,
) -> Result<HttpResponse, Problem> {
    on_base_domain(&request, &platform)?;
    let email = body.value?.check()?;
    let now = platform.clock.now();
    let attempt = limits::asking(&email, from.0, &platform.settings.sessions, now);
    throttle::prune(&platform.master, &attempt).await?;
    if throttle::note_attempt(&platform.master, &attempt)
        .await?
        .is_none()
    {
        mail_link(&platform, email, now).await?;
    }
    Ok(HttpResponse::Accepted().finish())
}

async fn mail_link(platform: &Platform, email: Email, now: DateTime<Utc>) -> Result<(), Problem> {
    let mut tx = platform.master.begin().await?;
    let an_hour_ago = now - TimeDelta::hours(1);
    let asking = admin_links::find_asking(&mut tx, &email, AN_HOUR, an_hour_ago, now).await?;
    if let Some(admin) = asking {
        let token = NewToken::generate(TokenKind::PasswordLink);
        let life = LinkPurpose::Reset.life();
        admin_links::insert(&mut tx, admin.id, &token.hash, now + life, now).await?;
        let id = MailId::new();
        let mail = NewMail {
            id,
            kind: MailKind::PasswordReset,
            tenant: None,
            invoice: None,
            locale: None,
            to: email,
            values: json!({
                "name": admin.name, "token": token.plain.expose_secret(), "valid_hours": life.num_hours(),
            }),
            due_at: now,
            dedupe_key: format!("admin_password_link:{id}"),
        };
        enqueue(&mut tx, &platform.key, &mail).await?;
        insert_audit(&mut tx, &audit(admin.id, "admin.ask_password_link", now)).await?;
    }
    tx.commit().await?;
    Ok(())
}

/// Choose another password with a mailed link; all sessions of the administrator end.
#[utoipa::path(
    tag = "admin sessions", operation_id = "confirm_admin_password_reset", request_body = ChoosePassword, security(()),
    responses((status = 204), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[post("/api/admin/password-resets/confirm")]
pub async fn confirm_admin_password_reset(
    platform: web::Data<Platform>,
    from: ClientAddress,
    request: HttpRequest,
    body: Body<ChoosePassword>,
) -> Result<HttpResponse, Problem> {
    on_base_domain(&request, &platform)?;
    let (token, password) = body.value?.check()?;
    let now = platform.clock.now();
    // A stranger does not make us hash passwords.
    let mut tx = platform.master.begin().await?;
    let found = admin_links::find(&mut tx, &token, now).await?;
    tx.commit().await?;
    let (_, email) = found.ok_or_else(unknown_token)?;
    let hash = hashing::hash(password).await?;
    let mut tx = platform.master.begin().await?;
    let admin = admin_links::spend(&mut tx, &token, &hash, now).await?;
    let admin = admin.ok_or_else(unknown_token)?;
    insert_audit(&mut tx, &audit(admin, "admin.reset_password_by_link", now)).await?;
    // Whoever has come in by the mail waits no longer for the failures before.
    if let Ok(email) = Email::parse(&email) {
        let failed = limits::attempt(&email, from.0, &platform.settings.sessions, now);
        throttle::clear(&mut tx, &failed).await?;
    }
    tx.commit().await?;
    Ok(HttpResponse::NoContent().finish())
}

/// What somebody does who is not logged in, by the administrator's mail.
fn audit(admin: AdminId, action: &'static str, at: DateTime<Utc>) -> MasterAudit {
    MasterAudit {
        actor: MasterActor::System,
        action,
        subject: Subject::Admin(admin),
        request_id: request_id::current().map(|id| id.to_string()),
        details: json!({}),
        at,
    }
}
