//! `/api/users`: who works for the tenant. Owners manage everybody, managers manage agents; the last owner stays.

use actix_web::{HttpResponse, delete, get, patch, post, web};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::accounts::hashing;
use crate::db::DbError;
use crate::db::tenant::audit;
use crate::db::tenant::users::{self, NewUser, UserChange, UserFilter};
use crate::domain::email::Email;
use crate::domain::ids::UserId;
use crate::domain::invalid::{FieldErrors, Invalid};
use crate::domain::page::{Cursor, Limit, Page};
use crate::domain::password::Password;
use crate::domain::patch::Patch;
use crate::domain::role::Role;
use crate::domain::text::Name;
use crate::domain::user::{User, UserStatus};
use crate::http::body::{Body, Params, paging, path_id, search_text};
use crate::http::create::Creation;
use crate::http::extract::{
    IdempotencyHeader, ManageTenant, OwnTenant, Permission, SeeSettings, TenantAccess,
};
use crate::http::form::Changes;
use crate::http::problem::{Problem, ProblemBody};

/// What the plan calls users.
const SEATS: &str = "users";

/// A user to be.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateUser {
    /// What they log in with.
    #[schema(value_type = Email)]
    email: Option<String>,
    /// As shown.
    #[schema(value_type = Name)]
    name: Option<String>,
    /// What they may do. A manager may add agents only.
    #[schema(value_type = Role)]
    role: Option<String>,
    /// 8 to 128 characters. When it is left out, one is made and shown once.
    #[schema(value_type = Option<String>, format = Password)]
    password: Option<String>,
    /// Whether they are only asked in: nobody can log in as them before they have a password.
    invited: Option<bool>,
}

/// What the checks have made of a body.
struct Checked {
    user: NewUser,
    /// Given or generated; none for who is only invited.
    password: Option<Password>,
    generated: bool,
}

impl CreateUser {
    fn check(self) -> Result<Checked, FieldErrors> {
        let mut errors = FieldErrors::new();
        let email = errors.require("email", self.email, |email| Email::parse(&email));
        let name = errors.require("name", self.name, |name| Name::parse(&name));
        let role = errors.require("role", self.role, |role| Role::parse(&role));
        let invited = self.invited.unwrap_or(false);
        let generated = self.password.is_none() && !invited;
        let given = errors.check_opt("password", self.password, |password| match invited {
            true => Err(Invalid::new(
                "not_allowed",
                "must not be given for who is invited",
            )),
            false => Password::parse(password),
        });
        errors.finish(|| {
            Some(Checked {
                user: NewUser {
                    id: UserId::new(),
                    email: email?.into(),
                    name: name?.into(),
                    role: role?,
                    password_hash: None,
                },
                password: if generated {
                    Some(Password::generate())
                } else {
                    given
                },
                generated,
            })
        })
    }
}

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

/// Changes to a user: what is left out stays.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateUser {
    /// As shown.
    #[serde(default)]
    #[schema(value_type = Option<Name>)]
    name: Patch<String>,
    /// What they may do from now on.
    #[serde(default)]
    #[schema(value_type = Option<Role>)]
    role: Patch<String>,
    /// `disabled` ends their sessions; `active` lets them in again, or invites again who has no password.
    #[serde(default)]
    #[schema(value_type = Option<UserStatus>)]
    status: Patch<String>,
    /// The version that was read; what has another one since is not changed.
    version: Option<i32>,
}

/// What the checks have made of changes.
struct CheckedUpdate {
    version: Option<i32>,
    /// Columns but the state.
    changes: Map<String, Value>,
    status: Option<UserStatus>,
}

impl UpdateUser {
    fn check(self) -> Result<CheckedUpdate, FieldErrors> {
        let mut form = Changes::default();
        form.required("name", self.name, |name| Name::parse(&name));
        form.required("role", self.role, |role| Role::parse(&role));
        form.required("status", self.status, |status| {
            match UserStatus::parse(&status)? {
                UserStatus::Invited => Err(Invalid::new("not_allowed", "is not set by hand: say `active`")),
                status => Ok(status),
            }
        });
        let mut changes = form.finish()?;
        let status = changes.remove("status");
        let status = status.and_then(|status| status.as_str().and_then(|word| word.parse().ok()));
        Ok(CheckedUpdate {
            version: self.version,
            changes,
            status,
        })
    }
}

/// Narrows the list.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListUsers {
    /// With this role.
    #[param(value_type = Option<Role>)]
    role: Option<String>,
    /// In this state.
    #[param(value_type = Option<UserStatus>)]
    status: Option<String>,
    /// With this text in name or address.
    q: Option<String>,
    /// 1 to 200; 50 when left out.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 200)]
    limit: Option<String>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

impl ListUsers {
    fn check(self) -> Result<(UserFilter, Option<String>, Option<Cursor>, Limit), FieldErrors> {
        let mut errors = FieldErrors::new();
        let role = errors.check_opt("role", self.role, |role| Role::parse(&role));
        let status = errors.check_opt("status", self.status, |status| UserStatus::parse(&status));
        let text = errors.check_opt("q", self.q, |q| search_text(&q));
        let (limit, cursor) = paging(&mut errors, self.limit, self.cursor);
        errors.finish(|| Some((UserFilter { role, status }, text, cursor, limit)))
    }
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

/// Says how many seats there are and are taken, when that was the refusal.
async fn with_numbers<P: Permission, T>(
    access: &TenantAccess<P>,
    outcome: Result<T, Problem>,
) -> Result<T, Problem> {
    match outcome {
        Err(problem) if problem.code() == Problem::LIMIT_EXCEEDED => {
            let taken = access.run(users::count_seats()).await?.output;
            let limit = access.tenant.limit_of(SEATS).unwrap_or(taken);
            Err(Problem::limit_exceeded(SEATS, limit, taken))
        }
        other => other,
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
    );
    let creation = Creation {
        operation: "create_user",
        key,
        hash: body.hash,
    };
    let show = |(_, _, user, _)| UserWithPassword {
        user,
        temporary_password,
    };
    let outcome = access.create(creation, batch, show, refuse).await;
    with_numbers(&access, outcome).await
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
        users::end_sessions_unless_active(id),
    );
    let outcome = access.run_or(batch, refuse).await;
    let (_, _, user, _, _) = with_numbers(&access, outcome).await?.output;
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
    };
    let show = |(_, _, user, _, _)| UserWithPassword {
        user,
        temporary_password,
    };
    access.create(creation, batch, show, refuse).await
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

fn sha256(id: UserId) -> [u8; 32] {
    use sha2::{Digest, Sha256};
    Sha256::digest(id.as_uuid().as_bytes()).into()
}
