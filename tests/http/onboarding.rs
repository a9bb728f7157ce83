//! `POST /api/admin/tenants`: a client comes to be, over HTTP.

use serde_json::json;

use crate::helpers::TestApp;

#[tokio::test]
async fn an_onboarded_tenant_is_served_at_once() {
    let app = TestApp::start().await;
    let garage = app.onboard("garage-alpha", "cars").await;
    let lead = json!({"name": "Ana"});
    app.post("/api/leads").by(&garage).json(&lead).await.expect(201);
    let token = app.log_in(&garage).await;
    let leads = app.get("/api/leads").key_header(&garage).bearer(&token).await;
    assert_eq!(leads.expect(200).json()["items"][0]["name"], "Ana");
    app.get("/api/leads")
        .of(&garage)
        .await
        .problem(401, "unauthorized");
}
