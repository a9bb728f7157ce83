//! `/api/products`.

use serde_json::{Value, json};

use super::resource::{Resource, at_noon, behaves_as_a_resource, made_at_noon, texts};
use crate::helpers::TestApp;

const PRODUCTS: Resource = Resource {
    path: "/api/products",
    niche: "general",
    other_niche: Some("cars"),
    least,
    text: "title",
    lacks: &["title"],
};

behaves_as_a_resource!(PRODUCTS);

fn least() -> Value {
    json!({"title": "Pão de queijo"})
}

fn full() -> Value {
    json!({
        "title": "Café em grãos", "kind": "product", "sku": "CAF-1", "category": "Bebidas", "price_cents": 4_590,
        "stock": 12, "duration_minutes": null, "description": "Torra média.\n500 g", "status": "archived",
    })
}

#[tokio::test]
async fn every_field_is_kept_and_can_be_changed_and_emptied() {
    let (app, tenant) = at_noon("general").await;
    let made = PRODUCTS.create(&app, &tenant, &full()).await;
    assert_eq!(made, made_at_noon(&full(), &made["id"]));
    let change = json!({
        "kind": "service", "title": "Degustação", "stock": null, "duration_minutes": 45, "sku": null, "category": null,
        "price_cents": null, "description": null, "status": "published",
    });
    let patch = app.patch(&PRODUCTS.path_of(&made)).by(&tenant).json(&change);
    let changed = patch.await.expect(200).json();
    for (field, value) in change.as_object().unwrap() {
        assert_eq!(&changed[field], value, "{field}");
    }
    assert_eq!(changed["published_at"], "2026-03-10T12:00:00Z");
    let few = PRODUCTS.create(&app, &tenant, &least()).await;
    assert_eq!(
        (&few["kind"], &few["status"], &few["published_at"]),
        (&json!("product"), &json!("draft"), &Value::Null)
    );
}

#[tokio::test]
async fn each_wrong_field_is_named() {
    let app = TestApp::start().await;
    let tenant = app.onboard("padaria", "general").await;
    let wrong = json!({
        "title": "", "kind": "idea", "status": "sold", "sku": "s".repeat(61), "category": "c".repeat(101),
        "price_cents": -1, "stock": -1, "duration_minutes": 0, "description": "d".repeat(20_001),
    });
    let refusals = [
        ("title", "required"),
        ("kind", "unknown_value"),
        ("status", "unknown_value"),
        ("sku", "too_long"),
        ("category", "too_long"),
        ("price_cents", "out_of_range"),
        ("stock", "out_of_range"),
        ("duration_minutes", "out_of_range"),
        ("description", "too_long"),
    ];
    let post = app.post("/api/products").by(&tenant).json(&wrong);
    post.await.refused_fields(&refusals);
    let made = PRODUCTS.create(&app, &tenant, &least()).await;
    let path = PRODUCTS.path_of(&made);
    let patch = async |body: Value| app.patch(&path).by(&tenant).json(&body).await;
    patch(wrong).await.refused_fields(&refusals);
    // Each field is well-formed, but they do not fit each other.
    let post = async |body: Value| app.post("/api/products").by(&tenant).json(&body).await;
    let service = json!({"title": "Corte", "kind": "service", "stock": 1});
    post(service)
        .await
        .refused_fields(&[("stock", "not_of_this_kind")]);
    let product = json!({"title": "Pente", "duration_minutes": 30});
    post(product)
        .await
        .refused_fields(&[("duration_minutes", "not_of_this_kind")]);
    patch(json!({"stock": 3})).await.expect(200);
    patch(json!({"kind": "service"}))
        .await
        .refused_fields(&[("stock", "not_of_this_kind")]);
}

#[tokio::test]
async fn a_code_is_of_one_product() {
    let app = TestApp::start().await;
    let tenant = app.onboard("padaria", "general").await;
    let body = json!({"title": "Pão", "sku": "P-1"});
    let first = PRODUCTS.create(&app, &tenant, &body).await;
    let again = app.post("/api/products").by(&tenant).json(&body);
    again.await.problem(409, "sku_taken");
    let second = PRODUCTS.create(&app, &tenant, &least()).await;
    let patch = || {
        let call = app.patch(&PRODUCTS.path_of(&second)).by(&tenant);
        call.json(&json!({"sku": "P-1"}))
    };
    patch().await.problem(409, "sku_taken");
    app.delete(&PRODUCTS.path_of(&first))
        .by(&tenant)
        .await
        .expect(204);
    patch().await.expect(200);
}

#[tokio::test]
async fn the_list_is_narrowed() {
    let app = TestApp::start().await;
    let tenant = app.onboard("padaria", "general").await;
    for body in [
        json!({"title": "A", "category": "Pães", "price_cents": 900, "status": "published", "sku": "PAO-1"}),
        json!({"title": "B", "category": "paes", "price_cents": 1_500, "description": "Com grãos selecionados"}),
        json!({"title": "C", "kind": "service", "duration_minutes": 60, "price_cents": 9_000}),
        json!({"title": "D", "description": "Caminhão de brinquedo"}),
    ] {
        PRODUCTS.create(&app, &tenant, &body).await;
    }
    for (query, expected) in [
        ("", "DCBA"),
        ("status=published", "A"),
        ("kind=service", "C"),
        ("category=P%C3%83ES", "BA"),
        ("sku=PAO-1", "A"),
        ("sku=pao-1", ""),
        ("min_price_cents=1500", "CB"),
        ("max_price_cents=1500", "BA"),
        ("q=grao", "B"),
        ("q=caminhoes", "D"),
        ("q=servico", "C"),
        ("q=pao-1", "A"),
        ("q=grao&kind=service", ""),
    ] {
        let call = app.get(&format!("/api/products?{query}")).by(&tenant);
        let list = call.await.expect(200).json();
        assert_eq!(texts(&list, "title").concat(), expected, "{query}");
    }
    let path = "/api/products?status=x&kind=x&category=&sku=&min_price_cents=x&max_price_cents=-1";
    app.get(path).by(&tenant).await.refused_fields(&[
        ("status", "unknown_value"),
        ("kind", "unknown_value"),
        ("category", "required"),
        ("sku", "required"),
        ("min_price_cents", "invalid_format"),
        ("max_price_cents", "out_of_range"),
    ]);
}

/// What bots and AI read of any niche.
#[tokio::test]
async fn the_catalogue_shows_what_is_for_sale() {
    let app = TestApp::start().await;
    let tenant = app.onboard("padaria", "general").await;
    let mut body = full();
    body["status"] = json!("published");
    PRODUCTS.create(&app, &tenant, &body).await;
    PRODUCTS.create(&app, &tenant, &least()).await;
    let select = format!(
        "select title, attributes from {}.catalog_items where published",
        tenant.schema
    );
    let rows = app.test.admin().await.query(&select, &[]).await.expect("rows");
    let shown: Vec<(String, Value)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    let attributes = json!({"sku": "CAF-1", "category": "Bebidas", "stock": 12});
    assert_eq!(shown, [("Café em grãos".to_owned(), attributes)]);
}
