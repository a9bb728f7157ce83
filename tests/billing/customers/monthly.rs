//! The dues of months: each once, on its day, in the tenant's time zone.

use chrono::{DateTime, Days, NaiveDate, TimeDelta, Utc};
use futures_util::future::join_all;
use serde_json::json;

use super::{Shop, work};
use crate::http::customers::{customer, id};

const DUES: &str = "select due_date || ' ' || amount_cents || ' ' || description || ' ' || status from {}.dues order by due_date, id";

#[tokio::test]
async fn a_month_is_made_ten_days_before_its_day() {
    let shop = Shop::at("2026-03-10T12:00:00Z").await;
    let (app, tenant) = (&shop.app, &shop.tenant);
    let plan = json!({"name": "Plano Ouro", "price_cents": 9990});
    let plan = crate::http::customers::made(app, tenant, "/api/customer-plans", plan).await;
    let ana = customer(
        app,
        tenant,
        "Ana",
        json!({"customer_plan_id": plan["id"], "due_day": 15}),
    )
    .await;
    customer(app, tenant, "Bia", json!({"price_cents": 5000, "due_day": 21})).await;
    customer(app, tenant, "Sem preço", json!({"customer_plan_id": plan["id"]})).await;
    customer(
        app,
        tenant,
        "Parado",
        json!({"price_cents": 1, "due_day": 11, "status": "paused"}),
    )
    .await;
    customer(app, tenant, "De graça", json!({"price_cents": 0, "due_day": 11})).await;
    customer(
        app,
        tenant,
        "Depois",
        json!({"price_cents": 1, "due_day": 11, "starts_on": "2026-03-12"}),
    )
    .await;
    let done = shop.work().await;
    assert_eq!((done.dues, done.reminders), (1, 0));
    assert_eq!(
        shop.list(DUES).await,
        [json!("2026-03-15 9990 Plano Ouro 03/2026 open")]
    );
    // The next morning of the tenant, and the shard knows.
    let next = done.next.expect("it is due again");
    let (from, until) = ("2026-03-11T03:00:00Z", "2026-03-11T08:00:00Z");
    assert!(next >= from.parse::<DateTime<Utc>>().unwrap() && next < until.parse::<DateTime<Utc>>().unwrap());
    let admin = app.test.admin().await;
    let due = "select due_at from helixai.due_work where tenant_id = $1::text::uuid";
    let noted: DateTime<Utc> = admin.query_one(due, &[&tenant.id]).await.unwrap().get(0);
    assert!(noted <= next);
    // Not due: nothing is done, and it is said when it is.
    let again = shop.work().await;
    assert_eq!((again.dues, again.next), (0, Some(next)));

    shop.set("2026-03-11T12:00:00Z");
    assert_eq!(shop.work().await.dues, 1);
    assert_eq!(
        shop.list(DUES).await,
        [
            json!("2026-03-15 9990 Plano Ouro 03/2026 open"),
            json!("2026-03-21 5000 Mensalidade 03/2026 open"),
        ]
    );
    // Changed and woken: a month that has its due gets no second one, on no other day.
    let other = app
        .patch(&format!("/api/customers/{}", id(&ana)))
        .by(tenant)
        .json(&json!({"due_day": 20}));
    other.await.expect(200);
    assert_eq!(shop.work().await.dues, 0);
    shop.set("2026-04-10T12:00:00Z");
    assert_eq!(shop.work().await.dues, 1 + 1);
    let april = "select due_date::text from {}.dues where month = '2026-04-01' order by 1";
    assert_eq!(shop.list(april).await, [json!("2026-04-11"), json!("2026-04-20")]);
}

/// Two years of days, with processes that race and a time for which nobody works: each month of each customer exactly once.
#[tokio::test]
async fn each_month_is_made_exactly_once() {
    let shop = Shop::at("2027-12-28T09:00:00Z").await;
    let (app, tenant) = (&shop.app, &shop.tenant);
    for day in [1, 15, 28, 29, 30, 31] {
        customer(
            app,
            tenant,
            &format!("Cliente {day}"),
            json!({"price_cents": 100, "due_day": day}),
        )
        .await;
    }
    let second = app.test.second().await;
    let mut today: NaiveDate = "2027-12-28".parse().unwrap();
    let end: NaiveDate = "2029-12-31".parse().unwrap();
    while today <= end {
        shop.set(&format!("{today}T09:00:00Z"));
        tokio::join!(work(&app.test.platform, tenant), work(&second, tenant));
        // Mostly every few days, and once for two months not at all.
        let pause = if today.to_string().starts_with("2028-06") {
            61
        } else {
            6
        };
        today = today + Days::new(pause);
    }
    let months = "select customer_id || ' ' || count(*) || ' ' || count(distinct month) || ' ' || min(month) || ' ' || max(month) as x
                  from {}.dues group by customer_id";
    for line in shop.list(months).await {
        let line = line.as_str().unwrap().to_owned();
        let words: Vec<&str> = line.split(' ').collect();
        let (count, distinct) = (words[1], words[2]);
        assert_eq!(count, distinct, "{line}");
        // From the first to the last without a gap.
        let span = |text: &str| {
            let date: NaiveDate = text.parse().unwrap();
            use chrono::Datelike as _;
            date.year() * 12 + date.month0() as i32
        };
        assert_eq!(count, (span(words[4]) - span(words[3]) + 1).to_string(), "{line}");
        assert!(
            ["2027-12-01", "2028-01-01"].contains(&words[3]) && words[4] >= "2029-12-01",
            "{line}"
        );
    }
    // On its day, or on the last one of the month.
    let wrong = "select d.id from {}.dues d join {}.customers c on c.id = d.customer_id
                 where d.due_date <> least(d.month + (c.due_day - 1), (d.month + interval '1 month')::date - 1)";
    assert_eq!(shop.list(wrong).await, [json!(null); 0]);
}

/// What is one evening in São Paulo is the next day further east.
#[tokio::test]
async fn a_day_is_the_tenants_own() {
    let shop = Shop::at("2026-03-11T01:00:00Z").await;
    customer(
        &shop.app,
        &shop.tenant,
        "Ana",
        json!({"price_cents": 100, "due_day": 21}),
    )
    .await;
    assert_eq!(shop.work().await.dues, 0, "10 March in São Paulo");
    shop.set_zone("Asia/Tokyo").await;
    customer(
        &shop.app,
        &shop.tenant,
        "Bia",
        json!({"price_cents": 100, "due_day": 21}),
    )
    .await;
    assert_eq!(shop.work().await.dues, 2, "11 March in Tokyo");
}

/// Woken by many at once, and while somebody works, it is one line, and nobody is left out.
#[tokio::test]
async fn a_wake_is_not_lost() {
    let shop = Shop::at("2026-03-10T12:00:00Z").await;
    let posts = (0..8).map(|number| {
        let shop = &shop;
        let agreed = json!({"price_cents": 1, "due_day": 15});
        async move {
            customer(&shop.app, &shop.tenant, &format!("Cliente {number}"), agreed).await;
            shop.app.test.clock.advance(TimeDelta::microseconds(1));
            shop.work().await.dues
        }
    });
    let made: u64 = join_all(posts).await.into_iter().sum();
    assert_eq!(made + shop.work().await.dues, 8);
    let lines = "select kind || ' ' || state from {}.jobs";
    assert_eq!(shop.list(lines).await, [json!("customers_day queued")]);
    // With nothing that could ever be due it rests.
    let stop = "update {}.customers set status = 'canceled'";
    let settle = "update {}.dues set status = 'canceled'";
    let admin = shop.app.test.admin().await;
    for text in [stop, settle] {
        admin
            .batch_execute(&text.replace("{}", &shop.tenant.schema))
            .await
            .expect("changed");
    }
    shop.set("2026-03-12T12:00:00Z");
    assert_eq!(shop.work().await.next, None);
    assert_eq!(shop.list(lines).await, [json!("customers_day done")]);
}
