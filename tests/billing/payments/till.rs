//! A platform that collects through a loopback Mercado Pago which really sends its webhooks, and a client that is to pay.

use chrono::{TimeDelta, Utc};
use helixai::domain::clock::Clock;
use helixai::domain::payment::GatewayKind;
use helixai_fakes::gateways::payment::Method;
use helixai_fakes::gateways::{Account, Delivery, FakeGateway, Kind, Mode, Payment};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::helpers::{Call, TestApp, random_key};

/// Where the tests' platform is served: the gateways' webhooks find it there.
pub const HOST: &str = "localhost";
pub const WEBHOOK_SECRET: &str = "a-secret-of-webhooks-that-nobody-guesses";

/// Mercado Pago's number of the platform's account.
pub const COLLECTOR: u64 = 77_001;

pub struct Till {
    pub app: TestApp,
    pub clock: Clock,
    pub platform_key: String,
    pub gateway: FakeGateway,
    pub kind: GatewayKind,
    /// The platform's account, which is also its hook.
    pub account: Uuid,
    pub client: Client,
}

/// A tenant, as far as paying goes.
#[derive(Clone)]
pub struct Client {
    pub key: String,
    pub id: Uuid,
    pub owner: String,
}

/// What a gateway's account is opened with.
pub fn credentials(kind: Kind, key: &str) -> Value {
    match kind {
        Kind::MercadoPago => json!({"access_token": key, "webhook_secret": WEBHOOK_SECRET}),
        Kind::Stripe => json!({"secret_key": key, "webhook_secret": "whsec_nobody_guesses"}),
        Kind::Asaas => json!({"api_key": key, "webhook_token": "t".repeat(40)}),
    }
}

/// The account as the gateway knows it.
pub fn account_at(kind: Kind, key: &str, collector: u64, webhook_url: Option<String>) -> Account {
    let credentials = credentials(kind, key);
    let secret = credentials
        .get("webhook_secret")
        .or(credentials.get("webhook_token"));
    Account {
        key: key.to_owned(),
        webhook_secret: secret.and_then(Value::as_str).expect("a secret").to_owned(),
        collector,
        webhook_url,
    }
}

pub fn word(kind: Kind) -> (GatewayKind, &'static str) {
    match kind {
        Kind::MercadoPago => (GatewayKind::MercadoPago, "mercado-pago"),
        Kind::Stripe => (GatewayKind::Stripe, "stripe"),
        Kind::Asaas => (GatewayKind::Asaas, "asaas"),
    }
}

pub const KEY: &str = "sk_test_platform";

impl Till {
    /// With a Mercado Pago.
    pub async fn open() -> Self {
        Self::open_at(Kind::MercadoPago, true).await
    }

    /// Without the background's own turns: only what a test asks for happens.
    pub async fn open_by_hand() -> Self {
        Self::open_at(Kind::MercadoPago, false).await
    }

    pub async fn open_at(kind: Kind, by_itself: bool) -> Self {
        let (clock, platform_key) = (Clock::fixed(Utc::now()), random_key());
        let gateway = FakeGateway::start(kind).expect("a gateway");
        gateway.add_account(account_at(kind, KEY, COLLECTOR, None));
        let (word, path) = word(kind);
        let app = TestApp::builder()
            .clock(clock.clone())
            .set("platform.key", &platform_key)
            .set("server.base_domain", HOST)
            .set("server.background_work", by_itself)
            .set(&format!("gateways.{}_url", word.as_str()), gateway.url())
            .set("gateways.timeout_ms", 2000)
            .set("gateways.patience_ms", 300)
            .start()
            .await;
        let mut till = Self {
            client: Client {
                key: String::new(),
                id: Uuid::nil(),
                owner: String::new(),
            },
            app,
            clock,
            platform_key,
            gateway,
            kind: word,
            account: Uuid::nil(),
        };
        till.account = till.add_account("gateway-accounts", kind, KEY).await;
        let hook = format!(
            "http://{HOST}:{}/hooks/{path}/{}",
            till.app.address.port(),
            till.account
        );
        till.gateway
            .add_account(account_at(kind, KEY, COLLECTOR, Some(hook)));
        till.client = till.onboard("garage").await;
        till
    }

    pub fn call(&self, method: reqwest::Method, path: &str) -> Call {
        self.app.call(method, path).host(HOST)
    }

    pub fn post(&self, path: &str) -> Call {
        self.call(reqwest::Method::POST, path)
    }

    /// As the administrator.
    pub fn admin(&self, method: reqwest::Method, path: &str) -> Call {
        self.call(method, path).bearer(&self.app.admin.token)
    }

    /// As the owner of the client.
    pub fn owner(&self, method: reqwest::Method, path: &str) -> Call {
        self.call(method, path)
            .header("x-tenant-key", &self.client.key)
            .bearer(&self.client.owner)
    }

    async fn add_account(&self, path: &str, kind: Kind, key: &str) -> Uuid {
        let (word, _) = word(kind);
        let body =
            json!({"gateway": word, "name": "Conta da plataforma", "credentials": credentials(kind, key)});
        let call = self.admin(reqwest::Method::POST, &format!("/api/admin/{path}"));
        let made = call.json(&body).await.expect(201).json();
        id_of(&made["id"])
    }

    /// Another client of the platform.
    pub async fn onboard(&self, key: &str) -> Client {
        let call = self.admin(reqwest::Method::POST, "/api/admin/tenants");
        let mut form = TestApp::onboarding(key, "cars");
        form["document"] = json!("529.982.247-25");
        let made = call.json(&form).await.expect(201).json();
        let login = json!({"email": made["owner"]["email"], "password": made["owner"]["temporary_password"]});
        let call = self.post("/api/sessions").header("x-tenant-key", key);
        let session = call.json(&login).await.expect(201).json();
        Client {
            key: key.to_owned(),
            id: id_of(&made["id"]),
            owner: session["token"].as_str().expect("a token").to_owned(),
        }
    }

    /// Asks for the ways to pay.
    pub async fn check_out(&self, body: &Value) -> Value {
        let call = self.owner(reqwest::Method::POST, "/api/checkout");
        call.json(body).await.expect(200).json()
    }

    /// The client's PIX, placed: invoice, charge, and the payment at the gateway.
    pub async fn pix(&self) -> (Uuid, Uuid, Payment) {
        let answer = self.check_out(&json!({"method": "pix"})).await;
        assert!(answer["pix_code"].is_string(), "{answer}");
        let charge = id_of(&answer["charges"][0]["id"]);
        let payment = self.gateway.payment(&charge.to_string());
        (id_of(&answer["invoice"]["id"]), charge, payment)
    }

    /// Webhooks are sent when a test says so.
    pub fn hold_webhooks(&self) {
        self.gateway.deliver(Delivery {
            mode: Mode::Held,
            ..Delivery::default()
        });
    }

    /// Does all that is due now.
    pub async fn work(&self) -> usize {
        let payments = &self.app.test.platform.payments;
        payments.work(self.kind).await.expect("worked")
    }

    /// Moves time, here and at the gateway.
    pub fn advance(&self, by: TimeDelta) {
        self.clock.advance(by);
        self.gateway.set_time(self.clock.now());
    }

    pub async fn column<T: for<'a> tokio_postgres::types::FromSql<'a>>(&self, sql: &str, id: Uuid) -> T {
        let admin = self.app.test.admin().await;
        let row = admin.query_one(sql, &[&id]).await;
        row.unwrap_or_else(|error| panic!("{sql}: {error:?}")).get(0)
    }

    pub async fn invoice_status(&self, invoice: Uuid) -> String {
        self.column("select status from master.invoices where id = $1", invoice)
            .await
    }

    pub async fn charge_status(&self, charge: Uuid) -> String {
        self.column("select status from master.charges where id = $1", charge)
            .await
    }

    pub async fn subscription_status(&self, tenant: Uuid) -> String {
        self.column(
            "select status from master.subscriptions where tenant_id = $1 and status <> 'canceled'",
            tenant,
        )
        .await
    }

    /// Kind and cents of what is booked of an invoice, but that it was issued.
    pub async fn ledger(&self, invoice: Uuid) -> Vec<(String, i64)> {
        let admin = self.app.test.admin().await;
        let rows = admin
            .query(
                "select kind, amount_cents from master.ledger_entries where invoice_id = $1 and kind <> 'invoiced' order by id",
                &[&invoice],
            )
            .await
            .expect("entries");
        rows.iter().map(|row| (row.get(0), row.get(1))).collect()
    }

    /// What somebody has to look at.
    pub async fn findings(&self) -> Vec<String> {
        let admin = self.app.test.admin().await;
        let rows = admin
            .query("select kind from master.payment_findings order by kind", &[])
            .await
            .expect("findings");
        rows.iter().map(|row| row.get(0)).collect()
    }

    /// How many events are stored, and how many of them are done.
    pub async fn events(&self) -> (i64, i64) {
        let admin = self.app.test.admin().await;
        let row = admin
            .query_one(
                "select count(*), count(*) filter (where state = 'done') from master.gateway_events",
                &[],
            )
            .await
            .expect("events");
        (row.get(0), row.get(1))
    }

    /// Waits until an invoice is in this state.
    pub async fn until_invoice(&self, invoice: Uuid, status: &str) {
        self.app
            .until(&format!("the invoice is {status}"), || async {
                self.invoice_status(invoice).await == status
            })
            .await;
    }

    /// The one charge of the client that is no page.
    pub async fn only_charge(&self) -> Uuid {
        self.column(
            "select id from master.charges where tenant_id = $1 and method <> 'checkout'",
            self.client.id,
        )
        .await
    }

    /// All PIX at the gateway.
    pub fn pix_payments(&self) -> Vec<Payment> {
        let all = self.gateway.payments().into_iter();
        all.filter(|payment| payment.method == Method::Pix).collect()
    }

    /// How often Mercado Pago was asked to make a PIX.
    pub fn creates(&self) -> usize {
        self.gateway.asked("POST /v1/payments")
    }
}

pub fn id_of(value: &Value) -> Uuid {
    let text = value.as_str().unwrap_or_else(|| panic!("no id: {value}"));
    text.parse().expect("an id")
}

/// What was paid, booked.
pub fn paid(cents: i64) -> (String, i64) {
    ("paid".to_owned(), -cents)
}
