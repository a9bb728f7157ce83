//! Which process runs which bots of a shard, as the shard itself notes it: asked by a lane's login, which belongs to no tenant there.
//!
//! A process says that it lives by one row ([`beat`]), however many bots it has. When it is not heard of for a lease, its bots are
//! free for others.

use uuid::Uuid;

use super::lanes::{LaneAddress, Lanes};
use super::query::Query;
use crate::db::DbError;
use crate::domain::ids::{InstanceId, TenantId};

/// What a beat has told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Beat {
    /// The process had been taken for dead: it has nothing of what it had before.
    pub anew: bool,
    /// The bots that it has just been given, and those of its own with news.
    pub told: Vec<Told>,
}

/// A bot of this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Told {
    /// The bot.
    pub instance: InstanceId,
    /// Whose.
    pub tenant: TenantId,
    /// Whether it is to run.
    pub wanted: bool,
    /// Which of its news this is: said back with the next beat.
    pub revision: i64,
}

/// How the bots of a shard are spread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spread {
    /// Those of this process.
    pub held: i64,
    /// All of them.
    pub wanted: i64,
    /// Processes that run them.
    pub workers: i64,
}

/// Lives for so many seconds more, by the shard's clock, says what it has heard, and takes at most `most` bots that nobody has.
///
/// # Errors
/// When the shard cannot be asked.
pub async fn beat(
    lanes: &Lanes,
    lane: &LaneAddress,
    worker: Uuid,
    lease: i32,
    most: i32,
    heard: &[Told],
) -> Result<Beat, DbError> {
    let ids: Vec<Uuid> = heard.iter().map(|told| told.instance.as_uuid()).collect();
    let revisions: Vec<i64> = heard.iter().map(|told| told.revision).collect();
    let beat = Query::all(
        "select anew, instance_id, tenant_id, wanted, revision from helixai.beat_channels($1, $2, $3, $4, $5)",
        |mut row| {
            let anew: bool = row.next()?;
            let (instance, tenant): (Option<Uuid>, Option<Uuid>) = (row.next()?, row.next()?);
            let (wanted, revision): (Option<bool>, Option<i64>) = (row.next()?, row.next()?);
            let told = instance.zip(tenant).zip(wanted.zip(revision));
            Ok((
                anew,
                told.map(|((instance, tenant), (wanted, revision))| Told {
                    instance: InstanceId::from_uuid(instance),
                    tenant: TenantId::from_uuid(tenant),
                    wanted,
                    revision,
                }),
            ))
        },
    );
    let beat = beat.bind(worker).bind(lease).bind(most).bind(ids).bind(revisions);
    let rows = lanes.run_as_login(lane, beat).await?;
    Ok(Beat {
        anew: rows.iter().any(|(anew, _)| *anew),
        told: rows.into_iter().filter_map(|(_, told)| told).collect(),
    })
}

/// Gives bots back that this process has stopped.
///
/// # Errors
/// When the shard cannot be asked.
pub async fn leave(
    lanes: &Lanes,
    lane: &LaneAddress,
    worker: Uuid,
    instances: Vec<InstanceId>,
) -> Result<(), DbError> {
    let instances: Vec<Uuid> = instances.into_iter().map(InstanceId::as_uuid).collect();
    let leave = Query::execute("select helixai.leave_channels($1, $2)");
    let leave = leave.bind(worker).bind(instances);
    lanes.run_as_login(lane, leave).await.map(|_| ())
}

/// Gives all of them back: the process ends.
///
/// # Errors
/// When the shard cannot be asked: they are free when the lease is over.
pub async fn end(lanes: &Lanes, lane: &LaneAddress, worker: Uuid) -> Result<(), DbError> {
    let end = Query::execute("select helixai.end_channels($1)").bind(worker);
    lanes.run_as_login(lane, end).await.map(|_| ())
}

/// How the bots are spread over processes.
///
/// # Errors
/// When the shard cannot be asked.
pub async fn spread(lanes: &Lanes, lane: &LaneAddress, worker: Uuid) -> Result<Spread, DbError> {
    let spread = Query::one(
        "select held, wanted, workers from helixai.count_channels($1)",
        |mut row| {
            Ok(Spread {
                held: row.next()?,
                wanted: row.next()?,
                workers: row.next()?,
            })
        },
    );
    lanes.run_as_login(lane, spread.bind(worker)).await
}
