//! What becomes of the work of a tenant that is suspended, moved, restored or removed.

use async_trait::async_trait;
use chrono::{TimeDelta, Utc};
use helixai::db::tenant::due;
use helixai::domain::clock::Clock;
use helixai::domain::tenant_key::TenantKey;
use helixai::jobs::{Handled, Handler, Jobs, Work};
use helixai::tenancy::keeper::Purge;
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

/// Whom a handler removes while it is at work for them.
struct Remover {
    platform: helixai::platform::Platform,
    seen: Recorder,
}

#[async_trait]
impl Handler for Remover {
    fn kind(&self) -> &'static str {
        self.seen.kind()
    }

    async fn handle(&self, work: &Work) -> Handled {
        if work.payload == json!({"remove": "garage"}) {
            let key = TenantKey::parse("garage").unwrap();
            let purged = self
                .platform
                .keeper
                .purge(&key, Purge::Anything, cli_origin())
                .await;
            purged.expect("removed");
        }
        self.seen.handle(work).await
    }
}

#[tokio::test]
async fn the_work_of_a_removed_tenant_goes_with_it() {
    let (test, clock) = start().await;
    let garage = test.onboard("garage", "cars").await;
    let imob = test.onboard("imob", "real_estate").await;
    let recorder = Recorder::of("sample");
    let admin = test.admin().await;
    let noted = "select count(*) from helixai.due_work where tenant_id = $1";
    // Removed before its turn, and before a worker that has taken it comes to it.
    let gone = test.onboard("gone", "cars").await;
    for tenant in [&gone, &imob] {
        add(&test, tenant, message("sample", json!({}), clock.now())).await;
    }
    let worker = uuid::Uuid::now_v7();
    let home = test.resolved(&gone).await.home.clone();
    let (lanes, until) = (&test.platform.lanes, clock.now() + TimeDelta::minutes(3));
    let taken = due::take(lanes, &home.lane, worker, (clock.now(), until), 1).await;
    assert_eq!(taken.unwrap(), [gone.id]);
    let key = TenantKey::parse("gone").unwrap();
    let purged = test
        .platform
        .keeper
        .purge(&key, Purge::Anything, cli_origin())
        .await;
    purged.expect("removed");
    due::end(lanes, &home.lane, gone.id, worker, Some(clock.now()))
        .await
        .unwrap();
    recorder.jobs(&test.platform).work().await.unwrap();
    assert_eq!(
        recorder.seen(),
        [(imob.id.to_string(), json!({}))],
        "the others go on"
    );
    // Removed while a row of it is at work.
    add(&test, &imob, message("remove", json!({}), clock.now())).await;
    let remove = message("remove", json!({"remove": "garage"}), clock.now());
    add(&test, &garage, remove).await;
    clock.advance(TimeDelta::seconds(1));
    add(
        &test,
        &imob,
        message("sample", json!({"after": true}), clock.now()),
    )
    .await;
    let remover = Remover {
        platform: test.platform.clone(),
        seen: Recorder::of("remove"),
    };
    let seen = remover.seen.clone();
    let jobs = Jobs::new(
        test.platform.clone(),
        vec![Box::new(remover), Box::new(recorder.clone())],
    );
    for _ in 0..3 {
        jobs.work().await.unwrap();
        clock.advance(TimeDelta::minutes(5));
    }
    assert_eq!(seen.seen().len(), 2, "each once");
    assert_eq!(recorder.seen().len(), 2);
    for tenant in [&gone, &garage] {
        let left = admin.query_one(noted, &[&tenant.id.as_uuid()]).await.unwrap();
        assert_eq!(left.get::<_, i64>(0), 0, "nobody looks for it any more");
    }
}
