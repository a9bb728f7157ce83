//! The names under which a tenant is served, and those under which nobody is.

use serde_json::json;

use crate::helpers::{Answer, TestApp, TestTenant};

/// Which tenant `/api/me` is answered for.
fn whose(answer: &Answer) -> String {
    let me = answer.expect(200).json();
    me["tenant"]["tenant_key"].as_str().expect("a key").to_owned()
}

async fn add_domain(app: &TestApp, tenant: &TestTenant, host: &str, verified: bool) {
    let id: uuid::Uuid = tenant.id.parse().expect("an id");
    let admin = app.test.admin().await;
    admin
        .execute(
            "insert into master.domains (id, host, tenant_id, verification_token, verified_at, created_at, updated_at)
             values (gen_random_uuid(), $1, $2, 'a token of sixteen', case when $3 then now() end, now(), now())",
            &[&host, &id, &verified],
        )
        .await
        .expect("a domain");
}

#[tokio::test]
async fn a_tenant_has_one_name_in_every_spelling() {
    let app = TestApp::start().await;
    let garage = app.onboard("garage-alpha", "cars").await;
    for host in [
        "garage-alpha.helixai.test",
        "GARAGE-Alpha.HelixAI.Test",
        "garage-alpha.helixai.test:443",
        "garage-alpha.helixai.test.",
        "GARAGE-ALPHA.HELIXAI.TEST.:8080",
        "garage-alpha.helixai.test:",
        "garage_alpha.helixai.test",
    ] {
        let call = app.get("/api/me").host(host).bearer(&garage.api_key);
        assert_eq!(whose(&call.await), "garage-alpha", "{host}");
    }
    for (host, key) in [
        ("helixai.test", "garage-alpha"),
        ("HELIXAI.TEST.:8080", "Garage_ALPHA"),
        ("127.0.0.1:8080", "garage-alpha"),
        ("[::1]:8080", "garage-alpha"),
        ("garage-alpha.helixai.test", "GARAGE_alpha"),
    ] {
        let call = app.get("/api/me").host(host).header("x-tenant-key", key);
        assert_eq!(
            whose(&call.bearer(&garage.api_key).await),
            "garage-alpha",
            "{host} {key}"
        );
    }
}

#[tokio::test]
async fn other_names_are_nobodys() {
    let app = TestApp::start().await;
    let garage = app.onboard("garage-alpha", "cars").await;
    for host in [
        "www.helixai.test",
        "admin.helixai.test",
        "nobody-here.helixai.test",
        "x.garage-alpha.helixai.test",
        "garage-alpha.helixai.test.evil.example",
        "garage-alpha.evil.example",
        "garage-alphahelixai.test",
        "helixai.test.evil.example",
        "garage-alpha",
        "xn--garage-alpha.helixai.test",
        "garage-alpha..helixai.test",
        ".helixai.test",
        "garage-alpha.helixai.test:http",
        "garage-alpha.helixai.test:99999",
        "garage-alpha.helixai.test/api",
        "evil@garage-alpha.helixai.test",
        "garage-alpha.helixai.test,helixai.test",
        "1.2.3",
        "",
    ] {
        let call = app.get("/api/me").host(host).bearer(&garage.api_key);
        call.await.problem(404, "tenant_not_found");
    }
    // Above the base domain there is only the platform.
    let base = app.get("/api/me").bearer(&garage.api_key);
    base.await.problem(404, "tenant_not_named");
    for key in [
        "nobody-here",
        "",
        " ",
        "www",
        "../garage-alpha",
        "garage-alpha ,x",
        "a",
        &"a".repeat(75),
    ] {
        let call = app
            .get("/api/me")
            .header("x-tenant-key", key)
            .bearer(&garage.api_key);
        let answer = call.await;
        // HTTP trims the blanks around a value.
        answer.problem(404, "tenant_not_found");
    }
}

#[tokio::test]
async fn only_the_host_itself_says_whose_request_it_is() {
    let app = TestApp::builder()
        .set("server.trusted_proxies", "127.0.0.1")
        .start()
        .await;
    let garage = app.onboard("garage-alpha", "cars").await;
    let sales = app.onboard("sales-beta", "cars").await;
    for name in [
        "x-forwarded-host",
        "x-host",
        "forwarded",
        "x-original-host",
        "x-tenant",
        "x-http-host-override",
    ] {
        let value = if name == "forwarded" {
            format!("host={}", garage.host())
        } else {
            garage.host()
        };
        let base = app.get("/api/me").header(name, &value).bearer(&garage.api_key);
        base.await.problem(404, "tenant_not_named");
        let other = app
            .get("/api/me")
            .of(&sales)
            .header(name, &value)
            .bearer(&garage.api_key);
        other.await.problem(401, "unauthorized");
    }
}

#[tokio::test]
async fn a_tenants_own_domain_counts_once_it_is_verified() {
    let app = TestApp::start().await;
    let garage = app.onboard("garage-alpha", "cars").await;
    let sales = app.onboard("sales-beta", "cars").await;
    add_domain(&app, &garage, "loja.garage.example", true).await;
    add_domain(&app, &sales, "vendas.example", false).await;
    let me = |host: &str| app.get("/api/me").host(host).bearer(&garage.api_key);
    for host in ["loja.garage.example", "LOJA.garage.Example.:443"] {
        assert_eq!(whose(&me(host).await), "garage-alpha");
    }
    me("loja.garage.example").key_header(&garage).await.expect(200);
    me("loja.garage.example")
        .key_header(&sales)
        .await
        .problem(400, "tenant_mismatch");
    me("garage.example").await.problem(404, "tenant_not_found");
    me("vendas.example")
        .key_header(&sales)
        .await
        .problem(404, "tenant_not_found");
    // The administration is not there.
    let admin = app.get("/api/admin/tenants").bearer(&app.admin.token);
    admin.host("loja.garage.example").await.problem(404, "not_found");

    // A session begun at one name of a tenant counts at its others: it is the same tenant.
    let login = json!({"email": garage.owner_email, "password": garage.owner_password});
    let answer = app
        .post("/api/sessions")
        .host("loja.garage.example")
        .json(&login)
        .await;
    let token = answer.expect(201).json()["token"]
        .as_str()
        .expect("a token")
        .to_owned();
    app.get("/api/me").of(&garage).bearer(&token).await.expect(200);
    app.get("/api/me")
        .of(&sales)
        .bearer(&token)
        .await
        .problem(401, "unauthorized");
}

#[tokio::test]
async fn a_domain_that_moves_is_followed() {
    let app = TestApp::start().await;
    let garage = app.onboard("garage-alpha", "cars").await;
    let sales = app.onboard("sales-beta", "cars").await;
    let host = "loja.example";
    app.get("/api/me")
        .host(host)
        .bearer(&garage.api_key)
        .await
        .problem(404, "tenant_not_found");
    add_domain(&app, &garage, host, true).await;
    app.until("the domain is known", || async {
        app.get("/api/me").host(host).bearer(&garage.api_key).await.status == 200
    })
    .await;
    let id: uuid::Uuid = sales.id.parse().expect("an id");
    let admin = app.test.admin().await;
    let moved = admin
        .execute("update master.domains set tenant_id = $1", &[&id])
        .await;
    assert_eq!(moved.expect("moved"), 1);
    app.until("the domain is the other tenant's", || async {
        app.get("/api/me").host(host).bearer(&sales.api_key).await.status == 200
    })
    .await;
    app.get("/api/me")
        .host(host)
        .bearer(&garage.api_key)
        .await
        .problem(401, "unauthorized");
}
