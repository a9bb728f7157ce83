//! `tenant_moves`: tenants on their way from one shard to another.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::tenants::{TenantRecord, lock_by_id};
use super::{MasterDb, MasterTx};
use crate::db::DbError;
use crate::domain::ids::{ShardId, TenantId};
use crate::domain::tenant_key::TenantKey;
use crate::domain::tenant_move::MovePhase;

/// One end of a move.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MoveEnd {
    /// The shard.
    pub shard: ShardId,
    /// Its name.
    pub shard_name: String,
    /// The number of the lane.
    pub lane: i32,
    /// The lane's login.
    pub login: String,
    /// The tenant's role there.
    pub role: String,
}

/// A move as the registry knows it.
#[derive(Debug, Clone)]
pub struct MoveRecord {
    /// Its id.
    pub id: Uuid,
    /// Whose.
    pub tenant: TenantRecord,
    /// How far it has come.
    pub phase: MovePhase,
    /// Where the tenant lived.
    pub from: MoveEnd,
    /// Where it goes.
    pub to: MoveEnd,
    /// When it began.
    pub created_at: DateTime<Utc>,
    /// What was moved, once it was compared.
    pub moved: Option<MovedAmount>,
    /// How long nothing could be written, once it was over, in milliseconds.
    pub pause_ms: Option<f64>,
}

/// How much was moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MovedAmount {
    /// Tables.
    pub tables: i32,
    /// Rows in them, the same on both sides.
    pub rows: i64,
    /// Bytes that they and their indexes take, on the first side.
    pub bytes: i64,
}

/// A move that begins.
#[derive(Debug, Clone)]
pub struct NewMove {
    /// Its id.
    pub id: Uuid,
    /// Whose.
    pub tenant: TenantId,
    /// Where the tenant goes: shard, number of the lane, role.
    pub to: (ShardId, i32, String),
    /// Now.
    pub now: DateTime<Utc>,
}

/// Notes that a move begins, from where the tenant is. Constraint `tenant_moves_unended_key` refuses a second one.
///
/// # Errors
/// When a constraint does not hold or the database fails.
pub async fn insert_move(tx: &mut MasterTx, new: &NewMove) -> Result<(), DbError> {
    let (shard, lane, role) = &new.to;
    sqlx::query!(
        "insert into tenant_moves (id, tenant_id, phase, from_shard, from_lane, from_role, to_shard, to_lane, to_role,
                                   created_at, updated_at)
         select $1, t.id, 'claimed', t.shard_id, t.lane, t.role_name, $3, $4, $5, $6, $6 from tenants t where t.id = $2",
        new.id,
        new.tenant.as_uuid(),
        shard.as_uuid(),
        lane,
        role,
        new.now,
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// The move of a tenant that has not ended.
///
/// # Errors
/// When the database fails.
pub async fn find_unended(db: &MasterDb, key: &TenantKey) -> Result<Option<Uuid>, DbError> {
    Ok(sqlx::query_scalar!(
        "select m.id from tenant_moves m join tenants t on t.id = m.tenant_id
         where t.tenant_key = $1 and m.ended_at is null",
        key.as_str()
    )
    .fetch_optional(db.pool())
    .await?)
}

/// How far a move has come, also one that has ended.
///
/// # Errors
/// When the database fails.
pub async fn find_phase(db: &MasterDb, id: Uuid) -> Result<Option<MovePhase>, DbError> {
    let phase = sqlx::query_scalar!("select phase from tenant_moves where id = $1", id)
        .fetch_optional(db.pool())
        .await?;
    phase.map(|phase| parse_phase(&phase)).transpose()
}

/// A phase as the column holds it.
pub(in crate::db) fn parse_phase(text: &str) -> Result<MovePhase, DbError> {
    text.parse().map_err(|_| DbError::Other {
        code: "driver".to_owned(),
        message: "tenant_moves.phase holds an unknown value".to_owned(),
    })
}

/// All moves that have not ended, `(id, when it began)`: first those whose tenants may stand still, then the oldest.
///
/// # Errors
/// When the database fails.
pub async fn list_unended(db: &MasterDb) -> Result<Vec<(Uuid, DateTime<Utc>)>, DbError> {
    let rows = sqlx::query!(
        "select id, created_at from tenant_moves where ended_at is null
         order by phase not in ('fencing', 'undoing', 'switched'), created_at, id"
    )
    .fetch_all(db.pool())
    .await?;
    Ok(rows.into_iter().map(|row| (row.id, row.created_at)).collect())
}

/// Whether a tenant is on its way.
///
/// # Errors
/// When the database fails.
pub async fn is_moving(db: &MasterDb, tenant: TenantId) -> Result<bool, DbError> {
    Ok(sqlx::query_scalar!(
        r#"select exists (select from tenant_moves where tenant_id = $1 and ended_at is null) as "any!""#,
        tenant.as_uuid()
    )
    .fetch_one(db.pool())
    .await?)
}

/// Whether a tenant is still what and where this says, and nobody is restoring or moving it. Asked while its shard keeps other
/// operations away: what had begun before that, or had begun and died, the registry knows. A move that is as good as ended does not
/// count: it has only things to remove where the tenant does not live, which may take until a lost server is back.
///
/// # Errors
/// When the database fails.
pub async fn is_at_rest(db: &MasterDb, tenant: &TenantRecord) -> Result<bool, DbError> {
    Ok(sqlx::query_scalar!(
        r#"select exists (
               select from tenants t
               where t.id = $1 and t.tenant_key = $2 and t.shard_id = $3 and t.status = $4
                 and not exists (select from tenant_restores r where r.tenant_id = t.id)
                 and not exists (select from tenant_moves m
                                 where m.tenant_id = t.id and m.ended_at is null
                                   and m.phase not in ('switched', 'undoing'))) as "at_rest!""#,
        tenant.id.as_uuid(),
        tenant.key,
        tenant.shard.as_uuid(),
        tenant.status.as_str(),
    )
    .fetch_one(db.pool())
    .await?)
}

/// Whether the tenant, whose row is locked, is being taken from its lane: nobody else gives its role or takes it away.
///
/// # Errors
/// When the database fails.
pub async fn is_fencing(tx: &mut MasterTx, tenant: TenantId) -> Result<bool, DbError> {
    Ok(sqlx::query_scalar!(
        r#"select exists (select from tenant_moves where tenant_id = $1 and phase = 'fencing') as "any!""#,
        tenant.as_uuid()
    )
    .fetch_one(tx.connection())
    .await?)
}

/// A move, its tenant's row locked until the transaction ends; `None` when it has ended.
///
/// # Errors
/// When the database fails.
pub async fn lock_move(tx: &mut MasterTx, id: Uuid) -> Result<Option<MoveRecord>, DbError> {
    // The tenant first, as everybody else does.
    let tenant = sqlx::query_scalar!(
        "select t.id from tenants t
         where t.id = (select m.tenant_id from tenant_moves m where m.id = $1) for update",
        id
    )
    .fetch_optional(tx.connection())
    .await?;
    let Some(tenant) = tenant else { return Ok(None) };
    let row = sqlx::query!(
        "select m.phase, m.from_shard, m.from_lane, m.from_role, f.login as from_login, a.name as from_name,
                m.to_shard, m.to_lane, m.to_role, l.login as to_login, b.name as to_name, m.created_at,
                m.tables_moved, m.rows_moved, m.bytes_moved, m.pause_ms
         from tenant_moves m
         join lanes f on f.shard_id = m.from_shard and f.number = m.from_lane
         join lanes l on l.shard_id = m.to_shard and l.number = m.to_lane
         join shards a on a.id = m.from_shard
         join shards b on b.id = m.to_shard
         where m.id = $1 and m.ended_at is null",
        id
    )
    .fetch_optional(tx.connection())
    .await?;
    let Some(row) = row else { return Ok(None) };
    let tenant = lock_by_id(tx, TenantId::from_uuid(tenant)).await?;
    let Some(tenant) = tenant else { return Ok(None) };
    let moved = match (row.tables_moved, row.rows_moved, row.bytes_moved) {
        (Some(tables), Some(rows), Some(bytes)) => Some(MovedAmount { tables, rows, bytes }),
        _ => None,
    };
    Ok(Some(MoveRecord {
        id,
        tenant,
        phase: parse_phase(&row.phase)?,
        from: MoveEnd {
            shard: ShardId::from_uuid(row.from_shard),
            shard_name: row.from_name,
            lane: row.from_lane,
            login: row.from_login,
            role: row.from_role,
        },
        to: MoveEnd {
            shard: ShardId::from_uuid(row.to_shard),
            shard_name: row.to_name,
            lane: row.to_lane,
            login: row.to_login,
            role: row.to_role,
        },
        created_at: row.created_at,
        moved,
        pause_ms: row.pause_ms,
    }))
}

/// Notes the next phase; `false` when the move is not in the phase `from` any more: it is somebody else's.
///
/// # Errors
/// When the database fails.
pub async fn set_phase(
    tx: &mut MasterTx,
    id: Uuid,
    (from, to): (MovePhase, MovePhase),
    now: DateTime<Utc>,
) -> Result<bool, DbError> {
    let done = sqlx::query!(
        "update tenant_moves
         set phase = $3, updated_at = $4, error = null,
             ended_at = case when $3 in ('done', 'undone') then $4::timestamptz end
         where id = $1 and phase = $2",
        id,
        from.as_str(),
        to.as_str(),
        now,
    )
    .execute(tx.connection())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Notes what was moved.
///
/// # Errors
/// When the database fails.
pub async fn set_amount(tx: &mut MasterTx, id: Uuid, amount: MovedAmount) -> Result<(), DbError> {
    sqlx::query!(
        "update tenant_moves set tables_moved = $2, rows_moved = $3, bytes_moved = $4 where id = $1",
        id,
        amount.tables,
        amount.rows,
        amount.bytes,
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Notes how long nothing could be written.
///
/// # Errors
/// When the database fails.
pub async fn set_pause(tx: &mut MasterTx, id: Uuid, pause_ms: f64) -> Result<(), DbError> {
    sqlx::query!(
        "update tenant_moves set pause_ms = coalesce(pause_ms, $2) where id = $1",
        id,
        pause_ms
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Notes why a move could not be brought to its end.
///
/// # Errors
/// When the database fails.
pub async fn note_error(db: &MasterDb, id: Uuid, error: &str, now: DateTime<Utc>) -> Result<(), DbError> {
    sqlx::query!(
        "update tenant_moves set error = $2, updated_at = $3 where id = $1",
        id,
        error,
        now
    )
    .execute(db.pool())
    .await?;
    Ok(())
}

/// Makes the tenant live where its move leads.
///
/// # Errors
/// When the database fails.
pub async fn switch_home(tx: &mut MasterTx, id: Uuid, now: DateTime<Utc>) -> Result<(), DbError> {
    sqlx::query!(
        "update tenants t
         set shard_id = m.to_shard, lane = m.to_lane, role_name = m.to_role, epoch = t.epoch + 1, updated_at = $2
         from tenant_moves m where m.id = $1 and t.id = m.tenant_id",
        id,
        now,
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// The shards that tenants are leaving.
///
/// # Errors
/// When the database fails.
pub async fn list_sources(db: &MasterDb) -> Result<Vec<ShardId>, DbError> {
    let rows = sqlx::query_scalar!("select distinct from_shard from tenant_moves where ended_at is null")
        .fetch_all(db.pool())
        .await?;
    Ok(rows.into_iter().map(ShardId::from_uuid).collect())
}
