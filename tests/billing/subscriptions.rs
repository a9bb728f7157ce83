//! What an owner decides about the subscription, over HTTP.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use helixai::db::master::invoices::{InvoiceRecord, find_invoice};
use helixai::domain::clock::Clock;
use helixai::domain::ids::{ChargeId, InvoiceId};
use helixai::domain::tenant_key::TenantKey;
use serde_json::{Value, json};

use super::books::{at, pay_at};
use crate::helpers::{TestApp, TestTenant};

struct Owner {
    app: Arc<TestApp>,
    garage: TestTenant,
    token: String,
}

impl Owner {
    /// With a trial of the smallest plan that began on 10 March at noon.
    async fn start() -> Self {
        let clock = Clock::fixed(at("2026-03-10T12:00:00Z"));
        let app = TestApp::builder()
            .clock(clock)
            .set("sessions.user_hours", 2000)
            .start()
            .await;
        let garage = app.onboard("garage", "cars").await;
        Self::of(Arc::new(app), garage).await
    }

    async fn of(app: Arc<TestApp>, garage: TestTenant) -> Self {
        let token = app.log_in(&garage).await;
        Self { app, garage, token }
    }

    /// In a paid period from 17 March to 17 April.
    async fn paid() -> Self {
        let owner = Self::start().await;
        owner.look("2026-03-14T12:00:00Z").await;
        owner.pay(&owner.only_open().await).await;
        owner.look("2026-03-17T12:00:00Z").await;
        owner
    }

    async fn look(&self, now: &str) {
        self.app.test.clock.set(at(now));
        self.app.test.platform.books.run_clock().await.expect("it runs");
        self.known().await;
    }

    /// The server knows what has changed.
    async fn known(&self) {
        let key = TenantKey::parse(&self.garage.key).expect("a key");
        let resolver = &self.app.test.platform.resolver;
        resolver.find_fresh(&key).await.expect("found");
    }

    fn now(&self) -> DateTime<Utc> {
        self.app.test.clock.now()
    }

    async fn post(&self, what: &str, body: &Value) -> crate::helpers::Answer {
        let path = format!("/api/subscription/{what}");
        self.app
            .post(&path)
            .of(&self.garage)
            .bearer(&self.token)
            .json(body)
            .await
    }

    async fn change(&self, plan: &str) -> Value {
        let answer = self.post("change", &json!({"plan": plan})).await;
        answer.expect(200).json()["invoice"].clone()
    }

    async fn get(&self, path: &str) -> Value {
        let call = self.app.get(path).of(&self.garage).bearer(&self.token);
        call.await.expect(200).json()
    }

    async fn subscription(&self) -> Value {
        self.get("/api/subscription").await
    }

    async fn open(&self) -> Vec<Value> {
        let list = self.get("/api/invoices?status=open").await;
        list["items"].as_array().expect("items").clone()
    }

    async fn only_open(&self) -> Value {
        let open = self.open().await;
        assert_eq!(open.len(), 1, "{open:?}");
        open[0].clone()
    }

    async fn pay(&self, invoice: &Value) {
        let id: InvoiceId = invoice["id"].as_str().expect("an id").parse().expect("an id");
        let master = &self.app.test.platform.master;
        let record: InvoiceRecord = find_invoice(master, id, None)
            .await
            .expect("read")
            .expect("an invoice");
        pay_at(master, &record, ChargeId::new(), self.now()).await;
        self.known().await;
    }

    async fn adds_up(&self) {
        assert_eq!(self.app.test.platform.books.check().await.expect("checked"), []);
    }
}

#[tokio::test]
async fn before_the_first_payment_it_is_simply_another_plan() {
    let owner = Owner::start().await;
    assert_eq!(
        owner.change("pro").await,
        Value::Null,
        "nothing is to be paid yet"
    );
    assert_eq!(owner.subscription().await["plan"], "pro");
    owner.look("2026-03-14T12:00:00Z").await;
    let first = owner.only_open().await;
    assert_eq!(
        (&first["total_cents"], &first["number"]),
        (&json!(9990), &json!(1))
    );
    let second = owner.change("starter").await;
    assert_eq!(
        (&second["total_cents"], &second["number"]),
        (&json!(4990), &json!(2))
    );
    for field in ["period_start", "period_end", "due_date"] {
        assert_eq!(second[field], first[field], "{field}");
    }
    assert_eq!(owner.change("starter").await, Value::Null, "it is so already");
    assert_eq!(owner.only_open().await["id"], second["id"]);
    let path = format!("/api/invoices/{}", first["id"].as_str().expect("an id"));
    assert_eq!(owner.get(&path).await["status"], "void");
    owner.pay(&second).await;
    let subscription = owner.subscription().await;
    assert_eq!(
        (&subscription["plan"], &subscription["status"]),
        (&json!("starter"), &json!("active"))
    );
    owner.adds_up().await;
}

#[tokio::test]
async fn a_larger_plan_is_there_when_its_rest_is_paid() {
    let owner = Owner::paid().await;
    // 9 of 31 days are left, this one among them.
    owner.look("2026-04-08T15:00:00Z").await;
    let upgrade = owner.change("pro").await;
    assert_eq!(
        (&upgrade["kind"], &upgrade["total_cents"]),
        (&json!("upgrade"), &json!(1451))
    );
    assert_eq!(owner.subscription().await["plan"], "starter", "not paid yet");
    let path = format!("/api/invoices/{}", upgrade["id"].as_str().expect("an id"));
    let lines = owner.get(&path).await["lines"].clone();
    assert_eq!(
        lines,
        json!([
            {"kind": "proration_charge", "description": "Plano Pro: 9 de 31 dias, 08/04/2026 a 16/04/2026",
             "quantity": 1, "unit_cents": 2900, "amount_cents": 2900},
            {"kind": "proration_credit", "description": "Crédito do plano Starter: 9 de 31 dias, 08/04/2026 a 16/04/2026",
             "quantity": 1, "unit_cents": -1449, "amount_cents": -1449},
        ])
    );
    assert_eq!(
        owner.change("pro").await["id"],
        upgrade["id"],
        "asked again, the same"
    );
    owner.pay(&upgrade).await;
    let subscription = owner.subscription().await;
    assert_eq!(
        (&subscription["plan"], &subscription["current_period_end"]),
        (&json!("pro"), &json!("2026-04-17T03:00:00Z"))
    );
    // Once more on the same day: what was paid for these nine days is credited, and no more.
    let more = owner.change("business").await;
    assert_eq!(more["total_cents"], 5804 - 2900);
    owner.pay(&more).await;
    owner.look("2026-04-14T12:00:00Z").await;
    assert_eq!(
        owner.only_open().await["total_cents"],
        19_990,
        "the next period costs what the plan costs"
    );
    owner.adds_up().await;
}

#[tokio::test]
async fn an_upgrade_that_nobody_pays_goes_away() {
    let owner = Owner::paid().await;
    owner.look("2026-04-08T15:00:00Z").await;
    let upgrade = owner.change("pro").await;
    assert_eq!(upgrade["due_date"], "2026-04-11");
    let other = owner.change("business").await;
    assert_eq!(owner.only_open().await["id"], other["id"], "one at a time");
    assert_eq!(owner.change("starter").await, Value::Null, "never mind");
    assert_eq!(owner.open().await, [] as [Value; 0]);
    owner.change("pro").await;
    owner.look("2026-04-12T02:59:59Z").await;
    assert_eq!(owner.open().await.len(), 1);
    owner.look("2026-04-12T03:00:00Z").await;
    assert_eq!(owner.open().await, [] as [Value; 0]);
    assert_eq!(owner.subscription().await["plan"], "starter");
    owner.adds_up().await;
}

/// The invoice of the next period is there already when a larger plan is bought.
#[tokio::test]
async fn the_next_period_has_the_price_of_the_plan_that_was_bought_meanwhile() {
    let owner = Owner::paid().await;
    owner.look("2026-04-14T15:00:00Z").await;
    assert_eq!(owner.only_open().await["total_cents"], 4990);
    let upgrade = owner.change("pro").await;
    assert_eq!(owner.open().await.len(), 2);
    owner.pay(&upgrade).await;
    owner.look("2026-04-14T15:01:00Z").await;
    let next = owner.only_open().await;
    assert_eq!(
        (&next["total_cents"], &next["period_start"]),
        (&json!(9990), &json!("2026-04-17T03:00:00Z"))
    );
    owner.pay(&next).await;
    let paid = owner.post("change", &json!({"plan": "business"})).await;
    paid.problem(409, "period_paid");
    owner.look("2026-04-17T03:00:00Z").await;
    assert_eq!(owner.subscription().await["plan"], "pro");
    owner.adds_up().await;
}

/// Paid early, in the trial: what is left of the paid period is all of it.
#[tokio::test]
async fn a_larger_plan_during_a_paid_trial_costs_the_difference() {
    let owner = Owner::start().await;
    owner.look("2026-03-14T12:00:00Z").await;
    owner.pay(&owner.only_open().await).await;
    let upgrade = owner.change("pro").await;
    assert_eq!(upgrade["total_cents"], 5000);
    owner.pay(&upgrade).await;
    owner.look("2026-03-17T12:00:00Z").await;
    let subscription = owner.subscription().await;
    assert_eq!(
        (&subscription["plan"], &subscription["status"]),
        (&json!("pro"), &json!("active"))
    );
    assert_eq!(subscription["current_period_start"], "2026-03-17T12:00:00Z");
    owner.adds_up().await;
}

#[tokio::test]
async fn a_smaller_plan_begins_with_the_next_period() {
    let owner = Owner::start().await;
    owner.change("pro").await;
    owner.look("2026-03-14T12:00:00Z").await;
    owner.pay(&owner.only_open().await).await;
    owner.look("2026-03-17T12:00:00Z").await;
    assert_eq!(owner.change("starter").await, Value::Null);
    let shown = owner.subscription().await;
    assert_eq!(
        (&shown["plan"], &shown["next_plan"]),
        (&json!("pro"), &json!("starter"))
    );
    owner.change("pro").await;
    assert_eq!(owner.subscription().await["next_plan"], Value::Null, "after all");
    owner.look("2026-04-14T12:00:00Z").await;
    assert_eq!(owner.only_open().await["total_cents"], 9990);
    let cheaper = owner.change("starter").await;
    assert_eq!(cheaper["total_cents"], 4990, "the invoice is issued anew");
    owner.pay(&cheaper).await;
    assert_eq!(owner.subscription().await["plan"], "pro");
    owner.look("2026-04-17T03:00:00Z").await;
    let shown = owner.subscription().await;
    assert_eq!(
        (&shown["plan"], &shown["next_plan"]),
        (&json!("starter"), &Value::Null)
    );
    owner.adds_up().await;
}

/// Whoever cannot pay the plan may pay a smaller one.
#[tokio::test]
async fn who_owes_may_take_a_smaller_plan() {
    let owner = Owner::start().await;
    owner.change("pro").await;
    for day in [
        "2026-03-14T12:00:00Z",
        "2026-03-17T12:00:00Z",
        "2026-03-25T12:00:00Z",
    ] {
        owner.look(day).await;
    }
    assert_eq!(owner.subscription().await["status"], "suspended");
    let smaller = owner.change("starter").await;
    assert_eq!(smaller["total_cents"], 4990);
    owner.pay(&smaller).await;
    let shown = owner.subscription().await;
    assert_eq!(
        (&shown["plan"], &shown["status"]),
        (&json!("starter"), &json!("active"))
    );
    assert_eq!(shown["next_plan"], Value::Null);
    owner.adds_up().await;
}

#[tokio::test]
async fn a_canceled_subscription_ends_with_what_is_paid_and_begins_again_with_its_payment() {
    let owner = Owner::paid().await;
    owner.look("2026-04-14T12:00:00Z").await;
    for _ in 0..2 {
        owner
            .post("cancel", &json!({"reason": "mudei de ramo"}))
            .await
            .expect(200);
    }
    let shown = owner.subscription().await;
    assert_eq!(
        (&shown["status"], &shown["cancel_at_period_end"]),
        (&json!("active"), &json!(true))
    );
    assert_eq!(owner.open().await, [] as [Value; 0], "nothing more is asked for");
    owner
        .post("change", &json!({"plan": "pro"}))
        .await
        .problem(409, "subscription_ends");
    // After all; and not, after all.
    owner.post("reactivate", &json!({})).await.expect(200);
    owner
        .post("reactivate", &json!({}))
        .await
        .problem(409, "subscription_active");
    owner.look("2026-04-14T12:01:00Z").await;
    owner.only_open().await;
    owner.post("cancel", &json!({})).await.expect(200);
    owner.look("2026-04-17T03:00:00Z").await;
    assert_eq!(owner.subscription().await["status"], "canceled");
    owner
        .post("change", &json!({"plan": "pro"}))
        .await
        .problem(403, "subscription_inactive");

    owner.look("2026-05-02T12:00:00Z").await;
    let begun = owner
        .post("reactivate", &json!({"plan": "pro"}))
        .await
        .expect(200)
        .json();
    let invoice = &begun["invoice"];
    assert_eq!(
        (&invoice["total_cents"], &invoice["due_date"]),
        (&json!(9990), &json!("2026-05-05"))
    );
    assert_eq!(
        owner.subscription().await["status"],
        "suspended",
        "until it is paid"
    );
    owner.look("2026-05-02T12:01:00Z").await;
    assert_eq!(owner.only_open().await["id"], invoice["id"]);
    // The period begins with the payment: days without service are not charged.
    owner.look("2026-05-10T12:00:00Z").await;
    owner.pay(invoice).await;
    let shown = owner.subscription().await;
    assert_eq!(
        (&shown["status"], &shown["plan"]),
        (&json!("active"), &json!("pro"))
    );
    assert_eq!(shown["trial_ends_at"], Value::Null);
    assert_eq!(
        (&shown["current_period_start"], &shown["current_period_end"]),
        (&json!("2026-05-10T12:00:00Z"), &json!("2026-06-10T03:00:00Z"))
    );
    owner.adds_up().await;
}

#[tokio::test]
async fn who_owes_and_cancels_owes_nothing_any_more() {
    let owner = Owner::start().await;
    for day in [
        "2026-03-14T12:00:00Z",
        "2026-03-17T12:00:00Z",
        "2026-03-18T12:00:00Z",
    ] {
        owner.look(day).await;
    }
    let first = owner.post("cancel", &json!({})).await.expect(200).json();
    assert_eq!(owner.subscription().await["status"], "canceled");
    assert_eq!(owner.open().await, [] as [Value; 0]);
    // Again: at once, and when the server knows that it has ended.
    for _ in 0..2 {
        let again = owner.post("cancel", &json!({})).await.expect(200).json();
        assert_eq!(again, first);
        owner.known().await;
    }
    owner.adds_up().await;
}

#[tokio::test]
async fn a_request_that_is_repeated_is_one_request() {
    let owner = Owner::paid().await;
    let call = |plan: &str| {
        let call = owner
            .app
            .post("/api/subscription/change")
            .of(&owner.garage)
            .bearer(&owner.token);
        call.idempotency_key("one").json(&json!({"plan": plan}))
    };
    let first = call("pro").await.expect(200).json();
    // Meanwhile it is taken back: the repetition answers what the first did, and does nothing.
    owner.change("starter").await;
    assert_eq!(call("pro").await.expect(200).json(), first);
    assert_eq!(owner.open().await, [] as [Value; 0]);
    call("business").await.problem(422, "idempotency_key_reused");

    let path = format!("/api/admin/tenants/{}/invoices", owner.garage.key);
    let token = owner.app.log_in_admin().await;
    let sell = |cents: i64| {
        let items =
            json!({"items": [{"description": "Automação de vendas", "unit_cents": cents, "quantity": 2}]});
        owner
            .app
            .post(&path)
            .bearer(&token)
            .idempotency_key("two")
            .json(&items)
    };
    let (one, other) = tokio::join!(sell(15_000), sell(15_000));
    let (one, other) = (one.expect(201).json(), other.expect(201).json());
    assert_eq!(one, other);
    assert_eq!(
        (&one["total_cents"], &one["kind"], &one["due_date"]),
        (&json!(30_000), &json!("one_off"), &json!("2026-03-20"))
    );
    sell(1).await.problem(422, "idempotency_key_reused");
    assert_eq!(owner.only_open().await["id"], one["id"]);
    owner.adds_up().await;
}

#[tokio::test]
async fn administrators_charge_and_take_back() {
    let owner = Owner::start().await;
    let app = &owner.app;
    let path = format!("/api/admin/tenants/{}/invoices", owner.garage.key);
    let sell = |body: Value| app.post(&path).bearer(&app.admin.token).json(&body);
    sell(json!({})).await.refused_fields(&[("items", "required")]);
    sell(json!({"items": []}))
        .await
        .refused_fields(&[("items", "out_of_range")]);
    sell(json!({"items": [{"quantity": 0, "unit_cents": -1}], "due_date": "2026-03-09"}))
        .await
        .refused_fields(&[
            ("items[0].description", "required"),
            ("items[0].quantity", "out_of_range"),
            ("items[0].unit_cents", "out_of_range"),
            ("due_date", "out_of_range"),
        ]);
    sell(json!({"items": [{"description": "Nada", "unit_cents": 0}]}))
        .await
        .refused_fields(&[("items", "out_of_range")]);
    let nobody = app
        .post("/api/admin/tenants/nobody-here/invoices")
        .bearer(&app.admin.token);
    nobody
        .json(&json!({"items": [{"description": "x", "unit_cents": 1}]}))
        .await
        .problem(404, "not_found");
    let sold =
        sell(json!({"items": [{"description": "Robô", "unit_cents": 5000}], "due_date": "2026-03-31"}));
    let sold = sold.await.expect(201).json();
    assert_eq!(
        (&sold["number"], &sold["tenant_key"]),
        (&json!(1), &json!("garage"))
    );
    let id = sold["id"].as_str().expect("an id");
    let void = || {
        app.post(&format!("/api/admin/invoices/{id}/void"))
            .bearer(&app.admin.token)
    };
    assert_eq!(void().await.expect(200).json()["status"], "void");
    void().await.problem(409, "invoice_not_open");
    let nothing = format!("/api/admin/invoices/{}/void", InvoiceId::new());
    app.post(&nothing)
        .bearer(&app.admin.token)
        .await
        .problem(404, "not_found");

    let other = app.onboard("garage-beta", "cars").await;
    // That of a period is issued again, with what is known of the customer by then.
    owner.look("2026-03-14T12:00:00Z").await;
    let first = owner.only_open().await;
    let wrong = format!(
        "/api/admin/invoices/{}/void",
        first["id"].as_str().expect("an id")
    );
    app.post(&wrong)
        .bearer(&app.log_in_admin().await)
        .await
        .expect(200);
    owner.look("2026-03-14T12:01:00Z").await;
    let second = owner.only_open().await;
    assert_eq!(
        (&second["number"], &second["total_cents"]),
        (&json!(4), &json!(4990))
    );
    // The other tenant has one as well: which of them was first, nobody says.
    let first = first["number"].as_i64().expect("a number");

    let token = app.log_in_admin().await;
    let list = async |query: &str| {
        let path = format!("/api/admin/invoices{query}");
        app.get(&path).bearer(&token).await.expect(200).json()["items"]
            .as_array()
            .expect("items")
            .iter()
            .map(|invoice| invoice["number"].as_i64().expect("a number"))
            .collect::<Vec<_>>()
    };
    assert_eq!(list("").await, [4, 3, 2, 1]);
    assert_eq!(list("?tenant=garage&status=void").await, [first, 1]);
    assert_eq!(list("?tenant=garage-beta").await, [5 - first]);
    let detail = format!("/api/admin/invoices/{id}");
    let detail = app.get(&detail).bearer(&token).await.expect(200).json();
    assert_eq!(detail["lines"][0]["description"], "Robô");
    // Another tenant's is nowhere.
    let path = format!("/api/invoices/{id}");
    app.get(&path).by(&other).await.problem(404, "not_found");
    let audit = app
        .get("/api/admin/audit?limit=200")
        .bearer(&token)
        .await
        .expect(200)
        .json();
    let actions: Vec<&str> = audit["items"]
        .as_array()
        .expect("items")
        .iter()
        .filter_map(|line| line["action"].as_str())
        .filter(|action| action.starts_with("invoice."))
        .collect();
    let (issue, void) = ("invoice.issue", "invoice.void");
    assert_eq!(actions, [issue, void, issue, issue, void, issue]);
    owner.adds_up().await;
}

/// One trial per CPF or CNPJ: who had one begins with a payment.
#[tokio::test]
async fn a_document_has_one_trial() {
    let owner = Owner::start().await;
    let app = &owner.app;
    let onboard = async |key: &str, document: &str| {
        let mut body = TestApp::onboarding(key, "cars");
        body["document"] = json!(document);
        let call = app
            .post("/api/admin/tenants")
            .bearer(&app.admin.token)
            .json(&body);
        let made = call.await.expect(201).json();
        let token = made["api_key"].as_str().expect("a key").to_owned();
        let read = app
            .get("/api/subscription")
            .header("x-tenant-key", key)
            .bearer(&token);
        (token, read.await.expect(200).json()["status"].clone())
    };
    assert_eq!(onboard("garage-one", "529.982.247-25").await.1, "trialing");
    assert_eq!(onboard("garage-other", "11.444.777/0001-61").await.1, "trialing");
    let (token, status) = onboard("garage-two", "52998224725").await;
    assert_eq!(status, "suspended");
    app.test.platform.books.run_clock().await.expect("it runs");
    let open = app
        .get("/api/invoices?status=open")
        .header("x-tenant-key", "garage-two")
        .bearer(&token);
    let open = open.await.expect(200).json();
    assert_eq!(open["items"][0]["total_cents"], 4990);
    app.test.clock.advance(TimeDelta::hours(30));
    owner.pay(&open["items"][0]).await;
    let read = app
        .get("/api/subscription")
        .header("x-tenant-key", "garage-two")
        .bearer(&token);
    let shown = read.await.expect(200).json();
    assert_eq!(
        (&shown["status"], &shown["current_period_start"]),
        (&json!("active"), &json!("2026-03-11T18:00:00Z"))
    );
    owner.adds_up().await;
}
