//! One socket, as whoever serves it sees it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use uuid::Uuid;

use super::Realtime;
use super::event::text;
use super::room::{Ending, Room, Seat};
use crate::db::tenant::sockets::Holder;
use crate::domain::event::EventKind;
use crate::domain::ids::TenantId;
use crate::telemetry::socket_metrics::add_socket;

/// Events that wait to be read.
const QUEUE: usize = 256;
/// How long a shard may take until it tells.
const OPENING: Duration = Duration::from_secs(10);

/// What a socket is to do.
#[derive(Debug)]
pub enum Heard {
    /// Send this.
    Text(Arc<str>),
    /// Close.
    End(Ending),
}

/// A socket; it is gone when dropped.
pub struct Socket {
    hub: Realtime,
    tenant: TenantId,
    seat: Uuid,
    queue: mpsc::Receiver<Arc<str>>,
    missed: Arc<AtomicBool>,
    end: watch::Receiver<Option<Ending>>,
    heard: watch::Receiver<bool>,
    /// The session is over then.
    until: Option<Instant>,
}

impl Socket {
    pub(super) fn enter(hub: &Realtime, room: &mut Room, holder: Holder) -> Self {
        let (queue, waiting) = mpsc::channel(QUEUE);
        let (end, ended) = watch::channel(None);
        let missed = Arc::new(AtomicBool::new(false));
        let seat = Uuid::now_v7();
        let until = match holder {
            Holder::Session { until, .. } => {
                let left = (until - hub.0.clock.now()).to_std().unwrap_or_default();
                Some(Instant::now() + left)
            }
            Holder::ApiKey(_) => None,
        };
        room.seats.insert(
            seat,
            Seat {
                holder,
                queue,
                missed: Arc::clone(&missed),
                end,
            },
        );
        add_socket(1.0);
        Self {
            hub: hub.clone(),
            tenant: room.home.id,
            seat,
            queue: waiting,
            missed,
            end: ended,
            heard: room.heard.subscribe(),
            until,
        }
    }

    /// Waits until what happens at the tenant is told, and makes sure that the holder may hear it still: a session that has ended
    /// meanwhile did so unheard. What to say first.
    ///
    /// # Errors
    /// Why there is nothing to hear.
    pub async fn open(&mut self) -> Result<Arc<str>, Ending> {
        let opened = async {
            self.heard.wait_for(|heard| *heard).await.ok()?;
            self.hub.judge(self.tenant).await.then_some(())
        };
        let opened = tokio::time::timeout(OPENING, opened).await;
        if let Some(ending) = *self.end.borrow() {
            return Err(ending);
        }
        match opened {
            Ok(Some(())) => Ok(text(EventKind::Ready, &Value::Null, self.hub.0.clock.now())),
            _ => Err(Ending::Restart),
        }
    }

    /// What to do next. May be dropped and asked again.
    pub async fn next(&mut self) -> Heard {
        if self.missed.swap(false, Ordering::AcqRel) {
            while self.queue.try_recv().is_ok() {}
            return Heard::Text(text(EventKind::Resync, &Value::Null, self.hub.0.clock.now()));
        }
        let until = self.until;
        let over = async {
            match until {
                Some(until) => tokio::time::sleep_until(until).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            ending = self.end.wait_for(Option::is_some) => {
                Heard::End(ending.ok().and_then(|ending| *ending).unwrap_or(Ending::Restart))
            }
            () = over => Heard::End(Ending::Unauthorized),
            text = self.queue.recv() => text.map_or(Heard::End(Ending::Restart), Heard::Text),
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.hub.leave(self.tenant, self.seat);
        add_socket(-1.0);
    }
}
