//! Hears what shards tell: one connection for each whose tenants have sockets here.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::Realtime;
use crate::db::DbError;
use crate::db::shard::told::Told;
use crate::db::tenant::LaneAddress;
use crate::domain::ids::ShardId;

/// How often a process says that it has sockets still.
const BEAT: Duration = Duration::from_secs(5);
/// How many seconds it is believed.
const LEASE_SECS: i32 = 20;
/// A connection that does not answer for so long is lost.
const PATIENCE: Duration = Duration::from_secs(5);
const RETRY: Duration = Duration::from_millis(500);
/// How long a connection is kept for the next socket.
const IDLE: Duration = Duration::from_secs(60);
/// A listener that has ended just now is missed for at most so long.
const LOOK: Duration = Duration::from_secs(2);

/// Sees to it that each shard whose tenants have sockets is heard, until `stop`.
pub(super) async fn run_all(hub: &Realtime, stop: &CancellationToken) {
    let mut changed = hub.0.changed.subscribe();
    let mut running: HashMap<ShardId, JoinHandle<()>> = HashMap::new();
    loop {
        running.retain(|_, task| !task.is_finished());
        for (shard, lane) in hub.doors() {
            running
                .entry(shard)
                .or_insert_with(|| tokio::spawn(run(hub.clone(), lane, stop.clone())));
        }
        tokio::select! {
            () = stop.cancelled() => break,
            _ = changed.changed() => {}
            () = sleep(LOOK) => {}
        }
    }
    for (_, task) in running {
        let _ = task.await;
    }
}

async fn run(hub: Realtime, lane: LaneAddress, stop: CancellationToken) {
    let ended = stop.clone();
    let work = async {
        while let Err(error) = listen(&hub, &lane, &stop).await {
            tracing::warn!(shard = %lane.shard, %error, "what a shard tells is not heard");
            hub.set_unheard(lane.shard);
            if stop.is_cancelled() || hub.tenants_of(lane.shard).is_empty() {
                return;
            }
            sleep(RETRY).await;
        }
    };
    tokio::pin!(work);
    tokio::select! {
        () = &mut work => {}
        // What it is at has so long to end in order.
        () = async { ended.cancelled().await; sleep(PATIENCE).await } => {}
    }
}

/// Hears until nobody has sockets there any more.
async fn listen(hub: &Realtime, lane: &LaneAddress, stop: &CancellationToken) -> Result<(), DbError> {
    let process = hub.0.process;
    let connector = hub.0.shards.connector(lane.shard).await?;
    let mut changed = hub.0.changed.subscribe();
    let mut told = in_time(Told::listen(&connector, &lane.login, process)).await?;
    let mut known: HashSet<Uuid> = HashSet::new();
    let mut wanted_at = Instant::now();
    let mut beat = interval(BEAT);
    loop {
        let wanted = hub.tenants_of(lane.shard);
        if !wanted.is_empty() {
            wanted_at = Instant::now();
        } else if wanted_at.elapsed() > IDLE {
            return in_time(told.end(process)).await;
        }
        let added: Vec<Uuid> = wanted.difference(&known).copied().collect();
        let gone: Vec<Uuid> = known.difference(&wanted).copied().collect();
        let forgotten = in_time(told.beat(process, LEASE_SECS, &added, &gone)).await?;
        if forgotten && !known.is_empty() {
            // It was away for too long: what was told meanwhile nobody knows.
            return Err(DbError::Unavailable(
                "the shard had forgotten this process".to_owned(),
            ));
        }
        known = wanted;
        hub.set_heard(lane.shard, &known);
        if !minded(hub, &mut told, &mut changed, &mut beat, stop).await? {
            return in_time(told.end(process)).await;
        }
    }
}

/// Hears until something is to be said; `false`: the process ends.
async fn minded(
    hub: &Realtime,
    told: &mut Told,
    changed: &mut watch::Receiver<u64>,
    beat: &mut tokio::time::Interval,
    stop: &CancellationToken,
) -> Result<bool, DbError> {
    loop {
        tokio::select! {
            () = stop.cancelled() => return Ok(false),
            notice = told.next() => match notice {
                Some(notice) => hub.hear(&notice),
                None => return Err(DbError::Unavailable("the listening connection was lost".to_owned())),
            },
            _ = changed.changed() => return Ok(true),
            _ = beat.tick() => return Ok(true),
        }
    }
}

async fn in_time<T>(work: impl Future<Output = Result<T, DbError>>) -> Result<T, DbError> {
    timeout(PATIENCE, work).await.unwrap_or(Err(DbError::Timeout))
}
