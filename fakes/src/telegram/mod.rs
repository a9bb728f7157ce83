//! Telegram's Bot API (core.telegram.org/bots/api), as bots and the people who write to them know it.
//!
//! `methods` says which call does what; [`incoming`] what people do, `polling` and `webhook` how a bot hears of it, `limits`
//! how much it may send, [`fault`] how all this fails. `world` holds everything behind one lock.
//!
//! Beyond what is told to it, it differs from the real one in this: webhooks and files may be at `http` addresses of this
//! machine, and nowhere else unless [`FakeTelegram::send_webhooks_through`] says how; photos are kept as they come; and only
//! private chats, groups and the methods in `methods` are there.

mod bot;
mod control;
pub mod fault;
mod files;
pub mod incoming;
pub mod limits;
mod markup;
mod messages;
mod methods;
mod multipart;
mod params;
mod polling;
mod reply;
mod server;
mod text;
mod webhook;
mod world;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use serde_json::Value;

use bot::{Bot, Chat, End};
pub use bot::{Call, Update};
pub use fault::{Failure, Fault};
pub use incoming::{Incoming, Media, Person, What};
pub use limits::Limits;
use world::{Book, World};

/// A running Bot API; it ends when dropped.
pub struct FakeTelegram {
    world: Arc<World>,
    address: SocketAddr,
    handle: ServerHandle,
}

impl FakeTelegram {
    /// Starts one on a free port of this machine.
    ///
    /// # Errors
    /// When no port can be taken.
    pub async fn start() -> std::io::Result<Self> {
        Self::start_on(0).await
    }

    /// Starts one on this port of this machine.
    ///
    /// # Errors
    /// When the port is taken.
    pub async fn start_on(port: u16) -> std::io::Result<Self> {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
        let address = listener.local_addr()?;
        let world = World::new();
        let server = server::serve(listener, Arc::clone(&world))?;
        let handle = server.handle();
        tokio::spawn(server);
        Ok(Self {
            world,
            address,
            handle,
        })
    }

    /// What `Bot::set_api_url` is given.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where it is controlled over HTTP.
    pub fn control_url(&self) -> String {
        format!("http://{}/_control", self.address)
    }

    /// Makes a bot. The number before the `:` of the token is its own; a token without one is never accepted.
    pub fn add_bot(&self, token: &str, username: &str) {
        self.world.change(|book| book.add_bot(token, username));
    }

    /// From now on the token is worth nothing: 401, also for who waits.
    ///
    /// # Panics
    /// When there is no such bot.
    pub fn revoke(&self, token: &str) {
        let revoked = self.world.change(|book| book.revoke(token));
        revoked.unwrap_or_else(|why| panic!("{why}"));
    }

    /// The bot gets to know a chat in which nothing happened yet: of a negative number, a group. Until it knows a chat, it is
    /// refused there.
    ///
    /// # Panics
    /// When there is no such bot.
    pub fn add_chat(&self, token: &str, chat: i64) {
        self.with(token, |bot| {
            bot.chats.entry(chat).or_insert_with(|| Chat::new(chat));
        });
    }

    /// Somebody does something; answers the number of the update, none when the bot does not want to hear of such things.
    ///
    /// # Errors
    /// When there is no such bot, message or button.
    pub fn receive(&self, token: &str, incoming: &Incoming) -> Result<Option<u32>, String> {
        self.world.receive(token, incoming)
    }

    /// Somebody does something in their private chat; answers the number of the update.
    ///
    /// # Panics
    /// When there is no such bot, message or button, or the bot does not want to hear of it.
    pub fn person_does(&self, token: &str, person: i64, what: What) -> u32 {
        let told = self.receive(token, &Incoming::new(person, what));
        let told = told.unwrap_or_else(|why| panic!("{why}"));
        told.unwrap_or_else(|| panic!("not among the bot's allowed updates"))
    }

    /// Somebody writes in their private chat; answers the number of the update.
    pub fn person_writes(&self, token: &str, person: i64, text: &str) -> u32 {
        self.person_does(token, person, What::Text(text.to_owned()))
    }

    /// Somebody opens the bot, by a link with a payload or without; answers the number of the update.
    pub fn person_starts(&self, token: &str, person: i64, payload: Option<&str>) -> u32 {
        self.person_does(token, person, What::Start(payload.map(str::to_owned)))
    }

    /// Somebody presses the button with this data below this message; answers the number of the update.
    pub fn person_presses(&self, token: &str, person: i64, message_id: i64, data: &str) -> u32 {
        let data = data.to_owned();
        self.person_does(token, person, What::Press { message_id, data })
    }

    /// Somebody blocks the bot: it cannot write to them until they write again.
    pub fn block(&self, token: &str, person: i64) {
        let told = self.receive(token, &Incoming::new(person, What::Block));
        told.unwrap_or_else(|why| panic!("{why}"));
    }

    /// Somebody lets the bot write again.
    pub fn unblock(&self, token: &str, person: i64) {
        let told = self.receive(token, &Incoming::new(person, What::Unblock));
        told.unwrap_or_else(|why| panic!("{why}"));
    }

    /// Delivers an update once more under its number, also when it was confirmed.
    ///
    /// # Panics
    /// When the bot had no such update among its last 256.
    pub fn redeliver(&self, token: &str, update_id: u32) {
        let done = self.world.redeliver(token, update_id);
        done.unwrap_or_else(|why| panic!("{why}"));
    }

    /// The next call of this method, of whatever bot, fails so; said several times, the ones after it as well.
    pub fn answer_next(&self, method: &str, failure: Failure) {
        self.fail(Fault {
            method: method.to_owned(),
            token: None,
            failure,
            times: 1,
        });
    }

    /// The next calls fail in this way. Several faults follow one another.
    pub fn fail(&self, fault: Fault) {
        self.world.lock().faults.push(fault);
    }

    /// How much may be sent from now on.
    pub fn limit(&self, limits: Limits) {
        self.world.lock().limits = limits;
    }

    /// The pause that tries of a webhook begin with; really a second.
    pub fn set_webhook_backoff(&self, first: Duration) {
        self.world.lock().backoff = first;
    }

    /// Where webhooks with addresses of elsewhere are sent in truth: this, and the path of the address. Until then such
    /// addresses are refused as unknown.
    pub fn send_webhooks_through(&self, base: &str) {
        self.world.lock().through = Some(base.to_owned());
    }

    /// What a bot has sent, in its order.
    pub fn sent(&self, token: &str) -> Vec<Call> {
        let mut calls = self.calls(token);
        calls.retain(Call::is_message);
        calls
    }

    /// What a bot has sent to one chat, in its order.
    pub fn sent_to(&self, token: &str, chat: i64) -> Vec<Call> {
        let mut calls = self.sent(token);
        calls.retain(|call| call.chat() == chat);
        calls
    }

    /// All that a bot has called, refused or not, in its order; without `getUpdates`.
    pub fn calls(&self, token: &str) -> Vec<Call> {
        self.with(token, |bot| bot.calls.clone())
    }

    /// How often a bot has called a method.
    pub fn asked(&self, token: &str, method: &str) -> usize {
        let method = method.to_ascii_lowercase();
        self.with(token, |bot| bot.counts.get(&method).copied().unwrap_or_default())
    }

    /// How many messages all bots have sent together.
    pub fn sent_by_all(&self) -> usize {
        let book = self.world.lock();
        let calls = book.bots.values().flat_map(|bot| &bot.calls);
        calls.filter(|call| call.is_message()).count()
    }

    /// Waits until a bot has sent so many messages, for at most twenty seconds, and answers them.
    ///
    /// # Panics
    /// When it has not by then.
    pub async fn await_sent(&self, token: &str, count: usize) -> Vec<Call> {
        let enough = |book: &Book| {
            let calls = book.bots.get(token).map(|bot| bot.calls.iter());
            calls.is_some_and(|calls| calls.filter(|call| call.is_message()).count() >= count)
        };
        let reached = self.world.wait(enough).await;
        let sent = self.sent(token);
        assert!(reached, "sent {} of {count}: {sent:?}", sent.len());
        sent
    }

    /// Waits until a bot has called a method so often, for at most twenty seconds; whether it has.
    pub async fn await_asked(&self, token: &str, method: &str, count: usize) -> bool {
        let method = method.to_ascii_lowercase();
        let enough = |book: &Book| {
            let bot = book.bots.get(token);
            bot.is_some_and(|bot| bot.counts.get(&method).copied().unwrap_or_default() >= count)
        };
        self.world.wait(enough).await
    }

    /// Waits until nothing waits for a bot any more: each update confirmed or taken by its webhook. For at most twenty
    /// seconds; whether it is so.
    pub async fn await_heard(&self, token: &str) -> bool {
        let heard = |book: &Book| {
            let bot = book.bots.get(token);
            bot.is_some_and(|bot| bot.queue.is_empty() && bot.again.is_empty())
        };
        self.world.wait(heard).await
    }

    /// Who waits for this bot's updates now: how the client calls itself (its `User-Agent`), none when nobody does.
    pub fn polled_by(&self, token: &str) -> Option<String> {
        self.with(token, |bot| bot.poll.as_ref().map(|poll| poll.agent.clone()))
    }

    /// Waits until somebody waits for this bot's updates, or until nobody does, for at most twenty seconds; whether it is so.
    pub async fn await_polled(&self, token: &str, polled: bool) -> bool {
        let is = |book: &Book| {
            let bot = book.bots.get(token);
            bot.is_some_and(|bot| bot.poll.is_some() == polled)
        };
        self.world.wait(is).await
    }

    /// For how many bots somebody waits now.
    pub fn polled_bots(&self) -> usize {
        let book = self.world.lock();
        book.bots.values().filter(|bot| bot.poll.is_some()).count()
    }

    /// Waits until somebody waits for so many bots, for at most twenty seconds; whether it is so.
    pub async fn await_polled_bots(&self, count: usize) -> bool {
        let polled = |book: &Book| book.bots.values().filter(|bot| bot.poll.is_some()).count();
        self.world.wait(|book| polled(book) >= count).await
    }

    /// How often two have polled a bot at once.
    pub fn conflicts(&self, token: &str) -> usize {
        self.with(token, |bot| bot.conflicts)
    }

    /// The updates that a bot has not confirmed.
    pub fn pending(&self, token: &str) -> Vec<Update> {
        self.with(token, |bot| bot.queue.iter().cloned().collect())
    }

    /// A message as it stands now: after it was changed, none after it was deleted.
    pub fn message(&self, token: &str, chat: i64, message_id: i64) -> Option<Value> {
        self.with(token, |bot| bot.messages.get(&(chat, message_id)).cloned())
    }

    fn with<T>(&self, token: &str, act: impl FnOnce(&mut Bot) -> T) -> T {
        let mut book = self.world.lock();
        let bot = book.bots.get_mut(token);
        act(bot.unwrap_or_else(|| panic!("no such bot")))
    }
}

impl Drop for FakeTelegram {
    fn drop(&mut self) {
        // The command is sent at once; only its end is not waited for.
        drop(self.handle.stop(false));
    }
}

impl Book {
    fn add_bot(&mut self, token: &str, username: &str) {
        let id = token.split(':').next().and_then(|id| id.parse().ok());
        let bot = Bot::new(id.unwrap_or_default(), username);
        self.bots.insert(token.to_owned(), bot);
    }

    fn revoke(&mut self, token: &str) -> Result<(), String> {
        let bot = self.bots.get_mut(token).ok_or("no such bot")?;
        bot.revoked = true;
        bot.webhook = None;
        bot.end_poll(End::Revoked);
        Ok(())
    }

    /// Forgets what was sent and what happened; what waits, stays.
    fn forget(&mut self) {
        for bot in self.bots.values_mut() {
            bot.calls.clear();
            bot.messages.clear();
            bot.history.clear();
        }
    }
}
