//! `tenant_archives`: tenants that are put away, and where their snapshots are.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{MasterDb, MasterTx};
use crate::db::DbError;
use crate::domain::ids::{ShardId, TenantId};
use crate::domain::tenant::TenantStatus;

/// A tenant that is put away, is being put away, or is being brought back.
#[derive(Debug, Clone)]
pub struct ArchiveRecord {
    /// Whose.
    pub tenant: TenantId,
    /// When all of it is removed for good; `None`: kept.
    pub purge_at: Option<DateTime<Utc>>,
    /// Its snapshot, once there is one.
    pub snapshot: Option<ArchivedSnapshot>,
    /// Whether the tenant is counted by its lane.
    pub holds_place: bool,
    /// Why the last attempt did not succeed.
    pub error: Option<String>,
}

/// A snapshot in the folder of archives that was read back to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchivedSnapshot {
    /// Its name in that folder.
    pub file: String,
    /// SHA-256 of the file.
    pub sha256: Vec<u8>,
    /// Its length in bytes.
    pub bytes: i64,
    /// How many rows it holds.
    pub rows: i64,
    /// The moment whose rows these are.
    pub made_at: DateTime<Utc>,
}

struct ArchiveRow {
    tenant_id: Uuid,
    purge_at: Option<DateTime<Utc>>,
    file: Option<String>,
    sha256: Option<Vec<u8>>,
    size_bytes: Option<i64>,
    row_count: Option<i64>,
    made_at: Option<DateTime<Utc>>,
    holds_place: bool,
    error: Option<String>,
}

impl From<ArchiveRow> for ArchiveRecord {
    fn from(row: ArchiveRow) -> Self {
        let snapshot = match (row.file, row.sha256, row.size_bytes, row.row_count, row.made_at) {
            (Some(file), Some(sha256), Some(bytes), Some(rows), Some(made_at)) => Some(ArchivedSnapshot {
                file,
                sha256,
                bytes,
                rows,
                made_at,
            }),
            _ => None,
        };
        Self {
            tenant: TenantId::from_uuid(row.tenant_id),
            purge_at: row.purge_at,
            snapshot,
            holds_place: row.holds_place,
            error: row.error,
        }
    }
}

/// What is known of these tenants' archives; most tenants have none.
///
/// # Errors
/// When the database fails.
pub async fn find_all(db: &MasterDb, tenants: &[TenantId]) -> Result<Vec<ArchiveRecord>, DbError> {
    let tenants: Vec<Uuid> = tenants.iter().map(|id| id.as_uuid()).collect();
    let rows = sqlx::query_as!(
        ArchiveRow,
        "select tenant_id, purge_at, file, sha256, size_bytes, row_count, made_at, holds_place, error
         from tenant_archives where tenant_id = any($1)",
        &tenants,
    )
    .fetch_all(db.pool())
    .await?;
    Ok(rows.into_iter().map(ArchiveRecord::from).collect())
}

/// A tenant's archive, locked until the transaction ends.
///
/// # Errors
/// When the database fails.
pub async fn lock(tx: &mut MasterTx, tenant: TenantId) -> Result<Option<ArchiveRecord>, DbError> {
    let row = sqlx::query_as!(
        ArchiveRow,
        "select tenant_id, purge_at, file, sha256, size_bytes, row_count, made_at, holds_place, error
         from tenant_archives where tenant_id = $1 for update",
        tenant.as_uuid(),
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(row.map(ArchiveRecord::from))
}

/// Notes that a served or suspended tenant is to be put away: nobody is served from here on.
///
/// # Errors
/// When the database fails.
pub async fn begin(
    tx: &mut MasterTx,
    tenant: TenantId,
    purge_at: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    sqlx::query!(
        "insert into tenant_archives (tenant_id, purge_at, holds_place, created_at, updated_at)
         values ($1, $2, true, $3, $3)
         on conflict on constraint tenant_archives_pkey do update
            set purge_at = excluded.purge_at, holds_place = true, file = null, sha256 = null, size_bytes = null,
                row_count = null, made_at = null, error = null, updated_at = excluded.updated_at",
        tenant.as_uuid(),
        purge_at,
        now,
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Decides anew when a tenant that is put away is removed for good; `None`: it is kept.
///
/// # Errors
/// When the database fails.
pub async fn set_purge_at(
    tx: &mut MasterTx,
    tenant: TenantId,
    purge_at: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    sqlx::query!(
        "update tenant_archives set purge_at = $2, updated_at = $3 where tenant_id = $1",
        tenant.as_uuid(),
        purge_at,
        now,
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Notes the snapshot of a tenant that is being put away; `false` when it has one, or is not being put away any more.
///
/// # Errors
/// When the database fails.
pub async fn note_snapshot(
    tx: &mut MasterTx,
    tenant: TenantId,
    snapshot: &ArchivedSnapshot,
    now: DateTime<Utc>,
) -> Result<bool, DbError> {
    let done = sqlx::query!(
        "update tenant_archives a
         set file = $2, sha256 = $3, size_bytes = $4, row_count = $5, made_at = $6, error = null, updated_at = $7
         from tenants t
         where a.tenant_id = $1 and a.file is null and t.id = a.tenant_id and t.status = 'archiving'",
        tenant.as_uuid(),
        snapshot.file,
        snapshot.sha256,
        snapshot.bytes,
        snapshot.rows,
        snapshot.made_at,
        now,
    )
    .execute(tx.connection())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Brings a tenant to the next state of being put away or brought back; with a lease, somebody is at work on it until then.
///
/// # Errors
/// When the database fails.
pub async fn set_status(
    tx: &mut MasterTx,
    tenant: TenantId,
    status: TenantStatus,
    lease_expires_at: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    sqlx::query!(
        "update tenants
         set status = $2, lease_owner = $3, lease_expires_at = $4, version = version + 1, updated_at = $5
         where id = $1",
        tenant.as_uuid(),
        status.as_str(),
        lease_expires_at.map(|_| Uuid::now_v7()),
        lease_expires_at,
        now,
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Notes why an attempt did not succeed; `None` when one has.
///
/// # Errors
/// When the database fails.
pub async fn set_error(
    tx: &mut MasterTx,
    tenant: TenantId,
    error: Option<&str>,
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    sqlx::query!(
        "update tenant_archives set error = left($2, 1000), updated_at = $3 where tenant_id = $1",
        tenant.as_uuid(),
        error,
        now,
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Notes whether the tenant is counted by its lane.
///
/// # Errors
/// When the database fails; when it would have neither place nor snapshot.
pub async fn set_holds_place(
    tx: &mut MasterTx,
    tenant: TenantId,
    holds: bool,
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    sqlx::query!(
        "update tenant_archives set holds_place = $2, updated_at = $3 where tenant_id = $1",
        tenant.as_uuid(),
        holds,
        now,
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Gives a tenant that is being brought back its new place. Its schema keeps its name.
///
/// # Errors
/// When a constraint does not hold or the database fails.
pub async fn set_place(
    tx: &mut MasterTx,
    tenant: TenantId,
    (shard, lane): (ShardId, i32),
    role: &str,
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    sqlx::query!(
        "update tenants set shard_id = $2, lane = $3, role_name = $4, updated_at = $5 where id = $1",
        tenant.as_uuid(),
        shard.as_uuid(),
        lane,
        role,
        now,
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Whether a tenant that is to be removed is still counted by its lane.
///
/// # Errors
/// When the database fails.
pub async fn holds_place(tx: &mut MasterTx, tenant: TenantId) -> Result<bool, DbError> {
    Ok(sqlx::query_scalar!(
        r#"select not exists (select from tenant_archives where tenant_id = $1 and not holds_place) as "holds!""#,
        tenant.as_uuid(),
    )
    .fetch_one(tx.connection())
    .await?)
}

/// A tenant that is put away and whose time is up; it stays locked until the transaction ends.
///
/// # Errors
/// When the database fails.
pub async fn find_due(tx: &mut MasterTx, now: DateTime<Utc>) -> Result<Option<TenantId>, DbError> {
    let found = sqlx::query_scalar!(
        "select t.id from tenant_archives a join tenants t on t.id = a.tenant_id
         where a.purge_at <= $1 and t.status = 'archived'
         order by a.purge_at limit 1 for update of t skip locked",
        now,
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(found.map(TenantId::from_uuid))
}

/// Archives of tenants that are served again: only their files, by name, are left to be removed.
///
/// # Errors
/// When the database fails.
pub async fn list_spent(db: &MasterDb) -> Result<Vec<(TenantId, Option<String>)>, DbError> {
    let found = sqlx::query!(
        "select t.id, a.file from tenant_archives a join tenants t on t.id = a.tenant_id
         where t.status in ('active', 'suspended')"
    )
    .fetch_all(db.pool())
    .await?;
    Ok(found
        .into_iter()
        .map(|row| (TenantId::from_uuid(row.id), row.file))
        .collect())
}

/// Forgets an archive whose tenant is served again and whose file is gone.
///
/// # Errors
/// When the database fails.
pub async fn delete_spent(db: &MasterDb, tenant: TenantId, file: Option<&str>) -> Result<(), DbError> {
    sqlx::query!(
        "delete from tenant_archives a using tenants t
         where a.tenant_id = $1 and a.file is not distinct from $2 and t.id = a.tenant_id
           and t.status in ('active', 'suspended')",
        tenant.as_uuid(),
        file,
    )
    .execute(db.pool())
    .await?;
    Ok(())
}
