//! `trials`: which documents have had their trial.

use chrono::{DateTime, Utc};

use super::MasterTx;
use crate::db::DbError;
use crate::domain::ids::TenantId;

/// Takes the one trial of a document; `false` when it was taken.
///
/// # Errors
/// When the database fails.
pub async fn take(
    tx: &mut MasterTx,
    document_digest: &[u8; 32],
    tenant: TenantId,
    now: DateTime<Utc>,
) -> Result<bool, DbError> {
    let taken = sqlx::query!(
        "insert into trials (document_digest, tenant_id, started_at) values ($1, $2, $3)
         on conflict on constraint trials_pkey do nothing",
        document_digest.as_slice(),
        tenant.as_uuid(),
        now,
    )
    .execute(tx.connection())
    .await?;
    Ok(taken.rows_affected() == 1)
}
