//! `GET /veiculos`: what anybody sees.

use chrono::TimeDelta;
use serde_json::{Value, json};

use super::resource::at_noon;
use crate::helpers::TestApp;

fn titles(answer: &Value) -> Vec<&str> {
    let items = answer["veiculos"].as_array().expect("veiculos");
    items.iter().map(|item| item["title"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn shows_what_is_published_and_nothing_private() {
    let (app, garage) = at_noon("cars").await;
    for status in ["draft", "published", "reserved", "sold", "archived"] {
        let vehicle = json!({
            "title": status, "make": "Fiat", "model": "Uno", "status": status, "price_cents": 3_000_000, "plate": format!("ABC{}D23", status.len())
        });
        let call = app.post("/api/vehicles").by(&garage).json(&vehicle);
        call.await.expect(201);
    }
    let answer = app.get("/veiculos").of(&garage).await;
    assert_eq!(answer.expect(200).header("cache-control"), Some("no-store"));
    let shown = answer.json();
    let id = shown["veiculos"][0]["id"].clone();
    assert_eq!(
        shown,
        json!({
            "success": true, "tenant": garage.name,
            "veiculos": [{
                "id": id, "title": "published", "make": "Fiat", "model": "Uno", "year_manufacture": null, "year_model": null,
                "price_cents": 3_000_000, "mileage_km": null, "fuel": null, "transmission": null, "color": null,
                "description": null, "photos": [], "published_at": "2026-03-10T12:00:00Z",
            }],
        })
    );
    let by_header = app.get("/veiculos").key_header(&garage).await;
    assert_eq!(by_header.expect(200).json(), shown);
    // Credentials are not looked at.
    let with_token = app.get("/veiculos").of(&garage).bearer("nonsense").await;
    assert_eq!(with_token.expect(200).json(), shown);
}

#[tokio::test]
async fn shows_the_fifty_last_published() {
    let (app, garage) = at_noon("cars").await;
    let mut ids = Vec::new();
    for number in 0..52 {
        let vehicle = json!({"title": format!("{number}"), "make": "Fiat", "model": "Uno"});
        let call = app.post("/api/vehicles").by(&garage).json(&vehicle);
        ids.push(call.await.expect(201).json()["id"].as_str().unwrap().to_owned());
    }
    // The order is that of publication, not of making.
    for id in ids.iter().rev() {
        app.test.clock.advance(TimeDelta::minutes(1));
        let call = app.patch(&format!("/api/vehicles/{id}")).by(&garage);
        call.json(&json!({"status": "published"})).await.expect(200);
    }
    let shown = app.get("/veiculos").of(&garage).await.expect(200).json();
    let expected: Vec<String> = (0..50).map(|number| number.to_string()).collect();
    assert_eq!(titles(&shown), expected);
}

#[tokio::test]
async fn each_shows_its_own() {
    let app = TestApp::start().await;
    let alpha = app.onboard("garage-alpha", "cars").await;
    let beta = app.onboard("garage-beta", "cars").await;
    for garage in [&alpha, &beta] {
        let vehicle = json!({"title": garage.key, "make": "Fiat", "model": "Uno", "status": "published"});
        let call = app.post("/api/vehicles").by(garage).json(&vehicle);
        call.await.expect(201);
    }
    for garage in [&alpha, &beta, &alpha] {
        let shown = app.get("/veiculos").of(garage).await.expect(200).json();
        assert_eq!(
            (titles(&shown), &shown["tenant"]),
            (vec![garage.key.as_str()], &json!(garage.name))
        );
    }
    let both = app.get("/veiculos").of(&alpha).key_header(&beta).await;
    both.problem(400, "tenant_mismatch");
}

#[tokio::test]
async fn each_niche_has_its_own() {
    let app = TestApp::start().await;
    let agent = app.onboard("imob-alpha", "real_estate").await;
    let shop = app.onboard("shop-alpha", "general").await;
    for tenant in [&agent, &shop] {
        app.get("/veiculos").of(tenant).await.problem(404, "not_found");
    }
    app.get("/veiculos").await.problem(404, "tenant_not_named");
    app.get("/veiculos")
        .host("nobody.helixai.test")
        .await
        .problem(404, "tenant_not_found");
}
