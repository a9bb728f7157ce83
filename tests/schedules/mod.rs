//! What is said later: at its moment, once, whoever works and whoever dies.

mod broadcasts;
#[cfg(feature = "kill_points")]
mod killed;
mod messages;
mod refused;
mod restored;

use chrono::{DateTime, Utc};
use helixai::domain::clock::Clock;
use helixai::domain::tenant_key::TenantKey;
use helixai::jobs::schedules::Schedules;
use helixai::jobs::{Handler, Jobs};
use helixai::platform::Platform;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::helpers::{TestApp, TestTenant, random_key};
use crate::http::customers::made;

/// A program whose clock stands still, and a tenant with a bot that talks with Ana Lima.
pub struct Shop {
    pub app: TestApp,
    pub tenant: TestTenant,
    pub bot: Uuid,
    pub conversation: Uuid,
    pub key: String,
}

impl Shop {
    /// At this moment.
    pub async fn at(now: &str) -> Self {
        let (clock, key) = (Clock::fixed(now.parse().expect("a time")), random_key());
        let app = TestApp::builder()
            // What is due is done when a test says so.
            .set("server.background_work", false)
            .set("platform.key", &key)
            .clock(clock)
            .start()
            .await;
        let tenant = app.onboard("academia", "general").await;
        let mut shop = Self {
            app,
            tenant,
            bot: Uuid::now_v7(),
            conversation: Uuid::nil(),
            key,
        };
        shop.subscription("active").await;
        let bot = format!(
            "insert into {{}}.instances (id, channel, name, is_active, state, state_changed_at, message_delay_ms, max_attempts,
                 auto_reconnect, created_at, updated_at)
             values ('{}', 'telegram', 'Vendas', true, 'connected', now(), 0, 3, true, now(), now())",
            shop.bot
        );
        shop.run(&bot).await;
        let ana = shop.contact("Ana Lima").await;
        shop.conversation = shop.talk(ana).await;
        shop
    }

    /// What the tenant has paid.
    pub async fn subscription(&self, status: &str) {
        let set = format!(
            "update master.subscriptions set status = '{status}', suspended_at = now() where tenant_id = '{}'",
            self.tenant.id
        );
        self.run(&set).await;
        let key = TenantKey::parse(&self.tenant.key).expect("a key");
        self.app
            .test
            .platform
            .resolver
            .find_fresh(&key)
            .await
            .expect("found");
    }

    /// Runs a statement; `{}` is the tenant's schema.
    pub async fn run(&self, statement: &str) {
        let text = statement.replace("{}", &self.tenant.schema);
        self.app
            .test
            .admin()
            .await
            .batch_execute(&text)
            .await
            .expect("run");
    }

    /// Rows as JSON, each a list of its columns; `{}` is the tenant's schema.
    pub async fn rows(&self, select: &str) -> Value {
        let select = select.replace("{}", &self.tenant.schema);
        let text = format!(
            "select coalesce(jsonb_agg((select jsonb_agg(v.value) from jsonb_each(to_jsonb(r)) v)), '[]')::text from ({select}) r"
        );
        let row = self
            .app
            .test
            .admin()
            .await
            .query_one(&text, &[])
            .await
            .expect("rows");
        serde_json::from_str(row.get(0)).expect("JSON")
    }

    /// How many.
    pub async fn count(&self, from: &str) -> i64 {
        let text = format!("select count(*) from {}", from.replace("{}", &self.tenant.schema));
        self.app
            .test
            .admin()
            .await
            .query_one(&text, &[])
            .await
            .expect("a number")
            .get(0)
    }

    pub async fn contact(&self, name: &str) -> Uuid {
        let contact = made(&self.app, &self.tenant, "/api/contacts", json!({ "name": name })).await;
        contact["id"]
            .as_str()
            .and_then(|id| id.parse().ok())
            .expect("an id")
    }

    /// The bot talks with a contact.
    pub async fn talk(&self, contact: Uuid) -> Uuid {
        let id = Uuid::now_v7();
        let talk = format!(
            "insert into {{}}.conversations (id, contact_id, channel, instance_id, external_id, status, last_message_at, created_at, updated_at)
             values ('{id}', '{contact}', 'telegram', '{}', '{id}', 'open', now(), now(), now())",
            self.bot
        );
        self.run(&talk).await;
        id
    }

    /// Plans a message to Ana.
    pub async fn plan(&self, body: Value) -> Value {
        let mut plan = json!({"conversation_id": self.conversation, "body": "Oi {{primeiro_nome}}"});
        plan.as_object_mut()
            .expect("an object")
            .extend(body.as_object().expect("an object").clone());
        made(&self.app, &self.tenant, "/api/scheduled-messages", plan).await
    }

    pub async fn read(&self, row: &Value) -> Value {
        self.app
            .get(&path_of(row))
            .by(&self.tenant)
            .await
            .expect(200)
            .json()
    }

    pub fn set(&self, now: &str) {
        self.app
            .test
            .clock
            .set(now.parse::<DateTime<Utc>>().expect("a time"));
    }

    /// Does what is due.
    pub async fn work(&self) {
        worker(&self.app.test.platform).work().await.expect("worked");
    }

    /// What was said, in order.
    pub async fn said(&self) -> Value {
        self.rows("select m.body from {}.messages m join {}.outbox o on o.id = m.id and o.state = 'pending' where m.direction = 'outbound' order by m.id").await
    }
}

pub fn path_of(row: &Value) -> String {
    format!("/api/scheduled-messages/{}", row["id"].as_str().expect("an id"))
}

/// A worker that says what is due.
pub fn worker(platform: &Platform) -> Jobs {
    let handlers: Vec<Box<dyn Handler>> = vec![Box::new(Schedules::new(platform))];
    Jobs::new(platform.clone(), handlers)
}
