//! `/api/vehicles`.

use helixai::db::tenant::Query;
use serde_json::{Value, json};

use super::resource::{Resource, at_noon, behaves_as_a_resource, made_at_noon, texts};
use crate::helpers::{TestApp, tenant_db_of};

const VEHICLES: Resource = Resource {
    path: "/api/vehicles",
    niche: "cars",
    other_niche: Some("real_estate"),
    least,
    text: "title",
    lacks: &["title", "make", "model"],
};

behaves_as_a_resource!(VEHICLES);

fn least() -> Value {
    json!({"title": "Fiat Uno", "make": "Fiat", "model": "Uno"})
}

fn full() -> Value {
    json!({
        "title": "Honda CR-V Touring", "make": "Honda", "model": "CR-V", "year_manufacture": 2022, "year_model": 2023,
        "price_cents": 24_990_000, "mileage_km": 31_500, "fuel": "gasoline", "transmission": "cvt", "color": "Preta",
        "plate": "BRA2E19", "description": "Único dono.\nRevisões na concessionária.", "status": "reserved",
    })
}

#[tokio::test]
async fn every_field_is_kept_and_can_be_changed_and_emptied() {
    let (app, tenant) = at_noon("cars").await;
    let made = VEHICLES.create(&app, &tenant, &full()).await;
    assert_eq!(made, made_at_noon(&full(), &made["id"]));

    let other = json!({
        "title": "Fiat Argo", "make": "Fiat", "model": "Argo", "year_manufacture": 2019, "year_model": 2020,
        "price_cents": 0, "mileage_km": 0, "fuel": "flex", "transmission": "manual", "color": "Branca",
        "plate": "ABC1234", "description": "", "status": "draft",
    });
    let changed = app.patch(&VEHICLES.path_of(&made)).by(&tenant).json(&other).await;
    for (field, value) in other.as_object().unwrap() {
        assert_eq!(&changed.expect(200).json()[field], value, "{field}");
    }

    let optional = [
        "year_manufacture",
        "year_model",
        "price_cents",
        "mileage_km",
        "fuel",
        "transmission",
        "color",
        "plate",
        "description",
    ];
    let empty: Value = optional
        .iter()
        .map(|field| ((*field).to_owned(), Value::Null))
        .collect();
    let emptied = app.patch(&VEHICLES.path_of(&made)).by(&tenant).json(&empty).await;
    for field in optional {
        assert_eq!(emptied.expect(200).json()[field], Value::Null, "{field}");
    }
    assert_eq!(emptied.json()["title"], "Fiat Argo");
    let few = VEHICLES.create(&app, &tenant, &least()).await;
    assert_eq!(
        (&few["status"], &few["price_cents"]),
        (&json!("draft"), &Value::Null)
    );
}

#[tokio::test]
async fn photos_come_in_their_order() {
    let (app, tenant) = at_noon("cars").await;
    let mut body = least();
    body["status"] = json!("published");
    let made = VEHICLES.create(&app, &tenant, &body).await;
    let vehicle: uuid::Uuid = made["id"].as_str().unwrap().parse().unwrap();
    let photo = |position: i16, url: &'static str| {
        Query::execute(
            "insert into vehicle_photos (id, vehicle_id, position, url, content_type, alt_text, created_at)
             values ($1, $2, $3, $4, 'image/webp', 'Frente', '2026-01-01Z')",
        )
        .bind(uuid::Uuid::now_v7())
        .bind(vehicle)
        .bind(position)
        .bind(url)
    };
    let db = tenant_db_of(&app.test.platform, &tenant.key).await;
    let photos = (photo(2, "/c.webp"), photo(0, "/a.webp"), photo(1, "/b.webp"));
    db.run(&app.test.system(), photos).await.unwrap();
    let other = VEHICLES.create(&app, &tenant, &least()).await;
    assert_eq!(other["photos"], json!([]));

    let read = app
        .get(&VEHICLES.path_of(&made))
        .by(&tenant)
        .await
        .expect(200)
        .json();
    let urls: Vec<_> = read["photos"]
        .as_array()
        .unwrap()
        .iter()
        .map(|photo| photo["url"].clone())
        .collect();
    assert_eq!(urls, ["/a.webp", "/b.webp", "/c.webp"]);
    assert_eq!(
        (&read["photos"][0]["content_type"], &read["photos"][0]["alt_text"]),
        (&json!("image/webp"), &json!("Frente"))
    );
    let shown = app.get("/veiculos").of(&tenant).await.expect(200).json();
    assert_eq!(shown["veiculos"][0]["photos"], read["photos"]);
    let changed = app
        .patch(&VEHICLES.path_of(&made))
        .by(&tenant)
        .json(&json!({"color": "Azul"}))
        .await;
    assert_eq!(changed.expect(200).json()["photos"], read["photos"]);
    app.delete(&VEHICLES.path_of(&made)).by(&tenant).await.expect(204);
    app.get(&VEHICLES.path_of(&made))
        .by(&tenant)
        .await
        .problem(404, "not_found");
}

#[tokio::test]
async fn each_wrong_field_is_named() {
    let app = TestApp::start().await;
    let tenant = app.onboard("garage-alpha", "cars").await;
    let wrong = json!({
        "title": " ", "make": "a\nb", "model": "m".repeat(101), "year_manufacture": 1899, "year_model": 2101,
        "price_cents": -1, "mileage_km": 10_000_000, "fuel": "water", "transmission": "x", "color": "c".repeat(51),
        "plate": "ABC123", "description": "d".repeat(20_001), "status": "stolen",
    });
    let refusals = [
        ("title", "required"),
        ("make", "invalid_format"),
        ("model", "too_long"),
        ("status", "unknown_value"),
        ("year_manufacture", "out_of_range"),
        ("year_model", "out_of_range"),
        ("price_cents", "out_of_range"),
        ("mileage_km", "out_of_range"),
        ("fuel", "unknown_value"),
        ("transmission", "unknown_value"),
        ("color", "too_long"),
        ("plate", "invalid_format"),
        ("description", "too_long"),
    ];
    let post = |body: &Value| app.post("/api/vehicles").by(&tenant).json(body);
    post(&wrong).await.refused_fields(&refusals);
    let made = VEHICLES.create(&app, &tenant, &least()).await;
    let patched = app.patch(&VEHICLES.path_of(&made)).by(&tenant).json(&wrong).await;
    patched.refused_fields(&refusals);
    for value in [json!("2020"), json!(2020.5), json!(1e30), json!(true)] {
        let mut body = least();
        body["year_model"] = value;
        post(&body)
            .await
            .refused_fields(&[("year_model", "invalid_type")]);
    }
    let mut body = least();
    body["price_cents"] = json!(9_007_199_254_740_992_i64);
    post(&body)
        .await
        .refused_fields(&[("price_cents", "out_of_range")]);
    body["price_cents"] = json!(9_007_199_254_740_991_i64);
    assert_eq!(
        post(&body).await.expect(201).json()["price_cents"],
        body["price_cents"]
    );
}

#[tokio::test]
async fn a_plate_is_in_stock_once() {
    let app = TestApp::start().await;
    let tenant = app.onboard("garage-alpha", "cars").await;
    let with = |plate: &str| {
        let mut body = least();
        body["plate"] = json!(plate);
        body
    };
    let first = VEHICLES.create(&app, &tenant, &with("abc-1d23")).await;
    assert_eq!(first["plate"], "ABC1D23");
    let call = || app.post("/api/vehicles").by(&tenant).json(&with("ABC 1D23"));
    call().await.problem(409, "plate_taken");
    call().idempotency_key("plate").await.problem(409, "plate_taken");
    let second = VEHICLES.create(&app, &tenant, &with("XYZ1234")).await;
    let change = |vehicle: &Value, body: Value| app.patch(&VEHICLES.path_of(vehicle)).by(&tenant).json(&body);
    change(&second, json!({"plate": "ABC1D23"}))
        .await
        .problem(409, "plate_taken");
    // Sold, the same car may come back; while it is back, the sale cannot be undone.
    change(&first, json!({"status": "sold"})).await.expect(200);
    change(&second, json!({"plate": "ABC1D23"})).await.expect(200);
    change(&first, json!({"status": "published"}))
        .await
        .problem(409, "plate_taken");
    // Another garage's stock is no concern of this one.
    let other = app.onboard("garage-beta", "cars").await;
    VEHICLES.create(&app, &other, &with("ABC1D23")).await;
}

#[tokio::test]
async fn the_first_publication_is_dated() {
    let (app, tenant) = at_noon("cars").await;
    let draft = VEHICLES.create(&app, &tenant, &least()).await;
    assert_eq!(draft["published_at"], Value::Null);
    let step = async |status: &str| {
        app.test.clock.advance(chrono::TimeDelta::hours(1));
        let call = app.patch(&VEHICLES.path_of(&draft)).by(&tenant);
        call.json(&json!({"status": status})).await.expect(200).json()
    };
    let published = step("published").await;
    assert_eq!(published["published_at"], "2026-03-10T13:00:00Z");
    assert_eq!(published["updated_at"], "2026-03-10T13:00:00Z");
    for status in ["reserved", "published", "sold", "draft"] {
        let moved = step(status).await;
        assert_eq!(moved["status"], status);
        assert_eq!(moved["published_at"], "2026-03-10T13:00:00Z", "{status}");
    }
    let mut body = least();
    body["status"] = json!("published");
    let at_once = VEHICLES.create(&app, &tenant, &body).await;
    assert_eq!(at_once["published_at"], at_once["created_at"]);
}

#[tokio::test]
async fn it_is_known_who_added_it() {
    let app = TestApp::start().await;
    let tenant = app.onboard("garage-alpha", "cars").await;
    assert_eq!(
        VEHICLES.create(&app, &tenant, &least()).await["created_by"],
        Value::Null
    );
    let token = app.log_in(&tenant).await;
    let me = app.get("/api/me").of(&tenant).bearer(&token).await;
    let by_user = app
        .post("/api/vehicles")
        .of(&tenant)
        .bearer(&token)
        .json(&least())
        .await;
    assert_eq!(
        by_user.expect(201).json()["created_by"],
        me.expect(200).json()["id"]
    );
}

#[tokio::test]
async fn the_list_is_narrowed() {
    let app = TestApp::start().await;
    let tenant = app.onboard("garage-alpha", "cars").await;
    for body in [
        json!({"title": "A", "make": "Citroën", "model": "C3", "year_model": 2018, "price_cents": 5_000_000,
               "fuel": "flex", "transmission": "manual", "status": "published"}),
        json!({"title": "B", "make": "Fiat", "model": "Uno", "year_model": 2020, "price_cents": 4_000_000,
               "fuel": "flex", "transmission": "automated", "status": "draft"}),
        json!({"title": "C", "make": "fiat", "model": "Toro Ultra", "year_model": 2022, "price_cents": 12_000_000,
               "fuel": "diesel", "transmission": "automatic", "status": "published"}),
        json!({"title": "D", "make": "Chevrolet", "model": "Opala"}),
    ] {
        VEHICLES.create(&app, &tenant, &body).await;
    }
    for (query, expected) in [
        ("", "DCBA"),
        ("status=published", "CA"),
        ("status=sold", ""),
        ("make=FIAT", "CB"),
        ("make=citroen", "A"),
        ("make=cit", ""),
        ("model=toro%20ultra", "C"),
        ("min_price_cents=5000000", "CA"),
        ("max_price_cents=5000000", "BA"),
        ("min_price_cents=4000001&max_price_cents=11999999", "A"),
        ("min_year_model=2020", "CB"),
        ("max_year_model=2020", "BA"),
        ("fuel=diesel", "C"),
        ("transmission=automated", "B"),
        ("make=fiat&status=published&fuel=diesel&min_year_model=2022", "C"),
        ("make=fiat&fuel=electric", ""),
        ("q=fiat&status=draft", "B"),
        ("status=published&limit=1", "C"),
    ] {
        let list = app
            .get(&format!("/api/vehicles?{query}"))
            .by(&tenant)
            .await
            .expect(200)
            .json();
        assert_eq!(texts(&list, "title").concat(), expected, "{query}");
    }
    let path = "/api/vehicles?status=x&fuel=y&transmission=z&min_price_cents=-1&max_price_cents=1.5&min_year_model=1&max_year_model=b&make=";
    let refused = app.get(path).by(&tenant).await;
    refused.refused_fields(&[
        ("status", "unknown_value"),
        ("make", "required"),
        ("min_price_cents", "out_of_range"),
        ("max_price_cents", "invalid_format"),
        ("min_year_model", "out_of_range"),
        ("max_year_model", "invalid_format"),
        ("fuel", "unknown_value"),
        ("transmission", "unknown_value"),
    ]);
}

#[tokio::test]
async fn words_are_found_with_and_without_accents() {
    let app = TestApp::start().await;
    let tenant = app.onboard("garage-alpha", "cars").await;
    for body in [
        json!({"title": "Honda CR-V", "make": "Honda", "model": "CR-V", "transmission": "automatic", "plate": "BRA2E19"}),
        json!({"title": "Caminhão Volvo", "make": "Volvo", "model": "FH", "fuel": "diesel", "color": "Azul"}),
        json!({"title": "Citroën C3", "make": "Citroën", "model": "C3", "description": "Revisões em dia, câmbio manual"}),
    ] {
        VEHICLES.create(&app, &tenant, &body).await;
    }
    let (crv, truck, c3) = ("Honda CR-V", "Caminhão Volvo", "Citroën C3");
    for (query, expected) in [
        ("caminhao", vec![truck]),
        ("caminhões", vec![truck]),
        ("CAMINHÃO", vec![truck]),
        ("automático", vec![crv]),
        ("cr-v", vec![crv]),
        ("cr v", vec![crv]),
        ("hon", vec![crv]),
        ("bra2e19", vec![crv]),
        ("azul volvo", vec![truck]),
        ("citroen", vec![c3]),
        ("revisao", vec![c3]),
        ("honda volvo", vec![]),
        ("' or 1=1 --", vec![]),
        ("!!! & |", vec![]),
    ] {
        let query: String = url_encode(query);
        let list = app
            .get(&format!("/api/vehicles?q={query}"))
            .by(&tenant)
            .await
            .expect(200)
            .json();
        assert_eq!(texts(&list, "title"), expected, "{query}");
    }
}

fn url_encode(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}
