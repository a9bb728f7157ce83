//! The client of WhatsApp on a store in a tenant's schema, against a server that speaks its protocol.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use fake_whatsapp::{FakeWhatsApp, Handshake};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::timeout;
use wacore::store::traits::{Backend, DeviceStore as _};
use whatsapp_rust::bot::{Bot, BotHandle, EventDelivery};
use whatsapp_rust::http::{HttpClient, HttpRequest, HttpResponse};
use whatsapp_rust::prelude::wa;
use whatsapp_rust::transport::TokioWebSocketTransportFactory;
use whatsapp_rust::types::events::Event;
use whatsapp_rust::{Jid, TokioRuntime};

use super::Shop;
use crate::helpers::TestPlatform;

const SHOP: &str = "5511987650001";
const PERSON: &str = "5511987650002";

/// Nothing is downloaded.
struct NoHttp;

#[async_trait]
impl HttpClient for NoHttp {
    async fn execute(&self, request: HttpRequest) -> anyhow::Result<HttpResponse> {
        anyhow::bail!("asked for {}", request.url)
    }
}

async fn soon<T>(what: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(60), what)
        .await
        .expect("it happens within a minute")
}

struct Running {
    handle: BotHandle,
    events: UnboundedReceiver<Arc<Event>>,
}

impl Running {
    async fn start(server: &FakeWhatsApp, store: Arc<dyn Backend>) -> Self {
        let (sender, events) = unbounded_channel();
        let builder = Bot::builder()
            .with_backend_arc(store)
            .with_transport_factory(TokioWebSocketTransportFactory::new().with_url(server.url()))
            .with_http_client(NoHttp)
            .with_runtime(TokioRuntime)
            .with_version((2, 3000, 1))
            .with_event_delivery(EventDelivery::Ordered { capacity: 1000 })
            .on_event(move |event, _| {
                let _stopped = sender.send(event);
                async {}
            });
        let handle = builder.build().await.expect("a client").spawn();
        Self { handle, events }
    }

    async fn until<T>(&mut self, find: impl Fn(&Event) -> Option<T>) -> T {
        let found = async {
            loop {
                let event = self.events.recv().await.expect("it runs");
                if let Some(found) = find(&event) {
                    return found;
                }
            }
        };
        soon(found).await
    }

    async fn text(&mut self) -> String {
        self.until(|event| {
            event
                .messages()
                .find_map(|message| message.message.conversation.clone())
        })
        .await
    }

    async fn send(&self, text: &str) {
        let message = wa::Message {
            conversation: Some(text.to_owned()),
            ..Default::default()
        };
        let client = self.handle.client();
        soon(client.send_message(Jid::pn(PERSON), message))
            .await
            .expect("sent");
    }

    async fn stop(self) {
        soon(self.handle.shutdown()).await;
    }
}

#[tokio::test]
async fn a_linked_client_writes_reads_and_comes_back_without_a_code() {
    let test = TestPlatform::start().await;
    let (admin, shop) = (test.admin().await, Shop::onboard(&test, "garage").await);
    let server = FakeWhatsApp::start().await.expect("a server");
    let bot = shop.bot(&admin).await;
    let store = shop.open(&test, bot).await;
    let device = server.linked_device(SHOP).expect("a device");
    store.save(&device).await.expect("saved");

    let mut client = Running::start(&server, store).await;
    client
        .until(|event| matches!(event, Event::Connected(_)).then_some(()))
        .await;
    server.send_text(PERSON, SHOP, "oi").await.expect("sent");
    assert_eq!(client.text().await, "oi");
    client.send("olá, tudo bem?").await;
    assert_eq!(soon(server.until_sent(SHOP, 1)).await[0].text, "olá, tudo bem?");
    soon(server.until_confirmed(SHOP)).await;
    client.stop().await;
    soon(server.until_gone(SHOP)).await;

    // It was away; another process takes the bot.
    server.send_text(PERSON, SHOP, "ainda aí?").await.expect("sent");
    let mut client = Running::start(&server, shop.open(&test, bot).await).await;
    assert_eq!(client.text().await, "ainda aí?");
    client.send("sim").await;
    assert_eq!(soon(server.until_sent(SHOP, 2)).await[1].text, "sim");
    soon(server.until_confirmed(SHOP)).await;
    client.stop().await;
    assert_eq!(server.logins(SHOP), [Handshake::Ik, Handshake::Ik]);
    assert_eq!(server.retries(), 0);
    // Its 812 prekeys and the conversation are where they belong.
    assert!(shop.rows(&admin, "whatsapp_keys where kind = 'prekey'").await >= 800);
    assert!(shop.rows(&admin, "whatsapp_keys where kind = 'session'").await >= 1);
}
