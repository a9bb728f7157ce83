//! `/api/properties`.

use serde_json::{Value, json};

use super::resource::{Resource, at_noon, behaves_as_a_resource, made_at_noon, texts};
use crate::helpers::TestApp;

const PROPERTIES: Resource = Resource {
    path: "/api/properties",
    niche: "real_estate",
    other_niche: Some("cars"),
    least,
    text: "title",
    lacks: &["title", "purpose", "kind"],
};

behaves_as_a_resource!(PROPERTIES);

fn least() -> Value {
    json!({"title": "Casa térrea", "purpose": "sale", "kind": "house"})
}

fn full() -> Value {
    json!({
        "title": "Cobertura no Leblon", "reference": "CO-17", "purpose": "rent", "kind": "apartment",
        "price_cents": 1_250_000, "condo_fee_cents": 210_050, "iptu_cents": 890_000, "bedrooms": 3, "suites": 1,
        "bathrooms": 4, "parking": 2, "area_m2": 184.29, "postal_code": "22440033", "street": "Rua Dias Ferreira",
        "street_number": "100 A", "complement": "ap. 301", "neighbourhood": "Leblon", "city": "Rio de Janeiro",
        "state": "RJ", "description": "Vista mar.\nPiscina.", "status": "archived",
    })
}

#[tokio::test]
async fn every_field_is_kept_and_can_be_changed_and_emptied() {
    let (app, tenant) = at_noon("real_estate").await;
    let made = PROPERTIES.create(&app, &tenant, &full()).await;
    assert_eq!(made, made_at_noon(&full(), &made["id"]));

    let kept = ["title", "purpose", "kind", "status"];
    let mut change = full();
    for (field, value) in change.as_object_mut().unwrap() {
        if !kept.contains(&field.as_str()) {
            *value = Value::Null;
        }
    }
    change["purpose"] = json!("sale");
    change["kind"] = json!("land");
    let changed = app
        .patch(&PROPERTIES.path_of(&made))
        .by(&tenant)
        .json(&change)
        .await;
    for (field, value) in change.as_object().unwrap() {
        assert_eq!(&changed.expect(200).json()[field], value, "{field}");
    }
    let few = PROPERTIES.create(&app, &tenant, &least()).await;
    assert_eq!((&few["status"], &few["area_m2"]), (&json!("draft"), &Value::Null));
    let change = json!({"area_m2": 84, "state": "sp", "postal_code": "01310-100", "status": "published"});
    let changed = app
        .patch(&PROPERTIES.path_of(&few))
        .by(&tenant)
        .json(&change)
        .await;
    let changed = changed.expect(200).json();
    assert_eq!(changed["area_m2"], 84.0);
    assert_eq!(
        (&changed["state"], &changed["postal_code"]),
        (&json!("SP"), &json!("01310100"))
    );
    assert_eq!(changed["published_at"], "2026-03-10T12:00:00Z");
}

#[tokio::test]
async fn each_wrong_field_is_named() {
    let app = TestApp::start().await;
    let tenant = app.onboard("imob-alpha", "real_estate").await;
    let wrong = json!({
        "title": "", "purpose": "lease", "kind": "castle", "status": "lost", "reference": "r".repeat(51),
        "price_cents": -1, "condo_fee_cents": -1, "iptu_cents": -1, "bedrooms": 501, "suites": -1, "bathrooms": 501,
        "parking": 5001, "area_m2": 0, "postal_code": "123", "street": "s".repeat(201), "street_number": "n".repeat(21),
        "complement": "c".repeat(101), "neighbourhood": "n".repeat(101), "city": "a\nb", "state": "XX",
        "description": "d".repeat(20_001),
    });
    let refusals = [
        ("title", "required"),
        ("purpose", "unknown_value"),
        ("kind", "unknown_value"),
        ("status", "unknown_value"),
        ("reference", "too_long"),
        ("price_cents", "out_of_range"),
        ("condo_fee_cents", "out_of_range"),
        ("iptu_cents", "out_of_range"),
        ("bedrooms", "out_of_range"),
        ("suites", "out_of_range"),
        ("bathrooms", "out_of_range"),
        ("parking", "out_of_range"),
        ("area_m2", "out_of_range"),
        ("postal_code", "invalid_format"),
        ("street", "too_long"),
        ("street_number", "too_long"),
        ("complement", "too_long"),
        ("neighbourhood", "too_long"),
        ("city", "invalid_format"),
        ("state", "unknown_value"),
        ("description", "too_long"),
    ];
    let post = app.post("/api/properties").by(&tenant).json(&wrong);
    post.await.refused_fields(&refusals);
    let made = PROPERTIES.create(&app, &tenant, &least()).await;
    let patched = app
        .patch(&PROPERTIES.path_of(&made))
        .by(&tenant)
        .json(&wrong)
        .await;
    patched.refused_fields(&refusals);
    for (field, value) in [
        ("area_m2", json!("84")),
        ("bedrooms", json!(2.5)),
        ("price_cents", json!([])),
    ] {
        let mut body = least();
        body[field] = value;
        let call = app.post("/api/properties").by(&tenant).json(&body);
        call.await.refused_fields(&[(field, "invalid_type")]);
    }
}

#[tokio::test]
async fn a_reference_is_of_one_property() {
    let app = TestApp::start().await;
    let tenant = app.onboard("imob-alpha", "real_estate").await;
    let mut body = least();
    body["reference"] = json!("CA-1");
    let first = PROPERTIES.create(&app, &tenant, &body).await;
    let again = app.post("/api/properties").by(&tenant).json(&body);
    again.await.problem(409, "reference_taken");
    let second = PROPERTIES.create(&app, &tenant, &least()).await;
    let change = json!({"reference": "CA-1"});
    let call = || app.patch(&PROPERTIES.path_of(&second)).by(&tenant).json(&change);
    call().await.problem(409, "reference_taken");
    app.delete(&PROPERTIES.path_of(&first))
        .by(&tenant)
        .await
        .expect(204);
    call().await.expect(200);
}

#[tokio::test]
async fn the_list_is_narrowed() {
    let app = TestApp::start().await;
    let tenant = app.onboard("imob-alpha", "real_estate").await;
    for body in [
        json!({"title": "A", "purpose": "sale", "kind": "house", "city": "São Paulo", "neighbourhood": "Santa Cecília",
               "price_cents": 90_000_000, "bedrooms": 4, "area_m2": 210.5, "status": "published"}),
        json!({"title": "B", "purpose": "rent", "kind": "apartment", "city": "sao paulo", "neighbourhood": "Pinheiros",
               "price_cents": 350_000, "bedrooms": 2, "area_m2": 61.0, "status": "published"}),
        json!({"title": "C", "purpose": "rent", "kind": "commercial", "city": "Campinas", "price_cents": 800_000}),
        json!({"title": "D", "purpose": "sale", "kind": "rural", "description": "Chácara com pomar e dois imóveis"}),
    ] {
        PROPERTIES.create(&app, &tenant, &body).await;
    }
    for (query, expected) in [
        ("", "DCBA"),
        ("status=published", "BA"),
        ("purpose=rent", "CB"),
        ("kind=rural", "D"),
        ("city=SAO%20PAULO", "BA"),
        ("neighbourhood=santa%20cecilia", "A"),
        ("min_price_cents=800000", "CA"),
        ("max_price_cents=800000", "CB"),
        ("min_bedrooms=3", "A"),
        ("min_area_m2=61", "BA"),
        ("min_area_m2=61.01", "A"),
        ("purpose=rent&city=campinas&kind=commercial", "C"),
        ("q=chacara", "D"),
        ("q=imovel", "D"),
        ("q=aluguel", "CB"),
        ("q=pinheir", "B"),
        ("q=sao%20paulo&purpose=sale", "A"),
        ("q=castelo", ""),
    ] {
        let call = app.get(&format!("/api/properties?{query}")).by(&tenant);
        let list = call.await.expect(200).json();
        assert_eq!(texts(&list, "title").concat(), expected, "{query}");
    }
    let path =
        "/api/properties?status=x&purpose=x&kind=x&city=&min_price_cents=x&min_bedrooms=-1&min_area_m2=wide";
    let refused = app.get(path).by(&tenant).await;
    refused.refused_fields(&[
        ("status", "unknown_value"),
        ("purpose", "unknown_value"),
        ("kind", "unknown_value"),
        ("city", "required"),
        ("min_price_cents", "invalid_format"),
        ("min_bedrooms", "out_of_range"),
        ("min_area_m2", "invalid_format"),
    ]);
}

#[tokio::test]
async fn the_storefront_does_not_say_where_the_door_is() {
    let (app, tenant) = at_noon("real_estate").await;
    let mut body = full();
    body["status"] = json!("published");
    let made = PROPERTIES.create(&app, &tenant, &body).await;
    PROPERTIES.create(&app, &tenant, &least()).await;
    let shown = app.get("/imoveis").of(&tenant).await.expect(200).json();
    let mut offer = made;
    for private in [
        "postal_code",
        "street",
        "street_number",
        "complement",
        "status",
        "version",
        "created_by",
        "created_at",
        "updated_at",
    ] {
        assert!(
            offer.as_object_mut().unwrap().remove(private).is_some(),
            "{private}"
        );
    }
    assert_eq!(
        shown,
        json!({"success": true, "tenant": tenant.name, "imoveis": [offer]})
    );
    let garage = app.onboard("garage-alpha", "cars").await;
    app.get("/imoveis").of(&garage).await.problem(404, "not_found");
}
