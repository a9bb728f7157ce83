//! Where tenants live, many at once: for work that goes from shard to shard.

use super::MasterDb;
use crate::db::DbError;
use crate::db::tenant::{LaneAddress, TenantHome};
use crate::domain::ids::{ShardId, TenantId};

/// One lane of each shard that has any: a way to ask the shard.
///
/// # Errors
/// When the database fails.
pub async fn list_doors(db: &MasterDb) -> Result<Vec<LaneAddress>, DbError> {
    let rows =
        sqlx::query!("select distinct on (shard_id) shard_id, login from lanes order by shard_id, number")
            .fetch_all(db.pool())
            .await?;
    Ok(rows
        .into_iter()
        .map(|row| LaneAddress {
            shard: ShardId::from_uuid(row.shard_id),
            login: row.login,
        })
        .collect())
}

/// The homes of those of these tenants that are served.
///
/// # Errors
/// When the database fails.
pub async fn list_served(db: &MasterDb, tenants: &[TenantId]) -> Result<Vec<TenantHome>, DbError> {
    let ids: Vec<_> = tenants.iter().map(|tenant| tenant.as_uuid()).collect();
    let rows = sqlx::query!(
        "select t.id, t.schema_name, t.role_name, t.shard_id, l.login
         from tenants t join lanes l on l.shard_id = t.shard_id and l.number = t.lane
         where t.id = any ($1) and t.status = 'active'",
        &ids,
    )
    .fetch_all(db.pool())
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| TenantHome {
            id: TenantId::from_uuid(row.id),
            lane: LaneAddress {
                shard: ShardId::from_uuid(row.shard_id),
                login: row.login,
            },
            schema: row.schema_name,
            role: row.role_name,
        })
        .collect())
}
