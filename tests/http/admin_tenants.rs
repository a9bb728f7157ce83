//! `/api/admin/tenants`, its domains, and the lists beside it: what administrators look up and correct.

use serde_json::{Value, json};

use super::resource::{ids, texts};
use crate::helpers::{Call, TestApp};

const PATH: &str = "/api/admin/tenants";

async fn actions(app: &TestApp, key: &str) -> Vec<String> {
    let path = format!("/api/admin/audit?tenant_key={key}");
    let list = app.get(&path).bearer(&app.admin.token).await.expect(200).json();
    let mut actions = texts(&list, "action");
    actions.reverse();
    actions
}

#[tokio::test]
async fn a_tenant_is_found_by_whatever_one_knows_of_it() {
    let app = TestApp::start().await;
    let onboard = async |key: &str, name: &str, niche: &str, document: Option<&str>| {
        let mut body = TestApp::onboarding(key, niche);
        body["name"] = json!(name);
        body["document"] = json!(document);
        let call = app.post(PATH).bearer(&app.admin.token).json(&body);
        call.await.expect(201);
    };
    onboard(
        "joao-autos",
        "Automóveis São João",
        "cars",
        Some("11.222.333/0001-81"),
    )
    .await;
    onboard("casa-bela", "Imobiliária Casa Bela", "real_estate", None).await;
    onboard("padaria-100", "Padaria 100% Pão", "general", None).await;
    let suspend = format!("{PATH}/casa-bela/suspend");
    app.post(&suspend).bearer(&app.admin.token).await.expect(200);
    let found = async |query: &str| {
        let call = app.get(&format!("{PATH}?{query}")).bearer(&app.admin.token);
        texts(&call.await.expect(200).json(), "tenant_key")
    };
    for (query, keys) in [
        ("q=sao+joao", vec!["joao-autos"]),
        ("q=S%C3%83O", vec!["joao-autos"]),
        ("q=imobiliaria", vec!["casa-bela"]),
        ("q=CASA_BELA", vec!["casa-bela"]),
        ("q=dono%40padaria", vec!["padaria-100"]),
        ("q=100%25+pao", vec!["padaria-100"]),
        ("q=%25", vec!["padaria-100"]),
        ("q=11222333000181", vec!["joao-autos"]),
        ("q=11.222.333%2F0001-81", vec!["joao-autos"]),
        ("q=11222333", vec![]),
        ("status=suspended", vec!["casa-bela"]),
        ("status=active&niche=general", vec!["padaria-100"]),
        ("status=suspended&niche=cars", vec![]),
        ("status=active&q=a", vec!["padaria-100", "joao-autos"]),
    ] {
        assert_eq!(found(query).await, keys, "{query}");
    }
}

#[tokio::test]
async fn a_tenant_is_corrected_unless_somebody_was_faster() {
    let app = TestApp::start().await;
    let garage = app.onboard("garage-alpha", "cars").await;
    let path = format!("{PATH}/garage-alpha");
    let patch = |body: Value| app.patch(&path).bearer(&app.admin.token).json(&body);
    let before = app.get(&path).bearer(&app.admin.token).await.expect(200).json();
    assert_eq!(
        (&before["version"], &before["onboarding_error"]),
        (&json!(1), &Value::Null)
    );
    let body = json!({"name": " Garagem Nova ", "document": "529.982.247-25", "version": 1});
    let changed = patch(body).await.expect(200).json();
    assert_eq!(
        (&changed["name"], &changed["document"], &changed["version"]),
        (&json!("Garagem Nova"), &json!("52998224725"), &json!(2))
    );
    assert_eq!(
        app.get(&path).bearer(&app.admin.token).await.expect(200).json(),
        changed
    );
    let me = app.get("/api/me").by(&garage).await.expect(200).json();
    assert_eq!(
        me["tenant"]["name"], "Garagem Nova",
        "what is remembered is told as well"
    );
    patch(json!({"name": "Late", "version": 1}))
        .await
        .problem(409, "stale_version");
    let emptied = patch(json!({"document": null})).await.expect(200).json();
    assert_eq!(
        (&emptied["document"], &emptied["name"]),
        (&Value::Null, &json!("Garagem Nova"))
    );
    patch(json!({"name": null, "document": "123"}))
        .await
        .refused_fields(&[("name", "required"), ("document", "invalid_format")]);
    patch(json!({"tenant_key": "other"}))
        .await
        .refused_fields(&[("tenant_key", "unknown_field")]);
    app.patch(&format!("{PATH}/nobody-here"))
        .bearer(&app.admin.token)
        .json(&json!({}))
        .await
        .problem(404, "not_found");
    app.post(&format!("{path}/retry"))
        .bearer(&app.admin.token)
        .await
        .problem(409, "wrong_state");
    assert_eq!(
        actions(&app, "garage-alpha").await,
        ["tenant.create", "tenant.update", "tenant.update"]
    );
}

#[tokio::test]
async fn a_domain_counts_from_its_proof_to_its_end() {
    let app = TestApp::start().await;
    let garage = app.onboard("garage-alpha", "cars").await;
    app.onboard("garage-beta", "cars").await;
    let domains = |key: &str| format!("{PATH}/{key}/domains");
    let admin = |call: Call| call.bearer(&app.admin.token);
    let post = |key: &str, host: &str| admin(app.post(&domains(key)).json(&json!({"host": host})));
    let me = || {
        app.get("/api/me")
            .host("www.garagem.example")
            .bearer(&garage.api_key)
    };

    let made = post("garage-alpha", "WWW.Garagem.Example")
        .await
        .expect(201)
        .json();
    assert_eq!(made["host"], "www.garagem.example");
    assert_eq!(made["txt_name"], "_helixai.www.garagem.example");
    let proof = made["txt_value"].as_str().unwrap();
    assert!(
        proof.starts_with("helixai-verification=") && proof.len() > 40,
        "{proof}"
    );
    assert_eq!(
        post("garage-alpha", "www.garagem.example")
            .await
            .expect(201)
            .json(),
        made,
        "added once"
    );
    post("garage-beta", "www.garagem.example")
        .await
        .problem(409, "domain_taken");
    let list = admin(app.get(&domains("garage-alpha"))).await.expect(200).json();
    assert_eq!(list, json!({"items": [made], "next_cursor": null}));
    me().await.problem(404, "tenant_not_found");

    let item = format!("{}/www.garagem.example", domains("garage-alpha"));
    let others = format!("{}/www.garagem.example", domains("garage-beta"));
    for path in [&others, &format!("{}/other.example", domains("garage-alpha"))] {
        admin(app.post(&format!("{path}/verify")))
            .await
            .problem(404, "not_found");
        admin(app.delete(path)).await.problem(404, "not_found");
    }
    for _ in 0..2 {
        let verified = admin(app.post(&format!("{item}/verify")))
            .await
            .expect(200)
            .json();
        assert!(verified["verified_at"].is_string());
    }
    me().await.expect(200);
    admin(app.delete(&item)).await.expect(204);
    me().await.problem(404, "tenant_not_found");
    admin(app.delete(&item)).await.problem(404, "not_found");
    post("garage-beta", "www.garagem.example").await.expect(201);

    for host in [
        "",
        "shop",
        "10.0.0.1",
        "helixai.test",
        "x.helixai.test",
        "a b.example",
        "-a.example",
    ] {
        let answer = post("garage-alpha", host).await;
        assert_eq!(
            answer.problem(422, "invalid_fields")["errors"][0]["field"],
            "host",
            "{host}"
        );
    }
    post("nobody-here", "a.example").await.problem(404, "not_found");
    assert_eq!(
        actions(&app, "garage-alpha").await,
        ["tenant.create", "domain.add", "domain.verify", "domain.remove"]
    );
}

#[tokio::test]
async fn shards_plans_and_subscriptions_say_how_much_is_used() {
    let app = TestApp::start().await;
    let get = async |path: &str| app.get(path).bearer(&app.admin.token).await.expect(200).json();
    app.onboard("garage-alpha", "cars").await;
    let mut pro = TestApp::onboarding("garage-beta", "cars");
    pro["plan"] = json!("pro");
    let call = app.post(PATH).bearer(&app.admin.token).json(&pro);
    call.await.expect(201);

    let shards = get("/api/admin/shards").await;
    let shard = &shards["items"][0];
    assert_eq!(
        (
            &shard["name"],
            &shard["kind"],
            &shard["status"],
            &shard["tenants"]
        ),
        (&json!("local"), &json!("local"), &json!("open"), &json!(2))
    );
    let lane = &shard["lanes"][0];
    assert_eq!(
        (
            &lane["number"],
            &lane["tenants"],
            &lane["capacity"],
            &lane["status"]
        ),
        (&json!(1), &json!(2), &json!(250), &json!("open"))
    );
    assert_eq!(ids(&shards).len(), 1);

    let plans = get("/api/admin/plans").await;
    let used: Vec<(&Value, &Value)> = plans["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|plan| (&plan["code"], &plan["subscriptions"]))
        .collect();
    assert_eq!(
        used,
        [
            (&json!("starter"), &json!(1)),
            (&json!("pro"), &json!(1)),
            (&json!("business"), &json!(0))
        ]
    );
    for (query, keys) in [
        ("", vec!["garage-beta", "garage-alpha"]),
        ("?plan=pro", vec!["garage-beta"]),
        ("?plan=business", vec![]),
        ("?plan=pro&tenant_key=garage-alpha", vec![]),
    ] {
        let list = get(&format!("/api/admin/subscriptions{query}")).await;
        assert_eq!(texts(&list, "tenant_key"), keys, "{query}");
    }
}
