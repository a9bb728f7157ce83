//! `/api/me`: who is asking, and changing one's own password.

use actix_web::{HttpResponse, get, put, web};
use serde::{Deserialize, Serialize};

use crate::accounts::hashing;
use crate::db::tenant::{Actor, audit, sessions};
use crate::domain::invalid::{FieldErrors, Invalid};
use crate::domain::password::Password;
use crate::http::body::Body;
use crate::http::extract::{OwnAccount, ReadData, TenantAccess};
use crate::http::problem::{Problem, ProblemBody};

/// Who is asking.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Me {
    /// `user` or `api_key`.
    kind: &'static str,
    /// Of the user or the key.
    id: String,
    /// A user's address.
    email: Option<String>,
    /// A user's name.
    name: Option<String>,
    /// A user's role.
    role: Option<&'static str>,
    tenant: MyTenant,
}

/// The tenant whose address was used.
#[derive(Serialize, utoipa::ToSchema)]
pub struct MyTenant {
    tenant_key: String,
    name: String,
    niche: String,
}

/// Who am I?
#[utoipa::path(
    tag = "me", operation_id = "get_me", security(("bearer" = [])),
    responses((status = 200, body = Me), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[get("/api/me")]
pub async fn get_me(access: TenantAccess<ReadData>) -> Result<web::Json<Me>, Problem> {
    let profile = access.access.session().map(sessions::find_profile);
    let reply = access.run(profile).await?;
    let profile = reply.output.flatten();
    let actor = &reply.identity.actor;
    let id = match actor {
        Actor::User { id, .. } | Actor::Linked { id } => id.to_string(),
        Actor::ApiKey { id, .. } => id.to_string(),
        Actor::Public | Actor::System => return Err(Problem::unauthorized()),
    };
    let (email, name, role) = match profile {
        Some(user) => (Some(user.email), Some(user.name), Some(user.role.as_str())),
        None => (None, None, None),
    };
    let tenant = MyTenant {
        tenant_key: access.tenant.key.to_string(),
        name: access.tenant.name.clone(),
        niche: access.tenant.niche.as_str().to_owned(),
    };
    Ok(web::Json(Me {
        kind: actor.kind(),
        id,
        email,
        name,
        role,
        tenant,
    }))
}

/// A new password.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangePassword {
    #[schema(value_type = String, format = Password)]
    current_password: Option<String>,
    /// 8 to 128 characters.
    #[schema(value_type = String, format = Password)]
    new_password: Option<String>,
}

impl ChangePassword {
    fn check(self) -> Result<(Password, Password), FieldErrors> {
        let mut errors = FieldErrors::new();
        let current = errors.require("current_password", self.current_password, |old| {
            Ok(Password::presented(old))
        });
        let new = errors.require("new_password", self.new_password, Password::parse);
        errors.finish(|| Some((current?, new?)))
    }
}

/// Change one's own password; every other session of the user ends.
#[utoipa::path(
    tag = "me", operation_id = "change_my_password", request_body = ChangePassword, security(("bearer" = [])),
    responses((status = 204), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[put("/api/me/password")]
pub async fn change_my_password(
    access: TenantAccess<OwnAccount>,
    body: Body<ChangePassword>,
) -> Result<HttpResponse, Problem> {
    let change = access.check(body.value).await?;
    let (current, new) = access.check(change.check()).await?;
    let hash = access.session().await?;
    let user = access
        .run(sessions::find_password(&hash))
        .await?
        .output
        .ok_or_else(Problem::unauthorized)?;
    if !hashing::verify(current, Some(user.password_hash.clone())).await? {
        return Err(Problem::invalid_field(
            "current_password",
            Invalid::new("wrong_password", "is not your password"),
        ));
    }
    let new_hash = hashing::hash(new).await?;
    let batch = (
        sessions::set_password(user.id, user.password_hash, new_hash, access.now),
        sessions::delete_others(user.id, &hash),
        audit::insert(&access.access, "user.change_password", "users", user.id),
    );
    let (changed, _, _) = access.run(batch).await?.output;
    if changed == 0 {
        return Err(Problem::conflict(
            "stale_version",
            "The password was changed meanwhile: log in again.",
        ));
    }
    Ok(HttpResponse::NoContent().finish())
}
