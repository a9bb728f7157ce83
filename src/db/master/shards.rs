//! `shards`: the databases that tenants live in, added, closed and opened by name.

use chrono::{DateTime, Utc};

use super::lanes::ShardRecord;
use super::{MasterDb, MasterTx};
use crate::db::DbError;
use crate::db::shard::setup::ShardRoles;
use crate::domain::ids::ShardId;

/// A shard of this name, and whether it takes new tenants.
#[derive(Debug, Clone)]
pub struct NamedShard {
    /// The shard.
    pub shard: ShardRecord,
    /// Whether it takes new tenants.
    pub is_open: bool,
}

/// The shard of this name.
///
/// # Errors
/// When the database fails.
pub async fn find_shard(db: &MasterDb, name: &str) -> Result<Option<NamedShard>, DbError> {
    let row = sqlx::query!(
        "select id, name, role_prefix, database_url_sealed, epoch, status from shards where name = $1",
        name
    )
    .fetch_optional(db.pool())
    .await?;
    Ok(row.map(|row| NamedShard {
        shard: ShardRecord {
            id: ShardId::from_uuid(row.id),
            name: row.name,
            roles: ShardRoles {
                prefix: row.role_prefix,
            },
            database_url_sealed: row.database_url_sealed,
            epoch: row.epoch,
        },
        is_open: row.status == "open",
    }))
}

/// Registers a database as a shard; `epoch` is its first. Constraints `shards_name_key` and `shards_role_prefix_key` refuse
/// one that is registered.
///
/// # Errors
/// When a constraint does not hold or the database fails.
pub async fn insert_shard(
    tx: &mut MasterTx,
    new: &ShardRecord,
    max_tenants: i32,
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    sqlx::query!(
        "insert into shards (id, name, kind, database_url_sealed, role_prefix, status, max_tenants, epoch, created_at, updated_at)
         values ($1, $2, 'remote', $3, $4, 'open', $5, $6, $7, $7)",
        new.id.as_uuid(),
        new.name,
        new.database_url_sealed,
        new.roles.prefix,
        max_tenants,
        new.epoch,
        now,
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Gives a shard another address: the same database, by its prefix. Pools of the former one are given up.
///
/// # Errors
/// When the database fails.
pub async fn update_address(
    tx: &mut MasterTx,
    shard: ShardId,
    (sealed, max_tenants): (&[u8], Option<i32>),
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    sqlx::query!(
        "update shards set database_url_sealed = $2, max_tenants = coalesce($3, max_tenants), epoch = epoch + 1, updated_at = $4
         where id = $1",
        shard.as_uuid(),
        sealed,
        max_tenants,
        now,
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Lets a shard take new tenants, or no longer; `None` when there is none of this name, else whether that is new.
///
/// # Errors
/// When the database fails.
pub async fn set_open(
    tx: &mut MasterTx,
    name: &str,
    open: bool,
    now: DateTime<Utc>,
) -> Result<Option<(ShardId, bool)>, DbError> {
    let status = if open { "open" } else { "closed" };
    let row = sqlx::query!(
        "update shards s set status = $2, updated_at = $3
         from shards old where old.id = s.id and s.name = $1
         returning s.id, old.status <> $2 as \"changed!\"",
        name,
        status,
        now
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(row.map(|row| (ShardId::from_uuid(row.id), row.changed)))
}
