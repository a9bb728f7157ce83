//! Tenants with another key, put away, brought back and deleted, over HTTP.

use chrono::{TimeDelta, Utc};
use helixai::domain::clock::Clock;
use serde_json::{Value, json};

use crate::helpers::{Call, TestApp, TestTenant};

const PATH: &str = "/api/admin/tenants";

fn by_admin(app: &TestApp, call: Call) -> Call {
    call.bearer(&app.admin.token)
}

async fn rename(app: &TestApp, from: &str, to: &str) -> crate::helpers::Answer {
    let path = format!("{PATH}/{from}/rename");
    by_admin(app, app.post(&path))
        .json(&json!({ "tenant_key": to }))
        .await
}

async fn shown(app: &TestApp, key: &str) -> Value {
    by_admin(app, app.get(&format!("{PATH}/{key}")))
        .await
        .expect(200)
        .json()
}

async fn until_status(app: &TestApp, key: &str, status: &str) {
    app.until(status, async || shown(app, key).await["status"] == status)
        .await;
}

#[tokio::test]
async fn the_former_address_leads_to_the_new_one_in_every_process() {
    let clock = Clock::fixed(Utc::now());
    let app = TestApp::builder().clock(clock.clone()).start().await;
    let old = app.onboard("garage", "cars").await;
    let other = app.onboard("other", "cars").await;
    let second = app.second_process().await;
    let new = TestTenant {
        key: "oficina".to_owned(),
        ..old.clone()
    };
    app.get("/api/leads").by(&old).at(second).await.expect(200);
    let renamed = rename(&app, "garage", "oficina").await.expect(200).json();
    assert_eq!(renamed["tenant_key"], "oficina");
    assert_eq!(renamed["schema_name"], "tenant_garage");
    rename(&app, "garage", "oficina").await.expect(200);
    // Where it was renamed at once, elsewhere moments later.
    app.get("/api/leads").by(&new).await.expect(200);
    app.until("the other process has heard of it", async || {
        app.get("/api/leads").by(&old).at(second).await.status == 308
    })
    .await;
    app.get("/api/leads").by(&new).at(second).await.expect(200);
    for path in ["/veiculos", "/api/leads?limit=2&q=a%2Fb", "//evil.example/x"] {
        let moved = app.get(path).of(&old).await;
        if path.starts_with("//") {
            moved.expect(404);
            continue;
        }
        moved.expect(308);
        let port = app.address.port();
        let expected = format!("http://oficina.helixai.test:{port}{path}");
        assert_eq!(moved.header("location"), Some(expected.as_str()));
    }
    let head = app.call(reqwest::Method::HEAD, "/veiculos").of(&old).await;
    head.expect(308);
    // Programs that still send the former key are served, and told by which one they should ask.
    let served = app.get("/api/leads").key_header(&old).bearer(&old.api_key).await;
    served.expect(200);
    assert_eq!(served.header("x-tenant-key"), Some("oficina"));
    assert!(served.header("sunset").is_some_and(|at| at.ends_with(" GMT")));
    let present = app.get("/api/leads").key_header(&new).bearer(&old.api_key).await;
    assert_eq!(present.expect(200).header("sunset"), None);
    // Never another tenant, and never without its credentials.
    let foreign = app
        .get("/api/leads")
        .key_header(&old)
        .bearer(&other.api_key)
        .await;
    foreign.problem(401, "unauthorized");
    let both = app
        .get("/api/leads")
        .of(&other)
        .key_header(&old)
        .bearer(&old.api_key)
        .await;
    both.problem(400, "tenant_mismatch");
    // When the grace is over the former key stands for nobody, and still is nobody else's.
    clock.set(clock.now() + TimeDelta::days(31));
    app.test.platform.resolver.changed("garage");
    app.get("/veiculos")
        .of(&old)
        .await
        .problem(404, "tenant_not_found");
    let call = app.get("/api/leads").key_header(&old).bearer(&old.api_key).await;
    call.problem(404, "tenant_not_found");
}

#[tokio::test]
async fn what_cannot_be_renamed_is_refused() {
    let app = TestApp::start().await;
    app.onboard("garage", "cars").await;
    app.onboard("other", "cars").await;
    rename(&app, "nobody-here", "somebody")
        .await
        .problem(404, "not_found");
    rename(&app, "garage", "other")
        .await
        .problem(409, "tenant_key_taken");
    for key in ["www", "A", "a b", "../x"] {
        let answer = rename(&app, "garage", key).await;
        assert_eq!(
            answer.problem(422, "invalid_fields")["errors"][0]["field"],
            "tenant_key"
        );
    }
    let path = format!("{PATH}/garage/rename");
    by_admin(&app, app.post(&path))
        .json(&json!({}))
        .await
        .refused_fields(&[("tenant_key", "required")]);
    app.post(&path)
        .json(&json!({"tenant_key": "oficina"}))
        .await
        .problem(401, "unauthorized");
    assert_eq!(shown(&app, "garage").await["version"], 1);
}

#[tokio::test]
async fn a_log_goes_on_under_the_new_key() {
    let folder = tempfile::tempdir().unwrap();
    let logs = folder.path().join("tenants");
    std::fs::create_dir(&logs).unwrap();
    for (name, text) in [
        ("garage.log", "newest"),
        ("garage.log.1", "older"),
        ("garage-b.log", "another's"),
        ("oficina.log", "of a moment ago"),
    ] {
        std::fs::write(logs.join(name), text).unwrap();
    }
    let app = TestApp::builder()
        .set("logging.dir", folder.path().display())
        .start()
        .await;
    app.onboard("garage", "cars").await;
    rename(&app, "garage", "oficina").await.expect(200);
    let read = |name: &str| std::fs::read_to_string(logs.join(name)).ok();
    for (name, text) in [
        ("garage.log", None),
        ("garage.log.1", None),
        ("garage-b.log", Some("another's")),
        ("oficina.log", Some("of a moment ago")),
        ("oficina.log.1", Some("newest")),
        ("oficina.log.2", Some("older")),
    ] {
        assert_eq!(read(name).as_deref(), text, "{name}");
    }
    // Lines that came late under the former key go as well, when all of it goes.
    std::fs::write(logs.join("garage.log"), "late").unwrap();
    let keeper = &app.test.platform.keeper;
    let key = helixai::domain::tenant_key::TenantKey::parse("oficina").unwrap();
    let anything = helixai::tenancy::keeper::Purge::Anything;
    keeper
        .purge(&key, anything, crate::helpers::cli_origin())
        .await
        .unwrap();
    let left: Vec<_> = ["garage.log", "oficina.log", "oficina.log.1", "oficina.log.2"]
        .into_iter()
        .filter_map(read)
        .collect();
    assert_eq!(left, [""; 0]);
    assert!(read("garage-b.log").is_some());
}

#[tokio::test]
async fn an_archived_tenant_is_served_to_nobody_until_it_comes_back() {
    let app = TestApp::start().await;
    let garage = app.onboard("garage", "cars").await;
    let lead = json!({"name": "Ana"});
    app.post("/api/leads").by(&garage).json(&lead).await.expect(201);
    let second = app.second_process().await;
    app.get("/api/leads").by(&garage).at(second).await.expect(200);
    let archive = format!("{PATH}/garage/archive");
    let answer = by_admin(&app, app.post(&archive)).await.expect(202).json();
    assert_eq!(
        (&answer["status"], &answer["archive"]["purge_at"]),
        (&json!("archiving"), &Value::Null)
    );
    app.get("/api/leads")
        .by(&garage)
        .await
        .problem(404, "tenant_not_found");
    until_status(&app, "garage", "archived").await;
    app.until("no process serves it", async || {
        app.get("/api/leads").by(&garage).at(second).await.status == 404
    })
    .await;
    let kept = shown(&app, "garage").await;
    assert_eq!(kept["archive"]["sha256"].as_str().map(str::len), Some(64));
    assert_eq!(kept["archive"]["error"], Value::Null);
    let listed = by_admin(&app, app.get(&format!("{PATH}?status=archived"))).await;
    assert_eq!(listed.expect(200).json()["items"][0], kept);
    by_admin(&app, app.post(&archive)).await.expect(202);
    for step in ["suspend", "activate", "retry"] {
        by_admin(&app, app.post(&format!("{PATH}/garage/{step}")))
            .await
            .problem(409, "wrong_state");
    }
    let restore = format!("{PATH}/garage/restore");
    let answer = by_admin(&app, app.post(&restore)).await.expect(202).json();
    assert_eq!(answer["status"], "restoring");
    until_status(&app, "garage", "active").await;
    app.until("it is served again", async || {
        app.get("/api/leads").by(&garage).at(second).await.status == 200
    })
    .await;
    let leads = app.get("/api/leads").by(&garage).await.expect(200).json();
    assert_eq!(leads["items"][0]["name"], "Ana");
    assert_eq!(shown(&app, "garage").await["archive"], Value::Null);
    let again = by_admin(&app, app.post(&restore)).await.expect(202).json();
    assert_eq!(again["status"], "active");
}

#[tokio::test]
async fn a_deleted_tenant_comes_back_within_its_grace() {
    let app = TestApp::start().await;
    let garage = app.onboard("garage", "cars").await;
    let path = format!("{PATH}/garage");
    app.delete(&path).await.problem(401, "unauthorized");
    by_admin(&app, app.delete(&format!("{PATH}/nobody-here")))
        .await
        .problem(404, "not_found");
    let answer = by_admin(&app, app.delete(&path)).await.expect(202).json();
    assert!(answer["archive"]["purge_at"].is_string(), "{answer}");
    until_status(&app, "garage", "archived").await;
    let again = by_admin(&app, app.delete(&path)).await.expect(202).json();
    assert_eq!(again["archive"]["purge_at"], answer["archive"]["purge_at"]);
    by_admin(&app, app.post(&format!("{path}/restore")))
        .await
        .expect(202);
    until_status(&app, "garage", "active").await;
    app.get("/api/leads").by(&garage).await.expect(200);
}
