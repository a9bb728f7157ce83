//! `tenant_backups` and `tenant_backup_turns`: the snapshots that the program makes by itself, and whose turn it is.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{MasterDb, MasterTx};
use crate::db::DbError;
use crate::domain::ids::TenantId;
use crate::domain::tenant_key::TenantKey;

/// A snapshot in the folder of backups, or why there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupRecord {
    /// Its id.
    pub id: Uuid,
    /// Whose.
    pub tenant: TenantId,
    /// The file; `None` when it came to none.
    pub file: Option<BackupFile>,
    /// The moment whose rows these are.
    pub taken_at: DateTime<Utc>,
    /// When it was restored into a scratch schema and compared.
    pub verified_at: Option<DateTime<Utc>>,
    /// Whether it is encrypted.
    pub encrypted: bool,
    /// Why it is not to be trusted, or was not made.
    pub error: Option<String>,
}

/// What is known of a snapshot's file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupFile {
    /// Its name in the tenant's folder.
    pub name: String,
    /// Its length.
    pub bytes: i64,
    /// Its SHA-256.
    pub sha256: Vec<u8>,
    /// How many rows it holds.
    pub rows: i64,
}

/// A tenant whose turn it is, taken by a worker.
#[derive(Debug, Clone)]
pub struct Turn {
    /// Whose.
    pub tenant: TenantId,
    /// Its key.
    pub key: TenantKey,
    /// Since when.
    pub due_at: DateTime<Utc>,
    /// How often in a row it has come to nothing.
    pub failures: i32,
    /// The worker.
    pub worker: Uuid,
}

struct Row {
    tenant_id: Uuid,
    id: Uuid,
    file_name: Option<String>,
    bytes: Option<i64>,
    sha256: Option<Vec<u8>>,
    rows: Option<i64>,
    taken_at: DateTime<Utc>,
    verified_at: Option<DateTime<Utc>>,
    encrypted: bool,
    error: Option<String>,
}

impl From<Row> for BackupRecord {
    fn from(row: Row) -> Self {
        let file = match (row.file_name, row.bytes, row.sha256, row.rows) {
            (Some(name), Some(bytes), Some(sha256), Some(rows)) => Some(BackupFile {
                name,
                bytes,
                sha256,
                rows,
            }),
            _ => None,
        };
        Self {
            id: row.id,
            tenant: TenantId::from_uuid(row.tenant_id),
            file,
            taken_at: row.taken_at,
            verified_at: row.verified_at,
            encrypted: row.encrypted,
            error: row.error,
        }
    }
}

/// Sees to it that every living tenant is due within the next `every_secs`: those that have no turn yet, or have one later than
/// that (since `every_secs` was longer), spread by their ids, so that they are not all due at once.
///
/// # Errors
/// When the database fails.
pub async fn enrol(db: &MasterDb, every_secs: i64, now: DateTime<Utc>) -> Result<u64, DbError> {
    let done = sqlx::query!(
        "with later as (
             update tenant_backup_turns b
             set due_at = $2::timestamptz
                          + make_interval(secs => $1::int8 * ((hashtextextended(b.tenant_id::text, 0) & 65535) / 65536.0)::float8)
             where b.due_at > $2::timestamptz + make_interval(secs => $1::int8) and b.leased_by is null)
         insert into tenant_backup_turns (tenant_id, due_at)
         select t.id, $2::timestamptz + make_interval(secs => $1::int8 * ((hashtextextended(t.id::text, 0) & 65535) / 65536.0)::float8)
         from tenants t
         where t.status in ('active', 'suspended')
           and not exists (select from tenant_backup_turns b where b.tenant_id = t.id)
         on conflict (tenant_id) do nothing",
        every_secs,
        now,
    )
    .execute(db.pool())
    .await?;
    Ok(done.rows_affected())
}

/// Takes the turn that has waited longest, but none of the tenants `without`, nor one that has had its turn, in any process,
/// since `began`; `None` when nobody is due at `due_before`.
///
/// # Errors
/// When the database fails.
pub async fn claim(
    db: &MasterDb,
    worker: Uuid,
    due_before: DateTime<Utc>,
    (without, began): (&[Uuid], DateTime<Utc>),
    leased_until: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<Option<Turn>, DbError> {
    let row = sqlx::query!(
        "update tenant_backup_turns b set leased_by = $1, leased_until = $2
         from tenants t
         where t.id = b.tenant_id
           and b.tenant_id = (select d.tenant_id from tenant_backup_turns d
                              join tenants l on l.id = d.tenant_id and l.status in ('active', 'suspended')
                              where d.due_at <= $3 and (d.leased_until is null or d.leased_until < $4)
                                and d.tenant_id <> all ($5)
                                and not exists (select from tenant_backups m
                                                where m.tenant_id = d.tenant_id and m.taken_at >= $6)
                              order by d.due_at limit 1 for update of d skip locked)
         returning b.tenant_id, t.tenant_key, b.due_at, b.failures",
        worker,
        leased_until,
        due_before,
        now,
        without,
        began,
    )
    .fetch_optional(db.pool())
    .await?;
    let turn = row.map(|row| {
        let key = TenantKey::parse(&row.tenant_key).map_err(|_| DbError::Other {
            code: "driver".to_owned(),
            message: "tenants.tenant_key holds no key".to_owned(),
        })?;
        Ok::<_, DbError>(Turn {
            tenant: TenantId::from_uuid(row.tenant_id),
            key,
            due_at: row.due_at,
            failures: row.failures,
            worker,
        })
    });
    turn.transpose()
}

/// Keeps a turn for longer; `false` when another worker has it.
///
/// # Errors
/// When the database fails.
pub async fn renew(db: &MasterDb, turn: &Turn, leased_until: DateTime<Utc>) -> Result<bool, DbError> {
    let done = sqlx::query!(
        "update tenant_backup_turns set leased_until = $3 where tenant_id = $1 and leased_by = $2",
        turn.tenant.as_uuid(),
        turn.worker,
        leased_until,
    )
    .execute(db.pool())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Gives a turn back as it was.
///
/// # Errors
/// When the database fails.
pub async fn release(db: &MasterDb, turn: &Turn) -> Result<(), DbError> {
    sqlx::query!(
        "update tenant_backup_turns set leased_by = null, leased_until = null
         where tenant_id = $1 and leased_by = $2",
        turn.tenant.as_uuid(),
        turn.worker,
    )
    .execute(db.pool())
    .await?;
    Ok(())
}

/// Ends a turn; the tenant is due again at `due_at`. `false` when another worker has it: then nothing of this one counts.
///
/// # Errors
/// When the database fails.
pub async fn end_turn(
    tx: &mut MasterTx,
    turn: &Turn,
    failures: i32,
    due_at: DateTime<Utc>,
) -> Result<bool, DbError> {
    let done = sqlx::query!(
        "update tenant_backup_turns set leased_by = null, leased_until = null, failures = $3, due_at = $4
         where tenant_id = $1 and leased_by = $2",
        turn.tenant.as_uuid(),
        turn.worker,
        failures,
        due_at,
    )
    .execute(tx.connection())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Notes a snapshot, or that there is none.
///
/// # Errors
/// When a constraint does not hold or the database fails.
pub async fn insert_backup(tx: &mut MasterTx, new: &BackupRecord) -> Result<(), DbError> {
    let file = new.file.as_ref();
    sqlx::query!(
        "insert into tenant_backups (tenant_id, id, file_name, bytes, sha256, rows, taken_at, verified_at, encrypted, error)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        new.tenant.as_uuid(),
        new.id,
        file.map(|file| &file.name),
        file.map(|file| file.bytes),
        file.map(|file| &file.sha256),
        file.map(|file| file.rows),
        new.taken_at,
        new.verified_at,
        new.encrypted,
        new.error,
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Forgets snapshots of a tenant. Their files are removed afterwards.
///
/// # Errors
/// When the database fails.
pub async fn delete_backups(tx: &mut MasterTx, tenant: TenantId, ids: &[Uuid]) -> Result<(), DbError> {
    sqlx::query!(
        "delete from tenant_backups where tenant_id = $1 and id = any ($2)",
        tenant.as_uuid(),
        ids,
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// All that is known of a tenant's snapshots, newest first.
///
/// # Errors
/// When the database fails.
pub async fn list_of(db: &MasterDb, tenant: TenantId) -> Result<Vec<BackupRecord>, DbError> {
    let rows = sqlx::query_as!(
        Row,
        "select tenant_id, id, file_name, bytes, sha256, rows, taken_at, verified_at, encrypted, error
         from tenant_backups where tenant_id = $1 order by taken_at desc, id desc",
        tenant.as_uuid(),
    )
    .fetch_all(db.pool())
    .await?;
    Ok(rows.into_iter().map(BackupRecord::from).collect())
}

/// Whose snapshots are kept under a key: the tenant that has it, or the deleted one that had it.
///
/// # Errors
/// When the database fails.
pub async fn find_tenant(db: &MasterDb, key: &TenantKey) -> Result<Option<TenantId>, DbError> {
    let id = sqlx::query_scalar!(
        "select coalesce((select t.id from tenants t where t.tenant_key = $1),
                         (select r.former_tenant_id from tenant_keys_reserved r where r.tenant_key = $1))",
        key.as_str(),
    )
    .fetch_one(db.pool())
    .await?;
    Ok(id.map(TenantId::from_uuid))
}

/// Snapshots of tenants that are gone, tenant by tenant, newest first.
///
/// # Errors
/// When the database fails.
pub async fn list_of_nobody(db: &MasterDb) -> Result<Vec<BackupRecord>, DbError> {
    let rows = sqlx::query_as!(
        Row,
        "select b.tenant_id, b.id, b.file_name, b.bytes, b.sha256, b.rows, b.taken_at, b.verified_at, b.encrypted, b.error
         from tenant_backups b
         where not exists (select from tenants t where t.id = b.tenant_id)
         order by b.tenant_id, b.taken_at desc, b.id desc",
    )
    .fetch_all(db.pool())
    .await?;
    Ok(rows.into_iter().map(BackupRecord::from).collect())
}

/// Those of these tenants that were removed for good, and of none of whose snapshots anything is known any more.
///
/// # Errors
/// When the database fails.
pub async fn list_gone(db: &MasterDb, tenants: &[TenantId]) -> Result<Vec<TenantId>, DbError> {
    let tenants: Vec<Uuid> = tenants.iter().map(|id| id.as_uuid()).collect();
    let rows = sqlx::query_scalar!(
        r#"select distinct r.former_tenant_id as "id!" from tenant_keys_reserved r
           where r.former_tenant_id = any ($1) and r.reason = 'deleted'
             and not exists (select from tenants t where t.id = r.former_tenant_id)
             and not exists (select from tenant_backups b where b.tenant_id = r.former_tenant_id)"#,
        &tenants,
    )
    .fetch_all(db.pool())
    .await?;
    Ok(rows.into_iter().map(TenantId::from_uuid).collect())
}

/// How many living tenants, older than `since`, have no good snapshot since then.
///
/// # Errors
/// When the database fails.
pub async fn count_overdue(db: &MasterDb, since: DateTime<Utc>) -> Result<i64, DbError> {
    Ok(sqlx::query_scalar!(
        r#"select count(*) as "count!" from tenants t
           where t.status in ('active', 'suspended') and t.created_at < $1
             and not exists (select from tenant_backups b
                             where b.tenant_id = t.id and b.error is null and b.taken_at >= $1)"#,
        since,
    )
    .fetch_one(db.pool())
    .await?)
}

/// The keys of tenants whose newest snapshot since `since` did not come to be or is not to be trusted.
///
/// # Errors
/// When the database fails.
pub async fn list_failing(db: &MasterDb, since: DateTime<Utc>) -> Result<Vec<String>, DbError> {
    Ok(sqlx::query_scalar!(
        r#"select t.tenant_key from tenants t
           join lateral (select b.error from tenant_backups b where b.tenant_id = t.id
                         order by b.taken_at desc, b.id desc limit 1) n on n.error is not null
           where t.id in (select f.tenant_id from tenant_backups f where f.error is not null and f.taken_at >= $1)
           order by t.tenant_key"#,
        since,
    )
    .fetch_all(db.pool())
    .await?)
}
