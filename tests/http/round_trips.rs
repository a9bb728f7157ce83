//! What a request costs: one round trip to the tenant's schema, none to the registry.

use helixai_fakes::gateways::{FakeGateway, Kind};
use serde_json::{Value, json};

use super::conversations::{begun, path_of};
use super::customers::{customer, due, id};
use crate::billing::payments::till::{account_at, credentials};
use crate::helpers::{Call, TestApp, resolved_by};

/// The least of several tries, as (schema, registry): the program's own heartbeat may fall into one of them, and the
/// first connection of a worker is opened in another.
async fn cost(app: &TestApp, lane: &str, call: &Call, status: u16) -> (usize, usize) {
    let (prefix, _) = lane.split_once('_').expect("a prefix");
    let master = format!("{prefix}_master");
    let (mut schema, mut registry) = (usize::MAX, usize::MAX);
    for _ in 0..5 {
        app.test.proxy().take(lane);
        app.test.proxy().take(&master);
        call.clone().await.expect(status);
        schema = schema.min(app.test.proxy().take(lane).round_trips);
        registry = registry.min(app.test.proxy().take(&master).round_trips);
    }
    (schema, registry)
}

/// As [`cost`], with the statements of the registry: its pool tests a connection before and after each use.
async fn metered(app: &TestApp, lane: &str, call: &Call, status: u16) -> (usize, usize) {
    let (prefix, _) = lane.split_once('_').expect("a prefix");
    let master = format!("{prefix}_master");
    let (mut schema, mut statements) = (usize::MAX, usize::MAX);
    for _ in 0..5 {
        app.test.proxy().take(lane);
        app.test.proxy().take(&master);
        call.clone().await.expect(status);
        schema = schema.min(app.test.proxy().take(lane).round_trips);
        statements = statements.min(app.test.proxy().take(&master).executed);
    }
    (schema, statements)
}

#[tokio::test]
async fn a_request_is_one_round_trip() {
    // What the program does by itself asks the registry, too.
    let app = TestApp::builder()
        .set("server.background_work", false)
        .proxied()
        .start()
        .await;
    let garage = app.onboard("garage-alpha", "cars").await;
    let resolved = resolved_by(&app.test.platform, &garage.key).await;
    let lane = &resolved.home.lane.login;
    let body = json!({"title": "Fiat Uno", "make": "Fiat", "model": "Uno"});
    let post = app.post("/api/vehicles").by(&garage).json(&body);
    let made: Value = post.clone().await.expect(201).json();
    let path = format!("/api/vehicles/{}", made["id"].as_str().unwrap());
    let patch = |body: Value| app.patch(&path).by(&garage).json(&body);
    for (what, call, status) in [
        ("list", app.get("/api/vehicles?q=fiat&make=fiat").by(&garage), 200),
        ("storefront", app.get("/veiculos").of(&garage), 200),
        ("add", post, 201),
        ("read", app.get(&path).by(&garage), 200),
        ("change", patch(json!({"color": "Azul"})), 200),
        ("refused change", patch(json!({"color": 1})), 422),
        ("another niche", app.get("/api/properties").by(&garage), 404),
        (
            "header",
            app.get("/api/me").key_header(&garage).bearer(&garage.api_key),
            200,
        ),
    ] {
        assert_eq!(cost(&app, lane, &call, status).await, (1, 0), "{what}");
    }
    // However many rows a request writes: message, conversation, outbox and audit; lead, contact, history and audit.
    let conversation = begun(&app, &garage, "Ana").await;
    let messages = format!("{}/messages", path_of(&conversation));
    let lead = app.post("/api/leads").by(&garage);
    let lead = lead.json(&json!({"name": "Ana", "phone": "11 98765-4321"}));
    for (what, call, status) in [
        (
            "say",
            app.post(&messages).by(&garage).json(&json!({"body": "Oi"})),
            201,
        ),
        ("said", app.get(&messages).by(&garage), 200),
        ("inbox", app.get("/api/conversations?q=ana").by(&garage), 200),
        ("lead", lead, 201),
    ] {
        assert_eq!(cost(&app, lane, &call, status).await, (1, 0), "{what}");
    }
    // What only the registry knows is asked after the tenant's own schema has proven who asks.
    let usage = app.get("/api/usage").of(&garage);
    let known = usage.clone().bearer(&garage.api_key);
    let (schema, registry) = cost(&app, lane, &known, 200).await;
    assert_eq!((schema, registry > 0), (1, true), "{registry}");
    for (what, status, call) in [
        (
            "reserve",
            201,
            app.post("/api/usage/reservations")
                .json(&json!({"meter": "messages", "amount": 1, "key": "one"})),
        ),
        (
            "settle",
            200,
            app.post("/api/usage/reservations/one/settle")
                .json(&json!({"amount": 1})),
        ),
        ("release", 409, app.post("/api/usage/reservations/one/release")),
    ] {
        let (schema, statements) = metered(&app, lane, &call.by(&garage), status).await;
        assert_eq!((schema, statements), (1, 1), "{what}");
    }
    let stranger = usage.clone().bearer(&format!("hxs_{}", "A".repeat(43)));
    assert_eq!(cost(&app, lane, &stranger, 401).await, (1, 0));
    assert_eq!(cost(&app, lane, &usage, 401).await, (0, 0));
}

/// What a customer pays: the schema says who asks and what is owed, the registry what was asked for.
#[tokio::test]
async fn a_charge_of_a_due_asks_the_schema_three_times() {
    let gateway = FakeGateway::start(Kind::MercadoPago).expect("a gateway");
    gateway.add_account(account_at(Kind::MercadoPago, "APP_USR-garage", 500, None));
    let app = TestApp::builder()
        .set("gateways.mercado_pago_url", gateway.url())
        .set("server.background_work", false)
        .proxied()
        .start()
        .await;
    let garage = app.onboard("garage-alpha", "cars").await;
    let owner = app.log_in(&garage).await;
    let lane = &resolved_by(&app.test.platform, &garage.key).await.home.lane.login;
    let ana = customer(&app, &garage, "Ana", json!({})).await;
    let due = due(&app, &garage, &ana, 5000, "2030-01-10").await;
    let path = format!("/api/dues/{}/charge", id(&due));
    let accounts = |call: Call| call.of(&garage).bearer(&owner);
    let list = accounts(app.get("/api/payment-accounts"));
    assert_eq!(metered(&app, lane, &list, 200).await, (1, 1), "accounts");
    let read = app.get(&path).by(&garage);
    assert_eq!(metered(&app, lane, &read, 404).await, (1, 1), "no charge");
    let ask = app.post(&path).by(&garage);
    assert_eq!(cost(&app, lane, &ask, 409).await.0, 1, "no account");
    let body = json!({
        "gateway": "mercado_pago", "name": "Conta", "credentials": credentials(Kind::MercadoPago, "APP_USR-garage"),
    });
    accounts(app.post("/api/payment-accounts"))
        .json(&body)
        .await
        .expect(201);
    // To know what is owed; for the gateway, whose payer it asks about; to tell the due.
    assert_eq!(cost(&app, lane, &ask, 201).await.0, 3, "charged");
    assert_eq!(metered(&app, lane, &read, 200).await, (1, 1), "a charge");
}

/// A webhook is stored with one statement, be it new or told again; one that is not signed asks nobody.
#[tokio::test]
async fn a_webhook_is_one_statement() {
    let app = TestApp::builder()
        .proxied()
        // Nobody answers there, and nobody need: what is told is looked into later.
        .set("gateways.asaas_url", "http://127.0.0.1:9")
        .set("server.background_work", false)
        .start()
        .await;
    let garage = app.onboard("garage-alpha", "cars").await;
    let resolved = resolved_by(&app.test.platform, &garage.key).await;
    let lane = &resolved.home.lane.login;
    let token = "t".repeat(40);
    let account = json!({
        "gateway": "asaas", "name": "Conta", "credentials": {"api_key": "sk_test", "webhook_token": token},
    });
    let made = app.post("/api/admin/gateway-accounts").bearer(&app.admin.token);
    let made = made.json(&account).await.expect(201).json();
    let path = format!("/hooks/asaas/{}", made["id"].as_str().expect("an id"));
    let event = json!({"id": "evt_1", "event": "PAYMENT_RECEIVED", "payment": {"id": "pay_1"}});
    let call = app.post(&path).json(&event);
    let signed = call.clone().header("asaas-access-token", &token);
    assert_eq!(metered(&app, lane, &signed, 200).await, (0, 1));
    assert_eq!(metered(&app, lane, &call, 401).await, (0, 0));
}
