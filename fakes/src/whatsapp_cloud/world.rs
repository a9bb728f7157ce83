//! All that a server knows, behind one lock, and the telling of changes.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::Value;
use tokio::sync::Notify;

use super::Failure;
use super::files::Kept;

pub struct World {
    book: Mutex<Book>,
    changed: Notify,
    pub client: reqwest::Client,
}

#[derive(Default)]
pub struct Book {
    /// By their ids.
    pub numbers: HashMap<String, Number>,
    pub faults: VecDeque<Failure>,
    /// What people have sent, by its id.
    pub files: HashMap<String, Kept>,
    /// Where webhooks really go: what stands before the program that they are for.
    pub through: Option<String>,
    pub limits: Limits,
    last: u64,
}

/// How much may be said; more is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// By one number, in a second.
    pub per_second: usize,
    /// By one number to one person, in six seconds.
    pub per_person: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            per_second: 80,
            per_person: 45,
        }
    }
}

/// A business's number.
pub struct Number {
    /// As people write it.
    pub display: String,
    pub token: String,
    pub app_secret: String,
    pub revoked: bool,
    /// The address that is called.
    pub hook: Option<String>,
    /// Who has written in the last day.
    pub open: HashSet<String>,
    /// Who is not to be reached.
    pub unknown: HashSet<String>,
    pub said: Vec<Said>,
    /// What was brought, by the name of its message.
    pub brought: HashMap<String, String>,
    pub times: Vec<(Instant, String)>,
}

/// Something that a number was asked to say.
#[derive(Debug, Clone, Serialize)]
pub struct Said {
    /// Its name, if it was taken.
    pub wamid: Option<String>,
    /// To whom.
    pub to: String,
    /// The whole request.
    pub request: Value,
    /// The code of the refusal.
    pub refused: Option<i64>,
}

impl Said {
    /// The words, or those above a button.
    pub fn text(&self) -> &str {
        let places = ["/text/body", "/interactive/body/text"];
        let found = places.iter().find_map(|place| self.request.pointer(place));
        found.and_then(Value::as_str).unwrap_or_default()
    }

    /// What stands on its button, and where it leads.
    pub fn button(&self) -> Option<(&str, &str)> {
        let button = self.request.pointer("/interactive/action/parameters")?;
        Some((button["display_text"].as_str()?, button["url"].as_str()?))
    }
}

impl World {
    pub fn new() -> Self {
        let client = reqwest::Client::builder()
            .timeout(Duration::from_secs(30))
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            // It is used from several runtimes.
            .pool_max_idle_per_host(0)
            .build()
            .expect("a client without TLS of its own");
        Self {
            book: Mutex::new(Book::default()),
            changed: Notify::new(),
            client,
        }
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
                let mut changed = std::pin::pin!(self.changed.notified());
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
}

impl Book {
    /// A name that no message had yet.
    pub fn wamid(&mut self) -> String {
        self.last += 1;
        format!("wamid.HBgNNTUxMTk4NzY1NDMyMRUCABEYEj{:08}A=", self.last)
    }

    /// A number, of which it is known that there is one.
    pub fn number(&mut self, id: &str) -> &mut Number {
        self.numbers
            .get_mut(id)
            .unwrap_or_else(|| panic!("no number {id}"))
    }
}

impl Number {
    pub fn new(id: &str, token: &str, app_secret: &str) -> Self {
        Self {
            display: format!(
                "+55 11 4000-{}",
                id.get(id.len().saturating_sub(4)..).unwrap_or(id)
            ),
            token: token.to_owned(),
            app_secret: app_secret.to_owned(),
            revoked: false,
            hook: None,
            open: HashSet::new(),
            unknown: HashSet::new(),
            said: Vec::new(),
            brought: HashMap::new(),
            times: Vec::new(),
        }
    }

    /// Counts a message, or says by which code it is too much.
    pub fn admit(&mut self, to: &str, limits: Limits) -> Result<(), i64> {
        let now = Instant::now();
        let within =
            |seconds: u64| move |time: &Instant| now.duration_since(*time) < Duration::from_secs(seconds);
        self.times.retain(|(time, _)| within(6)(time));
        if self.times.iter().filter(|(time, _)| within(1)(time)).count() >= limits.per_second {
            return Err(130_429);
        }
        if self.times.iter().filter(|(_, person)| person == to).count() >= limits.per_person {
            return Err(131_056);
        }
        self.times.push((now, to.to_owned()));
        Ok(())
    }
}

/// One person, however their number is written: old Brazilian numbers have been given a ninth digit.
pub fn person(number: &str) -> String {
    match number.strip_prefix("55") {
        Some(rest) if rest.len() == 11 && rest.as_bytes()[2] == b'9' => {
            format!("55{}{}", &rest[..2], &rest[3..])
        }
        _ => number.to_owned(),
    }
}
