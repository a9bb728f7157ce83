//! Numbers of WhatsApp's Cloud API, beside a Graph API of their own.

mod files;
mod hearing;
mod hooks;
mod receipts;
mod speaking;

use helixai_fakes::whatsapp_cloud::FakeCloud;
use serde_json::{Value, json};

use super::{Bots, path_of};
use crate::helpers::TestTenant;

/// Somebody, as WhatsApp has known the number for long.
pub const ANA: &str = "551187654321";
/// The same number, as it is dialled today.
pub const ANA_TODAY: &str = "5511987654321";

/// What has become of what was said.
pub const STATES: &str =
    "select jsonb_build_array(body, status, error) from messages where direction = 'outbound' order by id";
/// What was heard.
pub const HEARD: &str = "select to_jsonb(body) from messages where direction = 'inbound' order by id";

/// The program beside a Graph API.
pub struct Numbers {
    pub bots: Bots,
    pub cloud: FakeCloud,
}

/// A number that hears.
pub struct Number {
    /// Of Meta's.
    pub id: String,
    pub secret: String,
    /// The bot, as it was answered when it was made.
    pub bot: Value,
}

impl Number {
    pub fn instance(&self) -> &str {
        self.bot["id"].as_str().expect("an id")
    }

    pub fn hook(&self) -> &str {
        self.bot["webhook"]["url"].as_str().expect("an address")
    }

    pub fn verify_token(&self) -> &str {
        self.bot["webhook"]["verify_token"].as_str().expect("a token")
    }
}

pub fn number_id(number: u32) -> String {
    format!("{}", 106_540_352_000_000_u64 + u64::from(number))
}

pub fn body(number: u32, secret: &str) -> Value {
    json!({
        "channel": "whatsapp_cloud", "name": "Vendas", "phone_number_id": number_id(number), "access_token": format!("EAAJB-token-of-{number}"),
        "app_secret": secret, "initial_message": "Bem-vindo!", "vip_link": "https://t.me/+vip",
    })
}

impl Numbers {
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    pub async fn start_with(settings: &[(&str, &str)]) -> Self {
        let cloud = FakeCloud::start().await.expect("a Graph API");
        let url = cloud.url();
        let mut settings = settings.to_vec();
        settings.push(("channels.whatsapp_cloud_url", &url));
        let bots = Bots::start_with(&settings).await;
        cloud.send_webhooks_through(&format!("http://{}", bots.app.address));
        Self { bots, cloud }
    }

    /// Makes a number that greets, enters its webhook, and waits until it is connected.
    pub async fn greeting(&self, tenant: &TestTenant, number: u32) -> Number {
        self.greeting_of(tenant, number, &format!("the-secret-of-application-{number}"))
            .await
    }

    /// The same, of an application of this secret.
    pub async fn greeting_of(&self, tenant: &TestTenant, number: u32, secret: &str) -> Number {
        let (id, body) = (number_id(number), body(number, secret));
        let token = body["access_token"].as_str().expect("a token");
        self.cloud.add_number(&id, token, secret);
        let call = self.bots.app.post("/api/bots").by(tenant).json(&body);
        let bot = call.await.expect(201).json();
        let number = Number {
            id,
            secret: secret.to_owned(),
            bot,
        };
        let entered = self
            .cloud
            .subscribe(&number.id, number.hook(), number.verify_token());
        assert!(entered.await, "the webhook says the challenge back");
        self.bots.await_state(tenant, &number.bot, "connected").await;
        number
    }

    /// A conversation in which Ana was greeted: where its messages are.
    pub async fn conversation(&self, tenant: &TestTenant, number: &Number) -> String {
        let before = self.cloud.said(&number.id).len();
        self.cloud.person_writes(&number.id, ANA, "Oi").await;
        self.cloud.await_said(&number.id, before + 1).await;
        let sent = "select to_jsonb(count(*)) from messages where direction = 'outbound' and status = 'sent'";
        self.bots.await_rows(tenant, sent, json!([before + 1])).await;
        let inbox = self.bots.app.get("/api/conversations").by(tenant);
        let inbox = inbox.await.expect(200).json();
        format!(
            "/api/conversations/{}/messages",
            inbox["items"][0]["id"].as_str().expect("an id")
        )
    }

    pub async fn say(&self, tenant: &TestTenant, path: &str, words: &str) -> Value {
        let call = self
            .bots
            .app
            .post(path)
            .by(tenant)
            .json(&json!({ "body": words }));
        call.await.expect(201).json()
    }

    /// Waits until so many messages are booked, and nothing is reserved.
    pub async fn await_booked(&self, tenant: &TestTenant, count: usize) {
        let app = &self.bots.app;
        app.until(&format!("{count} messages are booked"), async || {
            let usage = app.get("/api/usage").by(tenant).await.expect(200).json();
            usage["meters"][0]["used"] == count && usage["meters"][0]["reserved"] == 0
        })
        .await;
    }

    pub async fn put(&self, tenant: &TestTenant, bot: &Value, body: &Value) -> crate::helpers::Answer {
        self.bots.app.put(&path_of(bot)).by(tenant).json(body).await
    }
}
