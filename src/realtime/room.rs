//! The sockets of one tenant in this process.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;
use tokio::sync::{mpsc, watch};
use uuid::Uuid;

use super::event::{Notice, text};
use crate::db::tenant::TenantHome;
use crate::db::tenant::sockets::Holder;
use crate::domain::clock::Clock;
use crate::domain::event::EventKind;
use crate::domain::role::Role;
use crate::domain::tenant_key::TenantKey;
use crate::telemetry::socket_metrics::count_events;

/// Why a socket is closed by the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The session or key counts no more.
    Unauthorized,
    /// The tenant is not served, or not with this subscription.
    NotServed,
    /// The tenant lives elsewhere now, or cannot be heard: try again.
    Restart,
    /// The process ends: try again.
    GoingAway,
}

/// One socket, as the room sees it.
pub(super) struct Seat {
    pub(super) holder: Holder,
    pub(super) queue: mpsc::Sender<Arc<str>>,
    /// Something did not fit into the queue.
    pub(super) missed: Arc<AtomicBool>,
    pub(super) end: watch::Sender<Option<Ending>>,
}

impl Seat {
    fn tell(&self, text: Arc<str>) {
        match self.queue.try_send(text) {
            Ok(()) => count_events("sent", 1),
            Err(_) => {
                self.missed.store(true, Ordering::Release);
                count_events("dropped", 1);
            }
        }
    }
}

/// The sockets of a tenant.
pub(super) struct Room {
    pub(super) key: TenantKey,
    pub(super) home: Arc<TenantHome>,
    pub(super) seats: HashMap<Uuid, Seat>,
    /// Whether the tenant's shard tells of it at the moment.
    pub(super) heard: watch::Sender<bool>,
    /// Whether it ever has.
    pub(super) was_heard: bool,
}

impl Room {
    pub(super) fn new(key: TenantKey, home: Arc<TenantHome>) -> Self {
        Self {
            key,
            home,
            seats: HashMap::new(),
            heard: watch::channel(false).0,
            was_heard: false,
        }
    }

    /// Whether the tenant is there still.
    pub(super) fn is_at(&self, home: &TenantHome) -> bool {
        self.home.id == home.id
            && self.home.lane == home.lane
            && self.home.schema == home.schema
            && self.home.role == home.role
    }

    pub(super) fn tell(&self, notice: &Notice, clock: &Clock) {
        let text = notice.text(clock.now());
        for seat in self.seats.values().filter(|seat| notice.is_for(&seat.holder)) {
            seat.tell(Arc::clone(&text));
        }
    }

    pub(super) fn resync(&self, clock: &Clock) {
        let text = text(EventKind::Resync, &Value::Null, clock.now());
        for seat in self.seats.values() {
            seat.tell(Arc::clone(&text));
        }
    }

    pub(super) fn end(&self, ending: Ending) {
        for seat in self.seats.values() {
            seat.end.send_replace(Some(ending));
        }
    }

    /// Those who hold the sockets.
    pub(super) fn holders(&self) -> Vec<Uuid> {
        self.seats.values().map(|seat| seat.holder.id()).collect()
    }

    /// Closes the sockets of those of `asked` who do not stand, and gives the others the rights that they have now.
    pub(super) fn judge(&mut self, asked: &[Uuid], standing: &HashMap<Uuid, Option<Role>>) {
        for seat in self.seats.values_mut() {
            let id = seat.holder.id();
            match (standing.get(&id), &mut seat.holder) {
                (Some(Some(now)), Holder::Session { role, .. }) => *role = *now,
                (Some(_), _) => {}
                (None, _) if asked.contains(&id) => {
                    seat.end.send_replace(Some(Ending::Unauthorized));
                }
                (None, _) => {}
            }
        }
    }
}
