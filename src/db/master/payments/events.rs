//! `gateway_events`: what gateways told, once each, and what came of it.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::db::DbError;
use crate::db::master::{MasterDb, MasterTx};
use crate::domain::ids::{GatewayAccountId, TenantId};
use crate::domain::payment::GatewayKind;

/// News of a payment that somebody has to look into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventRecord {
    /// Of which account.
    pub account: GatewayAccountId,
    /// The gateway's name for it.
    pub event_id: String,
    /// The payment that it is about.
    pub payment_id: String,
    /// How often it was looked into.
    pub attempts: i32,
}

/// Stores an event; `false` when it is there already.
///
/// # Errors
/// `gateway_events_account_id_fkey` when the account is gone; or when the database fails.
pub async fn insert_event(
    db: &MasterDb,
    account: GatewayAccountId,
    event_id: &str,
    payment_id: &str,
    now: DateTime<Utc>,
) -> Result<bool, DbError> {
    let inserted = sqlx::query!(
        "insert into gateway_events (account_id, event_id, gateway_payment_id, received_at, state, due_at)
         values ($1, $2, $3, $4, 'received', $4)
         on conflict on constraint gateway_events_pkey do nothing",
        account.as_uuid(),
        event_id,
        payment_id,
        now,
    )
    .execute(db.pool())
    .await?;
    Ok(inserted.rows_affected() == 1)
}

/// Takes events of a gateway that are due, the oldest first.
///
/// # Errors
/// When the database fails.
pub async fn claim_due(
    db: &MasterDb,
    gateway: GatewayKind,
    worker: Uuid,
    limit: i64,
    leased_until: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<Vec<EventRecord>, DbError> {
    let rows = sqlx::query!(
        "update gateway_events e set leased_by = $2, leased_until = $4, attempts = e.attempts + 1
         from (select d.account_id, d.event_id from gateway_events d join gateway_accounts g on g.id = d.account_id
               where d.state = 'received' and d.due_at <= $5 and (d.leased_until is null or d.leased_until <= $5)
                 and g.gateway = $1
               order by d.due_at limit $3 for update of d skip locked) due
         where e.account_id = due.account_id and e.event_id = due.event_id
         returning e.account_id, e.event_id, e.gateway_payment_id, e.attempts",
        gateway.as_str(),
        worker,
        limit,
        leased_until,
        now,
    )
    .fetch_all(db.pool())
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| EventRecord {
            account: GatewayAccountId::from_uuid(row.account_id),
            event_id: row.event_id,
            payment_id: row.gateway_payment_id,
            attempts: row.attempts,
        })
        .collect())
}

/// Notes that what an event told is in the books, in the transaction that put it there.
///
/// # Errors
/// When the database fails.
pub async fn note_done(tx: &mut MasterTx, event: &EventRecord, now: DateTime<Utc>) -> Result<(), DbError> {
    sqlx::query!(
        "update gateway_events
         set state = 'done', done_at = $3, leased_until = null, leased_by = null, last_error = null
         where account_id = $1 and event_id = $2 and state <> 'done'",
        event.account.as_uuid(),
        event.event_id,
        now,
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// What becomes of an event that could not be looked into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is tried again then.
    Again(DateTime<Utc>),
    /// There is nothing to be looked into.
    Done,
    /// It is given up, until somebody replays it.
    Dead,
}

/// Notes that an event could not be looked into. Not when it is another worker's by now.
///
/// # Errors
/// When the database fails.
pub async fn note_failed(
    db: &MasterDb,
    event: &EventRecord,
    worker: Uuid,
    error: &str,
    fate: Fate,
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    let (state, due_at, done_at) = match fate {
        Fate::Again(at) => ("received", Some(at), None),
        Fate::Done => ("done", None, Some(now)),
        Fate::Dead => ("dead", None, None),
    };
    sqlx::query!(
        "update gateway_events
         set state = $5, due_at = coalesce($6, due_at), done_at = $7, last_error = $4, leased_until = null, leased_by = null
         where account_id = $1 and event_id = $2 and leased_by = $3 and state = 'received'",
        event.account.as_uuid(),
        event.event_id,
        worker,
        error,
        state,
        due_at,
        done_at,
    )
    .execute(db.pool())
    .await?;
    Ok(())
}

/// Which events are to be looked into again.
#[derive(Debug, Clone, Default)]
pub struct Replay {
    /// Of this account, or of all.
    pub account: Option<GatewayAccountId>,
    /// Of this tenant's own accounts, or of all.
    pub tenant: Option<TenantId>,
    /// This one, or all.
    pub event_id: Option<String>,
    /// What came since.
    pub since: Option<DateTime<Utc>>,
    /// Only what was given up.
    pub only_dead: bool,
}

/// Makes events due again; how many.
///
/// # Errors
/// When the database fails.
pub async fn replay(db: &MasterDb, which: &Replay, now: DateTime<Utc>) -> Result<u64, DbError> {
    let again = sqlx::query!(
        "update gateway_events e
         set state = 'received', done_at = null, due_at = $6, attempts = 0, leased_until = null, leased_by = null
         from gateway_accounts a
         where a.id = e.account_id
           and ($1::uuid is null or e.account_id = $1) and ($2::uuid is null or a.tenant_id = $2)
           and ($3::text is null or e.event_id = $3) and ($4::timestamptz is null or e.received_at >= $4)
           and (not $5::bool or e.state = 'dead')",
        which.account.map(GatewayAccountId::as_uuid),
        which.tenant.map(TenantId::as_uuid),
        which.event_id.as_deref(),
        which.since,
        which.only_dead,
        now,
    )
    .execute(db.pool())
    .await?;
    Ok(again.rows_affected())
}

/// Forgets events that were done before `before`; how many it was, at most `limit`.
///
/// # Errors
/// When the database fails.
pub async fn remove_done(db: &MasterDb, before: DateTime<Utc>, limit: i64) -> Result<u64, DbError> {
    let removed = sqlx::query!(
        "delete from gateway_events e
         using (select o.account_id, o.event_id from gateway_events o
                where o.state = 'done' and o.done_at < $1 order by o.done_at limit $2 for update skip locked) over
         where e.account_id = over.account_id and e.event_id = over.event_id",
        before,
        limit,
    )
    .execute(db.pool())
    .await?;
    Ok(removed.rows_affected())
}
