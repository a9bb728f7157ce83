//! Forgotten passwords, invitations and welcomes: a link works once, for a while, and only where it was made.

use chrono::TimeDelta;
use serde_json::{Value, json};

use super::{Post, rows, token_of};
use crate::helpers::{Answer, TestTenant};

const NEW: &str = "a new password";

async fn ask(post: &Post, tenant: &TestTenant, email: &str) -> Answer {
    let call = post.app.post("/api/password-resets").of(tenant);
    call.json(&json!({ "email": email })).await
}

async fn choose(post: &Post, path: &str, tenant: &TestTenant, token: &str) -> Answer {
    let call = post.app.post(path).of(tenant);
    call.json(&json!({ "token": token, "password": NEW })).await
}

const CONFIRM: &str = "/api/password-resets/confirm";
const ACCEPT: &str = "/api/invitations/accept";
const UNKNOWN: [(&str, &str); 1] = [("token", "unknown_token")];

/// The links of a tenant, in the order in which they were made: `[purpose, minutes]`.
async fn links(post: &Post, tenant: &TestTenant) -> Vec<Value> {
    let select = format!(
        "select jsonb_build_array(purpose, (extract(epoch from expires_at - created_at) / 60)::int4)
         from {}.password_links order by created_at",
        tenant.schema
    );
    rows(&post.app.test, &select).await
}

#[tokio::test]
async fn who_has_forgotten_the_password_chooses_another() {
    let post = Post::start().await;
    let garage = post.app.onboard("garage", "cars").await;
    post.mails_to(&garage.owner_email, 1).await;
    let session = post.app.log_in(&garage).await;
    ask(&post, &garage, &garage.owner_email).await.expect(202);
    let mails = post.mails_to(&garage.owner_email, 2).await;
    let text = mails[1].text();
    for said in ["Dono da Silva", &garage.name, "http://garage.helixai.test"] {
        assert!(text.contains(said), "{said} in {text}");
    }
    let token = token_of(&mails[1], "/reset-password");
    assert!(token.starts_with("hxp_"));
    // It opens nothing but this.
    post.app
        .get("/api/me")
        .of(&garage)
        .bearer(&token)
        .await
        .problem(401, "unauthorized");
    choose(&post, ACCEPT, &garage, &token)
        .await
        .refused_fields(&UNKNOWN);
    let weak = post
        .app
        .post(CONFIRM)
        .of(&garage)
        .json(&json!({ "token": token, "password": "short" }));
    weak.await.refused_fields(&[("password", "too_short")]);
    choose(&post, CONFIRM, &garage, &token).await.expect(204);
    choose(&post, CONFIRM, &garage, &token)
        .await
        .refused_fields(&UNKNOWN);
    post.app
        .get("/api/me")
        .of(&garage)
        .bearer(&session)
        .await
        .problem(401, "unauthorized");
    let login = |password: &str| {
        let call = post.app.post("/api/sessions").of(&garage);
        call.json(&json!({ "email": garage.owner_email, "password": password }))
    };
    login(&garage.owner_password)
        .await
        .problem(401, "wrong_credentials");
    login(NEW).await.expect(201);
    assert_eq!(
        links(&post, &garage).await,
        [json!(null); 0],
        "the link of the welcome has gone, too"
    );
    let select = format!(
        "select jsonb_build_array(action, actor_kind) from {}.audit_log where action like '%password%' order by id",
        garage.schema
    );
    assert_eq!(
        rows(&post.app.test, &select).await,
        [
            json!(["user.ask_password_link", "system"]),
            json!(["user.reset_password_by_link", "system"])
        ]
    );
}

#[tokio::test]
async fn the_answer_does_not_say_whether_there_is_such_a_user() {
    let post = Post::with_background(false).await;
    let garage = post.app.onboard("garage", "cars").await;
    let known = ask(&post, &garage, &garage.owner_email).await;
    let unknown = ask(&post, &garage, "nobody@garage.example").await;
    for answer in [&known, &unknown] {
        assert_eq!(answer.expect(202).text(), "");
    }
    assert_eq!(
        links(&post, &garage).await.len(),
        2,
        "of the welcome, and of the one who is known"
    );
    let select = format!("select payload - 'token_sealed' from {}.outbox", garage.schema);
    let owner = post.app.owner_of(&garage).await;
    assert_eq!(
        rows(&post.app.test, &select).await,
        [json!({ "purpose": "reset", "user_id": owner })]
    );
    // Malformed is malformed, for anybody.
    ask(&post, &garage, "nobody")
        .await
        .refused_fields(&[("email", "invalid_format")]);
}

#[tokio::test]
async fn nobody_can_flood_a_user_with_mails_or_lock_them_out_by_asking() {
    let post = Post::with_background(false).await;
    let garage = post.app.onboard("garage", "cars").await;
    for _ in 0..30 {
        ask(&post, &garage, &garage.owner_email).await.expect(202);
    }
    assert_eq!(links(&post, &garage).await.len(), 3, "with that of the welcome");
    post.app.log_in(&garage).await;
    post.clock.advance(TimeDelta::minutes(61));
    ask(&post, &garage, &garage.owner_email).await.expect(202);
    assert_eq!(
        links(&post, &garage).await.len(),
        1 + 1,
        "an hour later, and the old ones have gone"
    );
}

#[tokio::test]
async fn a_link_of_one_tenant_is_worthless_at_another() {
    let post = Post::start().await;
    let (garage, imob) = (
        post.app.onboard("garage", "cars").await,
        post.app.onboard("imob", "real_estate").await,
    );
    post.mails_to(&garage.owner_email, 1).await;
    ask(&post, &garage, &garage.owner_email).await.expect(202);
    let token = token_of(&post.mails_to(&garage.owner_email, 2).await[1], "/reset-password");
    for path in [CONFIRM, ACCEPT] {
        choose(&post, path, &imob, &token).await.refused_fields(&UNKNOWN);
    }
    let admin = post.app.post("/api/admin/password-resets/confirm");
    let admin = admin.json(&json!({ "token": token, "password": NEW }));
    admin.await.refused_fields(&UNKNOWN);
    post.app.log_in(&imob).await;
    choose(&post, CONFIRM, &garage, &token).await.expect(204);
}

#[tokio::test]
async fn a_link_ends_after_an_hour_or_when_the_user_may_not_come_in() {
    let post = Post::start().await;
    let garage = post.app.onboard("garage", "cars").await;
    post.mails_to(&garage.owner_email, 1).await;
    ask(&post, &garage, &garage.owner_email).await.expect(202);
    let token = token_of(&post.mails_to(&garage.owner_email, 2).await[1], "/reset-password");
    post.clock.advance(TimeDelta::hours(1));
    choose(&post, CONFIRM, &garage, &token)
        .await
        .refused_fields(&UNKNOWN);

    let owner = post.app.log_in(&garage).await;
    let user = json!({ "email": "ana@garage.example", "name": "Ana", "role": "agent" });
    let made = post
        .app
        .post("/api/users")
        .of(&garage)
        .bearer(&owner)
        .json(&user)
        .await;
    let path = format!("/api/users/{}", made.expect(201).json()["id"].as_str().unwrap());
    ask(&post, &garage, "ana@garage.example").await.expect(202);
    let token = token_of(
        &post.mails_to("ana@garage.example", 1).await[0],
        "/reset-password",
    );
    for status in ["disabled", "active"] {
        let patch = post.app.patch(&path).of(&garage).bearer(&owner);
        patch.json(&json!({ "status": status })).await.expect(200);
        choose(&post, CONFIRM, &garage, &token)
            .await
            .refused_fields(&UNKNOWN);
    }
    ask(&post, &garage, "ana@garage.example").await.expect(202);
    let token = token_of(
        &post.mails_to("ana@garage.example", 2).await[1],
        "/reset-password",
    );
    let reset = post
        .app
        .post(&format!("{path}/reset-password"))
        .of(&garage)
        .bearer(&owner);
    reset.await.expect(201);
    choose(&post, CONFIRM, &garage, &token)
        .await
        .refused_fields(&UNKNOWN);
}

#[tokio::test]
async fn who_is_invited_comes_in_by_the_mail() {
    let post = Post::start().await;
    let garage = post.app.onboard("garage", "cars").await;
    let owner = post.app.log_in(&garage).await;
    let settings = post.app.patch("/api/settings").of(&garage).bearer(&owner);
    settings.json(&json!({ "language": "en" })).await.expect(200);
    let user = json!({ "email": "ana@garage.example", "name": "Ana", "role": "agent", "invited": true });
    let call = post.app.post("/api/users").of(&garage).bearer(&owner).json(&user);
    let call = call.idempotency_key("ana");
    let made = call.clone().await.expect(201).json();
    assert_eq!(call.await.expect(201).json(), made, "repeated, and mailed once");
    assert_eq!(made["status"], "invited");
    let first = post.mails_to("ana@garage.example", 1).await;
    assert!(
        first[0].text().contains("Empresa garage has invited you"),
        "{}",
        first[0].text()
    );
    let token = token_of(&first[0], "/accept-invitation");
    choose(&post, CONFIRM, &garage, &token)
        .await
        .refused_fields(&UNKNOWN);
    // Sent again, by whoever manages users and by who was invited.
    let path = format!("/api/users/{}", made["id"].as_str().unwrap());
    let patch = post.app.patch(&path).of(&garage).bearer(&owner);
    patch.json(&json!({ "status": "active" })).await.expect(200);
    post.mails_to("ana@garage.example", 2).await;
    ask(&post, &garage, "ana@garage.example").await.expect(202);
    let third = token_of(
        &post.mails_to("ana@garage.example", 3).await[2],
        "/accept-invitation",
    );
    post.clock.advance(TimeDelta::days(6));
    choose(&post, ACCEPT, &garage, &third).await.expect(204);
    post.app.log_in_user(&garage, "ana@garage.example", NEW).await;
    choose(&post, ACCEPT, &garage, &token)
        .await
        .refused_fields(&UNKNOWN);
    let sent = post
        .server
        .taken()
        .iter()
        .filter(|mail| mail.to == ["ana@garage.example"])
        .count();
    assert_eq!(sent, 3);
}

#[tokio::test]
async fn a_new_owner_is_welcomed_and_chooses_the_password() {
    let post = Post::start().await;
    let garage = post.app.onboard("garage", "cars").await;
    let welcome = &post.mails_to(&garage.owner_email, 1).await[0];
    let text = welcome.text();
    assert!(
        text.contains("http://garage.helixai.test") && text.contains(&garage.owner_email),
        "{text}"
    );
    assert!(!text.contains(&garage.owner_password));
    assert_eq!(links(&post, &garage).await, [json!(["reset", 7 * 24 * 60])]);
    let token = token_of(welcome, "/reset-password");
    choose(&post, CONFIRM, &garage, &token).await.expect(204);
    post.app.log_in_user(&garage, &garage.owner_email, NEW).await;
    // Who was given a password is told to use it.
    let mut body = crate::helpers::TestApp::onboarding("imob", "real_estate");
    body["owner"]["password"] = "given by somebody".into();
    let made = post
        .app
        .post("/api/admin/tenants")
        .bearer(&post.app.admin.token)
        .json(&body);
    made.await.expect(201);
    let welcome = post.mails_to("dono@imob.example", 1).await[0].text();
    assert!(
        !welcome.contains("hxp_") && welcome.contains("senha que você já tem"),
        "{welcome}"
    );
}

#[tokio::test]
async fn an_administrator_has_forgotten_the_password() {
    let post = Post::start().await;
    let garage = post.app.onboard("garage", "cars").await;
    let ask = |email: &str| {
        post.app
            .post("/api/admin/password-resets")
            .json(&json!({ "email": email }))
    };
    assert_eq!(ask("nobody@helixai.test").await.expect(202).text(), "");
    for _ in 0..5 {
        assert_eq!(ask(&post.app.admin.email).await.expect(202).text(), "");
    }
    let mails = post.mails_to(&post.app.admin.email, 3).await;
    let [first, second] = [0, 1].map(|index: usize| token_of(&mails[index], "/reset-password"));
    assert!(mails[0].text().contains("http://helixai.test") && mails[0].text().contains("Ada Min"));
    let choose = |token: &str| {
        let call = post.app.post("/api/admin/password-resets/confirm");
        call.json(&json!({ "token": token, "password": NEW }))
    };
    choose("hxp_nothing").await.refused_fields(&UNKNOWN);
    choose(&first).await.expect(204);
    for used in [&first, &second] {
        choose(used).await.refused_fields(&UNKNOWN);
    }
    let old = post.app.get("/api/admin/plans").bearer(&post.app.admin.token);
    old.await.problem(401, "unauthorized");
    let login = |password: &str| {
        let call = post.app.post("/api/admin/sessions");
        call.json(&json!({ "email": post.app.admin.email, "password": password }))
    };
    login(&post.app.admin.password)
        .await
        .problem(401, "wrong_credentials");
    login(NEW).await.expect(201);
    let sent = post
        .server
        .taken()
        .iter()
        .filter(|mail| mail.to == [post.app.admin.email.clone()])
        .count();
    assert_eq!(sent, 3, "no more than three in an hour");
    // Only at the platform's own address.
    for path in ["/api/admin/password-resets", "/api/admin/password-resets/confirm"] {
        post.app
            .post(path)
            .of(&garage)
            .json(&json!({}))
            .await
            .problem(404, "not_found");
    }
}

#[tokio::test]
async fn tokens_are_stored_nowhere_in_clear() {
    let post = Post::start().await;
    let garage = post.app.onboard("garage", "cars").await;
    post.mails_to(&garage.owner_email, 1).await;
    ask(&post, &garage, &garage.owner_email).await.expect(202);
    let token = token_of(&post.mails_to(&garage.owner_email, 2).await[1], "/reset-password");
    let secret = token.trim_start_matches("hxp_");
    for table in [
        format!("{}.outbox", garage.schema),
        format!("{}.password_links", garage.schema),
        format!("{}.audit_log", garage.schema),
        "master.mails".to_owned(),
        "master.audit_log".to_owned(),
    ] {
        let held =
            format!("select to_jsonb(count(*)) from {table} t where to_jsonb(t)::text like '%{secret}%'");
        assert_eq!(rows(&post.app.test, &held).await, [json!(0)], "{table}");
        // What would be found in bytes, too.
        let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
        let held = format!("select to_jsonb(count(*)) from {table} t where to_jsonb(t)::text like '%{hex}%'");
        assert_eq!(rows(&post.app.test, &held).await, [json!(0)], "{table}");
    }
}

#[tokio::test]
async fn the_links_lead_to_a_page() {
    let post = Post::with_background(false).await;
    let garage = post.app.onboard("garage", "cars").await;
    for (path, action) in [("/reset-password", CONFIRM), ("/accept-invitation", ACCEPT)] {
        let page = post.app.get(path).of(&garage).await;
        assert!(
            page.expect(200)
                .text()
                .contains(&format!("data-action=\"{action}\""))
        );
        let policy = page.header("content-security-policy").unwrap();
        assert!(
            policy.contains("default-src 'none'") && !policy.contains("unsafe"),
            "{policy}"
        );
        assert_eq!(page.header("referrer-policy"), Some("no-referrer"));
        post.app
            .get(path)
            .host("nobody.helixai.test")
            .await
            .problem(404, "tenant_not_found");
    }
    let admin = post.app.get("/reset-password").await;
    assert!(
        admin
            .expect(200)
            .text()
            .contains("data-action=\"/api/admin/password-resets/confirm\"")
    );
    post.app
        .get("/accept-invitation")
        .await
        .problem(404, "tenant_not_named");
}
