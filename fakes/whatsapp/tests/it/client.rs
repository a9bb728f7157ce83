//! The client that the product uses, in memory, against the fake.

use std::sync::Arc;
use std::time::Duration;

use fake_whatsapp::FakeWhatsApp;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::timeout;
use wacore::store::InMemoryBackend;
use wacore::store::traits::{Backend, DeviceStore as _};
use whatsapp_rust::bot::{Bot, BotBuilder, BotHandle, EventDelivery, Provided};
use whatsapp_rust::http::{HttpClient, HttpRequest, HttpResponse};
use whatsapp_rust::prelude::wa;
use whatsapp_rust::transport::TokioWebSocketTransportFactory;
use whatsapp_rust::types::events::Event;
use whatsapp_rust::{Jid, TokioRuntime};

/// A client that nothing is to be downloaded for.
struct NoHttp;

#[async_trait::async_trait]
impl HttpClient for NoHttp {
    async fn execute(&self, request: HttpRequest) -> anyhow::Result<HttpResponse> {
        anyhow::bail!("asked for {}", request.url)
    }
}

/// A running client and what it says.
pub struct TestClient {
    pub handle: BotHandle,
    events: UnboundedReceiver<Arc<Event>>,
    seen: Vec<String>,
}

pub type Builder = BotBuilder<Provided, Provided, Provided, Provided>;

/// Waits for something that must happen soon.
pub async fn soon<T>(what: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(60), what)
        .await
        .expect("it happens within a minute")
}

/// A store in which a device is linked to this account.
pub async fn linked(server: &FakeWhatsApp, phone: &str) -> Arc<InMemoryBackend> {
    let backend = Arc::new(InMemoryBackend::new());
    let device = server.linked_device(phone).expect("a device");
    backend.save(&device).await.expect("saved");
    backend
}

impl TestClient {
    /// Starts a client on a store.
    pub async fn start(server: &FakeWhatsApp, backend: Arc<dyn Backend>) -> Self {
        Self::start_with(server, backend, |builder| builder).await
    }

    /// Starts a client with more of a configuration.
    pub async fn start_with(
        server: &FakeWhatsApp,
        backend: Arc<dyn Backend>,
        configure: impl FnOnce(Builder) -> Builder,
    ) -> Self {
        let (sender, events) = unbounded_channel();
        let builder = Bot::builder()
            .with_backend_arc(backend)
            .with_transport_factory(TokioWebSocketTransportFactory::new().with_url(server.url()))
            .with_http_client(NoHttp)
            .with_runtime(TokioRuntime)
            .with_version((2, 3000, 1))
            .with_wanted_pre_key_count(20)
            .with_event_delivery(EventDelivery::Ordered { capacity: 1000 })
            .on_event(move |event, _| {
                let _stopped = sender.send(event);
                async {}
            });
        let bot = configure(builder).build().await.expect("a client");
        Self {
            handle: bot.spawn(),
            events,
            seen: Vec::new(),
        }
    }

    /// A client of a linked device, once it is connected.
    pub async fn connected(server: &FakeWhatsApp, phone: &str) -> Self {
        let mut client = Self::start(server, linked(server, phone).await).await;
        client.until_connected().await;
        client
    }

    /// Waits until the client says that it is connected.
    pub async fn until_connected(&mut self) {
        self.until(|event| matches!(event, Event::Connected(_)).then_some(()))
            .await;
    }

    /// The first event from now on in which something is found.
    pub async fn until<T>(&mut self, find: impl Fn(&Event) -> Option<T>) -> T {
        let waiting = async {
            while let Some(event) = self.events.recv().await {
                self.seen.push(format!("{:?}", event.kind()));
                if let Some(found) = find(&event) {
                    return Some(found);
                }
            }
            None
        };
        match timeout(Duration::from_secs(60), waiting).await {
            Ok(Some(found)) => found,
            outcome => panic!("{outcome:?} after {:?}", self.seen, outcome = outcome.is_ok()),
        }
    }

    /// The next text that arrives: its id, its sender, what it says, and whether it is the account's own.
    pub async fn text(&mut self) -> (String, Jid, String, bool) {
        self.until(|event| {
            event.messages().find_map(|message| {
                let source = &message.info.source;
                let text = message.message.conversation.clone()?;
                let id = message.info.id.clone();
                Some((id, source.sender.clone(), text, source.is_from_me))
            })
        })
        .await
    }

    /// Sends a text to a phone number; returns the message's id.
    pub async fn send(&self, to: &str, text: &str) -> String {
        let message = wa::Message {
            conversation: Some(text.to_owned()),
            ..Default::default()
        };
        let client = self.handle.client();
        let sent = soon(client.send_message(Jid::pn(to), message)).await;
        sent.expect("sent").message_id
    }

    /// Stops the client in order.
    pub async fn stop(self) {
        soon(self.handle.shutdown()).await;
    }

    /// Waits until the client has given up by itself.
    pub async fn gave_up(self) {
        soon(self.handle).await;
    }
}
