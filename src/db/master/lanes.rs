//! `shards` and `lanes`: places for tenants, counted exactly.

use chrono::{DateTime, Utc};

use super::{MasterDb, MasterTx};
use crate::db::DbError;
use crate::db::shard::setup::ShardRoles;
use crate::domain::ids::ShardId;

/// A shard as the program needs to know it to reach its lanes.
#[derive(Debug, Clone)]
pub struct ShardRecord {
    /// Its id.
    pub id: ShardId,
    /// Its name.
    pub name: String,
    /// The names of its roles.
    pub roles: ShardRoles,
    /// Its address, sealed; `None` for the database that holds the registry.
    pub database_url_sealed: Option<Vec<u8>>,
    /// Raised when the address or the credentials change.
    pub epoch: i64,
}

/// A place taken on a lane.
#[derive(Debug, Clone)]
pub struct Place {
    /// The shard.
    pub shard: ShardId,
    /// The lane's number.
    pub lane: i32,
    /// The lane's login.
    pub login: String,
    /// The names of the shard's roles.
    pub roles: ShardRoles,
}

/// All shards.
///
/// # Errors
/// When the database fails.
pub async fn list_shards(db: &MasterDb) -> Result<Vec<ShardRecord>, DbError> {
    let rows = sqlx::query!(
        "select id, name, role_prefix, database_url_sealed, epoch from shards order by created_at, id"
    )
    .fetch_all(db.pool())
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| ShardRecord {
            id: ShardId::from_uuid(row.id),
            name: row.name,
            roles: ShardRoles {
                prefix: row.role_prefix,
            },
            database_url_sealed: row.database_url_sealed,
            epoch: row.epoch,
        })
        .collect())
}

/// Registers the registry's own database as the first shard; does nothing when it is.
///
/// # Errors
/// When the database fails.
pub async fn ensure_local_shard(
    tx: &mut MasterTx,
    prefix: &str,
    max_tenants: i32,
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    sqlx::query!(
        "insert into shards (id, name, kind, role_prefix, status, max_tenants, created_at, updated_at)
         values ($1, 'local', 'local', $2, 'open', $3, $4, $4) on conflict do nothing",
        ShardId::new().as_uuid(),
        prefix,
        max_tenants,
        now,
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Takes a place on the open lane with the fewest tenants, of the shard `on` if one is wanted; `None` when all are full. Requests that come together wait
/// for one another here: to pass over a lane because another is at it would be to call it full.
///
/// # Errors
/// When the database fails.
pub async fn take_place(
    tx: &mut MasterTx,
    on: Option<ShardId>,
    now: DateTime<Utc>,
) -> Result<Option<Place>, DbError> {
    let row = sqlx::query!(
        r#"update lanes l
         set tenants_count = l.tenants_count + 1, updated_at = $1
         where (l.shard_id, l.number) = (
             select c.shard_id, c.number from lanes c join shards s on s.id = c.shard_id
             where c.status = 'open' and s.status = 'open' and c.tenants_count < c.capacity
               and ($2::uuid is null or c.shard_id = $2)
             order by c.tenants_count, c.shard_id, c.number limit 1 for update of c)
         returning l.shard_id, l.number, l.login,
                   (select s.role_prefix from shards s where s.id = l.shard_id) as "role_prefix!""#,
        now,
        on.map(ShardId::as_uuid),
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(row.map(|row| Place {
        shard: ShardId::from_uuid(row.shard_id),
        lane: row.number,
        login: row.login,
        roles: ShardRoles {
            prefix: row.role_prefix,
        },
    }))
}

/// Gives a place back.
///
/// # Errors
/// When the database fails.
pub async fn give_place_back(
    tx: &mut MasterTx,
    shard: ShardId,
    login: &str,
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    sqlx::query!(
        "update lanes set tenants_count = tenants_count - 1, updated_at = $3 where shard_id = $1 and login = $2",
        shard.as_uuid(),
        login,
        now,
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Locks the open shard with the most room for a lane of this capacity, or the shard `on` if one is wanted; `None` when there is
/// no room.
///
/// # Errors
/// When the database fails.
pub async fn lock_roomiest_shard(
    tx: &mut MasterTx,
    on: Option<ShardId>,
    capacity: i32,
) -> Result<Option<ShardRecord>, DbError> {
    let row = sqlx::query!(
        "select s.id, s.name, s.role_prefix, s.database_url_sealed, s.epoch
         from shards s
         where s.status = 'open' and ($2::uuid is null or s.id = $2)
           and s.max_tenants >= $1::bigint + (select coalesce(sum(l.capacity), 0) from lanes l where l.shard_id = s.id)
         order by s.max_tenants - (select coalesce(sum(l.capacity), 0) from lanes l where l.shard_id = s.id) desc, s.id
         limit 1 for update of s",
        i64::from(capacity),
        on.map(ShardId::as_uuid),
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(row.map(|row| ShardRecord {
        id: ShardId::from_uuid(row.id),
        name: row.name,
        roles: ShardRoles {
            prefix: row.role_prefix,
        },
        database_url_sealed: row.database_url_sealed,
        epoch: row.epoch,
    }))
}

/// The number of a locked shard's next lane; `None` when it has no room for one. A statement of its own, so that it
/// sees what was committed while the lock was waited for.
///
/// # Errors
/// When the database fails.
pub async fn next_lane(tx: &mut MasterTx, shard: ShardId, capacity: i32) -> Result<Option<i32>, DbError> {
    let number = sqlx::query_scalar!(
        r#"select coalesce(max(l.number), 0) + 1 as "number!"
           from shards s left join lanes l on l.shard_id = s.id
           where s.id = $1
           group by s.max_tenants
           having s.max_tenants >= $2::bigint + coalesce(sum(l.capacity), 0)"#,
        shard.as_uuid(),
        i64::from(capacity),
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(number)
}

/// Registers a lane whose login exists.
///
/// # Errors
/// When the database fails.
pub async fn insert_lane(
    tx: &mut MasterTx,
    shard: ShardId,
    number: i32,
    login: &str,
    capacity: i32,
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    sqlx::query!(
        "insert into lanes (shard_id, number, login, status, capacity, created_at, updated_at)
         values ($1, $2, $3, 'open', $4, $5, $5)",
        shard.as_uuid(),
        number,
        login,
        capacity,
        now,
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Whether an open lane, of the shard `on` if one is wanted, has a free place.
///
/// # Errors
/// When the database fails.
pub async fn has_room(tx: &mut MasterTx, on: Option<ShardId>) -> Result<bool, DbError> {
    Ok(sqlx::query_scalar!(
        r#"select exists (select from lanes l join shards s on s.id = l.shard_id
                          where l.status = 'open' and s.status = 'open' and l.tenants_count < l.capacity
                            and ($1::uuid is null or l.shard_id = $1)) as "room!""#,
        on.map(ShardId::as_uuid),
    )
    .fetch_one(tx.connection())
    .await?)
}

/// How many lanes there are: with the pool's size, the connections that the program may open.
///
/// # Errors
/// When the database fails.
pub async fn count_lanes(db: &MasterDb) -> Result<i64, DbError> {
    Ok(sqlx::query_scalar!(r#"select count(*) as "count!" from lanes"#)
        .fetch_one(db.pool())
        .await?)
}

/// A shard as administrators see it.
#[derive(Debug, Clone)]
pub struct ShardState {
    /// Its id.
    pub id: ShardId,
    /// Its name.
    pub name: String,
    /// `local` or `remote`.
    pub kind: String,
    /// `open` or `closed`.
    pub status: String,
    /// Bounds the sum of the lanes' capacities.
    pub max_tenants: i32,
    /// Its lanes, in order.
    pub lanes: Vec<LaneState>,
}

/// A lane as administrators see it.
#[derive(Debug, Clone)]
pub struct LaneState {
    /// Its number.
    pub number: i32,
    /// Its login.
    pub login: String,
    /// `open` or `closed`.
    pub status: String,
    /// How many tenants it may have.
    pub capacity: i32,
    /// How many it has.
    pub tenants: i32,
}

/// All shards with their lanes, oldest first.
///
/// # Errors
/// When the database fails.
pub async fn list_shard_states(db: &MasterDb) -> Result<Vec<ShardState>, DbError> {
    let rows = sqlx::query!(
        r#"select s.id, s.name, s.kind, s.status, s.max_tenants, l.number as "number?", l.login as "login?",
                  l.status as "lane_status?", l.capacity as "capacity?", l.tenants_count as "tenants_count?"
           from shards s left join lanes l on l.shard_id = s.id
           order by s.created_at, s.id, l.number"#
    )
    .fetch_all(db.pool())
    .await?;
    let mut shards: Vec<ShardState> = Vec::new();
    for row in rows {
        let id = ShardId::from_uuid(row.id);
        if shards.last().is_none_or(|last| last.id != id) {
            shards.push(ShardState {
                id,
                name: row.name,
                kind: row.kind,
                status: row.status,
                max_tenants: row.max_tenants,
                lanes: Vec::new(),
            });
        }
        let lane = (
            row.number,
            row.login,
            row.lane_status,
            row.capacity,
            row.tenants_count,
        );
        if let (Some(shard), (Some(number), Some(login), Some(status), Some(capacity), Some(tenants))) =
            (shards.last_mut(), lane)
        {
            shard.lanes.push(LaneState {
                number,
                login,
                status,
                capacity,
                tenants,
            });
        }
    }
    Ok(shards)
}

/// The logins of a shard's lanes.
///
/// # Errors
/// When the database fails.
pub async fn list_logins(db: &MasterDb, shard: ShardId) -> Result<Vec<String>, DbError> {
    Ok(sqlx::query_scalar!(
        "select login from lanes where shard_id = $1 order by number",
        shard.as_uuid()
    )
    .fetch_all(db.pool())
    .await?)
}
