//! Whose money it is: one tenant's account never settles another's due.

use helixai_fakes::gateways::{Change, Kind, Variant};
use reqwest::Method;
use serde_json::{Value, json};

use super::super::till::account_at;
use super::{Desk, connect, due_of, of, state};

#[tokio::test]
async fn one_tenants_credentials_never_settle_anothers_due() {
    let desk = Desk::open().await;
    let due = desk.due(5000).await;
    let (charge, _) = desk.charge(due).await;
    let thief = desk.other("ladrao").await;
    let key = "APP_USR-ladrao";
    let account = connect(&desk.till, &thief, key, 666).await;
    // At the gateway the thief makes and pays a payment of his own under the reference of the other's charge.
    desk.till.hold_webhooks();
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let made: Value = client
        .post(format!("{}/v1/payments", desk.till.gateway.url()))
        .bearer_auth(key)
        .header("x-idempotency-key", "1")
        .json(&json!({
            "transaction_amount": 50.0, "payment_method_id": "pix", "description": "x",
            "external_reference": charge.to_string(), "notification_url": account["hook_url"],
            "payer": {"email": "l@example.com"},
        }))
        .send()
        .await
        .expect("sent")
        .json()
        .await
        .expect("a payment");
    let id = made["id"].to_string();
    desk.till.gateway.change(&id, Change::Pay).await.expect("paid");
    let event = desk.till.gateway.events().pop().expect("an event");
    let told = desk.till.gateway.send(&event, 1, false, Variant::Good).await;
    assert_eq!(told, [200], "it is his own hook");
    desk.till.work().await;
    assert_eq!(desk.state(due).await, state("open", 0, 0));
    assert_eq!(desk.till.charge_status(charge).await, "pending");
    assert_eq!(desk.till.findings().await, ["account"]);
    // Signed with his secret it is not heard at the other's hook.
    let mut elsewhere = event.clone();
    elsewhere.url = desk.account["hook_url"].as_str().map(str::to_owned);
    let mut other = account_at(Kind::MercadoPago, key, 666, None);
    other.webhook_secret = "of the thief".to_owned();
    desk.till.gateway.add_account(other);
    let told = desk.till.gateway.send(&elsewhere, 1, false, Variant::Good).await;
    assert_eq!(told, [401]);
    // Nor does the due exist for him, by any of its addresses.
    for (method, path) in [
        (Method::POST, "charge"),
        (Method::GET, "charge"),
        (Method::GET, "pix.png"),
        (Method::GET, "pix.svg"),
    ] {
        let path = format!("/api/dues/{due}/{path}");
        of(&desk.till, &thief, method, &path)
            .await
            .problem(404, "not_found");
    }
}

/// Each due is collected by its own tenant's account, whatever others have.
#[tokio::test]
async fn each_tenant_is_paid_to_its_own_account() {
    let desk = Desk::open().await;
    let other = desk.other("outra").await;
    let due = due_of(&desk.till, &other, 300).await;
    let ask = || {
        of(
            &desk.till,
            &other,
            Method::POST,
            &format!("/api/dues/{due}/charge"),
        )
    };
    // The platform collects, and another tenant does: this one does not.
    ask().await.problem(409, "payment_account_missing");
    connect(&desk.till, &other, "APP_USR-outra", 600).await;
    let made = ask().await.expect(201).json();
    let payment = desk.till.gateway.payment(made["id"].as_str().expect("an id"));
    assert_eq!(payment.account, "APP_USR-outra");
    let own = desk.due(400).await;
    let (charge, _) = desk.charge(own).await;
    assert_eq!(desk.payment(charge).account, super::KEY);
}
