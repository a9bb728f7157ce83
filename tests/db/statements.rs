//! Statements prepared per connection and tenant: on the second use, bounded, and harmless when a table changes.

use helixai::db::DbError;
use helixai::db::tenant::Query;

use super::queries::{backend, count_contacts, whereabouts};
use crate::helpers::TestPlatform;

/// What the connection has prepared.
fn prepared() -> Query<i64> {
    Query::one("select count(*) from pg_prepared_statements", |mut row| {
        row.next()
    })
}

fn version_of_any_contact() -> Query<u64> {
    Query::execute("select version from contacts limit 1")
}

#[tokio::test]
async fn a_statement_is_prepared_for_each_tenant_on_its_second_use() {
    let test = TestPlatform::builder().proxied().lane_pool(1).start().await;
    let (alpha, beta) = (
        test.onboard("alpha", "cars").await,
        test.onboard("beta", "cars").await,
    );
    let lane = test.resolved(&alpha).await.home.lane.login.clone();
    let (alpha, beta) = (test.tenant_db(&alpha).await, test.tenant_db(&beta).await);
    let text = "select count(*) from contacts";
    let mut prepared = Vec::new();
    let mut unprepared = Vec::new();
    for db in [&alpha, &beta, &alpha, &beta, &alpha, &beta, &alpha, &beta] {
        test.proxy().take(&lane);
        db.run(&test.system(), count_contacts()).await.unwrap();
        let traffic = test.proxy().take(&lane);
        assert_eq!(traffic.round_trips, 1);
        prepared.push(traffic.prepared.iter().filter(|parsed| *parsed == text).count());
        unprepared.push(traffic.unprepared.iter().filter(|parsed| *parsed == text).count());
    }
    assert_eq!(unprepared, [1, 1, 0, 0, 0, 0, 0, 0]);
    assert_eq!(prepared, [0, 0, 1, 1, 0, 0, 0, 0], "once for each tenant");
}

/// One text may be asked with parameters of several types: each time it is what it would be alone.
#[tokio::test]
async fn a_text_with_other_types_is_another_statement() {
    let test = TestPlatform::builder().lane_pool(1).start().await;
    let alpha = test.onboard("alpha", "cars").await;
    let db = test.tenant_db(&alpha).await;
    let kind = || Query::<String>::one("select pg_typeof($1)::text", |mut row| row.next());
    for _ in 0..4 {
        for (query, expected) in [
            (kind().bind(1_i64), "bigint"),
            (kind().bind("one"), "text"),
            (kind().bind(Some(true)), "boolean"),
        ] {
            let answer = db.run(&test.system(), query).await.unwrap();
            assert_eq!(answer.output, expected);
        }
    }
}

/// With more to say than the socket takes, each side would wait for the other to listen.
#[tokio::test]
async fn much_is_said_and_heard_in_one_flight() {
    let test = TestPlatform::builder().lane_pool(1).start().await;
    let alpha = test.onboard("alpha", "cars").await;
    let db = test.tenant_db(&alpha).await;
    let said = "x".repeat(24 << 20);
    let answer = || Query::<String>::one("select repeat('y', 12 << 20)", |mut row| row.next());
    let length =
        |text: &str| Query::<i32>::one("select length($1)", |mut row| row.next()).bind(text.to_owned());
    for _ in 0..3 {
        let access = test.system();
        let flight = db.run(&access, (answer(), length(&said), answer()));
        let flight = tokio::time::timeout(std::time::Duration::from_secs(60), flight).await;
        let (first, heard, last) = flight.expect("nobody waits for nobody").unwrap().output;
        assert_eq!((first.len(), heard, last.len()), (12 << 20, 24 << 20, 12 << 20));
    }
    assert_eq!(db.run(&test.system(), count_contacts()).await.unwrap().output, 0);
}

#[tokio::test]
async fn the_number_of_prepared_statements_is_bounded() {
    let test = TestPlatform::builder()
        .lane_pool(1)
        .statements_per_connection(12)
        .start()
        .await;
    let db = test.onboard("alpha", "cars").await;
    let db = test.tenant_db(&db).await;
    let pid = db.run(&test.system(), backend()).await.unwrap().output;
    for _ in 0..3 {
        for number in 0..40 {
            let text: &'static str = Box::leak(format!("select {number}").into_boxed_str());
            let query = || Query::<i32>::one(text, |mut row| row.next());
            assert_eq!(db.run(&test.system(), query()).await.unwrap().output, number);
            assert_eq!(db.run(&test.system(), query()).await.unwrap().output, number);
        }
    }
    let kept = db.run(&test.system(), prepared()).await.unwrap().output;
    assert!((1..=12).contains(&kept), "{kept}");
    assert_eq!(
        db.run(&test.system(), backend()).await.unwrap().output,
        pid,
        "it is one connection"
    );
}

#[tokio::test]
async fn a_connection_is_retired_when_it_has_served_its_share_of_tenants() {
    let test = TestPlatform::builder()
        .lane_pool(1)
        .tenants_per_connection(3)
        .start()
        .await;
    let mut tenants = Vec::new();
    for number in 0..7 {
        let tenant = test.onboard(&format!("garage-{number}"), "general").await;
        tenants.push(test.tenant_db(&tenant).await);
    }
    let mut pids = Vec::new();
    for db in tenants.iter().take(3).chain(tenants.iter().take(3)) {
        pids.push(db.run(&test.system(), backend()).await.unwrap().output);
    }
    pids.dedup();
    assert_eq!(pids.len(), 1, "no more tenants than its share: never retired");
    for db in tenants.iter().chain(&tenants) {
        pids.push(db.run(&test.system(), backend()).await.unwrap().output);
    }
    pids.dedup();
    assert_eq!(pids.len(), 4, "four tenants each: {pids:?}");
}

/// More statements in one flight than are kept: what is pushed out is still used by the flight that pushes it.
#[tokio::test]
async fn a_flight_may_be_larger_than_what_is_kept() {
    let test = TestPlatform::builder()
        .lane_pool(1)
        .statements_per_connection(10)
        .start()
        .await;
    let db = test.onboard("alpha", "cars").await;
    let db = test.tenant_db(&db).await;
    let texts: Vec<&'static str> = (0..16)
        .map(|number| &*Box::leak(format!("select {number}").into_boxed_str()))
        .collect();
    let number = |number: usize| Query::<i32>::one(texts[number % 16], |mut row| row.next());
    for first in [0, 1, 0, 5, 9, 0, 0, 12] {
        for _ in 0..3 {
            let several: Vec<_> = (first..first + 16).map(number).collect();
            let expected: Vec<_> = (first..first + 16).map(|number| number as i32 % 16).collect();
            assert_eq!(db.run(&test.system(), several).await.unwrap().output, expected);
            let one = db.run(&test.system(), number(first)).await.unwrap().output;
            assert_eq!(one, first as i32);
        }
    }
}

#[tokio::test]
async fn a_table_that_changes_under_one_tenant_disturbs_nobody() {
    let test = TestPlatform::builder().proxied().lane_pool(1).start().await;
    let (alpha, beta) = (
        test.onboard("alpha", "cars").await,
        test.onboard("beta", "cars").await,
    );
    let lane = test.resolved(&alpha).await.home.lane.login.clone();
    let (alpha, beta) = (test.tenant_db(&alpha).await, test.tenant_db(&beta).await);
    let select_version = || {
        Query::<i64>::one(
            "select coalesce(max(version)::int8, 0) from contacts",
            |mut row| row.next(),
        )
    };
    let raw = || {
        Query::optional("select version from contacts limit 1", |mut row| {
            row.next::<i32>()
        })
    };
    for db in [&alpha, &beta, &alpha, &beta, &alpha, &beta] {
        db.run(&test.system(), (select_version(), raw())).await.unwrap();
    }
    test.proxy().take(&lane);
    test.admin()
        .await
        .batch_execute("alter table tenant_alpha.contacts alter column version type bigint")
        .await
        .unwrap();

    // The type of a result has changed: the server refuses the prepared statement, and it is run once more.
    let wide = || {
        Query::optional("select version from contacts limit 1", |mut row| {
            row.next::<i64>()
        })
    };
    beta.run(&test.system(), (select_version(), raw())).await.unwrap();
    assert_eq!(
        test.proxy().take(&lane).round_trips,
        1,
        "the other tenant has noticed nothing"
    );
    alpha
        .run(&test.system(), (select_version(), wide()))
        .await
        .unwrap();
    assert_eq!(test.proxy().take(&lane).round_trips, 2, "one repetition");
    for _ in 0..3 {
        alpha
            .run(&test.system(), (select_version(), wide()))
            .await
            .unwrap();
        assert_eq!(test.proxy().take(&lane).round_trips, 1);
        beta.run(&test.system(), (select_version(), raw())).await.unwrap();
        assert_eq!(test.proxy().take(&lane).round_trips, 1);
    }
}

#[tokio::test]
async fn a_changed_table_does_not_end_a_longer_transaction_at_its_first_step() {
    let test = TestPlatform::builder().lane_pool(1).start().await;
    let alpha = test.onboard("alpha", "cars").await;
    let alpha = test.tenant_db(&alpha).await;
    for _ in 0..3 {
        alpha.run(&test.system(), version_of_any_contact()).await.unwrap();
    }
    let admin = test.admin().await;
    let alter = |kind: &str| format!("alter table tenant_alpha.contacts alter column version type {kind}");
    admin.batch_execute(&alter("bigint")).await.unwrap();
    let (tx, _) = alpha
        .begin(&test.system(), version_of_any_contact())
        .await
        .unwrap();
    tx.commit(whereabouts()).await.unwrap();

    // Later on it is for the caller to begin again; but it is not the end of the statement.
    for _ in 0..3 {
        alpha.run(&test.system(), version_of_any_contact()).await.unwrap();
    }
    let (mut tx, _) = alpha.begin(&test.system(), ()).await.unwrap();
    admin.batch_execute(&alter("integer")).await.unwrap();
    let refused = tx.run(version_of_any_contact()).await;
    assert!(
        matches!(&refused, Err(DbError::Conflict(code)) if code == "0A000"),
        "{refused:?}"
    );
    drop(tx);
    let (mut tx, _) = alpha.begin(&test.system(), ()).await.unwrap();
    tx.run(version_of_any_contact()).await.unwrap();
}
