//! What an onboarding needs to go on after a crash, sealed with the platform key while it is unfinished.

use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};

use super::{Onboarded, Onboarding};
use crate::accounts::hashing;
use crate::db::DbError;
use crate::db::master::plans::PlanRecord;
use crate::domain::ids::{ApiKeyId, PlanVersionId, TenantId, UserId};
use crate::domain::password::Password;
use crate::domain::platform_key::PlatformKey;
use crate::domain::token::{NewToken, TokenKind};

/// The secrets and choices of one onboarding.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Intent {
    pub(super) owner_id: UserId,
    pub(super) owner_name: String,
    pub(super) owner_password_hash: String,
    pub(super) temporary_password: Option<String>,
    /// By which the owner chooses a password, when none was given; an older program left it out.
    #[serde(default)]
    pub(super) password_link: Option<String>,
    pub(super) api_key_id: ApiKeyId,
    pub(super) api_key: String,
    pub(super) plan_version: PlanVersionId,
    pub(super) trial_days: i32,
    /// Whether the plan costs nothing.
    #[serde(default)]
    pub(super) is_free: bool,
}

impl Intent {
    /// Makes the secrets: a password, if none was given, and the first API key.
    pub(super) async fn make(request: &Onboarding, plan: &PlanRecord) -> Result<Self, DbError> {
        let (password, temporary_password) = match &request.owner_password {
            Some(password) => (password.clone(), None),
            None => {
                let made = Password::generate();
                (made.clone(), Some(made.expose().to_owned()))
            }
        };
        let api_key = NewToken::generate(TokenKind::ApiKey);
        let link = temporary_password
            .is_some()
            .then(|| NewToken::generate(TokenKind::PasswordLink));
        Ok(Self {
            owner_id: UserId::new(),
            owner_name: request.owner_name.clone(),
            // argon2 takes tens of milliseconds of a core on purpose: away from the request threads.
            owner_password_hash: hashing::hash(password).await?,
            temporary_password,
            password_link: link.map(|link| link.plain.expose_secret().to_owned()),
            api_key_id: ApiKeyId::new(),
            api_key: api_key.plain.expose_secret().to_owned(),
            plan_version: plan.version_id,
            trial_days: plan.trial_days,
            is_free: plan.price_cents == 0,
        })
    }

    pub(super) fn seal(&self, key: &PlatformKey, tenant: TenantId) -> Result<Vec<u8>, DbError> {
        seal(key, &intent_context(tenant), self)
    }

    pub(super) fn open(key: &PlatformKey, tenant: TenantId, sealed: &[u8]) -> Result<Self, DbError> {
        open(key, &intent_context(tenant), sealed)
    }
}

/// Seals the answer, for replays of its `Idempotency-Key`.
pub(super) fn seal_answer(key: &PlatformKey, answer: &Onboarded) -> Result<Vec<u8>, DbError> {
    seal(key, &answer_context(answer.id), answer)
}

/// Opens what [`seal_answer`] sealed.
pub(super) fn open_answer(key: &PlatformKey, tenant: TenantId, sealed: &[u8]) -> Result<Onboarded, DbError> {
    open(key, &answer_context(tenant), sealed)
}

fn seal(key: &PlatformKey, context: &str, value: &impl Serialize) -> Result<Vec<u8>, DbError> {
    let plain = serde_json::to_vec(value)
        .map(secrecy::zeroize::Zeroizing::new)
        .map_err(|_| damaged())?;
    Ok(key.seal(context, &plain))
}

fn open<T: for<'a> Deserialize<'a>>(key: &PlatformKey, context: &str, sealed: &[u8]) -> Result<T, DbError> {
    let plain = key.open(context, sealed).ok_or_else(damaged)?;
    serde_json::from_slice(&plain).map_err(|_| damaged())
}

fn intent_context(id: TenantId) -> String {
    format!("onboarding:{id}")
}

fn answer_context(id: TenantId) -> String {
    format!("onboarded:{id}")
}

/// The answer to a sealed record that does not open.
pub(super) fn damaged() -> DbError {
    DbError::Other {
        code: "sealed".to_owned(),
        message: "a sealed record does not open: was platform.key changed?".to_owned(),
    }
}
