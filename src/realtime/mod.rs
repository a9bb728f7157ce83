//! Sockets: what happens at a tenant is told to those who have its pages open, in whatever process.
//!
//! - Whatever writes tells, in its own transaction (`helixai.tell`, `master_migrations/shard`), by ids and states. It costs a look into
//!   two small tables while nobody listens, and no round trip. What the ids stand for is asked for over HTTP, where the database proves
//!   who may: so a socket never shows what its holder may not see, no row is read for those who look elsewhere, and a notice holds nothing
//!   worth hearing.
//! - One connection per shard hears ([`listener`]), only while there are sockets of its tenants; nobody is polled.
//! - A socket stands for a session or an API key. Whatever ends those says so, and they are looked at anew; the tenant is looked at
//!   every two seconds, in memory ([`sweep`]).
//! - What may have been missed is said: after the connection was lost, and to whoever reads too slowly, `resync`.

mod event;
mod listener;
mod room;
mod socket;
mod sweep;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::db::tenant::sockets::{Holder, list_standing};
use crate::db::tenant::{Access, LaneAddress, Lanes, TenantDb};
use crate::domain::clock::Clock;
use crate::domain::event::EventKind;
use crate::domain::ids::{ShardId, TenantId};
use crate::tenancy::resolve::{ResolvedTenant, Resolver};
use crate::tenancy::shards::Shards;
use event::Notice;
pub use room::Ending;
use room::Room;
pub use socket::{Heard, Socket};

/// Sockets of a user, or of an API key, in one process.
pub const OF_ONE_HOLDER: usize = 10;
/// Sockets of a tenant in one process.
pub const OF_ONE_TENANT: usize = 200;
/// How long to wait before those who have sockets are asked about again.
const AGAIN: Duration = Duration::from_secs(1);

/// Why there is no socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// The holder, or the tenant, has as many as they may.
    Full,
    /// The process ends.
    GoingAway,
}

/// The sockets of this process. Cheap to clone.
#[derive(Clone)]
pub struct Realtime(Arc<Inner>);

struct Inner {
    lanes: Lanes,
    shards: Shards,
    resolver: Resolver,
    clock: Clock,
    /// What this process is called at shards.
    process: Uuid,
    rooms: Mutex<HashMap<TenantId, Room>>,
    /// Raised when a tenant has its first socket, or no socket any more.
    changed: watch::Sender<u64>,
    closed: CancellationToken,
}

impl Realtime {
    /// No socket yet.
    pub fn new(lanes: Lanes, shards: Shards, resolver: Resolver, clock: Clock) -> Self {
        Self(Arc::new(Inner {
            lanes,
            shards,
            resolver,
            clock,
            process: Uuid::now_v7(),
            rooms: Mutex::default(),
            changed: watch::channel(0).0,
            closed: CancellationToken::new(),
        }))
    }

    /// Hears for sockets until `stop`.
    pub fn spawn(&self, stop: CancellationToken) -> JoinHandle<()> {
        let hub = self.clone();
        tokio::spawn(async move {
            tokio::join!(listener::run_all(&hub, &stop), sweep::run(&hub, &stop));
            hub.close();
        })
    }

    /// Closes all sockets; there are no others after that.
    pub fn close(&self) {
        self.0.closed.cancel();
        for room in self.rooms().values() {
            room.end(Ending::GoingAway);
        }
    }

    /// A socket of this tenant for this holder. It hears once [`Socket::open`] has said so.
    ///
    /// # Errors
    /// See [`Refused`].
    pub fn enter(&self, tenant: &ResolvedTenant, holder: Holder) -> Result<Socket, Refused> {
        let mut rooms = self.rooms();
        if self.0.closed.is_cancelled() {
            return Err(Refused::GoingAway);
        }
        let id = tenant.home.id;
        if let Some(room) = rooms.get(&id)
            && !room.is_at(&tenant.home)
        {
            room.end(Ending::Restart);
            rooms.remove(&id);
        }
        let room = rooms
            .entry(id)
            .or_insert_with(|| Room::new(tenant.key.clone(), Arc::clone(&tenant.home)));
        let of_holder = room
            .seats
            .values()
            .filter(|seat| seat.holder.owner() == holder.owner());
        if of_holder.count() >= OF_ONE_HOLDER || room.seats.len() >= OF_ONE_TENANT {
            return Err(Refused::Full);
        }
        let is_first = room.seats.is_empty();
        let socket = Socket::enter(self, room, holder);
        drop(rooms);
        if is_first {
            self.0.changed.send_modify(|changes| *changes += 1);
        }
        Ok(socket)
    }

    fn rooms(&self) -> MutexGuard<'_, HashMap<TenantId, Room>> {
        self.0.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn leave(&self, tenant: TenantId, seat: Uuid) {
        let mut rooms = self.rooms();
        let Some(room) = rooms.get_mut(&tenant) else {
            return;
        };
        room.seats.remove(&seat);
        if room.seats.is_empty() {
            rooms.remove(&tenant);
            drop(rooms);
            self.0.changed.send_modify(|changes| *changes += 1);
        }
    }

    /// A lane of each shard whose tenants have sockets here.
    fn doors(&self) -> HashMap<ShardId, LaneAddress> {
        let rooms = self.rooms();
        let lanes = rooms.values().map(|room| room.home.lane.clone());
        lanes.map(|lane| (lane.shard, lane)).collect()
    }

    /// The tenants of a shard that have sockets here.
    fn tenants_of(&self, shard: ShardId) -> HashSet<Uuid> {
        let rooms = self.rooms();
        let here = rooms.values().filter(|room| room.home.lane.shard == shard);
        here.map(|room| room.home.id.as_uuid()).collect()
    }

    /// The shard tells of these tenants, as far as they live there still. Of those that were heard before, and were not meanwhile,
    /// something may have been missed.
    fn set_heard(&self, shard: ShardId, tenants: &HashSet<Uuid>) {
        let mut again = Vec::new();
        let mut rooms = self.rooms();
        for room in rooms.values_mut().filter(|room| room.home.lane.shard == shard) {
            if !tenants.contains(&room.home.id.as_uuid()) || room.heard.send_replace(true) {
                continue;
            }
            if std::mem::replace(&mut room.was_heard, true) {
                room.resync(&self.0.clock);
                again.push(room.home.id);
            }
        }
        drop(rooms);
        for tenant in again {
            self.look_at_holders(tenant);
        }
    }

    /// The shard is not heard any more.
    fn set_unheard(&self, shard: ShardId) {
        let rooms = self.rooms();
        for room in rooms.values().filter(|room| room.home.lane.shard == shard) {
            room.heard.send_replace(false);
        }
    }

    fn hear(&self, notice: &str) {
        let Some(notice) = Notice::parse(notice) else {
            return;
        };
        let rooms = self.rooms();
        let Some(room) = rooms.get(&notice.tenant) else {
            return;
        };
        match notice.kind {
            EventKind::Resync => room.resync(&self.0.clock),
            EventKind::AccessChanged => {
                drop(rooms);
                self.look_at_holders(notice.tenant);
            }
            _ => room.tell(&notice, &self.0.clock),
        }
    }

    /// Asks the tenant's schema who may have sockets still, beside whatever else is to be done.
    fn look_at_holders(&self, tenant: TenantId) {
        let hub = self.clone();
        tokio::spawn(async move {
            while !hub.judge(tenant).await && !hub.0.closed.is_cancelled() {
                tokio::time::sleep(AGAIN).await;
            }
        });
    }

    /// Closes the sockets of those who may not have them; `false` when that could not be asked.
    async fn judge(&self, tenant: TenantId) -> bool {
        let (home, asked) = match self.rooms().get(&tenant) {
            Some(room) => (Arc::clone(&room.home), room.holders()),
            None => return true,
        };
        let now = self.0.clock.now();
        let db = TenantDb::new(self.0.lanes.clone(), home);
        let standing = db
            .run(&Access::system(now), list_standing(asked.clone(), now))
            .await;
        match standing {
            Ok(reply) => {
                let standing = reply.output.into_iter().collect();
                if let Some(room) = self.rooms().get_mut(&tenant) {
                    room.judge(&asked, &standing);
                }
                true
            }
            Err(error) => {
                tracing::debug!(%error, "who may have sockets cannot be asked");
                false
            }
        }
    }
}
