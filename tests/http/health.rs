//! Whether the program lives, can work, and what it counts.

use crate::helpers::TestApp;

const TOKEN: &str = "a token of sixteen or more";

#[tokio::test]
async fn a_running_program_is_healthy_under_any_name() {
    let app = TestApp::start().await;
    let garage = app.onboard("garage-alpha", "cars").await;
    for path in ["/healthz", "/readyz"] {
        for call in [
            app.get(path),
            app.get(path).of(&garage),
            app.get(path).host("10.0.0.7:8080"),
        ] {
            assert_eq!(call.await.expect(200).json()["status"], "ok");
        }
    }
}

#[tokio::test]
async fn metrics_are_for_those_with_the_token() {
    let app = TestApp::builder()
        .set("metrics.token", TOKEN.replace(' ', "-"))
        .start()
        .await;
    let token = TOKEN.replace(' ', "-");
    let garage = app.onboard("garage-alpha", "cars").await;
    app.get("/api/leads").by(&garage).await.expect(200);
    app.get("/api/leads/unknown").by(&garage).await.expect(404);
    for wrong in ["", "wrong", &token[1..], &app.admin.token, &garage.api_key] {
        app.get("/metrics")
            .bearer(wrong)
            .await
            .problem(401, "unauthorized");
    }
    app.get("/metrics").await.problem(401, "unauthorized");
    let metrics = app.get("/metrics").bearer(&token).await.expect(200).text();
    for wanted in [
        r#"helixai_http_requests_total{method="GET",route="/api/leads",status="200"}"#,
        r#"route="/api/leads/{id}",status="404""#,
        "helixai_provisioning_total",
        "helixai_db_round_trips_total",
    ] {
        assert!(metrics.contains(wanted), "no {wanted} in {metrics}");
    }
    for private in [&garage.key, &garage.id, &garage.schema] {
        assert!(!metrics.contains(private.as_str()), "{private} in {metrics}");
    }
}

#[tokio::test]
async fn without_a_token_metrics_are_on_their_own_port_only() {
    let app = TestApp::builder()
        .set("metrics.bind", "127.0.0.1:0")
        .start()
        .await;
    for token in ["", "anything"] {
        app.get("/metrics").bearer(token).await.problem(404, "not_found");
    }
    let own = app.metrics_address().await.expect("a port of its own");
    assert_ne!(own.port(), app.address.port());
    let answer = reqwest::get(format!("http://{own}/metrics"))
        .await
        .expect("metrics");
    assert_eq!(answer.status(), 200);
    assert!(
        answer
            .text()
            .await
            .expect("text")
            .contains("helixai_http_requests_total")
    );
    // Nothing else is there.
    let other = reqwest::get(format!("http://{own}/api/leads"))
        .await
        .expect("an answer");
    assert_eq!(other.status(), 404);
}
