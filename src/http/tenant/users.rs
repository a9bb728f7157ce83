//! `/api/users`: who works for the tenant. Owners manage everybody, managers manage agents; the last owner stays.

use actix_web::{HttpResponse, delete, get, patch, post, web};
use serde::Serialize;
use serde_json::{Value, json};

use super::user_forms::{Checked, CheckedUpdate, CreateUser, ListUsers, UpdateUser};
use crate::accounts::hashing;
use crate::accounts::links::NewLink;
use crate::db::DbError;
use crate::db::tenant::users::{self, UserChange};
use crate::db::tenant::{Query, audit, password_links};
use crate::domain::ids::UserId;
use crate::domain::page::{Cursor, Page};
use crate::domain::password::Password;
use crate::domain::password_link::LinkPurpose;
use crate::domain::user::{User, UserStatus};
use crate::http::body::{Body, Params, path_id};
use crate::http::create::Creation;
use crate::http::extract::{IdempotencyHeader, ManageTenant, OwnTenant, SeeSettings, TenantAccess};
use crate::http::problem::{Problem, ProblemBody};

/// What the plan calls users.
const SEATS: &str = "users";

/// A user who has just been added, or has just got another password.
#[derive(Serialize, utoipa::ToSchema)]
pub struct UserWithPassword {
    /// What is shown from now on.
    #[serde(flatten)]
    user: User,
    /// Present when none was given. It is shown this once.
    #[serde(skip_serializing_if = "Option::is_none")]
    temporary_password: Option<String>,
}

fn refuse(error: &DbError) -> Option<Problem> {
    match error {
        DbError::Constraint(name) if name == "users_email_key" => Some(Problem::conflict(
            "email_taken",
            "Another user has this address: change that one, or remove it first.",
        )),
        _ => None,
    }
}

/// List users, newest first.
#[utoipa::path(
    tag = "users", operation_id = "list_users", params(ListUsers), security(("bearer" = [])),
    responses((status = 200, body = Page<User>), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[get("/api/users")]
pub async fn list_users(
    access: TenantAccess<SeeSettings>,
    params: Params<ListUsers>,
) -> Result<web::Json<Page<User>>, Problem> {
    let params = access.check(params.0).await?;
    let (filter, text, after, limit) = access.check(params.check()).await?;
    let rows = access.run(users::list(filter, text, after, limit)).await?.output;
    Ok(web::Json(Page::from_rows(rows, limit, |row| {
        Cursor::new(row.created_at, row.id)
    })))
}

/// Add a user.
#[utoipa::path(
    tag = "users", operation_id = "create_user", request_body = CreateUser, security(("bearer" = [])),
    params(("Idempotency-Key" = Option<String>, Header, description = "Repeats of a request with the same key are one request")),
    responses(
        (status = 201, body = UserWithPassword),
        (status = 402, body = ProblemBody, description = "`limit_exceeded`: the plan includes no more users"),
        (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)
    )
)]
#[post("/api/users")]
pub async fn create_user(
    access: TenantAccess<ManageTenant>,
    key: IdempotencyHeader,
    body: Body<CreateUser>,
) -> Result<HttpResponse, Problem> {
    let new = access.check(body.value).await?;
    let Checked {
        mut user,
        password,
        generated,
    } = access.check(new.check()).await?;
    let session = access.session().await?;
    // A stranger does not make us hash passwords.
    access.run(()).await?;
    let temporary_password = password
        .as_ref()
        .filter(|_| generated)
        .map(|password| password.expose().to_owned());
    if let Some(password) = password {
        user.password_hash = Some(hashing::hash(password).await?);
    }
    let (id, role) = (user.id, user.role);
    let invitation = user.password_hash.is_none().then(|| access.invitation(id));
    let seats = access.tenant.limit_of(SEATS);
    let batch = (
        users::lock(None),
        users::guard(&session, UserChange::Add(role), seats, access.now),
        users::insert(user, access.now),
        audit::insert_with(
            &access.access,
            "user.create",
            "users",
            id,
            json!({ "role": role }),
        ),
        invitation,
    );
    let creation = Creation {
        operation: "create_user",
        key,
        hash: body.hash,
        row: Some(id.as_uuid()),
    };
    let show = |(_, _, user, _, _)| UserWithPassword {
        user,
        temporary_password,
    };
    let outcome = access.create(creation, batch, show, refuse).await;
    access.counting(outcome, SEATS, users::count_seats()).await
}

/// Read a user.
#[utoipa::path(
    tag = "users", operation_id = "get_user", params(("id" = UserId, Path)), security(("bearer" = [])),
    responses((status = 200, body = User), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[get("/api/users/{id}")]
pub async fn get_user(
    access: TenantAccess<SeeSettings>,
    id: web::Path<String>,
) -> Result<web::Json<User>, Problem> {
    let id = access.check(path_id(&id)).await?;
    let user = access.run(users::find(id)).await?.output;
    user.map(web::Json).ok_or_else(Problem::not_found)
}

/// Change a user: a new role counts from their next request on, and who is disabled is logged out.
#[utoipa::path(
    tag = "users", operation_id = "update_user", params(("id" = UserId, Path)), request_body = UpdateUser,
    security(("bearer" = [])),
    responses(
        (status = 200, body = User),
        (status = 402, body = ProblemBody, description = "`limit_exceeded`: the plan includes no more users"),
        (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)
    )
)]
#[patch("/api/users/{id}")]
pub async fn update_user(
    access: TenantAccess<ManageTenant>,
    id: web::Path<String>,
    body: Body<UpdateUser>,
) -> Result<web::Json<User>, Problem> {
    let id = access.check(path_id(&id)).await?;
    let update = access.check(body.value).await?;
    let CheckedUpdate {
        version,
        changes,
        status,
    } = access.check(update.check()).await?;
    let session = access.session().await?;
    let role = changes.get("role").and_then(Value::as_str).map(str::parse);
    let role = role.and_then(Result::ok);
    let change = UserChange::Update(id, version, role, status);
    let details = json!({ "role": role, "status": status });
    let batch = (
        users::lock(Some(id)),
        users::guard(&session, change, access.tenant.limit_of(SEATS), access.now),
        users::update(id, changes, status, access.now),
        audit::insert_with(&access.access, "user.update", "users", id, details),
        (
            users::end_sessions_unless_active(id),
            // None for who has a password.
            (status == Some(UserStatus::Active)).then(|| access.invitation(id)),
        ),
    );
    let outcome = access.run_or(batch, refuse).await;
    let changed = access.counting(outcome, SEATS, users::count_seats()).await?;
    let (_, _, user, _, _) = changed.output;
    Ok(web::Json(user))
}

/// Give a user a new password, shown this once; all their sessions end. Who was invited can log in from now on.
#[utoipa::path(
    tag = "users", operation_id = "reset_user_password", params(
        ("id" = UserId, Path),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeats of a request with the same key are one request")
    ),
    security(("bearer" = [])),
    responses(
        (status = 201, body = UserWithPassword), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)
    )
)]
#[post("/api/users/{id}/reset-password")]
pub async fn reset_user_password(
    access: TenantAccess<OwnTenant>,
    id: web::Path<String>,
    key: IdempotencyHeader,
) -> Result<HttpResponse, Problem> {
    let id = access.check(path_id(&id)).await?;
    let session = access.session().await?;
    access.run(()).await?;
    let password = Password::generate();
    let temporary_password = Some(password.expose().to_owned());
    let hash = hashing::hash(password).await?;
    let change = UserChange::Update(id, None, None, None);
    let batch = (
        users::lock(Some(id)),
        users::guard(&session, change, None, access.now),
        users::set_password(id, hash, access.now),
        audit::insert(&access.access, "user.reset_password", "users", id),
        users::end_sessions(id),
    );
    // The same key for another user is another request.
    let creation = Creation {
        operation: "reset_user_password",
        key,
        hash: sha256(id),
        row: Some(id.as_uuid()),
    };
    let show = |(_, _, user, _, _)| UserWithPassword {
        user,
        temporary_password,
    };
    access.answer_once(creation, batch, show, refuse).await
}

/// Remove a user; their sessions end, and what they made or looked after stays.
#[utoipa::path(
    tag = "users", operation_id = "delete_user", params(("id" = UserId, Path)), security(("bearer" = [])),
    responses((status = 204), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[delete("/api/users/{id}")]
pub async fn delete_user(
    access: TenantAccess<ManageTenant>,
    id: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let id = access.check(path_id(&id)).await?;
    let session = access.session().await?;
    let batch = (
        users::lock(Some(id)),
        users::guard(&session, UserChange::Remove(id), None, access.now),
        audit::insert(&access.access, "user.delete", "users", id),
        users::delete(id),
    );
    access.run_or(batch, refuse).await?;
    Ok(HttpResponse::NoContent().finish())
}

impl TenantAccess<ManageTenant> {
    /// Mails an invitation to a user who is only invited, and nothing to any other.
    fn invitation(&self, user: UserId) -> (Query<u64>, Query<u64>, Query<u64>) {
        let link = NewLink::generate(&self.platform().key, self.tenant.home.id);
        let until = self.now + LinkPurpose::Invitation.life();
        (
            password_links::prune(self.now),
            password_links::invite(user, &link.hash, until, self.now),
            password_links::mail(link.mail, &link.hash, link.token_sealed, self.now),
        )
    }
}

fn sha256(id: UserId) -> [u8; 32] {
    use sha2::{Digest, Sha256};
    Sha256::digest(id.as_uuid().as_bytes()).into()
}
