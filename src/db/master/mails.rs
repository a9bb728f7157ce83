//! `mails`: the registry's outbox.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{MasterDb, MasterTx};
use crate::db::DbError;
use crate::domain::ids::{MailId, TenantId};
use crate::domain::mail::{MailKind, MailState};
use crate::domain::settings::Language;

/// A mail to be sent, sealed.
pub struct NewRow<'a> {
    /// Its id.
    pub id: MailId,
    /// What it is about.
    pub kind: MailKind,
    /// Whom it is about.
    pub tenant: Option<TenantId>,
    /// In which language.
    pub locale: Language,
    /// To whom.
    pub address_sealed: Vec<u8>,
    /// What the template is filled with.
    pub values_sealed: Vec<u8>,
    /// Not before.
    pub due_at: DateTime<Utc>,
    /// How often sending is tried.
    pub max_attempts: i32,
    /// What is told: one mail for each.
    pub dedupe_key: &'a str,
}

/// Adds a mail, unless there is one of this dedupe key.
///
/// # Errors
/// When a constraint does not hold or the database fails.
pub async fn insert(tx: &mut MasterTx, new: &NewRow<'_>) -> Result<(), DbError> {
    sqlx::query!(
        "insert into mails (id, kind, tenant_id, locale, address_sealed, values_sealed, state, due_at, max_attempts, dedupe_key,
                            updated_at)
         values ($1, $2, $3, $4, $5, $6, 'pending', $7, $8, $9, $7)
         on conflict on constraint mails_dedupe_key_key do nothing",
        new.id.as_uuid(),
        new.kind.as_str(),
        new.tenant.map(TenantId::as_uuid),
        new.locale.as_str(),
        new.address_sealed,
        new.values_sealed,
        new.due_at,
        new.max_attempts,
        new.dedupe_key,
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Gives up a mail that nobody has begun to send; whether there was one.
///
/// # Errors
/// When the database fails.
pub async fn cancel(tx: &mut MasterTx, dedupe_key: &str, now: DateTime<Utc>) -> Result<bool, DbError> {
    let done = sqlx::query!(
        "update mails set state = 'canceled', updated_at = $2
         where dedupe_key = $1 and state = 'pending' and (leased_until is null or leased_until <= $2)",
        dedupe_key,
        now,
    )
    .execute(tx.connection())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// A mail that this worker has, with what is known of its tenant at this moment.
pub struct Claimed {
    /// Its id.
    pub id: MailId,
    /// What it is about.
    pub kind: MailKind,
    /// In which language.
    pub locale: Language,
    /// To whom.
    pub address_sealed: Vec<u8>,
    /// What the template is filled with.
    pub values_sealed: Vec<u8>,
    /// How often it was taken, this time included.
    pub attempts: i32,
    /// How often it may be.
    pub max_attempts: i32,
    /// Whom it is about, if there is such a tenant still.
    pub tenant: Option<About>,
}

/// A tenant as it is named in a mail.
pub struct About {
    /// Its key.
    pub key: String,
    /// Its display name.
    pub name: String,
    /// A host of its own, if it has proven to own one.
    pub host: Option<String>,
}

/// Takes mails that are due, at most `most`, those that have waited longest.
///
/// # Errors
/// When the database fails.
pub async fn claim(
    db: &MasterDb,
    worker: Uuid,
    most: i64,
    until: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<Vec<Claimed>, DbError> {
    let rows = sqlx::query!(
        r#"with due as (
               select id from mails
               where state = 'pending' and due_at <= $3 and (leased_until is null or leased_until <= $3)
               order by due_at limit $4 for update skip locked
           ), taken as (
               update mails m set leased_by = $1, leased_until = $2, attempts = m.attempts + 1, updated_at = $3
               from due d where m.id = d.id
               returning m.id, m.kind, m.locale, m.tenant_id, m.address_sealed, m.values_sealed, m.attempts, m.max_attempts
           )
           select m.id, m.kind, m.locale, m.address_sealed as "address_sealed!", m.values_sealed as "values_sealed!",
                  m.attempts, m.max_attempts, t.tenant_key as "tenant_key?", t.name as "tenant_name?",
                  (select min(d.host) from domains d where d.tenant_id = t.id and d.verified_at is not null) as host
           from taken m left join tenants t on t.id = m.tenant_id"#,
        worker,
        until,
        now,
        most,
    )
    .fetch_all(db.pool())
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(Claimed {
                id: MailId::from_uuid(row.id),
                kind: row.kind.parse().map_err(|_| unknown("kind"))?,
                locale: row.locale.parse().map_err(|_| unknown("locale"))?,
                address_sealed: row.address_sealed,
                values_sealed: row.values_sealed,
                attempts: row.attempts,
                max_attempts: row.max_attempts,
                tenant: row.tenant_key.zip(row.tenant_name).map(|(key, name)| About {
                    key,
                    name,
                    host: row.host,
                }),
            })
        })
        .collect()
}

fn unknown(column: &str) -> DbError {
    DbError::Other {
        code: "driver".to_owned(),
        message: format!("mails.{column} holds an unknown value"),
    }
}

/// Says what becomes of a mail; with [`MailState::Pending`] it is due again at `due_at`. `false` when another worker has it.
///
/// # Errors
/// When the database fails: it is sent again then, under the same `Message-ID`.
pub async fn settle(
    db: &MasterDb,
    id: MailId,
    worker: Uuid,
    (state, due_at): (MailState, DateTime<Utc>),
    error: Option<&str>,
    now: DateTime<Utc>,
) -> Result<bool, DbError> {
    let done = sqlx::query!(
        "update mails set state = $3, due_at = $4, last_error = left($5, 200), leased_by = null, leased_until = null,
                updated_at = $6
         where id = $1 and leased_by = $2",
        id.as_uuid(),
        worker,
        state.as_str(),
        due_at,
        error,
        now,
    )
    .execute(db.pool())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Gives up whatever is due, because mails are not sent; how many it was.
///
/// # Errors
/// When the database fails.
pub async fn give_up_due(db: &MasterDb, why: &str, now: DateTime<Utc>) -> Result<u64, DbError> {
    let done = sqlx::query!(
        "update mails set state = 'canceled', last_error = $1, updated_at = $2
         where state = 'pending' and due_at <= $2 and (leased_until is null or leased_until <= $2)",
        why,
        now,
    )
    .execute(db.pool())
    .await?;
    Ok(done.rows_affected())
}

/// Takes addresses and contents out of mails that ended before `emptied_before`, and removes those that ended before
/// `removed_before`, with their dedupe keys; some at a time.
///
/// # Errors
/// When the database fails.
pub async fn forget(
    db: &MasterDb,
    emptied_before: DateTime<Utc>,
    removed_before: DateTime<Utc>,
) -> Result<(), DbError> {
    sqlx::query!(
        "update mails set address_sealed = null, values_sealed = null
         where id in (select id from mails where address_sealed is not null and state <> 'pending' and updated_at < $1 limit 1000)",
        emptied_before,
    )
    .execute(db.pool())
    .await?;
    sqlx::query!(
        "delete from mails
         where id in (select id from mails where state <> 'pending' and due_at < $1 and updated_at < $1 limit 1000)",
        removed_before,
    )
    .execute(db.pool())
    .await?;
    Ok(())
}
