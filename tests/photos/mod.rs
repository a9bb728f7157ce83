//! Photos: what is taken, what is shown to whom, and that files and rows come and go together.

mod files;
mod killed;
mod refused;
mod shown;

use serde_json::{Value, json};

use crate::helpers::{TestApp, TestTenant, pictures};

/// A garage and one of its vehicles, in this state.
async fn garage(status: &str) -> (TestApp, TestTenant, String) {
    let app = TestApp::start().await;
    let garage = app.onboard("garage-alpha", "cars").await;
    let vehicle = vehicle(&app, &garage, status).await;
    (app, garage, vehicle)
}

/// The path of a new vehicle.
async fn vehicle(app: &TestApp, garage: &TestTenant, status: &str) -> String {
    let body = json!({"title": "Fiat Uno", "make": "Fiat", "model": "Uno", "status": status});
    let made = app
        .post("/api/vehicles")
        .by(garage)
        .json(&body)
        .await
        .expect(201)
        .json();
    format!("/api/vehicles/{}", made["id"].as_str().expect("an id"))
}

/// The photos of an answer.
fn items(list: &Value) -> Vec<Value> {
    list["items"].as_array().expect("items").clone()
}

/// One field of each.
fn texts(items: &[Value], field: &str) -> Vec<String> {
    let text = |item: &Value| item[field].as_str().expect("a text").to_owned();
    items.iter().map(text).collect()
}

/// Adds so many photos to the item at `path`; answers all of its photos.
async fn add(app: &TestApp, tenant: &TestTenant, path: &str, count: usize) -> Vec<Value> {
    let photo = pictures::photo();
    let files = vec![photo.as_slice(); count];
    let call = app.post(&format!("{path}/photos")).by(tenant).photos(&files);
    items(&call.await.expect(201).json())
}
