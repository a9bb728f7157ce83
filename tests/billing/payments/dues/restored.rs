//! After a restore the tenant's schema is an older one: what was paid since is booked again, once.

use chrono::TimeDelta;
use helixai_fakes::gateways::Change;
use serde_json::json;

use super::{Desk, state};
use crate::tenancy::snapshots::{backup, restore};

#[tokio::test]
async fn what_was_paid_since_the_snapshot_is_booked_again() {
    let desk = Desk::open().await;
    let (before, after, back, gone) = (
        desk.due(100).await,
        desk.due(200).await,
        desk.due(300).await,
        desk.due(400).await,
    );
    let paid = async |due| {
        let (charge, _) = desk.charge(due).await;
        desk.pay(charge).await;
        desk.till.work().await;
        assert!(desk.applied(charge).await);
        charge
    };
    let first = paid(before).await;
    desk.till.advance(TimeDelta::hours(2));
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("a");
    let platform = &desk.till.app.test.platform;
    backup(platform, &desk.client.key, file.clone())
        .await
        .expect("a backup");
    desk.till.advance(TimeDelta::hours(2));
    paid(after).await;
    let charge = paid(back).await;
    desk.change(charge, Change::Refund { cents: None }).await;
    desk.till.work().await;
    assert_eq!(desk.state(back).await, state("open", 0, 2));
    // Of this one the restored schema has no charge, and the gateway does.
    let (open, _) = desk.charge(gone).await;
    let known: Option<chrono::DateTime<chrono::Utc>> = desk
        .till
        .column("select applied_at from master.charges where id = $1", first)
        .await;

    restore(platform, file.clone(), Some("copia"))
        .await
        .expect("a copy");
    restore(platform, file, None).await.expect("restored");
    let owner = desk.client.clone();
    assert_eq!(booked(&desk, "tenant_garage").await, [("paid".to_owned(), 100)]);
    desk.till.work().await;
    let expected = [("paid", 100), ("paid", 200), ("paid", 300), ("reversed", 300)];
    let expected = expected.map(|(kind, cents)| (kind.to_owned(), cents));
    assert_eq!(booked(&desk, "tenant_garage").await, expected);
    for _ in 0..2 {
        desk.till.advance(TimeDelta::hours(1));
        desk.till.work().await;
    }
    assert_eq!(booked(&desk, "tenant_garage").await, expected);
    // What was booked long before the snapshot is not touched, and a copy has nothing of it.
    let still: Option<chrono::DateTime<chrono::Utc>> = desk
        .till
        .column("select applied_at from master.charges where id = $1", first)
        .await;
    assert_eq!(still, known);
    assert_eq!(booked(&desk, "tenant_copia").await, [("paid".to_owned(), 100)]);
    let admin = desk.till.app.test.admin().await;
    let codes = "select count(*) from tenant_copia.dues where pix_code is not null or charge_id is not null";
    assert_eq!(admin.query_one(codes, &[]).await.unwrap().get::<_, i64>(0), 0);
    // What is open at the gateway is known still: the same charge.
    let session = crate::helpers::TestTenant {
        key: owner.key.clone(),
        id: owner.id.to_string(),
        name: String::new(),
        schema: "tenant_garage".to_owned(),
        api_key: String::new(),
        owner_email: String::new(),
        owner_password: String::new(),
    };
    let user = desk.till.app.owner_of(&session).await;
    let token = desk.till.app.session_of(&session, user).await;
    let again = desk
        .till
        .post(&format!("/api/dues/{gone}/charge"))
        .header("x-tenant-key", &owner.key)
        .bearer(&token)
        .await
        .expect(201)
        .json();
    assert_eq!(again["id"], json!(open));
}

/// Kinds and cents of what is in a schema's books.
async fn booked(desk: &Desk, schema: &str) -> Vec<(String, i64)> {
    let admin = desk.till.app.test.admin().await;
    let select = format!("select kind, amount_cents from {schema}.due_payments order by amount_cents, kind");
    let rows = admin.query(&select, &[]).await.expect("lines");
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}
