//! One bot: who it is, whom it knows, what waits for it, what it did.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::time::Instant;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::files::Stored;
use super::limits::Sends;
use super::reply::Refusal;
use super::webhook::Webhook;

/// So many updates are kept to be delivered again.
const HISTORY: usize = 256;

/// Where every bot's updates begin: those of two bots may well have the same numbers.
const FIRST_UPDATE: u32 = 100_000_001;

/// Updates that a bot only hears of when it names them.
const UNASKED: [&str; 3] = ["chat_member", "message_reaction", "message_reaction_count"];

/// Something that happened, for a bot to hear of.
#[derive(Debug, Clone, Serialize)]
pub struct Update {
    /// Its number; of this bot alone.
    pub id: u32,
    /// `message`, `callback_query`, …
    pub kind: String,
    /// The chat that it happened in.
    pub chat: i64,
    /// As the bot gets it.
    pub body: Value,
}

/// A call that a bot made, and what came of it.
#[derive(Debug, Clone, Serialize)]
pub struct Call {
    /// Counts through all bots, in the order in which things were done.
    pub number: u64,
    /// When.
    pub at: DateTime<Utc>,
    /// As `sendMessage`.
    pub method: String,
    /// As they were given; of a file `file:` and its name.
    pub parameters: Value,
    /// What was decided; 0 for a connection that was closed before anything was done.
    pub status: u16,
    /// What was answered, or would have been.
    pub result: Value,
}

impl Call {
    /// Whether it put a message into a chat.
    pub fn is_message(&self) -> bool {
        let sends = self
            .method
            .get(..4)
            .is_some_and(|begin| begin.eq_ignore_ascii_case("send"));
        sends && self.status == 200 && self.result.get("message_id").is_some()
    }

    /// The chat of what was sent.
    pub fn chat(&self) -> i64 {
        self.result["chat"]["id"].as_i64().unwrap_or_default()
    }

    /// The number of the message that was sent.
    pub fn message_id(&self) -> i64 {
        self.result["message_id"].as_i64().unwrap_or_default()
    }

    /// The text, or the caption, as a person reads it.
    pub fn text(&self) -> &str {
        let text = self.result.get("text").or_else(|| self.result.get("caption"));
        text.and_then(Value::as_str).unwrap_or_default()
    }

    /// The buttons below, all rows in one list: `(text, url or callback data)`.
    pub fn buttons(&self) -> Vec<(String, String)> {
        let rows = self.result["reply_markup"]["inline_keyboard"].as_array().cloned();
        let buttons = rows
            .unwrap_or_default()
            .into_iter()
            .filter_map(|row| row.as_array().cloned());
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        buttons
            .flatten()
            .map(|button| {
                let target = button.get("url").or_else(|| button.get("callback_data"));
                (text(&button["text"]), target.map(text).unwrap_or_default())
            })
            .collect()
    }
}

/// Why a waiting `getUpdates` ends early.
pub enum End {
    Updates,
    OtherPoll,
    WebhookSet,
    Revoked,
}

/// A `getUpdates` that waits.
pub struct Poll {
    pub number: u64,
    pub agent: String,
    pub end: oneshot::Sender<End>,
}

#[derive(Debug, Default)]
pub struct Chat {
    pub shown: Value,
    pub blocked: bool,
    pub sends: Sends,
}

pub struct Bot {
    pub id: i64,
    pub username: String,
    pub revoked: bool,
    pub logged_out: bool,
    pub chats: BTreeMap<i64, Chat>,
    pub messages: HashMap<(i64, i64), Value>,
    pub files: HashMap<String, Stored>,
    pub commands: HashMap<String, Value>,
    pub callbacks: HashSet<String>,
    pub queue: VecDeque<Update>,
    /// What comes again although it was confirmed.
    pub again: Vec<Update>,
    pub history: VecDeque<Update>,
    pub allowed: Vec<String>,
    pub poll: Option<Poll>,
    pub conflicts: usize,
    pub webhook: Option<Webhook>,
    pub calls: Vec<Call>,
    pub counts: HashMap<String, usize>,
    pub sends: VecDeque<Instant>,
    last_update: u32,
    last_message: i64,
}

impl Bot {
    pub fn new(id: i64, username: &str) -> Self {
        Self {
            id,
            username: username.to_owned(),
            revoked: false,
            logged_out: false,
            chats: BTreeMap::new(),
            messages: HashMap::new(),
            files: HashMap::new(),
            commands: HashMap::new(),
            callbacks: HashSet::new(),
            queue: VecDeque::new(),
            again: Vec::new(),
            history: VecDeque::new(),
            allowed: Vec::new(),
            poll: None,
            conflicts: 0,
            webhook: None,
            calls: Vec::new(),
            counts: HashMap::new(),
            sends: VecDeque::new(),
            last_update: FIRST_UPDATE - 1,
            last_message: 0,
        }
    }

    /// As others see it.
    pub fn user(&self) -> Value {
        json!({"id": self.id, "is_bot": true, "first_name": self.username, "username": self.username})
    }

    pub fn message_number(&mut self) -> i64 {
        self.last_message += 1;
        self.last_message
    }

    /// The chat that a call names by its number or its `@name`.
    pub fn chat(&mut self, named: Option<String>) -> Result<(i64, &mut Chat), Refusal> {
        let named = named.filter(|named| !named.trim().is_empty());
        let Some(named) = named else {
            return Err(Refusal::bad("chat_id is empty"));
        };
        let name = named.strip_prefix('@');
        let number = named.parse::<i64>().ok();
        let is_meant = |id: i64, chat: &Chat| match name {
            Some(name) => chat.shown["username"] == name && chat.shown["type"] != "private",
            None => number == Some(id),
        };
        let mut chats = self.chats.iter_mut();
        let found = chats.find(|(id, chat)| is_meant(**id, chat));
        found
            .map(|(id, chat)| (*id, chat))
            .ok_or_else(|| Refusal::bad("chat not found"))
    }

    /// Queues what happened, unless the bot does not want to hear of such things; answers its number.
    pub fn push(&mut self, kind: &str, chat: i64, content: Value) -> Option<u32> {
        let wanted = match self.allowed.is_empty() {
            true => !UNASKED.contains(&kind),
            false => self.allowed.iter().any(|allowed| allowed == kind),
        };
        if !wanted {
            return None;
        }
        self.last_update += 1;
        let id = self.last_update;
        let update = Update {
            id,
            kind: kind.to_owned(),
            chat,
            body: json!({"update_id": id, kind: content}),
        };
        self.history.push_back(update.clone());
        if self.history.len() > HISTORY {
            self.history.pop_front();
        }
        self.queue.push_back(update);
        Some(id)
    }

    /// Ends the `getUpdates` that waits, if one does.
    pub fn end_poll(&mut self, why: End) {
        if let Some(poll) = self.poll.take() {
            // Whoever waited may have gone.
            let _ = poll.end.send(why);
        }
    }

    /// The updates from `offset` on, after forgetting those before it (core.telegram.org/bots/api#getupdates).
    pub fn updates(&mut self, offset: i64, limit: usize) -> Vec<Value> {
        if offset < 0 {
            let keep = usize::try_from(-offset).unwrap_or(usize::MAX);
            self.queue.drain(..self.queue.len().saturating_sub(keep));
        } else if offset > 0 {
            self.queue.retain(|update| i64::from(update.id) >= offset);
        }
        let again = std::mem::take(&mut self.again).into_iter();
        let waiting = self.queue.iter().take(limit).cloned();
        again.chain(waiting).map(|update| update.body).collect()
    }
}
