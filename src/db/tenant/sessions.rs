//! Sessions of users, and what a login needs to know.

use chrono::{DateTime, Utc};

use super::query::{Columns, Query};
use super::text::tell_access;
use crate::db::DbError;
use crate::domain::email::Email;
use crate::domain::ids::{SessionId, UserId};
use crate::domain::role::Role;
use crate::domain::token::TokenHash;

/// A user's login data.
#[derive(Debug, Clone)]
pub struct UserLogin {
    /// The user.
    pub id: UserId,
    /// argon2id, PHC string.
    pub password_hash: String,
}

/// A user as shown to themselves.
#[derive(Debug, Clone)]
pub struct UserProfile {
    /// The user.
    pub id: UserId,
    /// Address.
    pub email: String,
    /// As shown.
    pub name: String,
    /// Role at this moment.
    pub role: Role,
}

/// The active user of this address.
pub fn find_login(email: &Email) -> Query<Option<UserLogin>> {
    Query::optional(
        "select id, password_hash from users where email = $1 and status = 'active'",
        |mut row| {
            Ok(UserLogin {
                id: UserId::from_uuid(row.next()?),
                password_hash: row.next()?,
            })
        },
    )
    .bind(email.as_str().to_owned())
}

/// Begins a session of a user who is still active; 0 when not.
pub fn insert(
    user: UserId,
    hash: &TokenHash,
    user_agent: Option<String>,
    expires_at: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Query<u64> {
    Query::execute(
        "insert into sessions (id, user_id, token_hash, user_agent, created_at, expires_at)
         select $1, u.id, $3, $4, $5, $6 from users u where u.id = $2 and u.status = 'active'",
    )
    .bind(SessionId::new().as_uuid())
    .bind(user.as_uuid())
    .bind(hash.as_bytes().to_vec())
    .bind(user_agent)
    .bind(now)
    .bind(expires_at)
}

/// Removes a user's expired sessions: they go when their owner comes back.
pub fn delete_expired(user: UserId, now: DateTime<Utc>) -> Query<u64> {
    Query::execute("delete from sessions where user_id = $1 and expires_at <= $2")
        .bind(user.as_uuid())
        .bind(now)
}

/// Ends the session of this token.
pub fn delete(hash: &TokenHash) -> Query<u64> {
    const DELETE: &str = concat!(
        "with gone as (delete from sessions where token_hash = $1) ",
        tell_access!()
    );
    Query::execute(DELETE).bind(hash.as_bytes().to_vec())
}

/// Ends all sessions of a user but the one of this token, and the links by which they could choose a password.
pub fn delete_others(user: UserId, keep: &TokenHash) -> Query<u64> {
    const DELETE: &str = concat!(
        "with links as (delete from password_links where user_id = $1), ",
        "gone as (delete from sessions where user_id = $1 and token_hash <> $2) ",
        tell_access!()
    );
    Query::execute(DELETE)
        .bind(user.as_uuid())
        .bind(keep.as_bytes().to_vec())
}

/// The user of the session of this token.
pub fn find_profile(hash: &TokenHash) -> Query<Option<UserProfile>> {
    Query::optional(
        "select u.id, u.email, u.name, u.role from sessions s join users u on u.id = s.user_id where s.token_hash = $1",
        read_profile,
    )
    .bind(hash.as_bytes().to_vec())
}

fn read_profile(mut row: Columns<'_>) -> Result<UserProfile, DbError> {
    Ok(UserProfile {
        id: UserId::from_uuid(row.next()?),
        email: row.next()?,
        name: row.next()?,
        role: row.parse()?,
    })
}

/// The password hash of the user of this session.
pub fn find_password(hash: &TokenHash) -> Query<Option<UserLogin>> {
    Query::optional(
        "select u.id, u.password_hash from sessions s join users u on u.id = s.user_id where s.token_hash = $1",
        |mut row| Ok(UserLogin { id: UserId::from_uuid(row.next()?), password_hash: row.next()? }),
    )
    .bind(hash.as_bytes().to_vec())
}

/// Gives a user a new password, unless it has changed since `old_hash` was read; 0 then.
pub fn set_password(user: UserId, old_hash: String, new_hash: String, now: DateTime<Utc>) -> Query<u64> {
    Query::execute(
        "update users set password_hash = $3, version = version + 1, updated_at = $4 where id = $1 and password_hash = $2",
    )
    .bind(user.as_uuid())
    .bind(old_hash)
    .bind(new_hash)
    .bind(now)
}
