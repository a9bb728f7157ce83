//! Bots of all tenants, and the loopback servers that they are connected to.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use fake_whatsapp::FakeWhatsApp;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use helixai::channels::whatsapp_web::store::Store;
use helixai::domain::ids::InstanceId;
use helixai_fakes::telegram::FakeTelegram;
use reqwest::Method;
use serde_json::json;
use wacore::store::traits::DeviceStore as _;

use crate::place::{Place, Tenant};
use crate::program::{AT_ONCE, Program};

/// The longest wait for anything, before it is given up.
const PATIENCE: Duration = Duration::from_secs(600);
const LOOK: Duration = Duration::from_millis(20);

/// The providers, and who is connected to them.
pub struct Bots {
    pub telegram: FakeTelegram,
    pub whatsapp: FakeWhatsApp,
    /// Tokens of Telegram's bots.
    pub tokens: Vec<String>,
    /// Numbers of WhatsApp's sessions.
    pub phones: Vec<String>,
}

impl Bots {
    pub async fn start() -> anyhow::Result<Self> {
        Ok(Self {
            telegram: FakeTelegram::start().await?,
            whatsapp: FakeWhatsApp::start().await?,
            tokens: Vec::new(),
            phones: Vec::new(),
        })
    }

    /// What leads the program to them.
    pub fn settings(&self) -> Vec<(String, String)> {
        vec![
            ("channels.telegram_url".to_owned(), self.telegram.url()),
            ("channels.whatsapp_url".to_owned(), self.whatsapp.url()),
            ("channels.whatsapp_version".to_owned(), "2.3000.1".to_owned()),
        ]
    }

    /// Makes bots of Telegram until there are so many, and waits until all of them hear.
    pub async fn make_telegram(
        &mut self,
        program: &Program,
        tenants: &[Tenant],
        count: usize,
    ) -> anyhow::Result<()> {
        let there = self.tokens.len();
        let token = |number| format!("{}:AA{}", 100_000_000 + number, "x".repeat(33));
        self.tokens.extend((there..count).map(token));
        let all = self.tokens.iter().zip(tenants.iter().cycle()).enumerate();
        stream::iter(all.skip(there))
            .map(|(number, (token, tenant))| {
                self.telegram.add_bot(token, &format!("loja_{number}_bot"));
                let body = json!({
                    "name": "Vendas", "token": token, "initial_message": "Bem-vindo!", "vip_link": "https://t.me/+vip",
                });
                program.call(tenant, Method::POST, "/api/bots", Some(body))
            })
            .buffer_unordered(AT_ONCE)
            .try_for_each(|_| std::future::ready(Ok(())))
            .await?;
        until("bots hear", count, || self.telegram.polled_bots()).await
    }

    /// Makes so many bots of WhatsApp that are linked already, and waits until all of them are connected.
    pub async fn make_whatsapp(
        &mut self,
        place: &Place,
        program: &Program,
        tenants: &[Tenant],
        count: usize,
    ) -> anyhow::Result<()> {
        self.phones = (0..count)
            .map(|number| format!("55119{:08}", 10_000_000 + number))
            .collect();
        stream::iter(self.phones.iter().zip(tenants.iter().cycle()))
            .map(|(phone, tenant)| self.link(place, program, tenant, phone))
            .buffer_unordered(AT_ONCE)
            .try_for_each(|()| std::future::ready(Ok(())))
            .await?;
        until("sessions are connected", count, || {
            self.whatsapp.connected_accounts()
        })
        .await
    }

    async fn link(
        &self,
        place: &Place,
        program: &Program,
        tenant: &Tenant,
        phone: &str,
    ) -> anyhow::Result<()> {
        let body = json!({
            "name": "Loja Centro", "channel": "whatsapp_web", "is_active": false, "initial_message": "Bem-vindo!",
            "vip_link": "https://vip.example",
        });
        let bot = program
            .call(tenant, Method::POST, "/api/bots", Some(body))
            .await?;
        let id = bot.get("id").and_then(|id| id.as_str()).context("an id")?;
        let instance: InstanceId = id.parse().map_err(|_| anyhow::anyhow!("an id: {id}"))?;
        let channels = &place.platform.channels;
        let db = channels.db(tenant.id).await?.context("a tenant that is served")?;
        let (key, clock) = (channels.key.clone(), channels.clock.clone());
        let store = Store::open(db, key, tenant.id, instance, clock).await?;
        store.save(&self.whatsapp.linked_device(phone)?).await?;
        let path = format!("/api/bots/{id}/reconnect");
        program.call(tenant, Method::POST, &path, None).await.map(|_| ())
    }
}

/// Waits until there are so many.
pub async fn until(what: &str, wanted: usize, count: impl Fn() -> usize) -> anyhow::Result<()> {
    let begun = Instant::now();
    while count() < wanted {
        if begun.elapsed() > PATIENCE {
            bail!("{} of {wanted}: {what}", count());
        }
        tokio::time::sleep(LOOK).await;
    }
    Ok(())
}
