//! A bot that runs shows a code to its own tenant, and a telephone that takes it links the bot.

use fake_whatsapp::{FakeWhatsApp, Handshake};
use serde_json::{Value, json};

use crate::helpers::pictures::scanned;
use crate::helpers::{TestApp, TestTenant};
use crate::{PERSON, SHOP};

/// The program beside a WhatsApp of its own, with a tenant whose bot is linked to no telephone yet.
struct Shop {
    app: TestApp,
    whatsapp: FakeWhatsApp,
    garage: TestTenant,
    path: String,
}

impl Shop {
    async fn start() -> Self {
        let whatsapp = FakeWhatsApp::start().await.expect("a WhatsApp");
        let builder = TestApp::builder().set("channels.whatsapp_url", whatsapp.url());
        let app = builder.start().await;
        let garage = app.onboard("garage", "cars").await;
        let body = json!({"name": "Loja Centro", "channel": "whatsapp_web", "initial_message": "Bem-vindo!"});
        let made = app.post("/api/bots").by(&garage).json(&body).await;
        let id = made.expect(201).json()["id"].clone();
        let shop = Self {
            path: format!("/api/bots/{}", id.as_str().expect("an id")),
            app,
            whatsapp,
            garage,
        };
        shop.until("awaiting_qr").await;
        shop
    }

    async fn until(&self, state: &str) -> Value {
        let read = async || self.app.get(&self.path).by(&self.garage).await.expect(200).json();
        let what = format!("the bot is {state}");
        self.app
            .until(&what, async || read().await["state"] == state)
            .await;
        read().await
    }

    /// It hears and greets, shows no code any more, and comes back without one.
    async fn assert_linked(&self) {
        let bot = self.until("connected").await;
        assert_eq!(bot["username"], format!("+{SHOP}"));
        for name in ["qr", "qr.png", "qr.svg", "pair-code"] {
            let asked = self.app.get(&format!("{}/{name}", self.path)).by(&self.garage);
            asked.await.problem(409, "no_code");
        }
        self.whatsapp.send_text(PERSON, SHOP, "Oi").await.expect("sent");
        let sent = self.whatsapp.until_sent(SHOP, 1).await;
        assert_eq!(
            (sent[0].to.as_str(), sent[0].text.as_str()),
            (PERSON, "Bem-vindo!")
        );
        let again = self.app.post(&format!("{}/reconnect", self.path));
        again.by(&self.garage).await.expect(200);
        self.whatsapp
            .send_text(PERSON, SHOP, "Ainda aí?")
            .await
            .expect("sent");
        self.whatsapp.until_confirmed(SHOP).await;
        assert_eq!(self.whatsapp.logins(SHOP).last(), Some(&Handshake::Ik));
    }
}

#[tokio::test]
async fn a_code_that_is_scanned_links_the_bot() {
    let shop = Shop::start().await;
    let imob = shop.app.onboard("imob", "real_estate").await;
    let path = format!("{}/qr", shop.path);
    let shown = shop.app.get(&path).by(&shop.garage).await.expect(200).json();
    let png = shop.app.get(&format!("{path}.png")).by(&shop.garage).await;
    let code = scanned(&png.expect(200).body);
    assert_eq!(shown["code"], code);
    for path in [path.clone(), format!("{path}.png"), format!("{path}.svg")] {
        shop.app.get(&path).by(&imob).await.problem(404, "not_found");
    }
    shop.whatsapp.scan(&code, SHOP).await.expect("linked");
    shop.assert_linked().await;
}

#[tokio::test]
async fn a_code_that_is_typed_links_the_bot() {
    let shop = Shop::start().await;
    let path = format!("{}/pair-code", shop.path);
    let want = shop.app.post(&path).by(&shop.garage);
    want.json(&json!({"phone": "(11) 98765-0001"})).await.expect(202);
    let read = async || shop.app.get(&path).by(&shop.garage).await;
    shop.app
        .until("there is a code to type", async || read().await.status == 200)
        .await;
    let code = read().await.json()["code"].clone();
    let code = code.as_str().expect("a code");
    let others = shop.whatsapp.enter_code(code, PERSON).await;
    assert!(others.is_err(), "another's telephone");
    shop.whatsapp.enter_code(code, SHOP).await.expect("linked");
    shop.assert_linked().await;
}
