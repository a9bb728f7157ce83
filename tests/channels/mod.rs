//! Bots, heard and spoken through loopback servers of their providers.
//!
//! What users of other systems have suffered, and which test holds it off here:
//!
//! | row | complaint | test |
//! |---|---|---|
//! | 1 | two quick messages run twice, or are dropped | [`telegram`] `many_quick_messages_of_one_contact_are_handled_once_and_in_order`, [`whatsapp_cloud`] `hearing::fifty_at_once_are_each_handled_once` |
//! | 2 | a provider delivers again | [`whatsapp_cloud`] `hearing::what_is_delivered_again_has_one_effect` (two processes), [`telegram`] the same |
//! | 3 | what was noted as done before it was done is lost | [`killed`] `killed_anywhere_nothing_is_lost` |
//! | 4 | lost with a restart | [`killed`] `killed_in_a_burst_nothing_is_lost` |
//! | 5 | "connected", but silent | [`silent`] |
//! | 6 | one call, many messages | [`outbound`] `the_same_request_ten_times_is_one_message`, [`whatsapp_web`] `a_number_is_written_to_once_whoever_has_it` |
//! | 7 | a schedule fires twice | `tests/schedules/messages.rs` `two_schedulers_at_once_say_it_once` |
//! | 9 | an album of somebody new is several conversations | [`telegram`] `an_album_of_somebody_new_is_one_conversation` |
//! | 10 | with and without the ninth digit is two contacts | [`whatsapp_cloud`] `hearing::a_number_with_and_without_its_ninth_digit_is_one_person`, [`whatsapp_web`] `one_person_is_one_contact_whatever_they_are_called` |
//! | 11 | a backlog comes out of order | [`killed`] `killed_in_a_burst_nothing_is_lost` (heard), [`outbound`] `what_is_said_leaves_in_order` |
//! | 13 | the bot talks over a person | [`telegram`] `a_person_who_answers_silences_the_bot`, [`whatsapp_web`] `what_the_owner_writes_on_the_telephone_silences_the_bot` |

mod assistant;
mod bots;
mod holding;
mod killed;
mod media;
mod opting;
mod outbound;
#[cfg(feature = "whatsapp_web")]
mod session_backups;
mod silent;
mod telegram;
mod tokens;
mod whatsapp_cloud;
#[cfg(feature = "whatsapp_web")]
mod whatsapp_files;
#[cfg(feature = "whatsapp_web")]
mod whatsapp_store;
#[cfg(feature = "whatsapp_web")]
mod whatsapp_web;

use helixai_fakes::telegram::{FakeTelegram, Limits};
use serde_json::{Value, json};

use crate::helpers::{AppBuilder, TestApp, TestTenant};

/// The program beside a Telegram of its own.
pub struct Bots {
    pub app: TestApp,
    pub telegram: FakeTelegram,
}

impl Bots {
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    pub async fn start_with(settings: &[(&str, &str)]) -> Self {
        let telegram = FakeTelegram::start().await.expect("a Telegram");
        Self::start_on(telegram, settings).await
    }

    pub async fn start_on(telegram: FakeTelegram, settings: &[(&str, &str)]) -> Self {
        Self::start_from(TestApp::builder(), telegram, settings).await
    }

    pub async fn start_from(builder: AppBuilder, telegram: FakeTelegram, settings: &[(&str, &str)]) -> Self {
        telegram.limit(Limits::off());
        let mut builder = builder.set("channels.telegram_url", telegram.url());
        for (key, value) in settings {
            builder = builder.set(key, value);
        }
        Self {
            app: builder.start().await,
            telegram,
        }
    }

    /// Makes a bot that greets, and waits until it hears.
    pub async fn greeting(&self, tenant: &TestTenant, number: u32) -> (Value, String) {
        let token = token(number);
        self.telegram.add_bot(&token, &format!("loja_{number}_bot"));
        let bot = self.make(tenant, &token).await;
        assert!(self.telegram.await_polled(&token, true).await, "it hears");
        (bot, token)
    }

    /// A plan with more than one bot.
    pub async fn grow(&self, tenant: &TestTenant) {
        let set = "update master.subscriptions set plan_version_id = '01900000-0000-7000-8000-000000000102'";
        self.app
            .test
            .admin()
            .await
            .batch_execute(set)
            .await
            .expect("changed");
        self.app.test.platform.resolver.changed(&tenant.key);
    }

    pub async fn make(&self, tenant: &TestTenant, token: &str) -> Value {
        let body = json!({
            "name": "Vendas", "token": token, "initial_message": "Bem-vindo!", "vip_link": "https://t.me/+vip",
        });
        let call = self.app.post("/api/bots").by(tenant).json(&body);
        call.await.expect(201).json()
    }

    /// Waits until a bot is in this state; answers it.
    pub async fn await_state(&self, tenant: &TestTenant, bot: &Value, state: &str) -> Value {
        let path = path_of(bot);
        let app = &self.app;
        let read = async || app.get(&path).by(tenant).await.expect(200).json();
        app.until(&format!("the bot is {state}"), async || {
            read().await["state"] == state
        })
        .await;
        read().await
    }

    /// Rows of a tenant's schema, as JSON.
    pub async fn rows(&self, tenant: &TestTenant, select: &str) -> Vec<Value> {
        let admin = self.app.test.admin().await;
        let path = format!("set search_path = {}", tenant.schema);
        admin.batch_execute(&path).await.expect("a schema");
        let rows = admin.query(select, &[]).await.expect("rows");
        rows.iter().map(|row| row.get(0)).collect()
    }

    /// Waits until a query of a tenant's schema answers this.
    pub async fn await_rows(&self, tenant: &TestTenant, select: &str, expected: Value) {
        let what = format!("{select} is {expected}");
        self.app
            .until(&what, async || json!(self.rows(tenant, select).await) == expected)
            .await;
    }
}

pub fn path_of(bot: &Value) -> String {
    format!("/api/bots/{}", bot["id"].as_str().expect("an id"))
}

/// A token as BotFather would give it.
pub fn token(number: u32) -> String {
    format!("{}:AA{}", 100_000_000 + number, "x".repeat(33))
}
