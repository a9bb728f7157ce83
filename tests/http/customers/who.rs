//! `/api/customers`.

use serde_json::{Value, json};

use super::{customer, due, id, made};
use crate::helpers::TestApp;
use crate::http::resource::{at_noon, ids};

const PATH: &str = "/api/customers";

#[tokio::test]
async fn a_contact_becomes_a_customer_and_is_changed_and_removed() {
    let (app, tenant) = at_noon("cars").await;
    let plan = made(
        &app,
        &tenant,
        "/api/customer-plans",
        json!({"name": "Ouro", "price_cents": 9990}),
    )
    .await;
    let contact = made(
        &app,
        &tenant,
        "/api/contacts",
        json!({"name": "Ana", "phone": "(11) 98765-4321", "email": "ana@example.com"}),
    )
    .await;
    let body = json!({
        "contact_id": contact["id"], "customer_plan_id": plan["id"], "price_cents": 8000, "due_day": 31,
        "starts_on": "2026-04-01", "document": "529.982.247-25", "notes": "Paga em dia.\n",
    });
    let ana = made(&app, &tenant, PATH, body).await;
    assert_eq!(
        ana,
        json!({
            "id": ana["id"],
            "contact": {"id": contact["id"], "name": "Ana", "phone": "+5511987654321", "email": "ana@example.com"},
            "customer_plan_id": plan["id"], "price_cents": 8000, "monthly_cents": 8000, "due_day": 31, "starts_on": "2026-04-01",
            "status": "active", "document": "52998224725", "notes": "Paga em dia.\n", "version": 1,
            "created_at": "2026-03-10T12:00:00Z", "updated_at": "2026-03-10T12:00:00Z",
        })
    );
    let path = format!("{PATH}/{}", id(&ana));
    assert_eq!(app.get(&path).by(&tenant).await.expect(200).json(), ana);
    // What the contact says is what the customer is called.
    let rename = app
        .patch(&format!("/api/contacts/{}", id(&contact)))
        .by(&tenant)
        .json(&json!({"name": "Ana Lúcia"}));
    rename.await.expect(200);
    let patch = |body: Value| app.patch(&path).by(&tenant).json(&body);
    let changed = patch(json!({"price_cents": null, "status": "paused", "document": null, "version": 1}))
        .await
        .expect(200)
        .json();
    assert_eq!(
        (
            &changed["contact"]["name"],
            &changed["monthly_cents"],
            &changed["status"],
            &changed["version"]
        ),
        (&json!("Ana Lúcia"), &json!(9990), &json!("paused"), &json!(2))
    );
    patch(json!({"status": "active", "version": 1}))
        .await
        .problem(409, "stale_version");
    // A contact that is a customer stays; without the customer it may go.
    let contact_path = format!("/api/contacts/{}", id(&contact));
    app.delete(&contact_path)
        .by(&tenant)
        .await
        .problem(409, "contact_in_use");
    app.delete(&path).by(&tenant).await.expect(204);
    app.get(&path).by(&tenant).await.problem(404, "not_found");
    patch(json!({})).await.problem(404, "not_found");
    app.delete(&contact_path).by(&tenant).await.expect(204);
}

#[tokio::test]
async fn a_contact_is_one_customer() {
    let app = TestApp::start().await;
    let tenant = app.onboard("garage", "cars").await;
    let ana = customer(&app, &tenant, "Ana", json!({})).await;
    let body = json!({"contact_id": ana["contact"]["id"]});
    let post = || app.post(PATH).by(&tenant).json(&body);
    let problem = post().await.problem(409, "customer_exists");
    assert_eq!(problem["existing_id"], ana["id"]);
    // Repeated with its key it is the same request.
    let contact = made(&app, &tenant, "/api/contacts", json!({"name": "Bia"})).await;
    let bia = json!({"contact_id": contact["id"]});
    let post = || app.post(PATH).by(&tenant).json(&bia).idempotency_key("bia");
    let first = post().await.expect(201).json();
    assert_eq!(post().await.expect(201).json(), first);
}

#[tokio::test]
async fn what_does_not_fit_is_refused_with_its_field() {
    let app = TestApp::start().await;
    let tenant = app.onboard("garage", "cars").await;
    let contact = made(&app, &tenant, "/api/contacts", json!({"name": "Ana"})).await;
    let nobody = "0190163d-8694-739b-aea5-966c26f8ad91";
    let post = |more: Value| {
        let mut body = json!({"contact_id": contact["id"]});
        body.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        app.post(PATH).by(&tenant).json(&body)
    };
    app.post(PATH)
        .by(&tenant)
        .json(&json!({"due_day": 0, "status": "gone"}))
        .await
        .refused_fields(&[
            ("contact_id", "required"),
            ("due_day", "out_of_range"),
            ("status", "unknown_value"),
        ]);
    for (body, field, code) in [
        (json!({"contact_id": nobody}), "contact_id", "unknown_value"),
        (
            json!({"customer_plan_id": nobody}),
            "customer_plan_id",
            "unknown_value",
        ),
        (json!({"due_day": 5}), "due_day", "price_missing"),
        (
            json!({"due_day": 32, "price_cents": 1}),
            "due_day",
            "out_of_range",
        ),
        (json!({"starts_on": "2026-02-29"}), "starts_on", "invalid_format"),
        (
            json!({"document": "529.982.247-26"}),
            "document",
            "invalid_format",
        ),
        (json!({"price_cents": -1}), "price_cents", "out_of_range"),
        (json!({"name": "Ana"}), "name", "unknown_field"),
    ] {
        let answer = post(body.clone()).await;
        assert_eq!(answer.status, 422, "{body}: {}", answer.describe());
        let found = &answer.json()["errors"][0];
        assert_eq!(found["field"], field, "{body}");
        // A document has words of its own for what is wrong with it.
        if field != "document" {
            assert_eq!(found["code"], code, "{body}");
        }
    }
    let ana = post(json!({"price_cents": 100, "due_day": 5}))
        .await
        .expect(201)
        .json();
    let path = format!("{PATH}/{}", id(&ana));
    let answer = app
        .patch(&path)
        .by(&tenant)
        .json(&json!({"price_cents": null}))
        .await;
    answer.refused_fields(&[("due_day", "price_missing")]);
}

#[tokio::test]
async fn a_list_is_narrowed_and_paged() {
    let (app, tenant) = at_noon("cars").await;
    let plan = made(
        &app,
        &tenant,
        "/api/customer-plans",
        json!({"name": "Ouro", "price_cents": 1}),
    )
    .await;
    let ana = customer(
        &app,
        &tenant,
        "Ana Lúcia",
        json!({"customer_plan_id": plan["id"]}),
    )
    .await;
    let bia = customer(&app, &tenant, "Bia", json!({"status": "paused"})).await;
    let caio = customer(
        &app,
        &tenant,
        "Caio",
        json!({"customer_plan_id": plan["id"], "status": "canceled"}),
    )
    .await;
    let shown = async |query: &str| {
        let list = app.get(&format!("{PATH}?{query}")).by(&tenant).await;
        ids(&list.expect(200).json())
    };
    let [ana, bia, caio] = [ana, bia, caio].map(|row| id(&row).to_owned());
    assert_eq!(shown("").await, [&caio, &bia, &ana].map(Clone::clone));
    assert_eq!(shown("status=paused").await, [bia.as_str()]);
    let of_plan = format!("customer_plan_id={}", id(&plan));
    assert_eq!(shown(&of_plan).await, [caio.clone(), ana.clone()]);
    assert_eq!(shown(&format!("{of_plan}&status=active")).await, [ana.as_str()]);
    assert_eq!(shown("q=lucia").await, [ana.as_str()]);
    assert_eq!(shown("q=bia@ex&status=paused").await, [bia.as_str()]);
    let first = app
        .get(&format!("{PATH}?limit=2"))
        .by(&tenant)
        .await
        .expect(200)
        .json();
    let next = first["next_cursor"].as_str().expect("another page");
    assert_eq!(ids(&first), [caio, bia]);
    assert_eq!(shown(&format!("limit=2&cursor={next}")).await, [ana]);
    app.get(&format!("{PATH}?status=gone&customer_plan_id=x&limit=0"))
        .by(&tenant)
        .await
        .refused_fields(&[
            ("status", "unknown_value"),
            ("customer_plan_id", "invalid_format"),
            ("limit", "out_of_range"),
        ]);
}

#[tokio::test]
async fn who_owes_is_not_removed() {
    let app = TestApp::start().await;
    let tenant = app.onboard("garage", "cars").await;
    let ana = customer(&app, &tenant, "Ana", json!({})).await;
    due(&app, &tenant, &ana, 100, "2026-04-01").await;
    let path = format!("{PATH}/{}", id(&ana));
    app.delete(&path)
        .by(&tenant)
        .await
        .problem(409, "customer_in_use");
    app.get(&path).by(&tenant).await.expect(200);
}

/// Everybody sees customers; agents change nothing of what is owed.
#[tokio::test]
async fn agents_look_and_managers_decide() {
    let app = TestApp::start().await;
    let tenant = app.onboard("garage", "cars").await;
    let ana = customer(&app, &tenant, "Ana", json!({})).await;
    let path = format!("{PATH}/{}", id(&ana));
    for (role, may) in [("agent", false), ("manager", true)] {
        let user = app.add_user(&tenant, role).await;
        let token = app.session_of(&tenant, user).await;
        let by = |call: crate::helpers::Call| call.of(&tenant).bearer(&token);
        by(app.get(&path)).await.expect(200);
        let patch = by(app.patch(&path).json(&json!({"notes": role}))).await;
        let body = json!({"customer_id": ana["id"], "description": "x", "amount_cents": 1, "due_date": "2026-04-01"});
        let post = by(app.post("/api/dues").json(&body)).await;
        if may {
            patch.expect(200);
            post.expect(201);
        } else {
            patch.problem(403, "insufficient_rights");
            post.problem(403, "insufficient_rights");
        }
    }
    let reader = app.add_api_key(&tenant, &["read"]).await;
    let patch = app.patch(&path).of(&tenant).bearer(&reader).json(&json!({}));
    patch.await.problem(403, "insufficient_rights");
}
