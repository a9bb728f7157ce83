//! The ways to pay that a client is shown.

use helixai_fakes::gateways::{Failure, Fault, Kind};
use reqwest::Method;
use serde_json::{Value, json};

use super::till::{Till, id_of};
use crate::helpers::TestApp;

#[tokio::test]
async fn a_checkout_is_a_page_and_a_pix_and_the_same_again() {
    let till = Till::open_by_hand().await;
    let first = till.check_out(&json!({})).await;
    assert_eq!(first["charges"].as_array().map(Vec::len), Some(2));
    assert!(
        first["checkout_url"]
            .as_str()
            .is_some_and(|url| url.starts_with("http://")),
        "{first}"
    );
    let second = till.check_out(&json!({})).await;
    for name in ["checkout_url", "pix_code"] {
        assert_eq!(first[name], second[name]);
    }
    assert_eq!(first["invoice"], second["invoice"]);
    assert_eq!(till.creates(), 1, "one PIX at the gateway");
    // Only one way, and only ways that there are.
    let one = till.check_out(&json!({"method": "pix"})).await;
    assert_eq!(
        (&one["checkout_url"], &one["pix_code"]),
        (&Value::Null, &first["pix_code"])
    );
    let post = |body: Value| till.owner(Method::POST, "/api/checkout").json(&body);
    post(json!({"method": "boleto"}))
        .await
        .problem(409, "method_not_offered");
    post(json!({"gateway": "stripe"}))
        .await
        .problem(409, "method_not_offered");
    post(json!({"method": "card"}))
        .await
        .problem(422, "invalid_fields");
    post(json!({"method": "barter", "gateway": "x", "plan": "?"}))
        .await
        .problem(422, "invalid_fields");
    post(json!({"plan": "no_such_plan"}))
        .await
        .problem(422, "invalid_fields");
}

#[tokio::test]
async fn another_plan_is_paid_at_once() {
    let till = Till::open_by_hand().await;
    let starter = till.check_out(&json!({"method": "pix"})).await;
    let pro = till.check_out(&json!({"plan": "pro", "method": "pix"})).await;
    assert_ne!(starter["invoice"]["id"], pro["invoice"]["id"]);
    assert!(pro["invoice"]["total_cents"].as_i64() > starter["invoice"]["total_cents"].as_i64());
    // What is not owed any more can no longer be paid.
    till.advance(chrono::TimeDelta::minutes(2));
    till.work().await;
    assert_eq!(
        till.charge_status(id_of(&starter["charges"][0]["id"])).await,
        "canceled"
    );
    assert_eq!(
        till.charge_status(id_of(&pro["charges"][0]["id"])).await,
        "pending"
    );
}

#[tokio::test]
async fn an_invoice_is_paid_by_its_address_and_its_qr_code() {
    let till = Till::open_by_hand().await;
    let call = till.admin(
        Method::POST,
        &format!("/api/admin/tenants/{}/invoices", till.client.key),
    );
    let body =
        json!({"items": [{"description": "Automação de vendas", "quantity": 1, "unit_cents": 25_000}]});
    let issued = call.json(&body).await.expect(201).json();
    let id = id_of(&issued["id"]);
    let code = |kind: &str| till.owner(Method::GET, &format!("/api/invoices/{id}/pix.{kind}"));
    code("png").await.problem(404, "not_found");
    let pay = till.owner(Method::POST, &format!("/api/invoices/{id}/pay"));
    let answer = pay.json(&json!({"method": "pix"})).await.expect(200).json();
    assert_eq!(answer["charges"][0]["amount_cents"], 25_000);
    let png = code("png").await;
    png.expect(200);
    assert_eq!(png.header("content-type"), Some("image/png"));
    assert!(png.body.starts_with(b"\x89PNG"));
    let svg = code("svg").await;
    svg.expect(200);
    assert_eq!(svg.header("content-type"), Some("image/svg+xml"));
    assert!(svg.text().starts_with("<svg"));
    let nowhere = uuid::Uuid::now_v7();
    let call = till.owner(Method::POST, &format!("/api/invoices/{nowhere}/pay"));
    call.json(&json!({})).await.problem(404, "not_found");
}

#[tokio::test]
async fn a_gateway_that_is_away_is_503_and_the_worker_goes_on() {
    let till = Till::open_by_hand().await;
    till.gateway
        .fail(Fault::repeated("POST /v1/payments", Failure::Status(503), 5));
    let call = till.owner(Method::POST, "/api/checkout");
    call.json(&json!({"method": "pix"}))
        .await
        .problem(503, "payment_unavailable");
    let charge = till.only_charge().await;
    for _ in 0..6 {
        till.advance(chrono::TimeDelta::minutes(10));
        till.work().await;
    }
    let code: Option<String> = till
        .column("select pix_code from master.charges where id = $1", charge)
        .await;
    assert!(code.is_some());
    let (_, same, _) = till.pix().await;
    assert_eq!(same, charge);
    assert_eq!(till.pix_payments().len(), 1);
}

#[tokio::test]
async fn an_onboarding_says_where_to_pay() {
    let till = Till::open_by_hand().await;
    let post = async |key: &str| {
        let call = till
            .admin(Method::POST, "/api/admin/tenants")
            .idempotency_key(key);
        call.json(&TestApp::onboarding(key, "cars"))
            .await
            .expect(201)
            .json()
    };
    let made = post("com-pagina").await;
    assert!(
        made["checkout_url"]
            .as_str()
            .is_some_and(|url| url.starts_with("http://")),
        "{made}"
    );
    assert_eq!(post("com-pagina").await["checkout_url"], made["checkout_url"]);
    // The gateway is away: the client is there all the same, and the page later.
    till.gateway.fail(Fault::repeated(
        "POST /checkout/preferences",
        Failure::Status(503),
        6,
    ));
    let without = post("sem-pagina").await;
    assert_eq!(without["checkout_url"], Value::Null);
    for _ in 0..6 {
        till.advance(chrono::TimeDelta::minutes(10));
        till.work().await;
    }
    let page: Option<String> = till
        .column(
            "select pay_url from master.charges where tenant_id = $1 and method = 'checkout'",
            id_of(&without["id"]),
        )
        .await;
    assert!(page.is_some());
    let elsewhere = till
        .app
        .test
        .platform
        .payments
        .accounts
        .list(None)
        .await
        .expect("accounts");
    assert_eq!(elsewhere.len(), 1);
}

#[tokio::test]
async fn without_an_account_nothing_is_issued() {
    let app = TestApp::start().await;
    let call = app.post("/api/admin/tenants").bearer(&app.admin.token);
    let made = call
        .json(&TestApp::onboarding("sem-conta", "cars"))
        .await
        .expect(201)
        .json();
    assert_eq!(made["checkout_url"], Value::Null);
    let admin = app.test.admin().await;
    let invoices: i64 = admin
        .query_one("select count(*) from master.invoices", &[])
        .await
        .expect("invoices")
        .get(0);
    assert_eq!(invoices, 0);
}

#[tokio::test]
async fn asaas_collects_by_pix_slip_and_page() {
    let till = Till::open_at(Kind::Asaas, false).await;
    for (method, shown) in [
        ("pix", "pix_code"),
        ("checkout", "pay_url"),
        ("boleto", "barcode"),
    ] {
        let answer = till.check_out(&json!({"method": method})).await;
        assert!(answer["charges"][0][shown].is_string(), "{method}: {answer}");
    }
}
