//! `assistant_…`: whom the platform's own bot knows, and what it has to tell them.

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::MasterDb;
use crate::db::DbError;
use crate::domain::ids::{TenantId, UserId};

/// What was not told for so long is not news any more.
const NEWS: TimeDelta = TimeDelta::days(2);

/// Who speaks in a chat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkedChat {
    /// Telegram's number of the chat.
    pub chat: i64,
    /// The tenant.
    pub tenant: TenantId,
    /// Its user.
    pub user: UserId,
    /// Since when.
    pub since: DateTime<Utc>,
}

/// Something to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// What happened.
    pub kind: String,
    /// To what.
    pub subject: Uuid,
    /// Where it is told; 0: the administrators' chat.
    pub chat: i64,
    /// Who speaks there for the tenant that it is about: the tenant and its user; none, when nobody does any more.
    pub linked: Option<(TenantId, UserId)>,
    /// The name of the tenant that it is about, if that is there still.
    pub tenant_name: Option<String>,
    /// And its key.
    pub tenant_key: Option<String>,
    /// In which language it is spoken to.
    pub language: Option<String>,
    /// How often it was tried.
    pub attempts: i32,
}

/// Speaks for the bot for a while more; `false` when another process does.
///
/// # Errors
/// When the database fails.
pub async fn hold(
    db: &MasterDb,
    worker: Uuid,
    lease: TimeDelta,
    now: DateTime<Utc>,
) -> Result<bool, DbError> {
    let held = sqlx::query_scalar!(
        "insert into assistant_speaker as s (held_by, held_until) values ($1, $2)
         on conflict on constraint assistant_speaker_pkey do update
         set held_by = excluded.held_by, held_until = excluded.held_until
         where s.held_by = excluded.held_by or s.held_until <= $3
         returning true",
        worker,
        now + lease,
        now,
    )
    .fetch_optional(db.pool())
    .await?;
    Ok(held.is_some())
}

/// Speaks no more.
///
/// # Errors
/// When the database fails: another speaks when the lease is over.
pub async fn leave(db: &MasterDb, worker: Uuid) -> Result<(), DbError> {
    sqlx::query!("delete from assistant_speaker where held_by = $1", worker)
        .execute(db.pool())
        .await?;
    Ok(())
}

/// Keeps the code of a user, instead of the one before.
///
/// # Errors
/// When the database fails.
pub async fn insert_code(
    db: &MasterDb,
    (tenant, user): (TenantId, UserId),
    hash: &[u8],
    expires_at: DateTime<Utc>,
) -> Result<(), DbError> {
    sqlx::query!(
        "insert into assistant_codes (tenant_id, user_id, code_hash, expires_at) values ($1, $2, $3, $4)
         on conflict on constraint assistant_codes_pkey do update
         set code_hash = excluded.code_hash, expires_at = excluded.expires_at",
        tenant.as_uuid(),
        user.as_uuid(),
        hash,
        expires_at,
    )
    .execute(db.pool())
    .await?;
    Ok(())
}

/// Uses a code up: whoever it was made for speaks in this chat from now on. `false`: there is no such code, or no more.
///
/// # Errors
/// When the database fails.
pub async fn link(db: &MasterDb, chat: i64, hash: &[u8], now: DateTime<Utc>) -> Result<bool, DbError> {
    let linked = sqlx::query!(
        "with code as (delete from assistant_codes where code_hash = $1 returning tenant_id, user_id, expires_at)
         insert into assistant_chats (chat_id, tenant_id, user_id, linked_at)
         select $2, tenant_id, user_id, $3 from code where expires_at > $3
         on conflict on constraint assistant_chats_pkey do update
         set tenant_id = excluded.tenant_id, user_id = excluded.user_id, linked_at = excluded.linked_at",
        hash,
        chat,
        now,
    )
    .execute(db.pool())
    .await?;
    Ok(linked.rows_affected() > 0)
}

/// Who speaks in a chat.
///
/// # Errors
/// When the database fails.
pub async fn find(db: &MasterDb, chat: i64) -> Result<Option<LinkedChat>, DbError> {
    let row = sqlx::query!(
        "select tenant_id, user_id, linked_at from assistant_chats where chat_id = $1",
        chat,
    )
    .fetch_optional(db.pool())
    .await?;
    Ok(row.map(|row| LinkedChat {
        chat,
        tenant: TenantId::from_uuid(row.tenant_id),
        user: UserId::from_uuid(row.user_id),
        since: row.linked_at,
    }))
}

/// The chats of a user.
///
/// # Errors
/// When the database fails.
pub async fn list(db: &MasterDb, tenant: TenantId, user: UserId) -> Result<Vec<LinkedChat>, DbError> {
    let rows = sqlx::query!(
        "select chat_id, linked_at from assistant_chats where tenant_id = $1 and user_id = $2 order by linked_at, chat_id",
        tenant.as_uuid(),
        user.as_uuid(),
    )
    .fetch_all(db.pool())
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| LinkedChat {
            chat: row.chat_id,
            tenant,
            user,
            since: row.linked_at,
        })
        .collect())
}

/// Forgets a chat, and what was to be told there.
///
/// # Errors
/// When the database fails.
pub async fn unlink(db: &MasterDb, chat: i64) -> Result<(), DbError> {
    sqlx::query!(
        "with gone as (delete from assistant_chats where chat_id = $1) delete from assistant_notices where chat_id = $1",
        chat,
    )
    .execute(db.pool())
    .await?;
    Ok(())
}

/// Forgets the chats and the code of a user.
///
/// # Errors
/// When the database fails.
pub async fn unlink_user(db: &MasterDb, tenant: TenantId, user: UserId) -> Result<(), DbError> {
    sqlx::query!(
        "with code as (delete from assistant_codes where tenant_id = $1 and user_id = $2),
              gone as (delete from assistant_chats where tenant_id = $1 and user_id = $2 returning chat_id)
         delete from assistant_notices where chat_id in (select chat_id from gone)",
        tenant.as_uuid(),
        user.as_uuid(),
    )
    .execute(db.pool())
    .await?;
    Ok(())
}

/// What is to be told now, the oldest first.
///
/// # Errors
/// When the database fails.
pub async fn list_due(db: &MasterDb, most: i64, now: DateTime<Utc>) -> Result<Vec<Notice>, DbError> {
    let rows = sqlx::query!(
        r#"select n.kind, n.subject, n.chat_id, c.tenant_id as "linked_tenant?", c.user_id as "linked_user?",
                  t.name as "tenant_name?", t.tenant_key as "tenant_key?", t.language as "language?", n.attempts
           from assistant_notices n
           left join assistant_chats c on c.chat_id = n.chat_id and c.tenant_id = n.tenant_id
           left join tenants t on t.id = n.tenant_id
           where n.due_at <= $1 order by n.due_at limit $2"#,
        now,
        most,
    )
    .fetch_all(db.pool())
    .await?;
    let notices = rows.into_iter().map(|row| {
        let tenant = row.linked_tenant.map(TenantId::from_uuid);
        Notice {
            kind: row.kind,
            subject: row.subject,
            chat: row.chat_id,
            linked: tenant.zip(row.linked_user.map(UserId::from_uuid)),
            tenant_name: row.tenant_name,
            tenant_key: row.tenant_key,
            language: row.language,
            attempts: row.attempts,
        }
    });
    Ok(notices.collect())
}

/// Notes that something was told, or will not be.
///
/// # Errors
/// When the database fails: it is told again.
pub async fn forget_notice(db: &MasterDb, notice: &Notice) -> Result<(), DbError> {
    sqlx::query!(
        "delete from assistant_notices where kind = $1 and subject = $2 and chat_id = $3",
        notice.kind,
        notice.subject,
        notice.chat,
    )
    .execute(db.pool())
    .await?;
    Ok(())
}

/// Has something told again then.
///
/// # Errors
/// When the database fails.
pub async fn put_off(db: &MasterDb, notice: &Notice, due_at: DateTime<Utc>) -> Result<(), DbError> {
    sqlx::query!(
        "update assistant_notices set attempts = attempts + 1, due_at = $4 where kind = $1 and subject = $2 and chat_id = $3",
        notice.kind,
        notice.subject,
        notice.chat,
        due_at,
    )
    .execute(db.pool())
    .await?;
    Ok(())
}

/// Forgets what nobody was told for two days, or where there is no bot: news of long ago are none.
///
/// # Errors
/// When the database fails.
pub async fn forget_old(db: &MasterDb, now: DateTime<Utc>) -> Result<(), DbError> {
    sqlx::query!("delete from assistant_notices where noted_at < $1", now - NEWS)
        .execute(db.pool())
        .await?;
    Ok(())
}
