//! Which process runs which bots: each says every second that it lives, takes bots that nobody has, and is told of news of its own.
//!
//! A process that is killed is not heard of; after [`LEASE_SECS`] its bots are free. One that cannot reach a shard stops the bots of that
//! shard before others may take them. One that ends gives its bots away at once. Who has more than a fair share gives some away.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{Channels, session};
use crate::db::DbError;
use crate::db::master::homes;
use crate::db::tenant::LaneAddress;
use crate::db::tenant::held::{self, Told};
use crate::domain::ids::{InstanceId, ShardId};

const BEAT: Duration = Duration::from_secs(1);
/// How many seconds a process lives after its last beat.
const LEASE_SECS: i32 = 10;
/// How long it believes so itself: its bots stop before others take them.
const BELIEVED: Duration = Duration::from_secs(7);
/// Bots that are taken with one beat.
const TAKEN: i32 = 200;
/// How often shards are looked up, and bots are spread evenly, in beats.
const SHARDS_EVERY: u32 = 10;
const SPREAD_EVERY: u32 = 5;
/// Bots that are given away at once, so that they are not all away at once.
const GIVEN_AWAY: usize = 20;
/// How long bots may take to finish what they are at when the process ends.
const ENDING: Duration = Duration::from_secs(15);

/// Runs bots until `stop`. Any number of processes may.
pub fn spawn(channels: Channels, stop: CancellationToken) -> JoinHandle<()> {
    let channels = Arc::new(channels);
    tokio::spawn(async move {
        let mut shards: HashMap<ShardId, Shard> = HashMap::new();
        let worker = Uuid::now_v7();
        let mut tick = tokio::time::interval(BEAT);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        for beats in 0_u32.. {
            tokio::select! {
                () = stop.cancelled() => break,
                _ = tick.tick() => {}
            }
            let look_up = beats.is_multiple_of(SHARDS_EVERY) || shards.is_empty();
            // Beside the beats, which wait for no registry.
            let doors = async {
                match look_up {
                    true => tokio::time::timeout(BEAT * 2, look_up_doors(&channels))
                        .await
                        .unwrap_or_default(),
                    false => Vec::new(),
                }
            };
            let beats = join_all(shards.values_mut().map(|shard| shard.beat(beats)));
            let (doors, _) = tokio::join!(doors, beats);
            for door in doors {
                shards
                    .entry(door.shard)
                    .or_insert_with(|| Shard::new(Arc::clone(&channels), worker, door));
            }
        }
        join_all(shards.into_values().map(Shard::end)).await;
    })
}

async fn look_up_doors(channels: &Channels) -> Vec<LaneAddress> {
    homes::list_doors(&channels.master).await.unwrap_or_else(|error| {
        tracing::warn!(%error, "the shards cannot be looked up");
        Vec::new()
    })
}

/// The bots of one shard that this process has.
struct Shard {
    channels: Arc<Channels>,
    worker: Uuid,
    door: LaneAddress,
    running: HashMap<InstanceId, Run>,
    /// They finish what they are at, and are given back then.
    stopping: Vec<(InstanceId, JoinHandle<()>)>,
    believed_until: Instant,
    /// What it was told last: it says so with the next beat.
    heard: Vec<Told>,
    /// Nothing is taken in so many beats: what was given away is for others.
    modest: u32,
}

struct Run {
    wake: Arc<Notify>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Shard {
    fn new(channels: Arc<Channels>, worker: Uuid, door: LaneAddress) -> Self {
        Self {
            channels,
            worker,
            door,
            running: HashMap::new(),
            stopping: Vec::new(),
            believed_until: Instant::now(),
            heard: Vec::new(),
            modest: 0,
        }
    }

    async fn beat(&mut self, beats: u32) {
        let begun = Instant::now();
        // While others leave the bots here alone, they are not left waiting for a beat that says nothing.
        let left = self.believed_until.saturating_duration_since(begun);
        let most = match left.is_zero() {
            true => BELIEVED / 2,
            false => left.min(BELIEVED / 2),
        };
        match tokio::time::timeout(most, self.try_beat(beats)).await {
            Ok(Ok(())) => self.believed_until = begun + BELIEVED,
            failed => {
                if let Ok(Err(error)) = failed {
                    tracing::warn!(shard = %self.door.shard, %error, "a shard cannot be asked about its bots");
                }
                if Instant::now() >= self.believed_until {
                    self.lose_all();
                }
            }
        }
    }

    async fn try_beat(&mut self, beats: u32) -> Result<(), DbError> {
        self.channels.shards.ensure(self.door.shard).await?;
        let most = if self.modest == 0 { TAKEN } else { 0 };
        self.modest = self.modest.saturating_sub(1);
        let lanes = &self.channels.lanes;
        let beat = held::beat(lanes, &self.door, self.worker, LEASE_SECS, most, &self.heard).await?;
        if beat.anew {
            self.lose_all();
        }
        for told in &beat.told {
            self.heed(*told);
        }
        self.heard = beat.told;
        self.give_back().await?;
        if beats % SPREAD_EVERY == SPREAD_EVERY - 1 {
            self.spread().await?;
        }
        Ok(())
    }

    fn heed(&mut self, told: Told) {
        if !told.wanted {
            return self.stop(told.instance);
        }
        match self.running.get(&told.instance) {
            Some(run) if !run.task.is_finished() => run.wake.notify_one(),
            _ => self.start(told),
        }
    }

    fn start(&mut self, told: Told) {
        let before = self
            .stopping
            .extract_if(.., |(instance, _)| *instance == told.instance);
        let before: Vec<_> = before.map(|(_, task)| task).collect();
        let (wake, stop) = (Arc::new(Notify::new()), CancellationToken::new());
        // Apart: within the task it would have its room twice.
        let run = Box::pin(session::run(
            Arc::clone(&self.channels),
            self.door.shard,
            told,
            Arc::clone(&wake),
            stop.clone(),
        ));
        let task = tokio::spawn(async move {
            for task in before {
                // One after the other: never two of one bot.
                let _ = task.await;
            }
            run.await;
        });
        self.running.insert(told.instance, Run { wake, stop, task });
    }

    fn stop(&mut self, instance: InstanceId) {
        if let Some(run) = self.running.remove(&instance) {
            run.stop.cancel();
            self.stopping.push((instance, run.task));
        } else if !self.stopping.iter().any(|(stopping, _)| *stopping == instance) {
            self.stopping.push((instance, tokio::spawn(async {})));
        }
    }

    /// Others may have them by now.
    fn lose_all(&mut self) {
        let all: Vec<InstanceId> = self.running.keys().copied().collect();
        for instance in all {
            self.stop(instance);
        }
    }

    /// Gives back what has stopped.
    async fn give_back(&mut self) -> Result<(), DbError> {
        let ended = self.stopping.iter().filter(|(_, task)| task.is_finished());
        let ended: Vec<InstanceId> = ended.map(|(instance, _)| *instance).collect();
        if ended.is_empty() {
            return Ok(());
        }
        held::leave(&self.channels.lanes, &self.door, self.worker, ended.clone()).await?;
        // Not before: what was not given back would be nobody's.
        self.stopping.retain(|(instance, _)| !ended.contains(instance));
        Ok(())
    }

    /// Gives some bots away when others have fewer.
    async fn spread(&mut self) -> Result<(), DbError> {
        let spread = held::spread(&self.channels.lanes, &self.door, self.worker).await?;
        let share = spread.wanted / spread.workers.max(1) + 1;
        let surplus = usize::try_from(spread.held - share).unwrap_or(0);
        let given: Vec<InstanceId> = self
            .running
            .keys()
            .copied()
            .take(surplus.min(GIVEN_AWAY))
            .collect();
        for instance in &given {
            self.stop(*instance);
        }
        if !given.is_empty() {
            self.modest = SPREAD_EVERY;
        }
        Ok(())
    }

    /// Stops all bots and gives them away.
    async fn end(mut self) {
        let tasks: Vec<_> = self
            .running
            .drain()
            .map(|(_, run)| {
                run.stop.cancel();
                run.task
            })
            .chain(self.stopping.drain(..).map(|(_, task)| task))
            .collect();
        let _ = tokio::time::timeout(ENDING, join_all(tasks)).await;
        if let Err(error) = held::end(&self.channels.lanes, &self.door, self.worker).await {
            tracing::info!(shard = %self.door.shard, %error, "bots are free when the lease is over");
        }
    }
}
