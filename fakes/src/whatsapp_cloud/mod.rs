//! WhatsApp's Cloud API (developers.facebook.com/docs/whatsapp/cloud-api), as a business's program knows it: numbers that say something by the
//! Graph API, and webhooks that tell what was said to them and what has become of what they said.
//!
//! It enforces who may speak for a number, the window of a day, limits, and the shape of texts and buttons; other kinds of messages are refused.
//! Webhooks are brought once, when the test says so, and their answer is told: whoever wants them again says [`FakeCloud::redeliver`].

mod files;
mod hooks;
mod server;
mod world;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use actix_web::dev::ServerHandle;
use serde_json::{Value, json};

pub use files::{File, Trouble};
pub use hooks::{envelope, signature};
pub use world::{Limits, Said};
use world::{Number, World, person};

/// What happens to a message that a number is to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// It is refused with this status and this code.
    Code(u16, i64),
    /// The answer is a page of somebody between, with this status.
    Html(u16),
    /// Nothing is done, and the connection is closed.
    Drop,
    /// It is said, and the connection is closed without an answer.
    ActThenDrop,
}

/// How a webhook is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signing<'a> {
    /// With the secret of the number's application.
    Good,
    /// With another secret.
    With(&'a str),
    /// Not at all.
    Unsigned,
    /// Before something was changed.
    Tampered,
}

/// A running Graph API; it ends when dropped.
pub struct FakeCloud {
    world: Arc<World>,
    address: SocketAddr,
    handle: ServerHandle,
}

impl Drop for FakeCloud {
    fn drop(&mut self) {
        drop(self.handle.stop(false));
    }
}

impl FakeCloud {
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
        let world = Arc::new(World::new());
        let server = server::serve(listener, Arc::clone(&world))?;
        let handle = server.handle();
        tokio::spawn(server);
        Ok(Self {
            world,
            address,
            handle,
        })
    }

    /// Its base address, without a version.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where it is controlled over HTTP.
    pub fn control_url(&self) -> String {
        format!("http://{}/_control", self.address)
    }

    /// Makes a number that is spoken for with this token, by an application of this secret.
    pub fn add_number(&self, id: &str, token: &str, app_secret: &str) {
        let number = Number::new(id, token, app_secret);
        self.world
            .change(|book| book.numbers.insert(id.to_owned(), number));
    }

    /// From now on the number's token is worth nothing.
    pub fn revoke(&self, number: &str) {
        self.world.change(|book| book.number(number).revoked = true);
    }

    /// From now on the number is spoken for with another token.
    pub fn renew(&self, number: &str, token: &str) {
        self.world.change(|book| {
            let number = book.number(number);
            number.revoked = false;
            token.clone_into(&mut number.token);
        });
    }

    /// Where webhooks are sent in truth: this, and the path of their address.
    pub fn send_webhooks_through(&self, base: &str) {
        self.world.lock().through = Some(base.to_owned());
    }

    /// Enters a number's webhook; whether its address has said the challenge back.
    pub async fn subscribe(&self, number: &str, url: &str, verify_token: &str) -> bool {
        hooks::subscribe(&self.world, number, url, verify_token).await
    }

    /// Somebody does something: `message` as Meta writes it, without its id and who it is from. Answers its id and the webhook's status.
    pub async fn person_does(&self, number: &str, from: &str, message: &Value) -> (String, u16) {
        hooks::bring(&self.world, number, from, "Ana Souza", message).await
    }

    /// Somebody writes; answers the message's id.
    ///
    /// # Panics
    /// When the webhook does not take it.
    pub async fn person_writes(&self, number: &str, from: &str, text: &str) -> String {
        let message = json!({"type": "text", "text": {"body": text}});
        let (wamid, status) = self.person_does(number, from, &message).await;
        assert_eq!(status, 200, "the webhook takes it");
        wamid
    }

    /// Keeps a file that somebody is about to send to a number; its id.
    pub fn keep(&self, number: &str, file: File) -> String {
        self.world.change(|book| files::keep(book, number, file))
    }

    /// How often a file was given.
    pub fn given(&self, id: &str) -> usize {
        self.world.lock().files.get(id).map_or(0, |kept| kept.given)
    }

    /// Brings a message once more; the webhook's status.
    pub async fn redeliver(&self, number: &str, wamid: &str) -> u16 {
        let body = self.world.lock().number(number).brought.get(wamid).cloned();
        let body = body.expect("a message that was brought");
        hooks::post(&self.world, number, &body, Signing::Good).await
    }

    /// Tells what has become of a message, with the code of why it has failed; the webhook's status.
    pub async fn tell(&self, number: &str, wamid: &str, status: &str, code: Option<i64>) -> u16 {
        hooks::tell(&self.world, number, wamid, status, code).await
    }

    /// Brings any body to a number's webhook; the webhook's status.
    pub async fn post(&self, number: &str, body: &str, signing: Signing<'_>) -> u16 {
        hooks::post(&self.world, number, body, signing).await
    }

    /// A day passes: the number may not write to this person any more.
    pub fn close_window(&self, number: &str, from: &str) {
        self.world
            .change(|book| book.number(number).open.remove(&person(from)));
    }

    /// Nobody of this number is to be reached.
    pub fn forget_person(&self, number: &str, from: &str) {
        self.world
            .change(|book| book.number(number).unknown.insert(person(from)));
    }

    /// How much may be said from now on.
    pub fn limit(&self, limits: Limits) {
        self.world.lock().limits = limits;
    }

    /// The next message fails so; said several times, the ones after it as well.
    pub fn fail(&self, failure: Failure) {
        self.world.lock().faults.push_back(failure);
    }

    /// What a number was asked to say, refused or not, in its order.
    pub fn asked(&self, number: &str) -> Vec<Said> {
        self.world.lock().number(number).said.clone()
    }

    /// What a number has said, in its order.
    pub fn said(&self, number: &str) -> Vec<Said> {
        let mut said = self.asked(number);
        said.retain(|said| said.wamid.is_some());
        said
    }

    /// Waits until a number has said so much, for at most twenty seconds, and answers it.
    ///
    /// # Panics
    /// When it has not by then.
    pub async fn await_said(&self, number: &str, count: usize) -> Vec<Said> {
        let enough = |book: &world::Book| {
            let said = book.numbers.get(number).map(|number| number.said.iter());
            said.is_some_and(|said| said.filter(|said| said.wamid.is_some()).count() >= count)
        };
        let reached = self.world.wait(enough).await;
        let said = self.said(number);
        assert!(reached, "said {} of {count}: {said:?}", said.len());
        said
    }
}
