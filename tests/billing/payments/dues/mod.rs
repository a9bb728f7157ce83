//! The tenants' own customers pay by PIX, to the tenants' own accounts.

mod accounts;
mod killed;
mod reminded;
mod restored;
mod taken_back;
mod waits;
mod walk;
mod whose;

use chrono::TimeDelta;
use helixai::domain::tenant_key::TenantKey;
use helixai::jobs::{Handler, Jobs, customers, due_charges};
use helixai_fakes::gateways::{Change, Kind, Payment};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use super::till::{Client, Till, account_at, credentials, id_of};
use crate::helpers::{Answer, Call};

/// What opens the first tenant's account.
pub const KEY: &str = "APP_USR-academia";

/// A tenant with an account of its own, beside a platform that collects, too.
pub struct Desk {
    pub till: Till,
    pub client: Client,
    /// The tenant's account, as it is shown.
    pub account: Value,
}

impl Desk {
    pub async fn open() -> Self {
        Self::at(Till::open_by_hand().await).await
    }

    pub async fn at(till: Till) -> Self {
        let client = till.client.clone();
        let account = connect(&till, &client, KEY, 500).await;
        Self {
            till,
            client,
            account,
        }
    }

    /// Another tenant, which may work.
    pub async fn other(&self, key: &str) -> Client {
        let other = self.till.onboard(key).await;
        let paid = format!(
            "update master.subscriptions set status = 'active' where tenant_id = '{}'",
            other.id
        );
        let test = &self.till.app.test;
        test.admin().await.batch_execute(&paid).await.expect("paid");
        let key = TenantKey::parse(key).expect("a key");
        test.platform.resolver.find_fresh(&key).await.expect("found");
        other
    }

    pub fn call(&self, method: Method, path: &str) -> Call {
        of(&self.till, &self.client, method, path)
    }

    pub fn get(&self, path: &str) -> Call {
        self.call(Method::GET, path)
    }

    pub fn post(&self, path: &str, body: &Value) -> Call {
        self.call(Method::POST, path).json(body)
    }

    pub async fn made(&self, path: &str, body: Value) -> Value {
        self.post(path, &body).await.expect(201).json()
    }

    /// A due of a customer of their own, in two days.
    pub async fn due(&self, cents: i64) -> Uuid {
        due_of(&self.till, &self.client, cents).await
    }

    pub fn ask(&self, due: Uuid) -> Call {
        self.call(Method::POST, &format!("/api/dues/{due}/charge"))
    }

    /// The due's charge, made if there is none: its id, and all of it.
    pub async fn charge(&self, due: Uuid) -> (Uuid, Value) {
        let charge = self.ask(due).await.expect(201).json();
        assert!(charge["pix_code"].is_string(), "{charge}");
        (id_of(&charge["id"]), charge)
    }

    pub fn payment(&self, charge: Uuid) -> Payment {
        self.till.gateway.payment(&charge.to_string())
    }

    /// What customers were asked for at the tenant's account.
    pub fn payments(&self) -> Vec<Payment> {
        let all = self.till.pix_payments().into_iter();
        all.filter(|payment| payment.account == KEY).collect()
    }

    pub async fn pay(&self, charge: Uuid) {
        self.change(charge, Change::Pay).await;
    }

    pub async fn change(&self, charge: Uuid, change: Change) {
        let payment = self.payment(charge);
        let changed = self.till.gateway.change(&payment.id, change).await;
        changed.expect("changed");
    }

    pub async fn shown(&self, due: Uuid) -> Value {
        self.get(&format!("/api/dues/{due}")).await.expect(200).json()
    }

    /// State, what was paid, and how many lines say so.
    pub async fn state(&self, due: Uuid) -> (String, i64, usize) {
        let shown = self.shown(due).await;
        (
            shown["status"].as_str().expect("a word").to_owned(),
            shown["paid_cents"].as_i64().expect("cents"),
            shown["payments"].as_array().expect("a list").len(),
        )
    }

    /// How many charges of a due there are, by how far they have come.
    pub async fn charges(&self, due: Uuid) -> Vec<String> {
        let admin = self.till.app.test.admin().await;
        let select = "select status from master.charges where subject_id = $1 order by attempt";
        let rows = admin.query(select, &[&due]).await.expect("charges");
        rows.iter().map(|row| row.get(0)).collect()
    }

    /// Whether the tenant's schema has all that the registry knows of a charge.
    pub async fn applied(&self, charge: Uuid) -> bool {
        self.till
            .column(
                "select applied_at is not null from master.charges where id = $1",
                charge,
            )
            .await
    }

    /// Does what is due now, of the tenants' queues.
    pub async fn jobs(&self) {
        let platform = &self.till.app.test.platform;
        let handlers: Vec<Box<dyn Handler>> = vec![
            Box::new(customers::CustomersDay::new(platform)),
            Box::new(customers::CustomerEmail::new(platform)),
            Box::new(due_charges::DueCharges::new(platform)),
        ];
        Jobs::new(platform.clone(), handlers)
            .work()
            .await
            .expect("worked");
    }

    /// Customers are reminded from the morning on: it has come.
    pub async fn morning(&self) {
        self.jobs().await;
        self.till.advance(TimeDelta::hours(12));
        self.jobs().await;
    }

    /// Does all that is due, again and again, as time goes by.
    pub async fn later(&self, times: usize, by: TimeDelta) {
        for _ in 0..times {
            self.till.advance(by);
            self.jobs().await;
            self.till.work().await;
        }
    }
}

/// What `client`'s owner asks.
pub fn of(till: &Till, client: &Client, method: Method, path: &str) -> Call {
    till.call(method, path)
        .header("x-tenant-key", &client.key)
        .bearer(&client.owner)
}

pub fn new_account(key: &str) -> Value {
    json!({"gateway": "mercado_pago", "name": "Conta própria", "credentials": credentials(Kind::MercadoPago, key)})
}

/// Gives a client an account at the gateway, and tells the platform of it.
pub async fn connect(till: &Till, client: &Client, key: &str, collector: u64) -> Value {
    till.gateway
        .add_account(account_at(Kind::MercadoPago, key, collector, None));
    let made: Answer = of(till, client, Method::POST, "/api/payment-accounts")
        .json(&new_account(key))
        .await;
    made.expect(201).json()
}

/// A due of a client's customer, in two days.
pub async fn due_of(till: &Till, client: &Client, cents: i64) -> Uuid {
    let made = async |path: &str, body: Value| -> Value {
        let call = of(till, client, Method::POST, path).json(&body);
        call.await.expect(201).json()
    };
    let contact = made(
        "/api/contacts",
        json!({"name": "Ana Lima", "email": "ana@example.com"}),
    )
    .await;
    let customer = made("/api/customers", json!({"contact_id": contact["id"]})).await;
    let day = (till.clock.now() + TimeDelta::days(2)).date_naive();
    let body = json!({
        "customer_id": customer["id"], "description": "Mensalidade", "amount_cents": cents, "due_date": day,
    });
    id_of(&made("/api/dues", body).await["id"])
}

pub fn state(status: &str, cents: i64, lines: usize) -> (String, i64, usize) {
    (status.to_owned(), cents, lines)
}
