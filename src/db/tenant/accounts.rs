//! Giving somebody new credentials, as the program's own act.

use chrono::{DateTime, Utc};

use super::query::Query;
use super::text::tell_access;
use crate::domain::email::Email;
use crate::domain::ids::ApiKeyId;
use crate::domain::token::TokenHash;

/// Gives the user of this address a new password and ends all their sessions.
pub fn reset_password(email: &Email, password_hash: String, now: DateTime<Utc>) -> Query<u64> {
    const RESET: &str = concat!(
        "with changed as (update users set password_hash = $2, version = version + 1, updated_at = $3 where email = $1 returning id), ",
        "links as (delete from password_links l using changed c where l.user_id = c.id), ",
        "gone as (delete from sessions s using changed c where s.user_id = c.id) ",
        tell_access!()
    );
    Query::execute(RESET)
        .bind(email.as_str().to_owned())
        .bind(password_hash)
        .bind(now)
}

/// Adds an API key with all scopes, made by nobody in particular.
pub fn insert_api_key(
    name: &'static str,
    prefix: String,
    hash: &TokenHash,
    now: DateTime<Utc>,
) -> Query<u64> {
    Query::execute(
        "insert into api_keys (id, name, prefix, key_hash, scopes, created_at) values ($1, $2, $3, $4, array['read', 'write'], $5)",
    )
    .bind(ApiKeyId::new().as_uuid())
    .bind(name)
    .bind(prefix)
    .bind(hash.as_bytes().to_vec())
    .bind(now)
}
