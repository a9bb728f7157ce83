//! `admins` and their sessions: the only credentials that the master plane holds.

use chrono::{DateTime, Utc};

use super::{MasterDb, MasterTx};
use crate::db::DbError;
use crate::domain::email::Email;
use crate::domain::ids::{AdminId, AdminSessionId};
use crate::domain::token::TokenHash;

/// An administrator's login data.
#[derive(Debug, Clone)]
pub struct AdminLogin {
    /// The administrator.
    pub id: AdminId,
    /// argon2id, PHC string.
    pub password_hash: String,
}

/// An administrator behind a request.
#[derive(Debug, Clone)]
pub struct AdminIdentity {
    /// The administrator.
    pub id: AdminId,
    /// The session whose token was used.
    pub session: AdminSessionId,
    /// Address.
    pub email: String,
    /// As shown.
    pub name: String,
}

/// The active administrator of this address.
///
/// # Errors
/// When the database fails.
pub async fn find_login(db: &MasterDb, email: &Email) -> Result<Option<AdminLogin>, DbError> {
    let row = sqlx::query!(
        "select id, password_hash from admins where email = $1 and status = 'active'",
        email.as_str()
    )
    .fetch_optional(db.pool())
    .await?;
    Ok(row.map(|row| AdminLogin {
        id: AdminId::from_uuid(row.id),
        password_hash: row.password_hash,
    }))
}

/// The administrator of a living session.
///
/// # Errors
/// When the database fails.
pub async fn find_session(
    db: &MasterDb,
    hash: &TokenHash,
    now: DateTime<Utc>,
) -> Result<Option<AdminIdentity>, DbError> {
    let row = sqlx::query!(
        "select s.id, a.id as admin_id, a.email, a.name from admin_sessions s join admins a on a.id = s.admin_id
         where s.token_hash = $1 and s.expires_at > $2 and a.status = 'active'",
        hash.as_bytes().as_slice(),
        now,
    )
    .fetch_optional(db.pool())
    .await?;
    Ok(row.map(|row| AdminIdentity {
        id: AdminId::from_uuid(row.admin_id),
        session: AdminSessionId::from_uuid(row.id),
        email: row.email,
        name: row.name,
    }))
}

/// Adds an administrator, or gives the one of this address a new password and name.
///
/// # Errors
/// When the database fails.
pub async fn upsert_admin(
    tx: &mut MasterTx,
    email: &Email,
    name: &str,
    password_hash: &str,
    now: DateTime<Utc>,
) -> Result<AdminId, DbError> {
    let id = sqlx::query_scalar!(
        "insert into admins (id, email, name, password_hash, status, created_at, updated_at)
         values ($1, $2, $3, $4, 'active', $5, $5)
         on conflict (email) do update set name = excluded.name, password_hash = excluded.password_hash,
             status = 'active', version = admins.version + 1, updated_at = excluded.updated_at
         returning id",
        AdminId::new().as_uuid(),
        email.as_str(),
        name,
        password_hash,
        now,
    )
    .fetch_one(tx.connection())
    .await?;
    Ok(AdminId::from_uuid(id))
}

/// Begins a session.
///
/// # Errors
/// When the database fails.
pub async fn insert_session(
    tx: &mut MasterTx,
    admin: AdminId,
    hash: &TokenHash,
    expires_at: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    sqlx::query!(
        "insert into admin_sessions (id, admin_id, token_hash, created_at, expires_at) values ($1, $2, $3, $4, $5)",
        AdminSessionId::new().as_uuid(),
        admin.as_uuid(),
        hash.as_bytes().as_slice(),
        now,
        expires_at,
    )
    .execute(tx.connection())
    .await?;
    // Expired sessions go when their owner comes back: the table needs no sweeper.
    sqlx::query!(
        "delete from admin_sessions where admin_id = $1 and expires_at <= $2",
        admin.as_uuid(),
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Ends a session.
///
/// # Errors
/// When the database fails.
pub async fn delete_session(tx: &mut MasterTx, session: AdminSessionId) -> Result<(), DbError> {
    sqlx::query!("delete from admin_sessions where id = $1", session.as_uuid())
        .execute(tx.connection())
        .await?;
    Ok(())
}

/// Ends all sessions of an administrator, and the links by which they could choose a password.
///
/// # Errors
/// When the database fails.
pub async fn delete_sessions(tx: &mut MasterTx, admin: AdminId) -> Result<(), DbError> {
    sqlx::query!(
        "with links as (delete from admin_password_links where admin_id = $1) delete from admin_sessions where admin_id = $1",
        admin.as_uuid()
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// The active administrators and their addresses.
///
/// # Errors
/// When the database fails.
pub async fn list_addresses(db: &MasterDb) -> Result<Vec<(AdminId, String)>, DbError> {
    let rows = sqlx::query!("select id, email from admins where status = 'active' order by id")
        .fetch_all(db.pool())
        .await?;
    Ok(rows
        .into_iter()
        .map(|row| (AdminId::from_uuid(row.id), row.email))
        .collect())
}
