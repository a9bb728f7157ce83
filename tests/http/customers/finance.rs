//! `/api/reports/finance`.

use serde_json::{Value, json};

use super::{customer, due, id, paid};
use crate::helpers::{TestApp, TestTenant};
use crate::http::resource::at_noon;

const PATH: &str = "/api/reports/finance";

async fn report(app: &TestApp, tenant: &TestTenant, query: &str) -> Value {
    app.get(&format!("{PATH}?{query}"))
        .by(tenant)
        .await
        .expect(200)
        .json()
}

fn sums(report: &Value) -> [i64; 4] {
    ["received_cents", "due_cents", "overdue_cents", "forecast_cents"]
        .map(|field| report[field].as_i64().expect("cents"))
}

/// What the totals and the customers of a month are, by name.
fn told(report: &Value) -> Vec<(String, [i64; 4])> {
    let customers = report["customers"].as_array().expect("customers");
    let mut told = vec![("all".to_owned(), sums(report))];
    told.extend(
        customers
            .iter()
            .map(|one| (one["name"].as_str().unwrap_or("nobody").to_owned(), sums(one))),
    );
    told
}

#[tokio::test]
async fn a_month_says_what_came_in_what_is_late_and_what_is_to_come() {
    let (app, tenant) = at_noon("cars").await;
    assert_eq!(
        told(&report(&app, &tenant, "").await),
        [("all".to_owned(), [0; 4])]
    );
    // By the month: on the 31st, of which nothing is made yet; on the 5th, which has gone by in March.
    let ana = customer(&app, &tenant, "ana", json!({"price_cents": 9000, "due_day": 31})).await;
    let bia = customer(&app, &tenant, "Bia", json!({"price_cents": 5000, "due_day": 5})).await;
    customer(
        &app,
        &tenant,
        "Caio",
        json!({"price_cents": 7000, "due_day": 31, "status": "paused"}),
    )
    .await;
    due(&app, &tenant, &ana, 100, "2026-03-09").await;
    due(&app, &tenant, &ana, 200, "2026-03-10").await;
    let part = due(&app, &tenant, &bia, 1000, "2026-03-15").await;
    paid(
        &app,
        &tenant,
        &part,
        json!({"paid_on": "2026-03-02", "amount_cents": 400}),
    )
    .await;
    let early = due(&app, &tenant, &bia, 50, "2026-04-10").await;
    paid(&app, &tenant, &early, json!({"paid_on": "2026-03-10"})).await;
    let gone = due(&app, &tenant, &bia, 7777, "2026-03-12").await;
    app.post(&format!("/api/dues/{}/cancel", id(&gone)))
        .by(&tenant)
        .await
        .expect(200);

    let march = report(&app, &tenant, "").await;
    assert_eq!(march["month"], "2026-03");
    assert_eq!(
        told(&march),
        [
            ("all".to_owned(), [450, 800, 100, 9800]),
            ("ana".to_owned(), [0, 200, 100, 9200]),
            ("Bia".to_owned(), [450, 600, 0, 600]),
        ]
    );
    assert_eq!(report(&app, &tenant, "month=2026-03").await, march);
    assert_eq!(
        told(&report(&app, &tenant, "month=2026-04").await),
        [
            ("all".to_owned(), [0, 0, 0, 14_000]),
            ("ana".to_owned(), [0, 0, 0, 9000]),
            ("Bia".to_owned(), [0, 0, 0, 5000]),
        ]
    );
    assert_eq!(told(&report(&app, &tenant, "month=2026-02").await).len(), 1);
    for (query, field, code) in [
        ("month=2026-3", "month", "invalid_format"),
        ("format=xls", "format", "unknown_value"),
        ("year=2026", "year", "unknown_field"),
    ] {
        let answer = app.get(&format!("{PATH}?{query}")).by(&tenant).await;
        answer.refused_fields(&[(field, code)]);
    }
}

#[tokio::test]
async fn a_table_holds_no_formula() {
    let (app, tenant) = at_noon("cars").await;
    let evil = customer(&app, &tenant, "=1+2", json!({})).await;
    let comma = customer(&app, &tenant, "Silva, Ana", json!({})).await;
    due(&app, &tenant, &evil, 100, "2026-03-09").await;
    due(&app, &tenant, &comma, 200, "2026-03-20").await;
    let answer = app
        .get(&format!("{PATH}?format=csv&month=2026-03"))
        .by(&tenant)
        .await;
    assert_eq!(
        answer.expect(200).header("content-type"),
        Some("text/csv; charset=utf-8")
    );
    assert_eq!(
        answer.header("content-disposition"),
        Some("attachment; filename=\"finance-2026-03.csv\"")
    );
    assert_eq!(
        answer.text(),
        format!(
            "customer_id,name,received_cents,due_cents,overdue_cents,forecast_cents\n\
             {},'=1+2,0,0,100,0\n{},\"Silva, Ana\",0,200,0,200\n",
            id(&evil),
            id(&comma)
        )
    );
}
