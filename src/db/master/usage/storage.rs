//! `tenant_storage`: what tenants take on disks.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::db::DbError;
use crate::db::master::MasterDb;
use crate::domain::ids::{ShardId, TenantId};

/// A tenant whose schema can be measured, and where it is.
#[derive(Debug, Clone)]
pub struct Measurable {
    /// The tenant.
    pub tenant: TenantId,
    /// Its shard.
    pub shard: ShardId,
    /// Its schema.
    pub schema: String,
}

/// What a tenant takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    /// The tenant.
    pub tenant: TenantId,
    /// Its schema.
    pub schema_bytes: i64,
    /// Its files.
    pub file_bytes: i64,
}

/// The next `limit` tenants with a schema, after those that end with `after`, shard by shard.
///
/// # Errors
/// When the database fails.
pub async fn list_measurable(
    db: &MasterDb,
    after: Option<(ShardId, TenantId)>,
    limit: i64,
) -> Result<Vec<Measurable>, DbError> {
    let (shard, tenant) = after.unzip();
    let rows = sqlx::query!(
        "select id, shard_id, schema_name from tenants
         where status in ('active', 'suspended') and ($1::uuid is null or (shard_id, id) > ($1, $2::uuid))
         order by shard_id, id limit $3",
        shard.map(ShardId::as_uuid),
        tenant.map(TenantId::as_uuid),
        limit,
    )
    .fetch_all(db.pool())
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Measurable {
            tenant: TenantId::from_uuid(row.id),
            shard: ShardId::from_uuid(row.shard_id),
            schema: row.schema_name,
        })
        .collect())
}

/// Keeps what was measured. Of a tenant that has come to the end of what its plan includes, or is below it again, all
/// processes are told.
///
/// # Errors
/// When the database fails.
pub async fn keep(db: &MasterDb, taken: &[Taken], now: DateTime<Utc>) -> Result<(), DbError> {
    let tenants: Vec<Uuid> = taken.iter().map(|one| one.tenant.as_uuid()).collect();
    let schemas: Vec<i64> = taken.iter().map(|one| one.schema_bytes).collect();
    let files: Vec<i64> = taken.iter().map(|one| one.file_bytes).collect();
    sqlx::query!(
        r#"with measured as (
               select m.tenant_id, m.schema_bytes, m.file_bytes, t.tenant_key, usage_limit(t.id, 'storage_bytes') as its_limit,
                      coalesce(s.schema_bytes + s.file_bytes, 0) as used_before
               from unnest($1::uuid[], $2::int8[], $3::int8[]) as m (tenant_id, schema_bytes, file_bytes)
               join tenants t on t.id = m.tenant_id
               left join tenant_storage s on s.tenant_id = m.tenant_id
           ), kept as (
               insert into tenant_storage (tenant_id, schema_bytes, file_bytes, measured_at)
               select tenant_id, schema_bytes, file_bytes, $4 from measured
               on conflict on constraint tenant_storage_pkey do update
               set schema_bytes = excluded.schema_bytes, file_bytes = excluded.file_bytes, measured_at = excluded.measured_at
           )
           select count(pg_notify('helixai_tenants', m.tenant_key)) as "told!" from measured m
           where (m.used_before > 0 and m.used_before >= m.its_limit) <> (m.schema_bytes + m.file_bytes >= m.its_limit)"#,
        &tenants,
        &schemas,
        &files,
        now,
    )
    .fetch_one(db.pool())
    .await?;
    Ok(())
}
