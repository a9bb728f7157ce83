//! What stands in the way: a gateway that is away, a tenant that is.

use chrono::TimeDelta;
use helixai_fakes::gateways::{Failure, Fault};
use reqwest::Method;
use serde_json::json;

use super::{Desk, state};

#[tokio::test]
async fn a_gateway_that_is_away_is_said_clearly_and_the_charge_stays_one() {
    for failure in [
        Failure::Status(503),
        Failure::Drop,
        Failure::CommitThenDrop,
        Failure::Html(502),
    ] {
        let desk = Desk::open().await;
        let due = desk.due(5000).await;
        let told = format!("{failure:?}");
        desk.till
            .gateway
            .fail(Fault::repeated("POST /v1/payments", failure, 200));
        desk.ask(due)
            .idempotency_key("k")
            .await
            .problem(503, "payment_unavailable");
        assert_eq!(desk.charges(due).await, ["pending"], "{told}");
        let shown = desk.shown(due).await;
        assert_eq!(
            (&shown["charge_id"], &shown["pix_code"]),
            (&json!(null), &json!(null)),
            "nothing half-written: {told}"
        );
        let path = format!("/api/dues/{due}/charge");
        let open = desk.get(&path).await.expect(200).json();
        assert_eq!(
            (&open["status"], &open["pix_code"]),
            (&json!("pending"), &json!(null))
        );
        // It is back: whoever asks again has the same charge.
        desk.till.gateway.forget_faults();
        let made = desk.ask(due).idempotency_key("k").await.expect(201).json();
        assert_eq!(made["id"], open["id"], "{told}");
        assert_eq!(desk.payments().len(), 1, "{told}");
        assert_eq!(desk.charges(due).await, ["pending"], "{told}");
    }
}

/// Nobody asks again: the worker goes on.
#[tokio::test]
async fn what_was_asked_for_is_placed_later_by_itself() {
    let desk = Desk::open().await;
    let due = desk.due(5000).await;
    desk.till
        .gateway
        .fail(Fault::repeated("POST /v1/payments", Failure::Status(503), 200));
    desk.ask(due).await.problem(503, "payment_unavailable");
    desk.till.gateway.forget_faults();
    desk.till.advance(TimeDelta::minutes(10));
    desk.till.work().await;
    let path = format!("/api/dues/{due}/charge");
    let made = desk.get(&path).await.expect(200).json();
    assert!(made["pix_code"].is_string(), "{made}");
    desk.pay(made["id"].as_str().unwrap().parse().unwrap()).await;
    desk.till.advance(TimeDelta::hours(7));
    desk.till.work().await;
    assert_eq!(desk.state(due).await, state("paid", 5000, 1));
}

/// A gateway that is away keeps nobody from the PIX that was made before.
#[tokio::test]
async fn what_was_made_before_is_answered_while_the_gateway_is_away() {
    let desk = Desk::open().await;
    let due = desk.due(5000).await;
    let (_, made) = desk.charge(due).await;
    desk.till
        .gateway
        .fail(Fault::repeated("GET /v1/payments", Failure::Status(503), 200));
    assert_eq!(desk.charge(due).await.1, made);
}

/// What the gateway says no to is said, and costs nothing.
#[tokio::test]
async fn a_refusal_is_told_with_what_to_do() {
    let desk = Desk::open().await;
    let due = desk.due(5000).await;
    desk.till
        .gateway
        .fail(Fault::once("POST /v1/payments", Failure::Status(400)));
    desk.ask(due).await.problem(422, "payment_refused");
    assert_eq!(desk.charges(due).await, ["rejected"]);
    desk.charge(due).await;
    assert_eq!(desk.charges(due).await, ["rejected", "pending"]);
}

#[tokio::test]
async fn a_suspended_tenants_money_is_booked_when_it_is_back() {
    let desk = Desk::open().await;
    let due = desk.due(5000).await;
    let (charge, _) = desk.charge(due).await;
    let change = async |word: &str| {
        let path = format!("/api/admin/tenants/{}/{word}", desk.client.key);
        desk.till.admin(Method::POST, &path).await.expect(200);
    };
    change("suspend").await;
    desk.pay(charge).await;
    desk.till.work().await;
    desk.later(5, TimeDelta::hours(1)).await;
    assert_eq!(desk.till.charge_status(charge).await, "paid");
    assert!(!desk.applied(charge).await);
    change("activate").await;
    desk.till.work().await;
    assert!(desk.applied(charge).await, "at once");
    assert_eq!(desk.state(due).await, state("paid", 5000, 1));
}

/// On its way to another shard, or being restored, a tenant is held; or its schema is not there.
#[tokio::test]
async fn a_tenant_that_is_held_or_away_is_booked_afterwards() {
    let desk = Desk::open().await;
    let (held, away) = (desk.due(100).await, desk.due(200).await);
    let admin = desk.till.app.test.admin().await;
    let lock = helixai::domain::ids::TenantId::from_uuid(desk.client.id).lock_key();
    for due in [held, away] {
        let (charge, _) = desk.charge(due).await;
        if due == held {
            let hold = "select pg_advisory_lock($1)";
            admin.execute(hold, &[&lock]).await.expect("held");
        } else {
            let rename = "alter schema tenant_garage rename to elsewhere";
            admin.batch_execute(rename).await.expect("renamed");
        }
        desk.pay(charge).await;
        desk.till.work().await;
        desk.till.advance(TimeDelta::minutes(20));
        desk.till.work().await;
        assert_eq!(desk.till.charge_status(charge).await, "paid");
        assert!(!desk.applied(charge).await);
        if due == held {
            let free = "select pg_advisory_unlock($1)";
            admin.execute(free, &[&lock]).await.expect("free");
        } else {
            let back = "alter schema elsewhere rename to tenant_garage";
            admin.batch_execute(back).await.expect("back");
        }
        desk.till.advance(TimeDelta::minutes(20));
        desk.till.work().await;
        assert!(desk.applied(charge).await);
        assert_eq!(desk.state(due).await.0, "paid");
    }
}
