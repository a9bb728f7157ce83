//! `/api/password-resets`, `/api/invitations`: how somebody without a password, or who has forgotten it, comes to one. Asking is
//! answered the same whoever is asked for, and so is a link that is unknown, over, used or another tenant's.

use actix_web::{HttpResponse, post};
use serde::Deserialize;

use crate::accounts::links::NewLink;
use crate::accounts::{hashing, throttle as limits};
use crate::db::tenant::{audit, password_links, throttle};
use crate::db::{DbError, Refusal};
use crate::domain::email::Email;
use crate::domain::invalid::{FieldErrors, Invalid};
use crate::domain::password::Password;
use crate::domain::password_link::LinkPurpose;
use crate::domain::token::{ParsedToken, TokenHash, TokenKind};
use crate::http::body::Body;
use crate::http::extract::{ClientAddress, LogIn, PublicTenant};
use crate::http::problem::{Problem, ProblemBody};

/// Who has forgotten the password.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AskForPassword {
    /// What they log in with.
    #[schema(value_type = Email)]
    email: Option<String>,
}

impl AskForPassword {
    /// The address.
    ///
    /// # Errors
    /// When it is missing or cannot be one.
    pub fn check(self) -> Result<Email, FieldErrors> {
        let mut errors = FieldErrors::new();
        let email = errors.require("email", self.email, |email| Email::parse(&email));
        errors.finish(|| email)
    }
}

/// A password, and the right to choose it.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChoosePassword {
    /// What stands behind the `#` of the mailed address. It works once.
    #[schema(value_type = String)]
    token: Option<String>,
    /// 8 to 128 characters.
    #[schema(value_type = String, format = Password)]
    password: Option<String>,
}

impl ChoosePassword {
    /// The token and the password; a token that nobody can have made is refused as an unknown one is.
    ///
    /// # Errors
    /// The missing or refused fields.
    pub fn check(self) -> Result<(TokenHash, Password), FieldErrors> {
        let mut errors = FieldErrors::new();
        let token = errors.require("token", self.token, |token| {
            let parsed = ParsedToken::parse(token.trim()).ok();
            let ours = parsed.filter(|token| token.kind == TokenKind::PasswordLink);
            ours.map(|token| token.hash).ok_or_else(unknown)
        });
        let password = errors.require("password", self.password, Password::parse);
        errors.finish(|| Some((token?, password?)))
    }
}

fn unknown() -> Invalid {
    Invalid::new(
        "unknown_token",
        "is unknown, has been used or is too old: ask for another",
    )
}

/// 422 for a link that opens nothing.
pub fn unknown_token() -> Problem {
    Problem::invalid_field("token", unknown())
}

/// Ask for another password: a mail with a link that works for an hour, once, goes to the user of this address. Who was invited and has not come gets
/// the invitation again.
#[utoipa::path(
    tag = "sessions", operation_id = "create_password_reset", request_body = AskForPassword, security(()),
    responses(
        (status = 202, description = "Whether or not there is such a user, and also when one has asked too often"),
        (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)
    )
)]
#[post("/api/password-resets")]
pub async fn create_password_reset(
    public: PublicTenant<LogIn>,
    from: ClientAddress,
    body: Body<AskForPassword>,
) -> Result<HttpResponse, Problem> {
    let access = public.0;
    let email = body.value?.check()?;
    let now = access.now;
    let attempt = limits::asking(&email, from.0, &access.platform().settings.sessions, now);
    let link = NewLink::generate(&access.platform().key, access.tenant.home.id);
    let (reset, invitation) = (LinkPurpose::Reset.life(), LinkPurpose::Invitation.life());
    let batch = (
        (throttle::prune(&attempt), throttle::note_attempt(&attempt)),
        password_links::prune(now),
        password_links::ask(&link.hash, &email, &attempt, now + reset, now + invitation),
        password_links::mail(link.mail, &link.hash, link.token_sealed, now),
        password_links::audit(&link.hash, now),
    );
    access.run(batch).await?;
    Ok(HttpResponse::Accepted().finish())
}

/// Choose another password with a mailed link; all sessions of the user end.
#[utoipa::path(
    tag = "sessions", operation_id = "confirm_password_reset", request_body = ChoosePassword, security(()),
    responses((status = 204), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[post("/api/password-resets/confirm")]
pub async fn confirm_password_reset(
    public: PublicTenant<LogIn>,
    from: ClientAddress,
    body: Body<ChoosePassword>,
) -> Result<HttpResponse, Problem> {
    choose(public, from, body, LinkPurpose::Reset).await
}

/// Come in: choose the first password with a mailed invitation.
#[utoipa::path(
    tag = "sessions", operation_id = "accept_invitation", request_body = ChoosePassword, security(()),
    responses((status = 204), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[post("/api/invitations/accept")]
pub async fn accept_invitation(
    public: PublicTenant<LogIn>,
    from: ClientAddress,
    body: Body<ChoosePassword>,
) -> Result<HttpResponse, Problem> {
    choose(public, from, body, LinkPurpose::Invitation).await
}

async fn choose(
    public: PublicTenant<LogIn>,
    from: ClientAddress,
    body: Body<ChoosePassword>,
    purpose: LinkPurpose,
) -> Result<HttpResponse, Problem> {
    let access = public.0;
    let (token, password) = body.value?.check()?;
    // A stranger does not make us hash passwords.
    let found = access
        .run(password_links::find(&token, purpose, access.now))
        .await?;
    let (user, email) = found.output.ok_or_else(unknown_token)?;
    let hash = hashing::hash(password).await?;
    let action = match purpose {
        LinkPurpose::Reset => "user.reset_password_by_link",
        LinkPurpose::Invitation => "user.accept_invitation",
    };
    // Whoever has come in by the mail waits no longer for the failures before.
    let sessions = &access.platform().settings.sessions;
    let failed = Email::parse(&email).ok();
    let failed = failed.map(|email| limits::attempt(&email, from.0, sessions, access.now));
    let batch = (
        password_links::spend(&token, purpose, hash, access.now),
        audit::insert(&access.access, action, "users", user),
        failed.map(|attempt| throttle::clear(&attempt)),
    );
    let used_meanwhile = |error: &DbError| match error {
        DbError::Refused(Refusal::NotFound) => Some(unknown_token()),
        _ => None,
    };
    access.run_or(batch, used_meanwhile).await?;
    Ok(HttpResponse::NoContent().finish())
}
