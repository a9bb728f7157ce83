//! `tenant_migrations`: which version of the template each tenant has, mirrored from the schemas. "Who is behind?" is one
//! question here; what a schema really has, its own history says.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::{MasterDb, MasterTx};
use crate::db::DbError;
use crate::domain::ids::{ShardId, TenantId};
use crate::domain::tenant::Niche;

/// A tenant whose schema is to be migrated.
#[derive(Debug, Clone)]
pub struct Pending {
    /// Its id.
    pub id: TenantId,
    /// Its key.
    pub key: String,
    /// Its niche.
    pub niche: Niche,
    /// Its schema.
    pub schema: String,
    /// Its role.
    pub role: String,
    /// Its shard.
    pub shard: ShardId,
}

/// How many tenants have a version of a ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionCount {
    /// `core`, or the name of a niche.
    pub ledger: String,
    /// The version.
    pub version: i32,
    /// How many.
    pub tenants: i64,
}

/// A migration that could not be applied.
#[derive(Debug, Clone)]
pub struct FailedMigration {
    /// Whose.
    pub tenant_key: String,
    /// Of which ledger.
    pub ledger: String,
    /// The version that the schema has stayed at.
    pub version: i32,
    /// Why.
    pub error: String,
    /// When it was last tried.
    pub at: DateTime<Utc>,
}

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
    note(tx, tenant, versions, None, now).await
}

/// Notes the versions that a migration has found or reached, and how long it took.
///
/// # Errors
/// When the database fails.
pub async fn note_migrated(
    tx: &mut MasterTx,
    tenant: TenantId,
    versions: &[(String, i32)],
    duration: Duration,
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    let duration = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
    note(tx, tenant, versions, Some(duration), now).await
}

/// The versions of a tenant's ledgers, as the registry believes, locked until the transaction ends: of several who have done
/// the same, one finds it undone.
///
/// # Errors
/// When the database fails.
pub async fn lock_versions(tx: &mut MasterTx, tenant: TenantId) -> Result<Vec<(String, i32)>, DbError> {
    let rows = sqlx::query!(
        "select ledger, version from tenant_migrations where tenant_id = $1 order by ledger for update",
        tenant.as_uuid(),
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(rows.into_iter().map(|row| (row.ledger, row.version)).collect())
}

/// A ledger that is where it was keeps its date. A tenant that has gone meanwhile has none.
async fn note(
    tx: &mut MasterTx,
    tenant: TenantId,
    versions: &[(String, i32)],
    duration_ms: Option<i64>,
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    let (ledgers, numbers): (Vec<String>, Vec<i32>) = versions.iter().cloned().unzip();
    sqlx::query!(
        "insert into tenant_migrations as m (tenant_id, ledger, version, status, duration_ms, applied_at, updated_at)
         select t.id, v.ledger, v.version, 'applied', $5, $4, $4
         from tenants t, unnest($2::text[], $3::int4[]) as v (ledger, version) where t.id = $1
         on conflict (tenant_id, ledger) do update
            set version = excluded.version, status = 'applied', error = null, updated_at = excluded.updated_at,
                duration_ms = case when m.version = excluded.version then m.duration_ms else excluded.duration_ms end,
                applied_at = case when m.version = excluded.version then m.applied_at else excluded.applied_at end",
        tenant.as_uuid(),
        &ledgers,
        &numbers,
        now,
        duration_ms,
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Notes why a ledger stays at its version.
///
/// # Errors
/// When the database fails.
pub async fn note_failed(
    db: &MasterDb,
    tenant: TenantId,
    ledger: &str,
    error: &str,
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    sqlx::query!(
        "insert into tenant_migrations (tenant_id, ledger, version, status, error, updated_at)
         select t.id, $2, 0, 'failed', $3, $4 from tenants t where t.id = $1
         on conflict (tenant_id, ledger) do update
            set status = 'failed', error = excluded.error, updated_at = excluded.updated_at",
        tenant.as_uuid(),
        ledger,
        error,
        now,
    )
    .execute(db.pool())
    .await?;
    Ok(())
}

/// The tenants that have less than `newest` (`(niche, ledger, version)`), or all of them; those that failed before come
/// last. A tenant that somebody makes, restores or removes is left to them.
///
/// # Errors
/// When the database fails.
pub async fn list_pending(
    db: &MasterDb,
    newest: &[(&str, &str, i32)],
    all: bool,
) -> Result<Vec<Pending>, DbError> {
    let niches: Vec<String> = newest.iter().map(|(niche, ..)| (*niche).to_owned()).collect();
    let ledgers: Vec<String> = newest.iter().map(|(_, ledger, _)| (*ledger).to_owned()).collect();
    let versions: Vec<i32> = newest.iter().map(|(.., version)| *version).collect();
    let rows = sqlx::query!(
        "select t.id, t.tenant_key, t.niche, t.schema_name, t.role_name, t.shard_id
         from tenants t
         where t.status in ('active', 'suspended')
           and not exists (select from tenant_restores r where r.tenant_id = t.id)
           and exists (
               select from unnest($1::text[], $2::text[], $3::int4[]) as n (niche, ledger, version)
               where n.niche = t.niche
                 and ($4 or not exists (
                     select from tenant_migrations m
                     where m.tenant_id = t.id and m.ledger = n.ledger and m.version >= n.version
                       and m.status = 'applied')))
         order by exists (select from tenant_migrations f where f.tenant_id = t.id and f.status = 'failed'),
                  t.shard_id, t.created_at, t.id",
        &niches,
        &ledgers,
        &versions,
        all,
    )
    .fetch_all(db.pool())
    .await?;
    let unknown = |_| DbError::Other {
        code: "driver".to_owned(),
        message: "tenants.niche holds an unknown value".to_owned(),
    };
    rows.into_iter()
        .map(|row| {
            Ok(Pending {
                id: TenantId::from_uuid(row.id),
                key: row.tenant_key,
                niche: Niche::parse(&row.niche).map_err(unknown)?,
                schema: row.schema_name,
                role: row.role_name,
                shard: ShardId::from_uuid(row.shard_id),
            })
        })
        .collect()
}

/// Whether a tenant is still where it was, and nobody else's to work on. Asked while its shard keeps other operations away.
///
/// # Errors
/// When the database fails.
pub async fn is_pending(db: &MasterDb, tenant: &Pending) -> Result<bool, DbError> {
    Ok(sqlx::query_scalar!(
        r#"select exists (
               select from tenants t
               where t.id = $1 and t.shard_id = $2 and t.status in ('active', 'suspended')
                 and not exists (select from tenant_restores r where r.tenant_id = t.id)) as "pending!""#,
        tenant.id.as_uuid(),
        tenant.shard.as_uuid(),
    )
    .fetch_one(db.pool())
    .await?)
}

/// How many of the tenants that are migrated have which version.
///
/// # Errors
/// When the database fails.
pub async fn count_versions(db: &MasterDb) -> Result<Vec<VersionCount>, DbError> {
    Ok(sqlx::query_as!(
        VersionCount,
        r#"select m.ledger, m.version, count(*) as "tenants!"
           from tenant_migrations m join tenants t on t.id = m.tenant_id
           where t.status in ('active', 'suspended')
           group by m.ledger, m.version order by m.ledger = 'core' desc, m.ledger, m.version"#,
    )
    .fetch_all(db.pool())
    .await?)
}

/// What could not be applied, the latest first.
///
/// # Errors
/// When the database fails.
pub async fn list_failed(db: &MasterDb) -> Result<Vec<FailedMigration>, DbError> {
    Ok(sqlx::query_as!(
        FailedMigration,
        r#"select t.tenant_key, m.ledger, m.version, m.error as "error!", m.updated_at as at
           from tenant_migrations m join tenants t on t.id = m.tenant_id
           where m.status = 'failed' and t.status in ('active', 'suspended')
           order by m.updated_at desc, t.tenant_key, m.ledger"#,
    )
    .fetch_all(db.pool())
    .await?)
}
