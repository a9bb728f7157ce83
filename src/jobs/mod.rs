//! The work of tenants: rows of their own queues (`outbox`, `jobs`), written in the transaction of what they are about.
//!
//! The shard notes which tenant has work and when (`helixai.note_due`, called with the row), so a worker reads one small table per shard
//! and never all schemas. It takes the tenants that have waited longest, each for itself by a lease, and of each a few rows, so that no
//! tenant's heap makes others wait. A row is handed to the [`Handler`] of its kind and settled at once. Whatever dies leaves leases that
//! end: the next worker takes the tenant and its rows over, so a handler may meet a row that it has handled before and must not do it twice.
//!
//! A tenant that is not served (suspended, moving, being restored) keeps its work; it is looked at again later. After a move its shard
//! notes it, after a restore nothing waits (`restore.sql`).
//!
//! A row that has ended is emptied: its payload is kept for no longer than there is something to be done with it.
//!
//! To add a kind: a [`Handler`] in a file of its own, and its line in [`Jobs::of`]; whoever writes the rows calls `helixai.note_due`.

pub mod customers;
pub mod due_charges;
pub mod language;
pub mod mail;
pub mod schedules;
mod turn;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::join_all;
use serde_json::Value;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::db::DbError;
use crate::db::master::homes;
use crate::db::tenant::{LaneAddress, TenantDb, due};
use crate::domain::ids::TenantId;
use crate::platform::Platform;

const EVERY: Duration = Duration::from_secs(1);
/// How often the shards are looked up, in beats; one that cannot be asked is left alone for as long.
const SHARDS_EVERY: u32 = 30;
/// Tenants of a shard that are worked on at once.
const AT_ONCE: i32 = 8;
/// Rows of each queue that a tenant has worked on in one turn.
const ROWS: i64 = 5;
/// How long a handler may take with a row.
const HANDLING: Duration = Duration::from_secs(10);
/// Longer than a turn can last: two queues of rows.
const LEASE: TimeDelta = TimeDelta::minutes(3);
/// When a tenant that cannot be asked is looked at again.
const POSTPONED: TimeDelta = TimeDelta::minutes(2);
/// When rows of a kind that nobody here knows are looked at again: another program may.
const UNKNOWN: TimeDelta = TimeDelta::hours(1);

/// A row of work.
pub struct Work {
    /// Whose.
    pub tenant: TenantId,
    /// The tenant's database.
    pub db: TenantDb,
    /// The row's id, also the key of all that must happen once.
    pub id: Uuid,
    /// What it is about.
    pub payload: Value,
    /// How often it was taken, this time included.
    pub attempts: i32,
    /// The moment at which it was taken.
    pub now: DateTime<Utc>,
}

/// What a handler made of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Handled {
    /// It is done.
    Done,
    /// It is to be tried again, after a wait that grows, until its attempts are used up. Why, without personal data.
    Again(String),
    /// It is no use. Why, without personal data.
    Failed(String),
    /// It is not wanted any more.
    Canceled,
}

/// Knows how to do the rows of a kind.
#[async_trait]
pub trait Handler: Send + Sync {
    /// The kind.
    fn kind(&self) -> &'static str;

    /// Does it. A row may come again that was done before: after a crash, or when handling it has taken too long.
    async fn handle(&self, work: &Work) -> Handled;
}

/// Works for tenants. Cheap to clone.
#[derive(Clone)]
pub struct Jobs {
    platform: Platform,
    handlers: Arc<Vec<Box<dyn Handler>>>,
}

impl Jobs {
    /// A worker that knows these kinds.
    pub fn new(platform: Platform, handlers: Vec<Box<dyn Handler>>) -> Self {
        Self {
            platform,
            handlers: Arc::new(handlers),
        }
    }

    /// A worker that knows whatever this process does.
    pub fn of(platform: &Platform) -> Self {
        let mut handlers: Vec<Box<dyn Handler>> = vec![
            Box::new(mail::Mail::new(platform)),
            Box::new(customers::CustomerEmail::new(platform)),
            Box::new(customers::TakeBackMails::new(platform)),
            Box::new(language::NoteLanguage::new(platform)),
            Box::new(due_charges::DueCharges::new(platform)),
            Box::new(schedules::Schedules::new(platform)),
        ];
        if platform.settings.billing.clock {
            handlers.push(Box::new(customers::CustomersDay::new(platform)));
        }
        Self::new(platform.clone(), handlers)
    }

    /// Works for all tenants of all shards that are due; answers how many turns they had. A shard that cannot be asked keeps no other
    /// from it.
    ///
    /// # Errors
    /// When the registry cannot be read.
    pub async fn work(&self) -> Result<usize, DbError> {
        let mut doors = homes::list_doors(&self.platform.master).await?;
        let mut turns = 0;
        loop {
            match self.work_behind(&mut doors).await {
                0 => return Ok(turns),
                some => turns += some,
            }
        }
    }

    /// Some turns behind each of these doors, so that no shard waits until another has nothing left; those that cannot be asked are
    /// taken out.
    async fn work_behind(&self, doors: &mut Vec<LaneAddress>) -> usize {
        let worked = join_all(doors.iter().map(|door| self.work_at(door))).await;
        let mut turns = 0;
        let mut failed = Vec::new();
        for (door, outcome) in doors.iter().zip(worked) {
            match outcome {
                Ok(some) => turns += some,
                Err(error) => {
                    tracing::warn!(shard = %door.shard, %error, "the work of a shard's tenants cannot be done");
                    failed.push(door.clone());
                }
            }
        }
        doors.retain(|door| !failed.contains(door));
        turns
    }

    /// Works for the tenants of one shard that have waited longest.
    async fn work_at(&self, door: &LaneAddress) -> Result<usize, DbError> {
        self.platform.shards.ensure(door.shard).await?;
        let (worker, now) = (Uuid::now_v7(), self.platform.clock.now());
        let lanes = &self.platform.lanes;
        let taken = due::take(lanes, door, worker, (now, now + LEASE), AT_ONCE).await?;
        if taken.is_empty() {
            return Ok(0);
        }
        crate::kill_point!("jobs.taken");
        let homes = homes::list_served(&self.platform.master, &taken).await?;
        let turn = |tenant: TenantId| {
            let home = homes
                .iter()
                .find(|home| home.id == tenant && home.lane.shard == door.shard);
            self.turn(door, worker, tenant, home.cloned())
        };
        for ended in join_all(taken.iter().map(|tenant| turn(*tenant))).await {
            ended?;
        }
        Ok(taken.len())
    }
}

/// Works for tenants, again and again, until `stop`. Any number of processes may.
pub fn spawn(platform: &Platform, stop: CancellationToken) -> JoinHandle<()> {
    let jobs = Jobs::of(platform);
    tokio::spawn(async move {
        let mut tick = tokio::time::interval(EVERY);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let (mut beats, mut doors) = (0_u32, Vec::new());
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = tick.tick() => {}
            }
            if beats.is_multiple_of(SHARDS_EVERY) || doors.is_empty() {
                match homes::list_doors(&jobs.platform.master).await {
                    Ok(found) => doors = found,
                    Err(error) => tracing::warn!(%error, "the shards cannot be looked up"),
                }
            }
            beats = beats.wrapping_add(1);
            // While there is work, without waiting for the next beat.
            while !stop.is_cancelled() && jobs.work_behind(&mut doors).await > 0 {}
        }
    })
}
