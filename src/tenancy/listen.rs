//! Keeps the resolver's cache true: hears change notices of the registry, and says so when it no longer does.

use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::resolve::Resolver;
use super::shards::Shards;
use crate::db::DbError;
use crate::db::master::MasterDb;

/// The channel of `master_migrations/V6__change_notices.sql`.
const CHANNEL: &str = "helixai_tenants";
/// What the listener says to itself; no key or host can look like it.
const HEARTBEAT: &str = "~";
/// What a change of shards or lanes says.
const EVERYTHING: &str = "*";
const BEAT: Duration = Duration::from_millis(500);
/// Silence for so long means that notices may be lost.
const BELIEVED: Duration = Duration::from_secs(2);
const RETRY: Duration = Duration::from_millis(500);

/// Listens until `stop`; reconnects by itself.
pub fn spawn(
    master: MasterDb,
    shards: Shards,
    resolver: Resolver,
    stop: CancellationToken,
) -> JoinHandle<()> {
    tokio::spawn(async move {
        let ended = stop.clone().cancelled_owned();
        let work = async {
            loop {
                if let Err(error) = listen(&master, &shards, &resolver).await {
                    tracing::warn!(%error, "change notices are not heard; the tenant cache is not used");
                }
                resolver.doubt();
                tokio::time::sleep(RETRY).await;
            }
        };
        tokio::select! { () = ended => {}, () = work => {} }
        resolver.doubt();
    })
}

async fn listen(master: &MasterDb, shards: &Shards, resolver: &Resolver) -> Result<(), DbError> {
    let mut notices = in_time(master.listener(CHANNEL)).await?;
    // Whatever changed before this moment was not heard.
    load(shards).await;
    resolver.forget_everything();
    let mut beat = tokio::time::interval(BEAT);
    let mut heard = tokio::time::Instant::now();
    loop {
        tokio::select! {
            notice = notices.next() => match notice.as_deref() {
                Some(HEARTBEAT) => {
                    heard = tokio::time::Instant::now();
                    resolver.believe(BELIEVED);
                }
                Some(name) => {
                    if name == EVERYTHING {
                        load(shards).await;
                    }
                    resolver.forget(name);
                }
                None => return Err(DbError::Unavailable("the listening connection was lost".to_owned())),
            },
            _ = beat.tick() => {
                if heard.elapsed() > BELIEVED * 2 {
                    return Err(DbError::Unavailable("the listening connection is silent".to_owned()));
                }
                // Through another connection, so that the whole way of a notice is tried.
                in_time(master.notify(CHANNEL, HEARTBEAT)).await?;
            }
        }
    }
}

/// A shard may be new, or elsewhere. One that is not usable is only missed by its own tenants.
async fn load(shards: &Shards) {
    if let Err(error) = in_time(shards.load()).await {
        tracing::warn!(%error, "the registry's shards are not all known");
    }
}

/// A network that has lost its other side says nothing for a quarter of an hour.
async fn in_time<T>(work: impl Future<Output = Result<T, DbError>>) -> Result<T, DbError> {
    tokio::time::timeout(BELIEVED * 2, work)
        .await
        .unwrap_or(Err(DbError::Timeout))
}
