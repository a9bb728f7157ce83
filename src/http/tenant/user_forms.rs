//! The bodies and parameters of `/api/users`, and their checks.

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::db::tenant::users::{NewUser, UserFilter};
use crate::domain::email::Email;
use crate::domain::ids::UserId;
use crate::domain::invalid::{FieldErrors, Invalid};
use crate::domain::page::{Cursor, Limit};
use crate::domain::password::Password;
use crate::domain::patch::Patch;
use crate::domain::role::Role;
use crate::domain::text::Name;
use crate::domain::user::UserStatus;
use crate::http::body::{paging, search_text};
use crate::http::form::Changes;

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
    /// Whether they are only asked in, by a mail with a link that works for a week: nobody can log in as them before they have chosen a
    /// password.
    invited: Option<bool>,
}

/// What the checks have made of a body.
pub(super) struct Checked {
    pub(super) user: NewUser,
    /// Given or generated; none for who is only invited.
    pub(super) password: Option<Password>,
    pub(super) generated: bool,
}

impl CreateUser {
    pub(super) fn check(self) -> Result<Checked, FieldErrors> {
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
    /// `disabled` ends their sessions; `active` lets them in again, or mails the invitation again to who has no password.
    #[serde(default)]
    #[schema(value_type = Option<UserStatus>)]
    status: Patch<String>,
    /// The version that was read; what has another one since is not changed.
    version: Option<i32>,
}

/// What the checks have made of changes.
pub(super) struct CheckedUpdate {
    pub(super) version: Option<i32>,
    /// Columns but the state.
    pub(super) changes: Map<String, Value>,
    pub(super) status: Option<UserStatus>,
}

impl UpdateUser {
    pub(super) fn check(self) -> Result<CheckedUpdate, FieldErrors> {
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
    pub(super) fn check(self) -> Result<(UserFilter, Option<String>, Option<Cursor>, Limit), FieldErrors> {
        let mut errors = FieldErrors::new();
        let role = errors.check_opt("role", self.role, |role| Role::parse(&role));
        let status = errors.check_opt("status", self.status, |status| UserStatus::parse(&status));
        let text = errors.check_opt("q", self.q, |q| search_text(&q));
        let (limit, cursor) = paging(&mut errors, self.limit, self.cursor);
        errors.finish(|| Some((UserFilter { role, status }, text, cursor, limit)))
    }
}
