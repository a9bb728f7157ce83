//! One tenant's haste is not its neighbour's wait.

use crate::helpers::TestApp;

#[tokio::test]
async fn a_tenant_in_haste_is_slowed_down_and_nobody_else() {
    let app = TestApp::builder()
        .set("rate_limit.per_tenant_per_second", 1)
        .set("rate_limit.burst", 5)
        .start()
        .await;
    let garage = app.onboard("garage-alpha", "cars").await;
    let sales = app.onboard("sales-beta", "cars").await;
    let mut served = 0;
    let refused = loop {
        let answer = app.get("/api/leads").by(&garage).await;
        if answer.status != 200 {
            break answer;
        }
        served += 1;
        assert!(served < 1000, "nobody is slowed down");
    };
    refused.problem(429, "too_many_requests");
    assert!(served >= 5, "{served}");
    assert!(refused.header("retry-after").is_some());
    app.get("/api/leads").by(&sales).await.expect(200);
    app.get("/api/admin/tenants")
        .bearer(&app.admin.token)
        .await
        .expect(200);
    app.get("/healthz").of(&garage).await.expect(200);
}
