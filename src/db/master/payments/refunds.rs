//! `refunds`: money that an administrator gives back, asked of the gateway under the refund's id.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::charges::cents;
use super::word;
use crate::db::DbError;
use crate::db::master::{MasterDb, MasterTx};
use crate::domain::charge::RefundState;
use crate::domain::ids::{ChargeId, GatewayAccountId, RefundId, TenantId};
use crate::domain::money::Cents;
use crate::domain::payment::GatewayKind;

/// Money that goes back.
#[derive(Debug, Clone)]
pub struct RefundRecord {
    /// Its id, and the key under which the gateway is asked.
    pub id: RefundId,
    /// Of which charge.
    pub charge: ChargeId,
    /// How much.
    pub amount: Cents,
    /// What had gone back before.
    pub before: Cents,
    /// What has become of it.
    pub state: RefundState,
    /// How often the gateway was asked.
    pub attempts: i32,
    /// Why the last try came to nothing.
    pub last_error: Option<String>,
    /// When it was decided.
    pub created_at: DateTime<Utc>,
}

struct Row {
    id: Uuid,
    charge_id: Uuid,
    amount_cents: i64,
    before_cents: i64,
    state: String,
    attempts: i32,
    last_error: Option<String>,
    created_at: DateTime<Utc>,
}

impl TryFrom<Row> for RefundRecord {
    type Error = DbError;

    fn try_from(row: Row) -> Result<Self, DbError> {
        Ok(Self {
            id: RefundId::from_uuid(row.id),
            charge: ChargeId::from_uuid(row.charge_id),
            amount: cents(row.amount_cents)?,
            before: cents(row.before_cents)?,
            state: word(&row.state, "refunds.state")?,
            attempts: row.attempts,
            last_error: row.last_error,
            created_at: row.created_at,
        })
    }
}

/// Decides that money goes back; a charge has one such decision at a time.
///
/// # Errors
/// `refunds_charge_id_requested_key` when there is one; or when the database fails.
pub async fn insert_refund(
    tx: &mut MasterTx,
    new: &RefundRecord,
    reason: Option<&str>,
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    sqlx::query!(
        "insert into refunds (id, charge_id, amount_cents, before_cents, state, reason, due_at, created_at, updated_at)
         values ($1, $2, $3, $4, $5, $6, $7, $7, $7)",
        new.id.as_uuid(),
        new.charge.as_uuid(),
        new.amount.get(),
        new.before.get(),
        new.state.as_str(),
        reason,
        now,
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Takes refunds of a gateway that are due, or the one that is named; those that nobody is at.
///
/// # Errors
/// When the database fails.
pub async fn claim_due(
    db: &MasterDb,
    gateway: GatewayKind,
    only: Option<RefundId>,
    worker: Uuid,
    leased_until: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<Vec<RefundRecord>, DbError> {
    let rows = sqlx::query_as!(
        Row,
        "update refunds r set leased_by = $3, leased_until = $4, attempts = r.attempts + 1
         from (select d.id from refunds d join charges c on c.id = d.charge_id
               join gateway_accounts g on g.id = c.account_id
               where d.state = 'requested' and g.gateway = $1 and ($2::uuid is null or d.id = $2)
                 and ($2 is not null or d.due_at <= $5) and (d.leased_until is null or d.leased_until <= $5)
               order by d.due_at limit 1 for update of d skip locked) due
         where r.id = due.id
         returning r.id, r.charge_id, r.amount_cents, r.before_cents, r.state, r.attempts, r.last_error, r.created_at",
        gateway.as_str(),
        only.map(RefundId::as_uuid),
        worker,
        leased_until,
        now,
    )
    .fetch_all(db.pool())
    .await?;
    rows.into_iter().map(RefundRecord::try_from).collect()
}

/// A refund, and where its money is.
///
/// # Errors
/// When the database fails.
pub async fn find_refund(
    db: &MasterDb,
    id: RefundId,
) -> Result<Option<(RefundRecord, GatewayKind)>, DbError> {
    let row = sqlx::query!(
        "select r.id, r.charge_id, r.amount_cents, r.before_cents, r.state, r.attempts, r.last_error, r.created_at, a.gateway
         from refunds r join charges c on c.id = r.charge_id join gateway_accounts a on a.id = c.account_id
         where r.id = $1",
        id.as_uuid(),
    )
    .fetch_optional(db.pool())
    .await?;
    row.map(|row| {
        let gateway = word(&row.gateway, "gateway_accounts.gateway")?;
        let record = RefundRecord::try_from(Row {
            id: row.id,
            charge_id: row.charge_id,
            amount_cents: row.amount_cents,
            before_cents: row.before_cents,
            state: row.state,
            attempts: row.attempts,
            last_error: row.last_error,
            created_at: row.created_at,
        })?;
        Ok((record, gateway))
    })
    .transpose()
}

/// Notes that the gateway gives the money back.
///
/// # Errors
/// When the database fails.
pub async fn note_done(
    tx: &mut MasterTx,
    id: RefundId,
    gateway_refund_id: Option<&str>,
    now: DateTime<Utc>,
) -> Result<bool, DbError> {
    let done = sqlx::query!(
        "update refunds set state = 'done', gateway_refund_id = $2, last_error = null, leased_until = null,
                            leased_by = null, updated_at = $3
         where id = $1 and state = 'requested'",
        id.as_uuid(),
        gateway_refund_id,
        now,
    )
    .execute(tx.connection())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Notes that the gateway did not; it is asked again at `due_at`, or never (`None`).
///
/// # Errors
/// When the database fails.
pub async fn note_failed(
    db: &MasterDb,
    id: RefundId,
    worker: Uuid,
    error: &str,
    due_at: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    sqlx::query!(
        "update refunds
         set state = case when $4::timestamptz is null then 'failed' else state end, due_at = coalesce($4, due_at),
             last_error = $3, leased_until = null, leased_by = null, updated_at = $5
         where id = $1 and leased_by = $2 and state = 'requested'",
        id.as_uuid(),
        worker,
        error,
        due_at,
        now,
    )
    .execute(db.pool())
    .await?;
    Ok(())
}

/// The newest charge of an invoice that was paid and of which something is left that can go back; with its account.
///
/// # Errors
/// When the database fails.
pub async fn find_refundable(
    tx: &mut MasterTx,
    tenant: TenantId,
    invoice: Uuid,
) -> Result<Option<(ChargeId, GatewayAccountId)>, DbError> {
    let row = sqlx::query!(
        "select id, account_id from charges
         where tenant_id = $1 and subject_id = $2 and payee = 'platform' and status = 'paid' and refunded_cents < paid_cents
         order by settled_at desc, id desc limit 1",
        tenant.as_uuid(),
        invoice,
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(row.map(|row| {
        (
            ChargeId::from_uuid(row.id),
            GatewayAccountId::from_uuid(row.account_id),
        )
    }))
}
