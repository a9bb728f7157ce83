//! Logging in, being recognised, and logging out.

use chrono::{TimeDelta, Utc};
use futures_util::future::join_all;
use helixai::domain::clock::Clock;
use serde_json::{Value, json};

use crate::helpers::{Answer, Call, TestApp, TestTenant, send_raw, tenant_db_of};

async fn try_password(app: &TestApp, tenant: &TestTenant, email: &str, password: &str) -> Answer {
    let call = app.post("/api/sessions").of(tenant);
    call.json(&json!({"email": email, "password": password})).await
}

/// Everything of an answer that does not name this one request.
fn alike(answer: &Answer) -> Value {
    let mut body = answer.json();
    body["request_id"] = Value::Null;
    body
}

#[tokio::test]
async fn a_login_answers_a_token_and_the_same_as_a_cookie() {
    let app = TestApp::start().await;
    let garage = app.onboard("garage-alpha", "cars").await;
    let answer = try_password(&app, &garage, &garage.owner_email, &garage.owner_password).await;
    let session = answer.expect(201).json();
    let token = session["token"].as_str().expect("a token");
    assert!(session["expires_at"].as_str().is_some());

    let cookie = answer
        .header("set-cookie")
        .expect("a cookie")
        .to_ascii_lowercase();
    let attributes: Vec<&str> = cookie.split("; ").collect();
    assert_eq!(
        attributes[0],
        format!("helixai_session={}", token.to_ascii_lowercase())
    );
    for wanted in ["httponly", "samesite=lax", "path=/"] {
        assert!(attributes.contains(&wanted), "{cookie}");
    }
    assert!(!cookie.contains("domain="), "host-only: {cookie}");
    assert!(
        !cookie.contains("secure"),
        "the tests' clients use http: {cookie}"
    );

    let me = app
        .get("/api/me")
        .of(&garage)
        .bearer(token)
        .await
        .expect(200)
        .json();
    assert_eq!(
        (&me["email"], &me["role"]),
        (&json!(garage.owner_email), &json!("owner"))
    );
    app.get("/api/me").of(&garage).cookie(token).await.expect(200);
    // Addresses are compared as people write them.
    let shouted = garage.owner_email.to_uppercase();
    try_password(&app, &garage, &shouted, &garage.owner_password)
        .await
        .expect(201);
}

#[tokio::test]
async fn behind_https_the_cookie_is_secure() {
    let app = TestApp::builder()
        .set("server.public_scheme", "https")
        .start()
        .await;
    let garage = app.onboard("garage-alpha", "cars").await;
    let answer = try_password(&app, &garage, &garage.owner_email, &garage.owner_password).await;
    let cookie = answer.expect(201).header("set-cookie").expect("a cookie");
    assert!(cookie.contains("Secure"), "{cookie}");
}

#[tokio::test]
async fn nobody_learns_who_has_an_account() {
    let app = TestApp::start().await;
    let garage = app.onboard("garage-alpha", "cars").await;
    let sales = app.onboard("sales-beta", "cars").await;
    let wrong = try_password(&app, &garage, &garage.owner_email, "not the password").await;
    wrong.problem(401, "wrong_credentials");
    for (email, password) in [
        ("nobody@example.com", garage.owner_password.as_str()),
        (sales.owner_email.as_str(), sales.owner_password.as_str()),
        (app.admin.email.as_str(), app.admin.password.as_str()),
        (garage.owner_email.as_str(), ""),
    ] {
        let answer = try_password(&app, &garage, email, password).await;
        answer.expect(401);
        assert_eq!(alike(&answer), alike(&wrong), "{email}");
        assert_eq!(answer.header("set-cookie"), None);
    }
}

#[tokio::test]
async fn a_user_who_was_disabled_is_out_at_once() {
    let app = TestApp::start().await;
    let garage = app.onboard("garage-alpha", "cars").await;
    let token = app.log_in(&garage).await;
    let disable = format!("update {}.users set status = 'disabled'", garage.schema);
    app.test
        .admin()
        .await
        .execute(&disable, &[])
        .await
        .expect("disabled");
    app.get("/api/me")
        .of(&garage)
        .bearer(&token)
        .await
        .problem(401, "unauthorized");
    let answer = try_password(&app, &garage, &garage.owner_email, &garage.owner_password).await;
    answer.problem(401, "wrong_credentials");
}

#[tokio::test]
async fn whoever_fails_too_often_waits() {
    let clock = Clock::fixed(chrono::Utc::now());
    let app = TestApp::builder()
        .set("sessions.login_max_failures", 3)
        .set("sessions.login_window_secs", 600)
        .clock(clock.clone())
        .start()
        .await;
    let garage = app.onboard("garage-alpha", "cars").await;
    let (email, right) = (garage.owner_email.as_str(), garage.owner_password.as_str());
    // Two failures and a success: the count begins anew.
    for _ in 0..2 {
        try_password(&app, &garage, email, "wrong password")
            .await
            .expect(401);
    }
    try_password(&app, &garage, email, right).await.expect(201);
    for _ in 0..3 {
        try_password(&app, &garage, email, "wrong password")
            .await
            .expect(401);
    }
    let blocked = try_password(&app, &garage, email, "wrong password").await;
    blocked.problem(429, "too_many_failures");
    assert_eq!(blocked.header("retry-after"), Some("600"));
    // The right password does not help now, and trying goes on not to help.
    try_password(&app, &garage, email, right).await.expect(429);
    // An unknown address is treated alike.
    for _ in 0..3 {
        try_password(&app, &garage, "nobody@example.com", "x")
            .await
            .expect(401);
    }
    try_password(&app, &garage, "nobody@example.com", "x")
        .await
        .expect(429);
    // Other accounts and other tenants are not concerned.
    try_password(&app, &garage, "other@example.com", "x")
        .await
        .expect(401);
    let sales = app.onboard("sales-beta", "cars").await;
    try_password(&app, &sales, email, "x").await.expect(401);

    clock.advance(TimeDelta::seconds(599));
    try_password(&app, &garage, email, right).await.expect(429);
    clock.advance(TimeDelta::seconds(1));
    try_password(&app, &garage, email, right).await.expect(201);
}

#[tokio::test]
async fn failures_count_when_they_come_all_at_once() {
    let app = TestApp::builder()
        .set("sessions.login_max_failures", 2)
        .start()
        .await;
    let garage = app.onboard("garage-alpha", "cars").await;
    let guesses = (0..12).map(|n| {
        let (app, garage) = (&app, &garage);
        async move {
            try_password(app, garage, &garage.owner_email, &format!("guess {n}"))
                .await
                .status
        }
    });
    let mut statuses = join_all(guesses).await;
    statuses.sort_unstable();
    assert_eq!(statuses[..2], [401, 401], "{statuses:?}");
    assert!(statuses[2..].iter().all(|status| *status == 429), "{statuses:?}");
}

#[tokio::test]
async fn guessing_from_many_addresses_is_stopped_and_locks_nobody_out_early() {
    let app = TestApp::builder()
        .set("sessions.login_max_failures", 1)
        .set("server.trusted_proxies", "127.0.0.1")
        .start()
        .await;
    let garage = app.onboard("garage-alpha", "cars").await;
    let from = |address: &str, password: &str| -> Call {
        let body = json!({"email": garage.owner_email, "password": password});
        let call = app.post("/api/sessions").of(&garage);
        call.header("x-forwarded-for", address).json(&body)
    };
    from("192.0.2.1", "wrong").await.expect(401);
    // However long one address goes on, others are let in.
    for _ in 0..15 {
        from("192.0.2.1", "wrong").await.expect(429);
    }
    from("192.0.2.2", &garage.owner_password).await.expect(201);
    for host in 1..=10 {
        from(&format!("198.51.100.{host}"), "wrong").await.expect(401);
    }
    from("198.51.100.11", "wrong").await.expect(429);
    from("192.0.2.2", &garage.owner_password).await.expect(429);
}

#[tokio::test]
async fn only_a_trusted_proxy_says_where_a_request_comes_from() {
    let app = TestApp::builder()
        .set("sessions.login_max_failures", 1)
        .start()
        .await;
    let garage = app.onboard("garage-alpha", "cars").await;
    for (host, status) in [(1, 401), (2, 429)] {
        let body = json!({"email": garage.owner_email, "password": "wrong"});
        let call = app.post("/api/sessions").of(&garage).json(&body);
        call.header("x-forwarded-for", &format!("192.0.2.{host}"))
            .await
            .expect(status);
    }
}

#[tokio::test]
async fn what_a_proxy_adds_counts_more_than_what_a_client_says() {
    let app = TestApp::builder()
        .set("sessions.login_max_failures", 1)
        .set("server.trusted_proxies", "127.0.0.1,10.0.0.0/8")
        .start()
        .await;
    let garage = app.onboard("garage-alpha", "cars").await;
    let body = json!({"email": garage.owner_email, "password": "wrong"}).to_string();
    let login = |forwarded: String| {
        let request = format!(
            "POST /api/sessions HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n{forwarded}\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            garage.host(),
            body.len()
        );
        async move { send_raw(app.address, request.as_bytes()).await.status }
    };
    let lie = |n: u8| format!("X-Forwarded-For: 203.0.113.{n}");
    // In one line, in two, and by way of two proxies: it is always 192.0.2.1 that asks.
    assert_eq!(login(format!("{}, 192.0.2.1\r\n", lie(1))).await, 401);
    assert_eq!(login(format!("{}, 192.0.2.1\r\n", lie(2))).await, 429);
    assert_eq!(
        login(format!("{}\r\nX-Forwarded-For: 192.0.2.1\r\n", lie(3))).await,
        429
    );
    assert_eq!(
        login(format!("{}\r\nX-Forwarded-For: 192.0.2.1, 10.0.0.7\r\n", lie(4))).await,
        429
    );
    assert_eq!(login(format!("{}, nonsense\r\n", lie(5))).await, 401);
}

#[tokio::test]
async fn logging_out_ends_the_session_at_once_and_only_it() {
    let app = TestApp::start().await;
    let garage = app.onboard("garage-alpha", "cars").await;
    let second = app.second_process().await;
    let (token, other) = (app.log_in(&garage).await, app.log_in(&garage).await);
    app.get("/api/me")
        .of(&garage)
        .at(second)
        .bearer(&token)
        .await
        .expect(200);
    let out = app
        .delete("/api/sessions/current")
        .of(&garage)
        .bearer(&token)
        .await;
    let cookie = out
        .expect(204)
        .header("set-cookie")
        .expect("the cookie is taken back")
        .to_owned();
    assert!(
        cookie.starts_with("helixai_session=;") && cookie.contains("Max-Age=0"),
        "{cookie}"
    );
    for address in [app.address, second] {
        let me = app.get("/api/me").of(&garage).at(address).bearer(&token);
        me.await.problem(401, "unauthorized");
    }
    app.delete("/api/sessions/current")
        .of(&garage)
        .bearer(&token)
        .await
        .problem(401, "unauthorized");
    app.get("/api/me").of(&garage).bearer(&other).await.expect(200);
}

#[tokio::test]
async fn a_session_ends_by_itself() {
    let clock = Clock::fixed(chrono::Utc::now());
    let app = TestApp::builder()
        .set("sessions.user_hours", 5)
        .clock(clock.clone())
        .start()
        .await;
    let garage = app.onboard("garage-alpha", "cars").await;
    let token = app.log_in(&garage).await;
    clock.advance(TimeDelta::hours(5) - TimeDelta::microseconds(1));
    app.get("/api/me").of(&garage).bearer(&token).await.expect(200);
    clock.advance(TimeDelta::microseconds(1));
    app.get("/api/me")
        .of(&garage)
        .bearer(&token)
        .await
        .problem(401, "unauthorized");
}

#[tokio::test]
async fn a_new_password_ends_every_other_session() {
    let app = TestApp::start().await;
    let garage = app.onboard("garage-alpha", "cars").await;
    let (own, other) = (app.log_in(&garage).await, app.log_in(&garage).await);
    let change = |current: &str, new: &str| {
        let body = json!({"current_password": current, "new_password": new});
        app.put("/api/me/password").of(&garage).bearer(&own).json(&body)
    };
    change("not the password", "a new password")
        .await
        .refused_fields(&[("current_password", "wrong_password")]);
    change(&garage.owner_password, "short")
        .await
        .refused_fields(&[("new_password", "too_short")]);
    app.get("/api/me").of(&garage).bearer(&other).await.expect(200);

    change(&garage.owner_password, "a new password").await.expect(204);
    app.get("/api/me").of(&garage).bearer(&own).await.expect(200);
    app.get("/api/me")
        .of(&garage)
        .bearer(&other)
        .await
        .problem(401, "unauthorized");
    let old = try_password(&app, &garage, &garage.owner_email, &garage.owner_password).await;
    old.problem(401, "wrong_credentials");
    app.log_in_user(&garage, &garage.owner_email, "a new password")
        .await;
}

#[tokio::test]
async fn a_cookie_changes_nothing_from_another_site() {
    let app = TestApp::start().await;
    let garage = app.onboard("garage-alpha", "cars").await;
    let token = app.log_in(&garage).await;
    let create = || {
        app.post("/api/leads")
            .of(&garage)
            .cookie(&token)
            .json(&json!({"name": "Ana"}))
    };
    let own = format!("http://{}", garage.host());
    for origin in [
        "https://evil.example",
        "null",
        "http://garage-alpha.helixai.test.evil.example",
        "http://evil.garage-alpha.helixai.test",
        "http://sales-beta.helixai.test",
        "http://helixai.test",
        "garage-alpha.helixai.test",
        "https://garage-alpha.helixai.test",
        "",
    ] {
        create()
            .header("origin", origin)
            .await
            .problem(403, "origin_mismatch");
    }
    create().await.problem(403, "origin_mismatch");
    create().header("origin", &own).await.expect(201);
    // With the port that the browser shows.
    let port = create().host(&format!("{}:8080", garage.host()));
    port.header("origin", &format!("{own}:8080")).await.expect(201);
    // Reading needs none; a token in the header needs none, as no site can make a browser send it.
    app.get("/api/leads").of(&garage).cookie(&token).await.expect(200);
    let call = app
        .post("/api/leads")
        .by(&garage)
        .header("origin", "https://evil.example");
    call.json(&json!({"name": "Ana"})).await.expect(201);
    // A cookie is a session's: an API key in it is worth nothing.
    let key = app.get("/api/leads").of(&garage).cookie(&garage.api_key);
    key.await.problem(401, "unauthorized");
    app.get("/api/leads")
        .of(&garage)
        .cookie("nonsense")
        .await
        .problem(401, "unauthorized");
    app.delete("/api/sessions/current")
        .of(&garage)
        .cookie(&token)
        .await
        .problem(403, "origin_mismatch");
    app.get("/api/me").of(&garage).bearer(&token).await.expect(200);
}

#[tokio::test]
async fn a_missing_or_malformed_field_of_a_login_is_told() {
    let app = TestApp::start().await;
    let garage = app.onboard("garage-alpha", "cars").await;
    let login = |body: Value| app.post("/api/sessions").of(&garage).json(&body);
    login(json!({}))
        .await
        .refused_fields(&[("email", "required"), ("password", "required")]);
    login(json!({"email": "ana", "password": "x"}))
        .await
        .refused_fields(&[("email", "invalid_format")]);
    let nul = json!({"email": "ana@example.com", "password": "\u{0}"});
    login(nul).await.problem(401, "wrong_credentials");
    let extra = json!({"email": "a@example.com", "password": "x", "role": "owner"});
    login(extra).await.refused_fields(&[("role", "unknown_field")]);
}

/// A page that came in the clear is not this site's own where the site has TLS.
#[tokio::test]
async fn a_cookie_counts_from_pages_of_the_same_scheme() {
    let app = TestApp::builder()
        .set("server.public_scheme", "https")
        .start()
        .await;
    let garage = app.onboard("garage-alpha", "cars").await;
    let token = app.log_in(&garage).await;
    let create = |scheme: &str| {
        let origin = format!("{scheme}://{}", garage.host());
        let call = app.post("/api/leads").of(&garage).cookie(&token);
        call.header("origin", &origin).json(&json!({"name": "Ana"}))
    };
    create("http").await.problem(403, "origin_mismatch");
    create("https").await.expect(201);
}

/// What strangers have tried is not kept for ever.
#[tokio::test]
async fn attempts_of_unknown_addresses_are_forgotten() {
    let clock = Clock::fixed(Utc::now());
    let app = TestApp::builder().clock(clock.clone()).start().await;
    let garage = app.onboard("garage-alpha", "cars").await;
    let admin = app.test.admin().await;
    let kept = async |schema: &str| -> i64 {
        let select = format!("select count(*) from {schema}.login_throttle");
        admin.query_one(&select, &[]).await.unwrap().get(0)
    };
    let attempt = |path: &str, who: &str| {
        let body = json!({"email": format!("{who}@example.com"), "password": "nonsense"});
        app.post(path).json(&body)
    };
    for who in ["one", "two", "three"] {
        attempt("/api/sessions", who).of(&garage).await.expect(401);
        attempt("/api/admin/sessions", who).await.expect(401);
    }
    // By the account from one address, and by the account from anywhere.
    assert_eq!((kept(&garage.schema).await, kept("master").await), (6, 6));
    clock.advance(TimeDelta::minutes(14));
    attempt("/api/sessions", "four").of(&garage).await.expect(401);
    attempt("/api/admin/sessions", "four").await.expect(401);
    assert_eq!(
        (kept(&garage.schema).await, kept("master").await),
        (8, 8),
        "they count still"
    );
    clock.advance(TimeDelta::minutes(2));
    attempt("/api/sessions", "four").of(&garage).await.expect(401);
    attempt("/api/admin/sessions", "four").await.expect(401);
    assert_eq!((kept(&garage.schema).await, kept("master").await), (2, 2));
}

/// What is changed has its line in the audit, or is not changed: also when its session ends half-way.
#[tokio::test]
async fn nothing_is_written_for_a_session_that_has_ended() {
    use helixai::db::tenant::{Access, Query, audit};
    use helixai::db::{DbError, Refusal};
    use helixai::domain::rights::Need;
    use helixai::domain::token::ParsedToken;

    let app = TestApp::start().await;
    let garage = app.onboard("garage-alpha", "cars").await;
    let session = app.log_in(&garage).await;
    let token = ParsedToken::parse(&session).expect("a token");
    let access = Access::bearer(&token, Need::Write, app.test.clock.now()).expect("a session");
    let db = tenant_db_of(&app.test.platform, &garage.key).await;
    let (tx, _) = db.begin(&access, ()).await.expect("it lives");
    app.delete("/api/sessions/current")
        .of(&garage)
        .bearer(&session)
        .await
        .expect(204);
    let change = Query::execute("update settings set value = '1'");
    let line = audit::insert(&access, "settings.update", "settings", "all");
    let refused = tx.commit((change, line)).await;
    assert!(
        matches!(refused, Err(DbError::Refused(Refusal::Credentials))),
        "{refused:?}"
    );
}
