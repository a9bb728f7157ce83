//! Keeps the resolver's cache true: hears change notices of the registry, and says so when it no longer does.

use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::resolve::Resolver;
use crate::db::DbError;
use crate::db::master::MasterDb;

/// The channel of `master_migrations/V6__change_notices.sql`.
const CHANNEL: &str = "helixai_tenants";
/// What the listener says to itself; no key or host can look like it.
const HEARTBEAT: &str = "~";
const BEAT: Duration = Duration::from_millis(500);
/// Silence for so long means that notices may be lost.
const BELIEVED: Duration = Duration::from_secs(2);
const RETRY: Duration = Duration::from_millis(500);

/// Listens until `stop`; reconnects by itself.
pub fn spawn(master: MasterDb, resolver: Resolver, stop: CancellationToken) -> JoinHandle<()> {
    tokio::spawn(async move {
        let ended = stop.clone().cancelled_owned();
        let work = async {
            loop {
                if let Err(error) = listen(&master, &resolver).await {
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

async fn listen(master: &MasterDb, resolver: &Resolver) -> Result<(), DbError> {
    let mut notices = in_time(master.listener(CHANNEL)).await?;
    // Whatever changed before this moment was not heard.
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
                Some(name) => resolver.forget(name),
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

/// A network that has lost its other side says nothing for a quarter of an hour.
async fn in_time<T>(work: impl Future<Output = Result<T, DbError>>) -> Result<T, DbError> {
    tokio::time::timeout(BELIEVED * 2, work)
        .await
        .unwrap_or(Err(DbError::Timeout))
}
