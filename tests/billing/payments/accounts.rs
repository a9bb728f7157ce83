//! Accounts at gateways: what is shown of them, and whose money they move.

use helixai::billing::gateways::Credentials;
use helixai::billing::payments::NewAccount;
use helixai::domain::ids::TenantId;
use helixai::domain::payment::GatewayKind;
use helixai_fakes::gateways::{Change, Failure, Fault, Kind, Variant};
use reqwest::Method;
use serde_json::{Value, json};

use super::till::{COLLECTOR, KEY, Till, account_at, credentials};
use crate::helpers::cli_origin;

#[tokio::test]
async fn credentials_come_in_and_never_go_out() {
    let till = Till::open_by_hand().await;
    let path = format!("/api/admin/gateway-accounts/{}", till.account);
    let shown = till.admin(Method::GET, &path).await.expect(200).json();
    let mut names: Vec<&String> = shown.as_object().expect("an object").keys().collect();
    names.sort();
    assert_eq!(
        names,
        [
            "created_at",
            "gateway",
            "hook_url",
            "id",
            "name",
            "status",
            "updated_at",
            "version"
        ]
    );
    assert_eq!(
        shown["hook_url"],
        format!(
            "http://localhost:{}/hooks/mercado-pago/{}",
            till.app.address.port(),
            till.account
        )
    );
    let list = till
        .admin(Method::GET, "/api/admin/gateway-accounts")
        .await
        .expect(200)
        .text();
    let audit = till
        .admin(Method::GET, "/api/admin/audit")
        .await
        .expect(200)
        .text();
    let admin = till.app.test.admin().await;
    let stored: Vec<u8> = admin
        .query_one(
            "select credentials_sealed from master.gateway_accounts where id = $1",
            &[&till.account],
        )
        .await
        .expect("the account")
        .get(0);
    for secret in [KEY, super::till::WEBHOOK_SECRET] {
        assert!(!shown.to_string().contains(secret) && !list.contains(secret) && !audit.contains(secret));
        assert!(!String::from_utf8_lossy(&stored).contains(secret));
    }
    assert!(audit.contains("gateway_account.create"), "{audit}");
    // Sealed for this account: elsewhere it opens nothing.
    let copied = "insert into master.gateway_accounts
        select gen_random_uuid(), gateway, tenant_id, name, credentials_sealed, collector, 'disabled', 1, created_at, updated_at
        from master.gateway_accounts where id = $1 returning id";
    let copy: uuid::Uuid = admin
        .query_one(copied, &[&till.account])
        .await
        .expect("a copy")
        .get(0);
    let opened = till.app.test.platform.payments.accounts.find(copy.into()).await;
    assert!(opened.is_err());
}

#[tokio::test]
async fn an_account_is_made_changed_and_removed() {
    let till = Till::open_by_hand().await;
    let base = "/api/admin/gateway-accounts";
    let new =
        |credentials: Value| json!({"gateway": "mercado_pago", "name": "Outra", "credentials": credentials});
    let post = |body: Value| {
        let call = till.admin(Method::POST, base);
        async move { call.json(&body).await }
    };
    // Another active one of the same gateway.
    let again = post(new(credentials(Kind::MercadoPago, KEY))).await;
    again.problem(409, "gateway_account_exists");
    // What the gateway does not accept.
    let refused = post(new(credentials(Kind::MercadoPago, "nobody's"))).await;
    refused.problem(422, "credentials_refused");
    let wrong = post(new(json!({"secret_key": "sk_1"}))).await;
    wrong.problem(422, "invalid_fields");
    let path = format!("{base}/{}", till.account);
    let patch = |body: Value| {
        let call = till.admin(Method::PATCH, &path);
        async move { call.json(&body).await }
    };
    let renamed = patch(json!({"name": "Principal", "version": 1}))
        .await
        .expect(200)
        .json();
    assert_eq!(
        (&renamed["name"], &renamed["version"]),
        (&json!("Principal"), &json!(2))
    );
    patch(json!({"name": "X", "version": 1}))
        .await
        .problem(409, "stale_version");
    patch(json!({"credentials": credentials(Kind::Stripe, "sk_test")}))
        .await
        .problem(422, "invalid_fields");
    patch(json!({"status": "disabled"})).await.expect(200);
    // Without an account there is nothing to pay with, and nothing is issued for it.
    let call = till.owner(Method::POST, "/api/checkout");
    call.json(&json!({})).await.problem(409, "method_not_offered");
    patch(json!({"status": "active"})).await.expect(200);
    let (_, _, _) = till.pix().await;
    let used = till.admin(Method::DELETE, &path).await;
    used.problem(409, "gateway_account_used");
}

/// Two processes: one changes the credentials, the other still hears the gateway.
#[tokio::test]
async fn new_credentials_are_known_elsewhere() {
    let till = Till::open_by_hand().await;
    let path = format!("/api/admin/gateway-accounts/{}", till.account);
    let mut other = credentials(Kind::MercadoPago, KEY);
    other["webhook_secret"] = json!("another-secret-of-webhooks");
    let call = till.admin(Method::PATCH, &path);
    call.json(&json!({"credentials": other})).await.expect(200);
    till.hold_webhooks();
    let (_, _, payment) = till.pix().await;
    till.gateway.change(&payment.id, Change::Pay).await.expect("paid");
    let event = till.gateway.events().pop().expect("an event");
    assert_eq!(
        till.gateway.send(&event, 1, false, Variant::Good).await,
        [401],
        "the former secret"
    );
    assert_eq!(till.events().await, (0, 0));
}

/// With another's credentials nobody could ask what became of the charges that an account has.
#[tokio::test]
async fn an_account_that_has_collected_stays_the_same_account_at_the_gateway() {
    for kind in [Kind::MercadoPago, Kind::Stripe, Kind::Asaas] {
        let till = Till::open_at(kind, false).await;
        let another = "sk_test_of_another_account";
        till.gateway
            .add_account(account_at(kind, another, COLLECTOR + 1, None));
        let base = "/api/admin/gateway-accounts";
        let patch = |id: uuid::Uuid, key: &str, more: Value| {
            let mut body = json!({"credentials": credentials(kind, key)});
            body.as_object_mut()
                .expect("an object")
                .extend(more.as_object().expect("an object").clone());
            let call = till.admin(Method::PATCH, &format!("{base}/{id}"));
            async move { call.json(&body).await }
        };
        let answer = patch(till.account, another, json!({"status": "disabled"})).await;
        answer.problem(409, "gateway_account_other");
        patch(till.account, KEY, json!({"status": "disabled"}))
            .await
            .expect(200);
        // One that has collected nothing may become any.
        let new = json!({"gateway": till.kind, "name": "Outra", "credentials": credentials(kind, another)});
        let made = till.admin(Method::POST, base).json(&new).await.expect(201).json();
        patch(super::till::id_of(&made["id"]), KEY, json!({}))
            .await
            .expect(200);
    }
}

/// The gateway does not say whose the credentials are: its own payment does, and without one nothing is believed.
#[tokio::test]
async fn credentials_that_cannot_be_told_apart_are_not_taken() {
    let till = Till::open_by_hand().await;
    till.gateway
        .fail(Fault::repeated("GET /users/me", Failure::Status(503), 100));
    let path = format!("/api/admin/gateway-accounts/{}", till.account);
    let patch = || {
        let call = till.admin(Method::PATCH, &path);
        call.json(&json!({"credentials": credentials(Kind::MercadoPago, KEY)}))
    };
    patch().await.problem(503, "gateway_unavailable");
    let (invoice, _, payment) = till.pix().await;
    patch().await.expect(200);
    // And a payment to somebody else is still not believed.
    till.gateway
        .add_account(account_at(Kind::MercadoPago, KEY, COLLECTOR + 1, None));
    till.gateway.change(&payment.id, Change::Pay).await.expect("paid");
    till.advance(chrono::TimeDelta::hours(1));
    till.work().await;
    assert_eq!(till.ledger(invoice).await, []);
    assert_eq!(till.findings().await, ["collector"]);
}

/// A client's own account tells of the platform's charge, and of another client's: nothing moves.
#[tokio::test]
async fn one_account_never_settles_what_another_one_collects() {
    let mut till = Till::open_by_hand().await;
    till.hold_webhooks();
    let (invoice, charge, payment) = till.pix().await;
    let thief = till.onboard("ladrao").await;
    let key = "APP_USR-ladrao";
    till.gateway
        .add_account(account_at(Kind::MercadoPago, key, 666, None));
    let given = credentials(Kind::MercadoPago, key);
    let new = NewAccount {
        owner: Some(TenantId::from_uuid(thief.id)),
        name: "Conta própria".to_owned(),
        credentials: Credentials::parse(GatewayKind::MercadoPago, given.as_object().expect("an object"))
            .expect("credentials"),
    };
    let accounts = &till.app.test.platform.payments.accounts;
    let own = accounts.create(&new, cli_origin()).await.expect("an account");
    // At the gateway the thief makes and pays a payment of his own under the reference of the platform's charge.
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let hook = format!(
        "http://localhost:{}/hooks/mercado-pago/{}",
        till.app.address.port(),
        own.id
    );
    let made: Value = client
        .post(format!("{}/v1/payments", till.gateway.url()))
        .bearer_auth(key)
        .header("x-idempotency-key", "1")
        .json(&json!({
            "transaction_amount": payment.cents as f64 / 100.0, "payment_method_id": "pix", "description": "x",
            "external_reference": charge.to_string(), "notification_url": hook, "payer": {"email": "l@example.com"},
        }))
        .send()
        .await
        .expect("sent")
        .json()
        .await
        .expect("a payment");
    let id = made["id"].to_string();
    till.gateway.change(&id, Change::Pay).await.expect("paid");
    let event = till.gateway.events().pop().expect("an event");
    assert_eq!(
        till.gateway.send(&event, 1, false, Variant::Good).await,
        [200],
        "it is his own hook"
    );
    till.work().await;
    assert_eq!(till.charge_status(charge).await, "pending");
    assert_eq!(till.invoice_status(invoice).await, "open");
    assert_eq!(till.ledger(invoice).await, []);
    assert_eq!(till.findings().await, ["account"]);
    // Nor is his event heard at the platform's hook, which another secret signs.
    let mut at_platform = event.clone();
    at_platform.url = Some(format!(
        "http://localhost:{}/hooks/mercado-pago/{}",
        till.app.address.port(),
        till.account
    ));
    let mut other = account_at(Kind::MercadoPago, key, 666, None);
    other.webhook_secret = "of the thief".to_owned();
    till.gateway.add_account(other);
    assert_eq!(
        till.gateway.send(&at_platform, 1, false, Variant::Good).await,
        [401]
    );
    // The administrator of the platform does not see it among its own.
    let list = till
        .admin(Method::GET, "/api/admin/gateway-accounts")
        .await
        .expect(200)
        .json();
    assert_eq!(list["items"].as_array().map(Vec::len), Some(1));
    let path = format!("/api/admin/gateway-accounts/{}", own.id);
    till.admin(Method::GET, &path).await.problem(404, "not_found");
    till.client = thief;
    let path = format!("/api/invoices/{invoice}/pay");
    let foreign = till.owner(Method::POST, &path).json(&json!({})).await;
    foreign.problem(404, "not_found");
    for kind in ["png", "svg"] {
        let path = format!("/api/invoices/{invoice}/pix.{kind}");
        till.owner(Method::GET, &path).await.problem(404, "not_found");
    }
}

/// The same reference, the platform's own account, another collector: a payment to somebody else.
#[tokio::test]
async fn a_payment_to_another_collector_counts_for_nothing() {
    let till = Till::open_by_hand().await;
    let (invoice, charge, payment) = till.pix().await;
    till.gateway
        .add_account(account_at(Kind::MercadoPago, KEY, COLLECTOR + 1, None));
    till.gateway.change(&payment.id, Change::Pay).await.expect("paid");
    till.app
        .until("it was told", || async { till.events().await.0 >= 1 })
        .await;
    till.work().await;
    assert_eq!(till.charge_status(charge).await, "pending");
    assert_eq!(till.ledger(invoice).await, []);
    assert_eq!(till.findings().await, ["collector"]);
}
