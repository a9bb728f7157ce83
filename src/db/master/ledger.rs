//! `tenant_migrations`: which version of the template each tenant has, mirrored from the schemas.

use chrono::{DateTime, Utc};

use super::MasterTx;
use crate::db::DbError;
use crate::domain::ids::TenantId;

/// Notes the versions that a schema has reached.
///
/// # Errors
/// When the database fails.
pub async fn note_applied(
    tx: &mut MasterTx,
    tenant: TenantId,
    versions: &[(String, i32)],
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    let (ledgers, numbers): (Vec<String>, Vec<i32>) = versions.iter().cloned().unzip();
    sqlx::query!(
        "insert into tenant_migrations (tenant_id, ledger, version, status, applied_at, updated_at)
         select $1, v.ledger, v.version, 'applied', $4, $4 from unnest($2::text[], $3::int4[]) as v (ledger, version)
         on conflict (tenant_id, ledger) do update
            set version = excluded.version, status = 'applied', error = null,
                applied_at = excluded.applied_at, updated_at = excluded.updated_at",
        tenant.as_uuid(),
        &ledgers,
        &numbers,
        now,
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}
