//! What moves have made in a database, and what the registry knows of moves.

use chrono::{DateTime, Utc};
use tokio_postgres::Client;
use uuid::Uuid;

use crate::db::DbError;
use crate::db::master::moves::parse_phase;
use crate::db::shard::moving::NAMES;
use crate::domain::ids::ShardId;
use crate::domain::tenant_move::MovePhase;

/// A slot of a move.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// Its name.
    pub name: String,
    /// Bytes of the log that the server keeps for it.
    pub kept_bytes: i64,
}

/// The slots of moves in this database, and those that nobody reads of workers that were copying tables: a server that is lost
/// leaves them.
///
/// # Errors
/// When they cannot be read.
pub async fn slots(admin: &Client) -> Result<Vec<Slot>, DbError> {
    let rows = admin
        .query(
            "select slot_name::text, coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn), 0)::int8
             from pg_replication_slots
             where database = current_database()
               and (starts_with(slot_name::text, $1)
                    or not active and slot_name::text ~ '^pg_[0-9]+_sync_[0-9]+_[0-9]+$')
             order by 1",
            &[&NAMES],
        )
        .await?;
    Ok(rows
        .iter()
        .map(|row| Slot {
            name: row.get(0),
            kept_bytes: row.get(1),
        })
        .collect())
}

/// The publications and the subscriptions of moves in this database, by name.
///
/// # Errors
/// When they cannot be read.
pub async fn links(admin: &Client) -> Result<(Vec<String>, Vec<String>), DbError> {
    let publications = admin
        .query(
            "select pubname::text from pg_publication where starts_with(pubname::text, $1) order by 1",
            &[&NAMES],
        )
        .await?;
    let subscriptions = admin
        .query(
            "select s.subname::text from pg_subscription s join pg_database d on d.oid = s.subdbid
             where d.datname = current_database() and starts_with(s.subname::text, $1) order by 1",
            &[&NAMES],
        )
        .await?;
    let names = |rows: Vec<tokio_postgres::Row>| rows.iter().map(|row| row.get(0)).collect();
    Ok((names(publications), names(subscriptions)))
}

/// A move that has not ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Move {
    /// Its id.
    pub id: Uuid,
    /// The tenant's key.
    pub key: String,
    /// The tenant's schema.
    pub schema: String,
    /// The role that the tenant has on the shard where it does not live (any more, or yet).
    pub role: String,
    /// That shard.
    pub beside: ShardId,
    /// Where it goes.
    pub to_name: String,
    /// How far it has come.
    pub phase: MovePhase,
    /// When it began.
    pub began: DateTime<Utc>,
    /// Why it could not be settled.
    pub error: Option<String>,
}

/// All moves that have not ended, oldest first.
///
/// # Errors
/// When they cannot be read.
pub async fn moves(admin: &Client) -> Result<Vec<Move>, DbError> {
    let rows = admin
        .query(
            "select m.id, t.tenant_key, t.schema_name, case when m.phase = 'switched' then m.from_role else m.to_role end,
                    case when m.phase = 'switched' then m.from_shard else m.to_shard end, s.name, m.phase, m.created_at, m.error
             from master.tenant_moves m
             join master.tenants t on t.id = m.tenant_id
             join master.shards s on s.id = m.to_shard
             where m.ended_at is null order by m.created_at, m.id",
            &[],
        )
        .await?;
    rows.iter()
        .map(|row| {
            Ok(Move {
                id: row.get(0),
                key: row.get(1),
                schema: row.get(2),
                role: row.get(3),
                beside: ShardId::from_uuid(row.get(4)),
                to_name: row.get(5),
                phase: parse_phase(row.get(6))?,
                began: row.get(7),
                error: row.get(8),
            })
        })
        .collect()
}
