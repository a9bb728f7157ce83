//! The registry, read by the administrator: also when the program's own login cannot.

use chrono::{DateTime, Utc};
use tokio_postgres::Client;
use uuid::Uuid;

use super::moves::{Move, moves};
use crate::db::DbError;
use crate::db::master::lanes::ShardRecord;
use crate::db::shard::schema::Versions;
use crate::db::shard::setup::ShardRoles;
use crate::domain::ids::{ShardId, TenantId};
use crate::domain::tenant::TenantStatus;

/// What the registry says there is.
#[derive(Debug, Clone)]
pub struct Registry {
    /// The databases.
    pub shards: Vec<ShardRecord>,
    /// Their lanes.
    pub lanes: Vec<Lane>,
    /// Their tenants.
    pub tenants: Vec<Tenant>,
    /// Those of them that are on their way to another shard.
    pub moves: Vec<Move>,
    /// When this was read, by the server's clock.
    pub read_at: DateTime<Utc>,
}

/// A lane.
#[derive(Debug, Clone)]
pub struct Lane {
    /// Its shard.
    pub shard: ShardId,
    /// Its login.
    pub login: String,
    /// How many tenants it may have.
    pub capacity: i64,
    /// How many it counts.
    pub counted: i64,
    /// How many it has, those on their way to it or from it included.
    pub tenants: i64,
}

/// A tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tenant {
    /// Its id.
    pub id: TenantId,
    /// Its key.
    pub key: String,
    /// Its schema.
    pub schema: String,
    /// Its role.
    pub role: String,
    /// Its shard.
    pub shard: ShardId,
    /// The login of its lane.
    pub login: String,
    /// Its state.
    pub status: TenantStatus,
    /// Why its onboarding was given up.
    pub onboarding_error: Option<String>,
    /// Its niche.
    pub niche: String,
    /// The versions of its ledgers, as the registry believes.
    pub versions: Versions,
    /// Why a migration of it could not be applied.
    pub migration_error: Option<String>,
}

/// Reads all of it.
///
/// # Errors
/// When it cannot be read.
pub async fn registry(admin: &Client) -> Result<Registry, DbError> {
    let shards = admin
        .query(
            "select id, name, role_prefix, database_url_sealed, epoch from master.shards order by created_at, id",
            &[],
        )
        .await?;
    let lanes = admin
        .query(
            "select l.shard_id, l.login, l.capacity::int8, l.tenants_count::int8,
                    (select count(*) from master.tenants t where t.shard_id = l.shard_id and t.lane = l.number
                       and not exists (select from master.tenant_archives a where a.tenant_id = t.id and not a.holds_place))
                    + (select count(*) from master.tenant_moves m
                       where m.ended_at is null
                         and (l.shard_id, l.number) = (case when m.phase = 'switched' then m.from_shard else m.to_shard end,
                                                       case when m.phase = 'switched' then m.from_lane else m.to_lane end))
             from master.lanes l order by l.shard_id, l.number",
            &[],
        )
        .await?;
    let tenants = admin
        .query(
            "select t.id, t.tenant_key, t.schema_name, t.role_name, t.shard_id, l.login, t.status, t.onboarding_error,
                    t.niche, m.ledgers, m.versions, m.error
             from master.tenants t
             left join (select tenant_id, array_agg(ledger order by ledger) as ledgers,
                               array_agg(version order by ledger) as versions, min(error) as error
                        from master.tenant_migrations group by tenant_id) m on m.tenant_id = t.id
             join master.lanes l on l.shard_id = t.shard_id and l.number = t.lane
             order by t.tenant_key",
            &[],
        )
        .await?;
    let moves = moves(admin).await?;
    let read_at = admin.query_one("select now()", &[]).await?.get(0);
    let unknown = |_| DbError::Other {
        code: "driver".to_owned(),
        message: "tenants.status holds an unknown value".to_owned(),
    };
    Ok(Registry {
        moves,
        read_at,
        shards: shards
            .into_iter()
            .map(|row| ShardRecord {
                id: ShardId::from_uuid(row.get(0)),
                name: row.get(1),
                roles: ShardRoles { prefix: row.get(2) },
                database_url_sealed: row.get(3),
                epoch: row.get(4),
            })
            .collect(),
        lanes: lanes
            .into_iter()
            .map(|row| Lane {
                shard: ShardId::from_uuid(row.get(0)),
                login: row.get(1),
                capacity: row.get(2),
                counted: row.get(3),
                tenants: row.get(4),
            })
            .collect(),
        tenants: tenants
            .into_iter()
            .map(|row| {
                Ok(Tenant {
                    id: TenantId::from_uuid(row.get::<_, Uuid>(0)),
                    key: row.get(1),
                    schema: row.get(2),
                    role: row.get(3),
                    shard: ShardId::from_uuid(row.get(4)),
                    login: row.get(5),
                    status: row.get::<_, &str>(6).parse().map_err(unknown)?,
                    onboarding_error: row.get(7),
                    niche: row.get(8),
                    versions: row
                        .get::<_, Option<Vec<String>>>(9)
                        .unwrap_or_default()
                        .into_iter()
                        .zip(row.get::<_, Option<Vec<i32>>>(10).unwrap_or_default())
                        .collect(),
                    migration_error: row.get(11),
                })
            })
            .collect::<Result<_, DbError>>()?,
    })
}
