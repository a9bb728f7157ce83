//! Closes the sockets of tenants that are not served any more, or live elsewhere: by what the resolver knows, which is kept true by
//! notices. The subscription is looked at with the clock.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use tokio_util::sync::CancellationToken;

use super::{Ending, Realtime};
use crate::db::tenant::TenantHome;
use crate::domain::subscription::{Gate, Section};
use crate::domain::tenant::TenantStatus;
use crate::domain::tenant_key::TenantKey;
use crate::tenancy::resolve::ResolveError;

const EVERY: Duration = Duration::from_secs(2);
/// Tenants that are looked up at once, when they are not in memory.
const AT_ONCE: usize = 4;

/// Looks again and again, until `stop`.
pub(super) async fn run(hub: &Realtime, stop: &CancellationToken) {
    let work = async {
        loop {
            tokio::time::sleep(EVERY).await;
            let rooms: Vec<(TenantKey, Arc<TenantHome>)> = {
                let rooms = hub.rooms();
                let homes = rooms
                    .values()
                    .map(|room| (room.key.clone(), Arc::clone(&room.home)));
                homes.collect()
            };
            stream::iter(rooms)
                .for_each_concurrent(AT_ONCE, |(key, home)| look(hub, key, home))
                .await;
        }
    };
    tokio::select! { () = stop.cancelled() => {}, () = work => {} }
}

async fn look(hub: &Realtime, key: TenantKey, home: Arc<TenantHome>) {
    let ending = match hub.0.resolver.find(&key).await {
        // It cannot be known just now.
        Err(ResolveError::Unavailable(_)) => return,
        // It may have another key, by which its people come back.
        Err(_) => Ending::Restart,
        Ok(tenant) => {
            let subscription = tenant.subscription.map(|found| found.at(hub.0.clock.now()));
            if tenant.status != TenantStatus::Active || !Gate::of(subscription).allows(Section::Read) {
                Ending::NotServed
            } else if hub
                .rooms()
                .get(&home.id)
                .is_some_and(|room| room.is_at(&tenant.home))
            {
                return;
            } else {
                Ending::Restart
            }
        }
    };
    if let Some(room) = hub.rooms().get(&home.id) {
        room.end(ending);
    }
}
