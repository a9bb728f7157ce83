//! A tenant whose schema is older than the program serves is told to wait; the others do not notice.

use std::sync::Arc;

use helixai::platform::Platform;
use helixai::tenancy::migrator::Order;
use serde_json::json;

use crate::helpers::{Call, TestApp, cli_origin};

#[tokio::test]
async fn a_tenant_behind_is_answered_503_until_it_is_migrated() {
    let app = TestApp::start().await;
    let second = app.second_process().await;
    let behind = app.onboard("garage-alpha", "cars").await;
    let other = app.onboard("sales-beta", "cars").await;
    let calls = |tenant| -> Vec<Call> {
        [app.address, second]
            .into_iter()
            .flat_map(|place| {
                [
                    app.get("/api/leads").by(tenant),
                    app.post("/api/leads").by(tenant).json(&json!({"name": "Ana"})),
                    app.get("/api/subscription").by(tenant),
                    app.get("/veiculos").of(tenant),
                    app.post("/api/sessions")
                        .of(tenant)
                        .json(&json!({"email": "a@b.example", "password": "not the password"})),
                ]
                .map(|call| call.at(place))
            })
            .collect()
    };
    for call in calls(&behind) {
        let answer = call.await;
        assert!([200, 201, 401].contains(&answer.status), "{}", answer.describe());
    }
    let admin = app.test.admin().await;
    let forget = "update master.tenant_migrations set version = version - 1
                  where ledger = 'core' and tenant_id = (select id from master.tenants where tenant_key = 'garage-alpha')";
    admin.batch_execute(forget).await.unwrap();
    // By a notice, in every process: nothing is asked for it.
    for place in [app.address, second] {
        app.until("the tenant is refused", || async {
            app.get("/api/leads").by(&behind).at(place).await.status == 503
        })
        .await;
    }
    for call in calls(&behind) {
        let answer = call.await;
        answer.problem(503, "tenant_upgrading");
        assert_eq!(answer.header("retry-after"), Some("30"));
    }
    for call in calls(&other) {
        let answer = call.await;
        assert!([200, 201, 401].contains(&answer.status), "{}", answer.describe());
    }

    let migrator = Platform::migrator(&app.test.settings, app.test.clock.clone(), 2)
        .await
        .unwrap();
    let order = Order {
        canaries: Vec::new(),
        jobs: std::num::NonZeroUsize::MIN,
        max_failures: 0,
        all: false,
    };
    let nobody = Arc::new(|_: &str, _, _| {}) as _;
    let outcome = migrator.run(&order, cli_origin(), &nobody).await.unwrap();
    assert_eq!(outcome.up_to_date, 1, "{outcome:?}");
    for place in [app.address, second] {
        app.until("the tenant is served", || async {
            app.get("/api/leads").by(&behind).at(place).await.status == 200
        })
        .await;
    }
}

#[tokio::test]
async fn the_document_names_it() {
    let app = TestApp::start().await;
    let document = app.get("/api/openapi.json").await.expect(200).json();
    let outage = |path: &str, method: &str| {
        let told = &document["paths"][path][method]["responses"]["503"]["description"];
        told.as_str().unwrap_or_default().to_owned()
    };
    assert!(outage("/api/leads", "get").contains("tenant_upgrading"));
    assert!(outage("/veiculos", "get").contains("tenant_upgrading"));
    let of_platform = outage("/api/admin/tenants", "get");
    assert!(of_platform.contains("database_unavailable"), "{of_platform}");
    assert!(!of_platform.contains("tenant_upgrading"), "{of_platform}");
}
