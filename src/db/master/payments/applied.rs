//! Which charges whoever is paid by them has booked: a tenant's schema does so after the registry.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::db::DbError;
use crate::db::master::{MasterDb, MasterTx};
use crate::domain::ids::{ChargeId, TenantId};
use crate::domain::money::Cents;
use crate::domain::payment::PaymentStatus;

/// Notes that whoever is paid has booked a charge's status; `false` when it has another one by now, or another worker has it.
///
/// # Errors
/// When the database fails.
pub async fn note_applied(
    db: &MasterDb,
    (id, worker): (ChargeId, Uuid),
    status: PaymentStatus,
    refunded: Cents,
    now: DateTime<Utc>,
) -> Result<bool, DbError> {
    let done = sqlx::query!(
        "update charges set applied_at = $4, next_check_at = null, checks = 0, last_error = null,
                            leased_until = null, leased_by = null, updated_at = $4
         where id = $1 and status = $2 and refunded_cents = $3 and leased_by = $5",
        id.as_uuid(),
        status.as_str(),
        refunded.get(),
        now,
        worker,
    )
    .execute(db.pool())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Has what customers paid to a tenant, or got back, booked in its schema now: what was not yet, and what was since `since`, as
/// the schema may be an older one; also what somebody is booking just now. How many it was.
///
/// # Errors
/// When the database fails.
pub async fn apply_again(
    tx: &mut MasterTx,
    tenant: TenantId,
    since: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<u64, DbError> {
    let again = sqlx::query!(
        "update charges c
         set applied_at = null, next_check_at = $3, checks = 0, leased_until = null, leased_by = null, updated_at = $3
         from (select o.id from charges o
               where o.tenant_id = $1 and o.payee = 'tenant' and o.status in ('paid', 'refunded', 'charged_back')
                 and (o.applied_at is null or o.applied_at >= $2)
               order by o.id for update) again
         where c.id = again.id",
        tenant.as_uuid(),
        since,
        now,
    )
    .execute(tx.connection())
    .await?;
    Ok(again.rows_affected())
}
