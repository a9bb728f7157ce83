//! A shop with an account at a fake gateway, and the adapter that speaks to it.

use std::time::Duration;

use chrono::{DateTime, Utc};
use helixai::billing::gateways::{Credentials, Endpoints, Gateway, Gateways, Payer, PayerName, PaymentOrder};
use helixai::domain::document::Document;
use helixai::domain::email::Email;
use helixai::domain::money::Cents;
use helixai::domain::payment::{GatewayKind, PaymentMethod};
use helixai_fakes::gateways::{Account, FakeGateway, Kind};
use serde_json::{Value, json};
use uuid::Uuid;

/// What the gateway knows of the shop.
pub const COLLECTOR: u64 = 99_001;
/// Long enough for Asaas.
pub const SECRET: &str = "whsec_the-secret-of-the-webhooks-0001";

/// A shop.
pub struct Shop {
    pub fake: FakeGateway,
    pub gateway: Box<dyn Gateway>,
    pub kind: GatewayKind,
}

/// An instant for everything that must not depend on today.
pub fn noon() -> DateTime<Utc> {
    "2026-03-10T12:00:00Z".parse().expect("a time")
}

pub fn cents(cents: i64) -> Cents {
    Cents::parse(cents).expect("an amount")
}

impl Shop {
    /// One that waits for a gateway like the program does.
    pub fn open(kind: GatewayKind) -> Self {
        Self::patient(kind, Duration::from_secs(10), Duration::from_secs(3))
    }

    /// One that waits for so long, and repeats for so long.
    pub fn patient(kind: GatewayKind, timeout: Duration, patience: Duration) -> Self {
        let fake = FakeGateway::start(fake_kind(kind)).expect("a free port");
        fake.set_time(noon());
        fake.add_account(account("sk_shop", COLLECTOR));
        let gateway = connect(&fake.url(), kind, "sk_shop", timeout, patience);
        Self { fake, gateway, kind }
    }

    /// Another account at the same gateway, with the same manners.
    pub fn neighbour(&self) -> Box<dyn Gateway> {
        self.fake.add_account(account("sk_neighbour", COLLECTOR + 1));
        self.with_key("sk_neighbour")
    }

    /// The same gateway with another key.
    pub fn with_key(&self, key: &str) -> Box<dyn Gateway> {
        let wait = Duration::from_secs(3);
        connect(&self.fake.url(), self.kind, key, wait, wait)
    }

    /// How this gateway is paid, in the way that all that is written here is about.
    pub fn method(&self) -> PaymentMethod {
        match self.kind {
            GatewayKind::Stripe => PaymentMethod::Checkout,
            GatewayKind::MercadoPago | GatewayKind::Asaas => PaymentMethod::Pix,
        }
    }

    /// The call that makes a payment in that way.
    pub fn create_call(&self) -> &'static str {
        match self.kind {
            GatewayKind::MercadoPago => "POST /v1/payments",
            GatewayKind::Stripe => "POST /v1/checkout/sessions",
            GatewayKind::Asaas => "POST /v3/payments",
        }
    }

    pub fn order(&self, amount: i64) -> PaymentOrder {
        order(self.method(), amount)
    }
}

pub fn fake_kind(kind: GatewayKind) -> Kind {
    match kind {
        GatewayKind::MercadoPago => Kind::MercadoPago,
        GatewayKind::Stripe => Kind::Stripe,
        GatewayKind::Asaas => Kind::Asaas,
    }
}

pub fn account(key: &str, collector: u64) -> Account {
    Account {
        key: key.to_owned(),
        webhook_secret: SECRET.to_owned(),
        collector,
        webhook_url: None,
    }
}

pub fn credentials(kind: GatewayKind, key: &str) -> Credentials {
    let [key_name, webhook_name] = Credentials::fields(kind);
    let object: Value = json!({ key_name: key, webhook_name: SECRET });
    Credentials::parse(kind, object.as_object().expect("an object")).expect("credentials")
}

/// All gateways at this address: only one of them is asked.
pub fn gateways(url: &str, timeout: Duration, patience: Duration) -> Gateways {
    let endpoints = Endpoints {
        mercado_pago: url.to_owned(),
        stripe: url.to_owned(),
        asaas: url.to_owned(),
        stripe_version: "2024-06-20".to_owned(),
        timeout,
        patience,
    };
    Gateways::new(endpoints).expect("TLS")
}

pub fn connect(
    url: &str,
    kind: GatewayKind,
    key: &str,
    timeout: Duration,
    patience: Duration,
) -> Box<dyn Gateway> {
    gateways(url, timeout, patience).connect(&credentials(kind, key))
}

pub fn order(method: PaymentMethod, amount: i64) -> PaymentOrder {
    PaymentOrder {
        reference: Uuid::now_v7(),
        idempotency_key: Uuid::now_v7(),
        method,
        amount: cents(amount),
        description: "Plano Pro, março".to_owned(),
        payer: Payer {
            name: PayerName::new("Ana Maria Souza"),
            email: Email::parse("ana@garage-alpha.com.br").expect("an address"),
            document: Some(Document::parse("52998224725").expect("a document")),
        },
        notification_url: None,
        return_url: "https://garage-alpha.example/conta".to_owned(),
        expires_at: noon() + chrono::Duration::days(1),
        due_date: noon().date_naive(),
        save_card: false,
    }
}
