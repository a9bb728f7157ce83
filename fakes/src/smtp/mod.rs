//! A mail server (RFC 5321) that takes every mail and delivers none: it keeps them, to be looked at.
//!
//! It refuses commands out of their order, as real ones do, and fails as it is told, once for each [`Fault`].

mod mime;
mod session;

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

pub use mime::Mail;

/// A step of handing a mail over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// `MAIL FROM`.
    Sender,
    /// `RCPT TO`.
    Recipient,
    /// `DATA`.
    Data,
    /// The mail itself has arrived.
    Content,
}

/// What goes wrong with one mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// It is refused at this step with this code.
    Refuse(Step, u16),
    /// It is refused at this step in these words, which begin with a code.
    Say(Step, &'static str),
    /// It is taken, and the connection is gone before the answer.
    DropAfterContent,
    /// The connection is gone before the mail has arrived.
    DropBeforeContent,
    /// It is taken, and not answered before [`FakeSmtp::answer_late`].
    Stall,
}

#[derive(Default)]
struct State {
    /// For the next mails, each for one.
    faults: VecDeque<Fault>,
    /// Always, for these addresses.
    refused: HashMap<String, u16>,
    taken: Vec<Mail>,
    tried: usize,
    /// Lets stalled sessions answer.
    late: Arc<Notify>,
}

/// A running server; ended with it.
pub struct FakeSmtp {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

impl Drop for FakeSmtp {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl FakeSmtp {
    /// Listens on a free port of the loopback address.
    ///
    /// # Errors
    /// When there is none.
    pub async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let state = Arc::<Mutex<State>>::default();
        let shared = Arc::clone(&state);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let state = Arc::clone(&shared);
                tokio::spawn(async move {
                    // A client that hangs up ends its own session.
                    let _ = session::serve(stream, &state).await;
                });
            }
        });
        Ok(Self { address, state, task })
    }

    /// Its address, as the setting takes it.
    pub fn url(&self) -> String {
        format!("smtp://{}", self.address)
    }

    /// Lets the next mail go wrong; said several times, the ones after it as well.
    pub fn fail_next(&self, fault: Fault) {
        lock(&self.state).faults.push_back(fault);
    }

    /// Refuses whatever goes to this address.
    pub fn refuse_address(&self, address: &str, code: u16) {
        lock(&self.state).refused.insert(address.to_owned(), code);
    }

    /// Has the mails answered at last that it has stalled with.
    pub fn answer_late(&self) {
        lock(&self.state).late.notify_waiters();
    }

    /// The mails that it has taken, in their order, also those whose sender does not know.
    pub fn taken(&self) -> Vec<Mail> {
        lock(&self.state).taken.clone()
    }

    /// How many mails it was offered.
    pub fn tried(&self) -> usize {
        lock(&self.state).tried
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
