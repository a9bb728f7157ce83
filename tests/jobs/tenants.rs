//! What becomes of the work of a tenant that is suspended, moved, restored or removed.

use chrono::{TimeDelta, Utc};
use helixai::domain::clock::Clock;
use helixai::domain::tenant_key::TenantKey;
use serde_json::json;

use super::{Recorder, add, job, message, states};
use crate::helpers::{TestPlatform, cli_origin};
use crate::tenancy::moves::{Other, move_to};

async fn start() -> (TestPlatform, Clock) {
    let clock = Clock::fixed(Utc::now());
    (TestPlatform::builder().clock(clock.clone()).start().await, clock)
}

#[tokio::test]
async fn a_suspended_tenant_keeps_its_work() {
    let (test, clock) = start().await;
    let garage = test.onboard("garage", "cars").await;
    let imob = test.onboard("imob", "real_estate").await;
    for tenant in [&garage, &imob] {
        add(&test, tenant, message("sample", json!({}), clock.now())).await;
    }
    let key = TenantKey::parse("garage").unwrap();
    let lifecycle = &test.platform.lifecycle;
    lifecycle.suspend(&key, "unpaid", cli_origin()).await.unwrap();
    let recorder = Recorder::of("sample");
    let jobs = recorder.jobs(&test.platform);
    jobs.work().await.unwrap();
    assert_eq!(
        recorder.seen(),
        [(imob.id.to_string(), json!({}))],
        "the others go on"
    );
    assert_eq!(
        states(&test, &garage).await,
        [json!(["outbox", "pending", 0, null])]
    );
    lifecycle.activate(&key, cli_origin()).await.unwrap();
    clock.advance(TimeDelta::minutes(2));
    jobs.work().await.unwrap();
    assert_eq!(recorder.seen().len(), 2);
    assert_eq!(states(&test, &garage).await, [json!(["outbox", "sent", 1, null])]);
}

#[tokio::test]
async fn work_moves_with_its_tenant() {
    let (test, clock) = start().await;
    let other = Other::add(&test.platform).await;
    let garage = test.onboard("garage", "cars").await;
    let later = clock.now() + TimeDelta::hours(1);
    add(&test, &garage, job("sample", json!({ "when": "later" }), later)).await;
    add(&test, &garage, message("strange", json!({}), clock.now())).await;
    let recorder = Recorder::of("sample");
    let jobs = recorder.jobs(&test.platform);
    assert_eq!(jobs.work().await.unwrap(), 1);
    move_to(&test.platform, "garage", other.name)
        .await
        .expect("moved");
    assert_eq!(jobs.work().await.unwrap(), 0);
    clock.set(later);
    assert_eq!(jobs.work().await.unwrap(), 1);
    assert_eq!(
        recorder.seen(),
        [(garage.id.to_string(), json!({ "when": "later" }))]
    );
    // What is caused there is done there.
    let db = crate::helpers::tenant_db_of(&test.second().await, "garage").await;
    let new = message("sample", json!({ "when": "there" }), clock.now());
    db.run(&test.system(), new).await.unwrap();
    assert_eq!(jobs.work().await.unwrap(), 1);
    assert_eq!(recorder.seen().len(), 2);
}

#[tokio::test]
async fn no_tenant_may_touch_the_work_of_another() {
    let (test, clock) = start().await;
    let garage = test.onboard("garage", "cars").await;
    let imob = test.onboard("imob", "real_estate").await;
    add(&test, &imob, message("sample", json!({}), clock.now())).await;
    let home = test.resolved(&garage).await.home.clone();
    let client = test.as_login(&home.lane.login).await;
    let worker = uuid::Uuid::now_v7();
    for attempt in [
        format!("select helixai.take_due('{worker}', now(), now(), 9)"),
        format!("select helixai.end_due('{}', '{worker}', null)", imob.id),
        "select due_at from helixai.due_work".to_owned(),
    ] {
        let as_tenant = format!("begin; set local role {}; {attempt}", home.role);
        let refused = client.batch_execute(&as_tenant).await.unwrap_err();
        assert_eq!(
            refused.code().map(tokio_postgres::error::SqlState::code),
            Some("42501"),
            "{attempt}"
        );
        client.batch_execute("rollback").await.unwrap();
    }
    // Nobody gives back what another worker has.
    let lanes = &test.platform.lanes;
    let until = clock.now() + TimeDelta::minutes(1);
    let taken = helixai::db::tenant::due::take(lanes, &home.lane, worker, (clock.now(), until), 9).await;
    assert_eq!(taken.unwrap(), [imob.id]);
    let stranger = uuid::Uuid::now_v7();
    helixai::db::tenant::due::end(lanes, &home.lane, imob.id, stranger, None)
        .await
        .unwrap();
    let recorder = Recorder::of("sample");
    assert_eq!(
        recorder.jobs(&test.platform).work().await.unwrap(),
        0,
        "another has it"
    );
    clock.set(until);
    assert_eq!(
        recorder.jobs(&test.platform).work().await.unwrap(),
        1,
        "whose lease is over"
    );
    assert_eq!(recorder.seen(), [(imob.id.to_string(), json!({}))]);
}
