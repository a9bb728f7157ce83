//! Administrators log in and out.

use chrono::TimeDelta;
use futures_util::future::join_all;
use helixai::domain::clock::Clock;
use serde_json::json;

use crate::helpers::{Answer, TestApp};

async fn try_password(app: &TestApp, email: &str, password: &str) -> Answer {
    let call = app.post("/api/admin/sessions");
    call.json(&json!({"email": email, "password": password})).await
}

#[tokio::test]
async fn an_administrator_logs_in_on_the_base_domain_and_out() {
    let app = TestApp::start().await;
    let garage = app.onboard("garage-alpha", "cars").await;
    let credentials = json!({"email": app.admin.email, "password": app.admin.password});
    let there = app.post("/api/admin/sessions").of(&garage).json(&credentials);
    there.await.problem(404, "not_found");
    let wrong = try_password(&app, &app.admin.email, "wrong password").await;
    wrong.problem(401, "wrong_credentials");
    // An owner is nobody here.
    let owner = try_password(&app, &garage.owner_email, &garage.owner_password).await;
    owner.problem(401, "wrong_credentials");

    let token = app.log_in_admin().await;
    assert!(token.starts_with("hxa_"));
    let lower = app
        .get("/api/admin/tenants")
        .header("authorization", &format!("bearer {token}"));
    lower.await.expect(200);
    app.delete("/api/admin/sessions/current")
        .bearer(&token)
        .await
        .expect(204);
    app.get("/api/admin/tenants")
        .bearer(&token)
        .await
        .problem(401, "unauthorized");
    app.get("/api/admin/tenants")
        .bearer(&app.admin.token)
        .await
        .expect(200);
}

#[tokio::test]
async fn logging_in_and_out_is_in_the_audit() {
    let app = TestApp::start().await;
    for password in ["wrong", "wrong again"] {
        try_password(&app, &app.admin.email, password)
            .await
            .problem(401, "wrong_credentials");
    }
    try_password(&app, "nobody@example.com", "wrong")
        .await
        .problem(401, "wrong_credentials");
    let token = app.log_in_admin().await;
    let out = app.delete("/api/admin/sessions/current").bearer(&token);
    let out = out.await.expect(204).header("x-request-id").unwrap().to_owned();
    let audit = app.get("/api/admin/audit?limit=2").bearer(&app.admin.token);
    let audit = audit.await.expect(200).json();
    let [last, before] = &audit["items"].as_array().unwrap()[..] else {
        panic!("{audit}")
    };
    assert_eq!(
        (&last["action"], &last["request_id"]),
        (&json!("admin.log_out"), &json!(out))
    );
    assert_eq!(
        (&before["action"], &before["details"]),
        (&json!("admin.log_in"), &json!({"failures_before": 2}))
    );
    for line in [last, before] {
        assert_eq!(
            (&line["actor_kind"], &line["entity"]),
            (&json!("admin"), &json!("admin"))
        );
        assert_eq!(line["actor_id"], line["entity_id"]);
    }
    assert!(!audit.to_string().contains('@'), "nobody's address: {audit}");
}

#[tokio::test]
async fn an_administrators_session_ends_by_itself() {
    let clock = Clock::fixed(chrono::Utc::now());
    let app = TestApp::builder()
        .set("sessions.admin_hours", 2)
        .clock(clock.clone())
        .start()
        .await;
    let token = app.log_in_admin().await;
    let list = || app.get("/api/admin/tenants").bearer(&token);
    clock.advance(TimeDelta::hours(2) - TimeDelta::microseconds(1));
    list().await.expect(200);
    clock.advance(TimeDelta::microseconds(1));
    list().await.problem(401, "unauthorized");
}

#[tokio::test]
async fn an_administrator_who_fails_too_often_waits() {
    let clock = Clock::fixed(chrono::Utc::now());
    let app = TestApp::builder()
        .set("sessions.login_max_failures", 2)
        .set("sessions.login_window_secs", 60)
        .clock(clock.clone())
        .start()
        .await;
    for _ in 0..2 {
        try_password(&app, &app.admin.email, "wrong")
            .await
            .problem(401, "wrong_credentials");
    }
    let blocked = try_password(&app, &app.admin.email, &app.admin.password).await;
    blocked.problem(429, "too_many_failures");
    assert_eq!(blocked.header("retry-after"), Some("60"));
    // Who has logged in already goes on.
    app.get("/api/admin/tenants")
        .bearer(&app.admin.token)
        .await
        .expect(200);
    clock.advance(TimeDelta::seconds(60));
    app.log_in_admin().await;

    let guesses = (0..12).map(|n| {
        let app = &app;
        async move {
            try_password(app, &app.admin.email, &format!("guess {n}"))
                .await
                .status
        }
    });
    let mut statuses = join_all(guesses).await;
    statuses.sort_unstable();
    assert_eq!(statuses[..2], [401, 401], "{statuses:?}");
    assert!(statuses[2..].iter().all(|status| *status == 429), "{statuses:?}");
}
