//! `/api/dues`.

use futures_util::future::join_all;
use serde_json::{Value, json};
use std::future::IntoFuture as _;

use super::{customer, due, id, made, paid};
use crate::helpers::{TestApp, TestTenant};
use crate::http::resource::{at_noon, ids};

const PATH: &str = "/api/dues";

async fn read(app: &TestApp, tenant: &TestTenant, due: &Value) -> Value {
    app.get(&format!("{PATH}/{}", id(due)))
        .by(tenant)
        .await
        .expect(200)
        .json()
}

#[tokio::test]
async fn a_due_is_made_changed_and_paid_in_parts() {
    let (app, tenant) = at_noon("cars").await;
    let ana = customer(&app, &tenant, "Ana", json!({})).await;
    let made = due(&app, &tenant, &ana, 10_000, "2026-03-09").await;
    assert_eq!(
        made,
        json!({
            "id": made["id"], "customer": {"id": ana["id"], "name": "Ana"}, "kind": "single", "order_id": null, "month": null,
            "description": "Serviço", "amount_cents": 10_000, "paid_cents": 0, "due_date": "2026-03-09", "status": "open",
            "overdue": true, "paid_on": null, "charge_id": null, "pix_code": null, "pix_expires_at": null, "version": 1,
            "created_at": "2026-03-10T12:00:00Z", "updated_at": "2026-03-10T12:00:00Z",
        })
    );
    let path = format!("{PATH}/{}", id(&made));
    let patch = |body: Value| app.patch(&path).by(&tenant).json(&body);
    let later = patch(json!({"due_date": "2026-03-10", "version": 1}))
        .await
        .expect(200)
        .json();
    assert_eq!((&later["overdue"], &later["version"]), (&json!(false), &json!(2)));
    let part = paid(
        &app,
        &tenant,
        &made,
        json!({"paid_on": "2026-03-01", "amount_cents": 4000, "method": "transfer"}),
    )
    .await;
    assert_eq!(
        (&part["status"], &part["paid_cents"]),
        (&json!("open"), &json!(4000))
    );
    assert_eq!(part["payments"][0]["method"], "transfer");
    patch(json!({"amount_cents": 4000}))
        .await
        .refused_fields(&[("amount_cents", "out_of_range")]);
    let pay = |body: Value| app.post(&format!("{path}/payments")).by(&tenant).json(&body);
    pay(json!({"paid_on": "2026-03-02", "amount_cents": 6001}))
        .await
        .problem(409, "wrong_state");
    pay(json!({"paid_on": "2026-03-02", "version": 1}))
        .await
        .problem(409, "stale_version");
    let whole = pay(json!({"paid_on": "2026-03-02"})).await.expect(201).json();
    assert_eq!(
        (&whole["status"], &whole["paid_cents"], &whole["paid_on"]),
        (&json!("paid"), &json!(10_000), &json!("2026-03-02"))
    );
    assert_eq!(whole["payments"].as_array().unwrap().len(), 2);
    assert_eq!(read(&app, &tenant, &made).await, whole);
    pay(json!({"paid_on": "2026-03-02"}))
        .await
        .problem(409, "wrong_state");
    patch(json!({"description": "x"}))
        .await
        .problem(409, "wrong_state");
    app.post(&format!("{path}/cancel"))
        .by(&tenant)
        .await
        .problem(409, "wrong_state");
    // What was written down by mistake is taken back.
    let second = id(&whole["payments"][1]).to_owned();
    let undo = |payment: &str| app.delete(&format!("{path}/payments/{payment}")).by(&tenant);
    undo(&second).await.expect(204);
    undo(&second).await.problem(404, "not_found");
    let open = read(&app, &tenant, &made).await;
    assert_eq!(
        (&open["status"], &open["paid_cents"], &open["paid_on"]),
        (&json!("open"), &json!(4000), &Value::Null)
    );
}

/// However often and by however many a due is paid at once: it is paid once.
#[tokio::test]
async fn a_due_is_paid_once() {
    let app = TestApp::start().await;
    let tenant = app.onboard("garage", "cars").await;
    let ana = customer(&app, &tenant, "Ana", json!({})).await;
    let one = due(&app, &tenant, &ana, 5000, "2026-03-20").await;
    let pay = || {
        let call = app.post(&format!("{PATH}/{}/payments", id(&one))).by(&tenant);
        call.json(&json!({"paid_on": "2026-03-10"}))
    };
    let answers = join_all((0..8).map(|_| pay().into_future())).await;
    let mut statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409, 409, 409, 409, 409, 409, 409]);
    let found = read(&app, &tenant, &one).await;
    assert_eq!(
        (&found["paid_cents"], found["payments"].as_array().unwrap().len()),
        (&json!(5000), 1)
    );
    // With a key a repeated request is the same one.
    let other = due(&app, &tenant, &ana, 5000, "2026-03-21").await;
    let pay = || {
        let call = app.post(&format!("{PATH}/{}/payments", id(&other))).by(&tenant);
        call.json(&json!({"paid_on": "2026-03-10", "amount_cents": 100}))
            .idempotency_key("once")
    };
    let first = pay().await.expect(201).json();
    assert_eq!(pay().await.expect(201).json(), first);
    assert_eq!(read(&app, &tenant, &other).await["paid_cents"], 100);
}

#[tokio::test]
async fn a_list_is_narrowed_and_paged_by_day() {
    // The evening of 10 March in São Paulo, and past midnight in UTC.
    let (app, tenant) = at_noon("cars").await;
    app.test.clock.set("2026-03-11T01:30:00Z".parse().unwrap());
    let ana = customer(&app, &tenant, "Ana", json!({})).await;
    let bia = customer(&app, &tenant, "Bia", json!({})).await;
    let late = due(&app, &tenant, &ana, 100, "2026-02-28").await;
    let yesterday = due(&app, &tenant, &bia, 200, "2026-03-09").await;
    let today = due(&app, &tenant, &ana, 300, "2026-03-10").await;
    let april = due(&app, &tenant, &ana, 400, "2026-04-05").await;
    let settled = due(&app, &tenant, &ana, 500, "2026-03-01").await;
    paid(&app, &tenant, &settled, json!({"paid_on": "2026-03-01"})).await;
    let gone = due(&app, &tenant, &bia, 600, "2026-03-02").await;
    app.post(&format!("{PATH}/{}/cancel", id(&gone)))
        .by(&tenant)
        .await
        .expect(200);
    let shown = async |query: &str| {
        let list = app
            .get(&format!("{PATH}?{query}"))
            .by(&tenant)
            .await
            .expect(200)
            .json();
        ids(&list)
    };
    let of = |dues: &[&Value]| dues.iter().map(|due| id(due).to_owned()).collect::<Vec<_>>();
    assert_eq!(
        shown("").await,
        of(&[&april, &today, &yesterday, &gone, &settled, &late])
    );
    assert_eq!(
        shown("status=open").await,
        of(&[&april, &today, &yesterday, &late])
    );
    assert_eq!(shown("status=overdue").await, of(&[&yesterday, &late]));
    assert_eq!(shown("status=overdue&month=2026-03").await, of(&[&yesterday]));
    assert_eq!(shown("status=overdue&month=2026-04").await, of(&[]));
    assert_eq!(shown("status=paid").await, of(&[&settled]));
    assert_eq!(shown("status=canceled").await, of(&[&gone]));
    assert_eq!(
        shown("month=2026-03").await,
        of(&[&today, &yesterday, &gone, &settled])
    );
    let of_ana = format!("customer_id={}", id(&ana));
    assert_eq!(shown(&of_ana).await, of(&[&april, &today, &settled, &late]));
    assert_eq!(
        shown(&format!("{of_ana}&status=open&month=2026-04")).await,
        of(&[&april])
    );
    // By their days, two at a time.
    let mut seen = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = app
            .get(&format!("{PATH}?limit=2{cursor}"))
            .by(&tenant)
            .await
            .expect(200)
            .json();
        seen.extend(ids(&page));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(seen, shown("").await);
    // Further east it is the next day already.
    let token = app.log_in(&tenant).await;
    let zone = json!({"time_zone": "Pacific/Kiritimati"});
    let change = app.patch("/api/settings").of(&tenant).bearer(&token).json(&zone);
    change.await.expect(200);
    assert_eq!(
        shown("status=overdue").await,
        of(&[&today, &yesterday, &late]),
        "it is 11 March there"
    );
    app.get(&format!("{PATH}?status=late&month=2026-3&customer_id=x"))
        .by(&tenant)
        .await
        .refused_fields(&[
            ("status", "unknown_value"),
            ("month", "invalid_format"),
            ("customer_id", "invalid_format"),
        ]);
}

#[tokio::test]
async fn what_does_not_fit_is_refused_with_its_field() {
    let app = TestApp::start().await;
    let tenant = app.onboard("garage", "cars").await;
    let ana = customer(&app, &tenant, "Ana", json!({})).await;
    let post = |body: Value| app.post(PATH).by(&tenant).json(&body);
    post(json!({})).await.refused_fields(&[
        ("customer_id", "required"),
        ("description", "required"),
        ("amount_cents", "required"),
        ("due_date", "required"),
    ]);
    let nobody = json!({
        "customer_id": "0190163d-8694-739b-aea5-966c26f8ad91", "description": "x", "amount_cents": 1, "due_date": "2026-03-10",
    });
    post(nobody)
        .await
        .refused_fields(&[("customer_id", "unknown_value")]);
    let wrong =
        json!({"customer_id": ana["id"], "description": "a\nb", "amount_cents": 0, "due_date": "10/03/2026"});
    post(wrong).await.refused_fields(&[
        ("description", "invalid_format"),
        ("amount_cents", "out_of_range"),
        ("due_date", "invalid_format"),
    ]);
    let one = due(&app, &tenant, &ana, 5000, "2026-03-20").await;
    let pay = |body: Value| {
        app.post(&format!("{PATH}/{}/payments", id(&one)))
            .by(&tenant)
            .json(&body)
    };
    pay(json!({"method": "checkout", "amount_cents": -1}))
        .await
        .refused_fields(&[
            ("paid_on", "required"),
            ("method", "unknown_value"),
            ("amount_cents", "out_of_range"),
        ]);
    let nothing = app.get(PATH).by(&tenant).await.expect(200).json();
    assert_eq!(ids(&nothing).len(), 1);
    let contact = made(&app, &tenant, "/api/contacts", json!({"name": "Bia"})).await;
    let strange = json!({"customer_id": contact["id"], "description": "x", "amount_cents": 1, "due_date": "2026-03-10"});
    post(strange)
        .await
        .refused_fields(&[("customer_id", "unknown_value")]);
}
