//! `admin_password_links`: how an administrator who has forgotten the password gets another.

use chrono::{DateTime, Utc};

use super::MasterTx;
use crate::db::DbError;
use crate::domain::email::Email;
use crate::domain::ids::AdminId;
use crate::domain::token::TokenHash;

/// An administrator who is to get a link.
pub struct Asking {
    /// Who.
    pub id: AdminId,
    /// As shown.
    pub name: String,
}

/// The active administrator of this address, unless so many links were made for them since `since`; links that are over are
/// removed.
///
/// # Errors
/// When the database fails.
pub async fn find_asking(
    tx: &mut MasterTx,
    email: &Email,
    most: i64,
    since: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<Option<Asking>, DbError> {
    sqlx::query!("delete from admin_password_links where expires_at <= $1", now)
        .execute(tx.connection())
        .await?;
    let row = sqlx::query!(
        "select id, name from admins a where email = $1 and status = 'active'
           and (select count(*) from admin_password_links l where l.admin_id = a.id and l.created_at > $2) < $3",
        email.as_str(),
        since,
        most,
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(row.map(|row| Asking {
        id: AdminId::from_uuid(row.id),
        name: row.name,
    }))
}

/// Adds a link.
///
/// # Errors
/// When the database fails.
pub async fn insert(
    tx: &mut MasterTx,
    admin: AdminId,
    hash: &TokenHash,
    until: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    sqlx::query!(
        "insert into admin_password_links (token_hash, admin_id, created_at, expires_at) values ($1, $2, $3, $4)",
        hash.as_bytes().as_slice(),
        admin.as_uuid(),
        now,
        until,
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// The active administrator of a living link, and their address.
///
/// # Errors
/// When the database fails.
pub async fn find(
    tx: &mut MasterTx,
    hash: &TokenHash,
    now: DateTime<Utc>,
) -> Result<Option<(AdminId, String)>, DbError> {
    let row = sqlx::query!(
        "select a.id, a.email from admin_password_links l join admins a on a.id = l.admin_id
         where l.token_hash = $1 and l.expires_at > $2 and a.status = 'active'",
        hash.as_bytes().as_slice(),
        now,
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(row.map(|row| (AdminId::from_uuid(row.id), row.email)))
}

/// Gives the administrator of a living link this password, and ends all their sessions and links; `None` when the link has been
/// used meanwhile.
///
/// # Errors
/// When the database fails.
pub async fn spend(
    tx: &mut MasterTx,
    hash: &TokenHash,
    password_hash: &str,
    now: DateTime<Utc>,
) -> Result<Option<AdminId>, DbError> {
    let admin = sqlx::query_scalar!(
        "with link as (
             delete from admin_password_links where token_hash = $1 and expires_at > $2 returning admin_id
         ), changed as (
             update admins a set password_hash = $3, version = a.version + 1, updated_at = $2
             from link where a.id = link.admin_id and a.status = 'active' returning a.id
         ), others as (
             delete from admin_password_links l using changed c where l.admin_id = c.id and l.token_hash <> $1
         ), ended as (
             delete from admin_sessions s using changed c where s.admin_id = c.id
         )
         select id from changed",
        hash.as_bytes().as_slice(),
        now,
        password_hash,
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(admin.map(AdminId::from_uuid))
}
