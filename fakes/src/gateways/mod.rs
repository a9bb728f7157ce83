//! Gateways that collect payments: Mercado Pago, Stripe and Asaas.
//!
//! [`payment`] is the state machine of a payment, [`change`] what payers and banks do to it; `mercado_pago`, `stripe` and `asaas`
//! are the three APIs over it. [`fault`] is how they fail, [`event`] which news they send, `sign` how those are signed.
//!
//! To add a gateway: a word in [`Kind`], a file with its API and one with its events' bodies, and an arm wherever the compiler asks.

mod amount;
mod asaas;
pub mod change;
mod control;
pub mod event;
pub mod fault;
mod mercado_pago;
pub mod payment;
mod pix;
mod reply;
mod server;
mod sign;
mod stripe;
mod world;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

pub use change::Change;
pub use event::{Delivery, Event, Mode, Variant};
pub use fault::{Failure, Fault};
pub use payment::{Payment, State};
pub use reply::Logged;
use world::World;

/// Which gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Mercado Pago.
    MercadoPago,
    /// Stripe.
    Stripe,
    /// Asaas.
    Asaas,
}

/// Somebody's account at the gateway. Nothing of one is seen from another.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Account {
    /// What opens it: access token, secret key, API key.
    pub key: String,
    /// What its webhooks are signed with; of Asaas, what is sent along.
    pub webhook_secret: String,
    /// Its number, as Mercado Pago tells it.
    #[serde(default)]
    pub collector: u64,
    /// Where its news go. Mercado Pago's payments may name another place.
    #[serde(default)]
    pub webhook_url: Option<String>,
}

/// A running gateway; it ends when dropped.
pub struct FakeGateway {
    world: Arc<World>,
    address: SocketAddr,
    handle: ServerHandle,
}

impl FakeGateway {
    /// Starts one on a free port of this machine.
    ///
    /// # Errors
    /// When no port can be taken.
    pub fn start(kind: Kind) -> std::io::Result<Self> {
        Self::start_on(kind, 0)
    }

    /// Starts one on this port of this machine.
    ///
    /// # Errors
    /// When the port is taken.
    pub fn start_on(kind: Kind, port: u16) -> std::io::Result<Self> {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
        let address = listener.local_addr()?;
        let world = Arc::new(World::new(kind, address));
        let server = server::serve(listener, Arc::clone(&world))?;
        let handle = server.handle();
        tokio::spawn(server);
        Ok(Self {
            world,
            address,
            handle,
        })
    }

    /// The address of its API, as the real one's base address.
    pub fn url(&self) -> String {
        let path = match self.world.kind {
            Kind::MercadoPago => "",
            Kind::Stripe => "/v1",
            Kind::Asaas => "/v3",
        };
        format!("http://{}{path}", self.address)
    }

    /// Where it is controlled over HTTP.
    pub fn control_url(&self) -> String {
        format!("http://{}/_control", self.address)
    }

    /// Opens an account, or gives one of the same key another secret or address.
    pub fn add_account(&self, account: Account) {
        self.world.lock().add_account(account);
    }

    /// Tells it the time; until then it is that of the machine.
    pub fn set_time(&self, now: DateTime<Utc>) {
        self.world.lock().now = Some(now);
    }

    /// All payments of all accounts, oldest first; pages that nobody has paid at are among them.
    pub fn payments(&self) -> Vec<Payment> {
        self.world.lock().payments.clone()
    }

    /// The newest payment of this id, page or reference.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn payment(&self, name: &str) -> Payment {
        let state = self.world.lock();
        let found = state.find(name).map(|place| state.payments[place].clone());
        found.unwrap_or_else(|| panic!("no payment {name}"))
    }

    /// Does something to the newest payment of this id, page or reference, sends the news as [`FakeGateway::deliver`] says,
    /// and answers the payment once they are sent.
    ///
    /// # Errors
    /// When the payment's state does not allow it.
    pub async fn change(&self, name: &str, change: Change) -> Result<Payment, String> {
        self.world.change(name, change).await
    }

    /// Puts a payment back to what it was, as if nobody had touched it since; nobody is told.
    pub fn restore(&self, payment: &Payment) {
        let mut book = self.world.lock();
        if let Some(kept) = book.payments.iter_mut().find(|kept| kept.id == payment.id) {
            kept.clone_from(payment);
        }
    }

    /// The next requests fail in this way. Several faults follow one another.
    pub fn fail(&self, fault: Fault) {
        self.world.lock().faults.push(fault);
    }

    /// No request fails from now on.
    pub fn forget_faults(&self) {
        self.world.lock().faults.clear();
    }

    /// How news are sent from now on.
    pub fn deliver(&self, delivery: Delivery) {
        self.world.lock().delivery = delivery;
    }

    /// The next answer about a payment is what it was before its last change.
    pub fn answer_stale_once(&self) {
        self.world.lock().stale = true;
    }

    /// Whether saved cards are declined from now on.
    pub fn decline_cards(&self, decline: bool) {
        self.world.lock().decline_cards = decline;
    }

    /// All news so far, sent or not, oldest first.
    pub fn events(&self) -> Vec<Event> {
        self.world.lock().events.clone()
    }

    /// Sends one event, so often, one after the other or all together; answers the statuses that came back, 0 for none.
    pub async fn send(&self, event: &Event, copies: usize, together: bool, variant: Variant) -> Vec<u16> {
        self.world.send(event, copies, together, variant).await
    }

    /// What the API was asked, oldest first.
    pub fn requests(&self) -> Vec<Logged> {
        self.world.lock().log.clone()
    }

    /// How often the API was asked for this, as `POST /v1/payments`, whatever came of it.
    pub fn asked(&self, what: &str) -> usize {
        let log = &self.world.lock().log;
        log.iter().filter(|logged| logged.what() == what).count()
    }

    /// Waits until the API was asked for this so often, for at most ten seconds.
    pub async fn wait_asked(&self, what: &str, times: usize) -> bool {
        for _ in 0..1000 {
            if self.asked(what) >= times {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        false
    }
}

impl Drop for FakeGateway {
    fn drop(&mut self) {
        // The command is sent at once; only its end is not waited for.
        drop(self.handle.stop(false));
    }
}
