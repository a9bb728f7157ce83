//! `mails`: the registry's outbox.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{MasterDb, MasterTx};
use crate::db::DbError;
use crate::domain::ids::{InvoiceId, MailId, TenantId};
use crate::domain::mail::{MailKind, MailState};
use crate::domain::settings::Language;

/// How far mails of a tenant and kind stand apart in the order of sending, in seconds: between them others have their turn.
const APART_SECS: f64 = 1.0;
/// Rows that are forgotten in one statement.
const FORGOTTEN_AT_ONCE: i64 = 1_000;

/// A mail to be sent, sealed.
pub struct NewRow<'a> {
    /// Its id.
    pub id: MailId,
    /// What it is about.
    pub kind: MailKind,
    /// Whom it is about.
    pub tenant: Option<TenantId>,
    /// The invoice that it asks to be paid.
    pub invoice: Option<InvoiceId>,
    /// In which language; `None`: the tenant's.
    pub locale: Option<Language>,
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

/// Adds a mail, unless there is one of this dedupe key that was not taken back, or this very mail was taken back before it came.
/// Of a tenant and kind it stands behind those that wait.
///
/// # Errors
/// When a constraint does not hold or the database fails.
pub async fn insert(tx: &mut MasterTx, new: &NewRow<'_>) -> Result<(), DbError> {
    sqlx::query!(
        "insert into mails (id, kind, tenant_id, invoice_id, locale, address_sealed, values_sealed, state, due_at, turn_at, max_attempts,
                            dedupe_key, updated_at)
         select $1, $2, $3, $4, coalesce($5, (select language from tenants where id = $3), $6), $7, $8, 'pending', $9,
                greatest($10, (select max(turn_at) + $11::float8 * interval '1 second' from mails
                               where tenant_id = $3 and kind = $2 and state = 'pending')), $12, $13, $9
         where not exists (select from mails where id = $1)
         on conflict on constraint mails_dedupe_key_key do update
         set id = excluded.id, kind = excluded.kind, tenant_id = excluded.tenant_id, invoice_id = excluded.invoice_id,
             locale = excluded.locale, address_sealed = excluded.address_sealed, values_sealed = excluded.values_sealed,
             state = 'pending', due_at = excluded.due_at, turn_at = excluded.turn_at, attempts = 0,
             max_attempts = excluded.max_attempts, last_error = null, updated_at = excluded.updated_at
         where mails.state = 'canceled'",
        new.id.as_uuid(),
        new.kind.as_str(),
        new.tenant.map(TenantId::as_uuid),
        new.invoice.map(InvoiceId::as_uuid),
        new.locale.map(Language::as_str),
        Language::PtBr.as_str(),
        new.address_sealed,
        new.values_sealed,
        new.due_at,
        new.due_at - new.kind.head_start(),
        APART_SECS,
        new.max_attempts,
        new.dedupe_key,
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Takes mails of a tenant back by their ids, and empties them, sent or not; one that was not handed over yet will not be taken
/// when it is. Yields how many are being sent at this moment: they are to be taken back again later.
///
/// # Errors
/// When the database fails.
pub async fn take_back(
    db: &MasterDb,
    tenant: TenantId,
    ids: &[Uuid],
    now: DateTime<Utc>,
) -> Result<i64, DbError> {
    let left = sqlx::query_scalar!(
        r#"with given as (select unnest($1::uuid[]) as id),
         kept_out as (
             insert into mails (id, kind, tenant_id, locale, state, due_at, max_attempts, dedupe_key, updated_at)
             select id, 'customer_message', $2, 'pt-BR', 'canceled', $3, 1, 'canceled:' || id, $3 from given
             on conflict do nothing returning id
         ), gone as (
             update mails m set state = case m.state when 'pending' then 'canceled' else m.state end, address_sealed = null,
                    values_sealed = null, leased_by = null, leased_until = null, updated_at = $3
             from given g
             where m.id = g.id and m.tenant_id = $2
               and (m.state <> 'pending' or m.leased_until is null or m.leased_until <= $3)
             returning m.id
         )
         select (select count(*) from given) - (select count(*) from kept_out) - (select count(*) from gone) as "left!""#,
        ids,
        tenant.as_uuid(),
        now,
    )
    .fetch_one(db.pool())
    .await?;
    Ok(left)
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
    /// The invoice that it asks to be paid.
    pub invoice: Option<ToPay>,
}

/// An invoice, as it is at this moment.
pub struct ToPay {
    /// Whether there is something to be paid still.
    pub is_open: bool,
    /// The PIX by which it can be paid.
    pub pix_code: Option<String>,
    /// A page on which it can be paid.
    pub pay_url: Option<String>,
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

/// Takes mails that are due, at most `most`, those whose turn it is.
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
               order by turn_at limit $4 for update skip locked
           ), taken as (
               update mails m set leased_by = $1, leased_until = $2, attempts = m.attempts + 1, updated_at = $3
               from due d where m.id = d.id
               returning m.id, m.kind, m.locale, m.tenant_id, m.invoice_id, m.address_sealed, m.values_sealed, m.attempts,
                         m.max_attempts
           )
           select m.id, m.kind, m.locale, m.address_sealed as "address_sealed!", m.values_sealed as "values_sealed!",
                  m.attempts, m.max_attempts, t.tenant_key as "tenant_key?", t.name as "tenant_name?",
                  (select min(d.host) from domains d where d.tenant_id = t.id and d.verified_at is not null) as host,
                  m.invoice_id, coalesce(i.status = 'open', false) as "is_open!",
                  (select c.pix_code from charges c
                   where c.tenant_id = m.tenant_id and c.subject_id = m.invoice_id and c.method = 'pix' and c.payee = 'platform'
                     and c.status in ('pending', 'in_process') and c.expires_at > $3 and c.pix_code is not null
                   order by c.attempt desc limit 1) as pix_code,
                  (select c.pay_url from charges c
                   where c.tenant_id = m.tenant_id and c.subject_id = m.invoice_id and c.payee = 'platform'
                     and c.status in ('pending', 'in_process') and c.expires_at > $3 and c.pay_url is not null
                   order by c.created_at desc, c.id desc limit 1) as pay_url
           from taken m left join tenants t on t.id = m.tenant_id
           left join invoices i on i.id = m.invoice_id and i.tenant_id = m.tenant_id"#,
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
                invoice: row.invoice_id.map(|_| ToPay {
                    is_open: row.is_open,
                    pix_code: row.pix_code,
                    pay_url: row.pay_url,
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
    mail: &Claimed,
    worker: Uuid,
    (state, due_at): (MailState, DateTime<Utc>),
    error: Option<&str>,
    now: DateTime<Utc>,
) -> Result<bool, DbError> {
    let done = sqlx::query!(
        "update mails set state = $3, due_at = $4, turn_at = greatest(turn_at, $7), last_error = left($5, 200), leased_by = null,
                leased_until = null, updated_at = $6
         where id = $1 and leased_by = $2",
        mail.id.as_uuid(),
        worker,
        state.as_str(),
        due_at,
        error,
        now,
        due_at - mail.kind.head_start(),
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
/// `removed_before`, with their dedupe keys; all of them, some at a time.
///
/// # Errors
/// When the database fails.
pub async fn forget(
    db: &MasterDb,
    emptied_before: DateTime<Utc>,
    removed_before: DateTime<Utc>,
) -> Result<(), DbError> {
    let some = FORGOTTEN_AT_ONCE.unsigned_abs();
    loop {
        let emptied = sqlx::query!(
            "update mails set address_sealed = null, values_sealed = null
             where id in (select id from mails where address_sealed is not null and state <> 'pending' and updated_at < $1 limit $2)",
            emptied_before,
            FORGOTTEN_AT_ONCE,
        )
        .execute(db.pool())
        .await?;
        if emptied.rows_affected() < some {
            break;
        }
    }
    loop {
        let removed = sqlx::query!(
            "delete from mails
             where id in (select id from mails where state <> 'pending' and due_at < $1 and updated_at < $1 limit $2)",
            removed_before,
            FORGOTTEN_AT_ONCE,
        )
        .execute(db.pool())
        .await?;
        if removed.rows_affected() < some {
            return Ok(());
        }
    }
}
