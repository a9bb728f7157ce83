//! All that a server knows, behind one lock, and the telling of changes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::runtime::Handle;
use tokio::sync::Notify;

use super::bot::{Bot, Call, End};
use super::fault::Fault;
use super::incoming::Incoming;
use super::limits::Limits;
use super::reply::Refusal;
use super::{incoming, webhook};

pub struct World {
    book: Mutex<Book>,
    changed: Notify,
    pub client: reqwest::Client,
    /// Where webhooks are sent from.
    pub runtime: Handle,
}

pub struct Book {
    /// By their tokens.
    pub bots: HashMap<String, Bot>,
    pub limits: Limits,
    pub faults: Vec<Fault>,
    /// The first pause between two tries of a webhook.
    pub backoff: Duration,
    /// Where webhooks really go: what stands before the program that they are for.
    pub through: Option<String>,
    last_number: u64,
}

impl World {
    pub fn new() -> Arc<Self> {
        let client = reqwest::Client::builder()
            .timeout(Duration::from_secs(60))
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            // It is used from several runtimes.
            .pool_max_idle_per_host(0)
            .build()
            .expect("a client without TLS of its own");
        Arc::new(Self {
            book: Mutex::new(Book {
                bots: HashMap::new(),
                limits: Limits::default(),
                faults: Vec::new(),
                backoff: Duration::from_secs(1),
                through: None,
                last_number: 0,
            }),
            changed: Notify::new(),
            client,
            runtime: Handle::current(),
        })
    }

    pub fn lock(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something, and wakes who waits for changes.
    pub fn change<T>(&self, act: impl FnOnce(&mut Book) -> T) -> T {
        let done = act(&mut self.lock());
        self.changed.notify_waiters();
        done
    }

    /// Waits until it is so, for at most twenty seconds; whether it is.
    pub async fn wait(&self, mut is: impl FnMut(&Book) -> bool) -> bool {
        let waiting = async {
            loop {
                let changed = self.changed.notified();
                let mut changed = std::pin::pin!(changed);
                changed.as_mut().enable();
                if is(&self.lock()) {
                    return;
                }
                changed.await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), waiting)
            .await
            .is_ok()
    }

    /// Something happens that a bot hears of; answers the number of the update, none when the bot does not want it.
    pub fn receive(self: &Arc<Self>, token: &str, incoming: &Incoming) -> Result<Option<u32>, String> {
        let id = self.change(|book| incoming::happen(book, token, incoming))?;
        self.deliver(token);
        Ok(id)
    }

    /// Tells a bot of what is new: whoever waits for it, or its webhook.
    pub fn deliver(self: &Arc<Self>, token: &str) {
        let hooked = {
            let mut book = self.lock();
            let Some(bot) = book.bots.get_mut(token) else {
                return;
            };
            if bot.queue.is_empty() && bot.again.is_empty() {
                return;
            }
            bot.end_poll(End::Updates);
            bot.webhook.is_some()
        };
        if hooked {
            webhook::deliver(self, token);
        }
    }

    /// Delivers a former update once more, whether it was confirmed or not.
    pub fn redeliver(self: &Arc<Self>, token: &str, id: u32) -> Result<(), String> {
        self.change(|book| {
            let bot = book.bots.get_mut(token).ok_or("no such bot")?;
            let update = bot.history.iter().find(|update| update.id == id).cloned();
            let update = update.ok_or_else(|| format!("no update {id}"))?;
            bot.again.push(update);
            Ok::<_, String>(())
        })?;
        self.deliver(token);
        Ok(())
    }
}

impl Book {
    /// A number that nothing had yet.
    pub fn number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }

    /// The bot of a token (core.telegram.org/bots/api#authorizing-your-bot).
    pub fn bot(&mut self, token: &str) -> Result<&mut Bot, Refusal> {
        let well_formed = token.split_once(':').is_some_and(|(id, secret)| {
            id.parse::<i64>().is_ok_and(|id| id > 0) && !id.starts_with('0') && !secret.is_empty()
        });
        if !well_formed || token.len() > 80 {
            return Err(Refusal::not_found());
        }
        match self.bots.get_mut(token) {
            Some(bot) if !bot.revoked => Ok(bot),
            _ => Err(Refusal::unauthorized()),
        }
    }

    pub fn log(&mut self, token: &str, call: Call) {
        if let Some(bot) = self.bots.get_mut(token) {
            bot.calls.push(call);
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a server of its own has a clock of its own"
)]
pub fn now() -> DateTime<Utc> {
    Utc::now()
}
