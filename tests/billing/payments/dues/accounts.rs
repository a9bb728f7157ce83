//! `/api/payment-accounts`: owners only, credentials come in and never go out.

use helixai_fakes::gateways::{Failure, Fault, Kind};
use reqwest::Method;
use serde_json::{Value, json};

use super::super::till::{Till, WEBHOOK_SECRET, account_at, credentials, id_of};
use super::{Desk, KEY, connect, new_account, of};

const PATH: &str = "/api/payment-accounts";

#[tokio::test]
async fn an_owner_connects_an_account_and_its_secrets_stay_inside() {
    let desk = Desk::open().await;
    let id = id_of(&desk.account["id"]);
    let port = desk.till.app.address.port();
    assert_eq!(
        (
            &desk.account["gateway"],
            &desk.account["status"],
            &desk.account["hook_url"]
        ),
        (
            &json!("mercado_pago"),
            &json!("active"),
            &json!(format!("http://localhost:{port}/hooks/mercado-pago/{id}"))
        )
    );
    let path = format!("{PATH}/{id}");
    let shown = desk.get(&path).await.expect(200).json();
    assert_eq!(shown, desk.account);
    let list = desk.get(PATH).await.expect(200).json();
    assert_eq!(list["items"], json!([shown]));
    let audit = desk
        .till
        .admin(Method::GET, "/api/admin/audit")
        .await
        .expect(200)
        .text();
    let admin = desk.till.app.test.admin().await;
    let sealed = "select credentials_sealed from master.gateway_accounts where id = $1";
    let stored: Vec<u8> = admin.query_one(sealed, &[&id]).await.expect("stored").get(0);
    for secret in [KEY, WEBHOOK_SECRET] {
        assert!(!list.to_string().contains(secret) && !audit.contains(secret));
        assert!(!String::from_utf8_lossy(&stored).contains(secret));
    }
    // Sealed for this tenant: of another one they open nothing.
    let other = desk.other("outra").await;
    let moved = "update master.gateway_accounts set tenant_id = $2 where id = $1";
    admin.execute(moved, &[&id, &other.id]).await.expect("moved");
    let second = desk.till.app.test.second().await;
    assert!(second.payments.accounts.find(id.into()).await.is_err());
}

#[tokio::test]
async fn an_account_is_changed_disabled_and_used_again() {
    let desk = Desk::open().await;
    let path = format!("{PATH}/{}", desk.account["id"].as_str().expect("an id"));
    let patch = |body: Value| {
        let call = desk.call(Method::PATCH, &path);
        async move { call.json(&body).await }
    };
    desk.post(PATH, &new_account(KEY))
        .await
        .problem(409, "gateway_account_exists");
    desk.post(PATH, &new_account("nobody's"))
        .await
        .problem(422, "credentials_refused");
    desk.post(PATH, &json!({"gateway": "asaas", "name": "x", "credentials": {}}))
        .await
        .problem(422, "invalid_fields");
    let renamed = patch(json!({"name": "Banco", "version": 1}))
        .await
        .expect(200)
        .json();
    assert_eq!(
        (&renamed["name"], &renamed["version"]),
        (&json!("Banco"), &json!(2))
    );
    patch(json!({"name": "X", "version": 1}))
        .await
        .problem(409, "stale_version");
    patch(json!({"credentials": credentials(Kind::MercadoPago, "nobody's")}))
        .await
        .problem(422, "credentials_refused");
    let due = desk.due(100).await;
    patch(json!({"status": "disabled"})).await.expect(200);
    desk.ask(due).await.problem(409, "payment_account_missing");
    assert_eq!(desk.charges(due).await.len(), 0);
    patch(json!({"status": "active"})).await.expect(200);
    desk.charge(due).await;
}

/// The same request twice is one account, also when the gateway does not answer.
#[tokio::test]
async fn a_repeated_request_makes_one_account() {
    let till = Till::open_by_hand().await;
    let client = till.client.clone();
    till.gateway
        .add_account(account_at(Kind::MercadoPago, KEY, 500, None));
    till.gateway
        .fail(Fault::repeated("GET /users/me", Failure::Status(503), 3));
    let post = || {
        of(&till, &client, Method::POST, PATH)
            .json(&new_account(KEY))
            .idempotency_key("once")
    };
    let first = post().await.expect(201).json();
    assert_eq!(post().await.expect(201).json(), first);
    let list = of(&till, &client, Method::GET, PATH).await.expect(200).json();
    assert_eq!(list["items"].as_array().map(Vec::len), Some(1));
}

/// One tenant's account does not exist for another, nor for the platform's administrators.
#[tokio::test]
async fn another_tenants_account_is_not_there() {
    let desk = Desk::open().await;
    let other = desk.other("outra").await;
    connect(&desk.till, &other, "APP_USR-outra", 600).await;
    let path = format!("{PATH}/{}", desk.account["id"].as_str().expect("an id"));
    let by = |method| of(&desk.till, &other, method, &path);
    by(Method::GET).await.problem(404, "not_found");
    by(Method::PATCH)
        .json(&json!({"status": "disabled"}))
        .await
        .problem(404, "not_found");
    let list = of(&desk.till, &other, Method::GET, PATH).await.expect(200).text();
    assert!(!list.contains(desk.account["id"].as_str().expect("an id")));
    let admins = path.replace(PATH, "/api/admin/gateway-accounts");
    desk.till
        .admin(Method::GET, &admins)
        .await
        .problem(404, "not_found");
    assert_eq!(desk.get(&path).await.expect(200).json(), desk.account);
}
