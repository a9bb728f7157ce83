//! Whose turn it is to do something about a charge: place it, ask what became of it, have it booked. A turn is taken by a
//! lease; a worker that dies loses it when that is over.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::charges::{ChargeRecord, charges};
use crate::db::DbError;
use crate::db::master::{MasterDb, MasterTx};
use crate::domain::ids::{ChargeId, TenantId};
use crate::domain::payment::{GatewayKind, PaymentStatus};

/// Takes the turns of charges at a gateway that are due, the longest overdue first. What is not placed yet counts as asked for
/// from here on: the gateway may be asked at any moment.
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
) -> Result<Vec<ChargeRecord>, DbError> {
    let rows = charges!(
        "update charges c
         set leased_by = $2, leased_until = $4, asked = c.asked + (c.placed_at is null)::int4
         from gateway_accounts a, (select d.id from charges d join gateway_accounts g on g.id = d.account_id
               where d.next_check_at <= $5 and (d.leased_until is null or d.leased_until <= $5) and g.gateway = $1
               order by d.next_check_at limit $3 for update of d skip locked) due
         where c.id = due.id and a.id = c.account_id returning",
        "",
        gateway.as_str(),
        worker,
        limit,
        leased_until,
        now,
    )
    .fetch_all(db.pool())
    .await?;
    rows.into_iter().map(ChargeRecord::try_from).collect()
}

/// Takes the turn of one charge, due or not; `None` when another worker has it, or there is no such charge.
///
/// # Errors
/// When the database fails.
pub async fn claim(
    db: &MasterDb,
    id: ChargeId,
    worker: Uuid,
    leased_until: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<Option<ChargeRecord>, DbError> {
    let row = charges!(
        "update charges c
         set leased_by = $2, leased_until = $3, asked = c.asked + (c.placed_at is null)::int4
         from gateway_accounts a
         where c.id = $1 and a.id = c.account_id and (c.leased_until is null or c.leased_until <= $4) returning",
        "",
        id.as_uuid(),
        worker,
        leased_until,
        now,
    )
    .fetch_optional(db.pool())
    .await?;
    row.map(ChargeRecord::try_from).transpose()
}

/// How a turn has ended that brought no news of the payment.
#[derive(Debug, Default)]
pub struct Ended<'a> {
    /// Where it is over, as what.
    pub status: Option<PaymentStatus>,
    /// When there is something to be done again.
    pub next_check_at: Option<DateTime<Utc>>,
    /// What is counted.
    pub checks: i32,
    /// Why it came to nothing.
    pub error: Option<&'a str>,
}

/// Ends a turn. `None` when it is no longer this worker's: what has become of the charge meanwhile stays.
///
/// # Errors
/// When the database fails.
pub async fn end(
    tx: &mut MasterTx,
    id: ChargeId,
    worker: Uuid,
    ended: &Ended<'_>,
    now: DateTime<Utc>,
) -> Result<Option<ChargeRecord>, DbError> {
    let row = charges!(
        "update charges c
         set status = coalesce($3, c.status), next_check_at = $4, checks = $5, last_error = $6,
             leased_until = null, leased_by = null, updated_at = $7
         from gateway_accounts a
         where c.id = $1 and c.leased_by = $2 and a.id = c.account_id returning",
        "",
        id.as_uuid(),
        worker,
        ended.status.map(PaymentStatus::as_str),
        ended.next_check_at,
        ended.checks,
        ended.error,
        now,
    )
    .fetch_optional(tx.connection())
    .await?;
    row.map(ChargeRecord::try_from).transpose()
}

/// A webhook has told of a charge that is open still, and there was nothing new: what it told may be about to be seen.
///
/// # Errors
/// When the database fails.
pub async fn look_again(
    tx: &mut MasterTx,
    id: ChargeId,
    at: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    sqlx::query!(
        "update charges set next_check_at = least(coalesce(next_check_at, $2), $2), checks = 0, updated_at = $3
         where id = $1 and status in ('pending', 'in_process') and placed_at is not null",
        id.as_uuid(),
        at,
        now,
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Makes charges due now that the gateway has and that changed since `since`: those that nobody asks about any more, and what
/// was paid, as it may have gone back, or come again; of one tenant, or of all. At most `limit`, in the order of their ids, from behind
/// `after` on; who is at work on one will have asked. Answers how many it was, and the last.
///
/// # Errors
/// When the database fails.
pub async fn make_due(
    db: &MasterDb,
    tenant: Option<TenantId>,
    since: DateTime<Utc>,
    after: Option<ChargeId>,
    limit: i64,
    now: DateTime<Utc>,
) -> Result<(u64, Option<ChargeId>), DbError> {
    let page = sqlx::query!(
        r#"with page as (
               select id from charges
               where placed_at is not null and ($1::uuid is null or tenant_id = $1) and ($4::uuid is null or id > $4)
                 and coalesce(settled_at, expires_at) >= $2 and status <> 'refunded'
                 and (next_check_at is null or next_check_at > $3)
               order by id limit $5 for update skip locked
           ), due as (
               update charges c set next_check_at = $3 from page where c.id = page.id returning c.id
           )
           select count(*) as "count!", (array_agg(id order by id desc))[1] as last from due"#,
        tenant.map(TenantId::as_uuid),
        since,
        now,
        after.map(ChargeId::as_uuid),
        limit,
    )
    .fetch_one(db.pool())
    .await?;
    let count = u64::try_from(page.count).unwrap_or_default();
    Ok((count, page.last.map(ChargeId::from_uuid)))
}
