//! What nobody came back for is let go, and what may still happen is not.

use chrono::TimeDelta;
use helixai::billing::metering::sweep::Swept;
use helixai::billing::metering::{HOLD, MeteringError};
use helixai::domain::metering::UsageKey;
use helixai::domain::tenant_key::TenantKey;
use helixai::domain::usage::Meter;
use uuid::Uuid;

use super::tally::{Tally, actual, amount, march};
use crate::helpers::cli_origin;

impl Tally {
    async fn sweep(&self) -> Swept {
        let platform = &self.test.platform;
        platform.metering.sweep(&platform.lanes).await.expect("swept")
    }

    /// Holds one message under the id of a message in the outbox, which is in this state, or not there at all.
    async fn hold_for_outbox(&self, state: Option<&str>) -> UsageKey {
        let id = Uuid::now_v7();
        let held = UsageKey::outbox(id);
        self.metering()
            .reserve(self.tenant, Meter::Messages, amount(1), &held)
            .await
            .expect("held");
        if let Some(state) = state {
            let insert = format!(
                "insert into {}.outbox (id, kind, payload, state, due_at, max_attempts, created_at, updated_at)
                 values ($1, 'message', '{{}}', $2, now(), 3, now(), now())",
                self.schema
            );
            self.admin
                .execute(&insert, &[&id, &state])
                .await
                .expect("a message");
        }
        held
    }

    async fn state_of(&self, key: &UsageKey) -> String {
        self.admin
            .query_one(
                "select state from master.usage_reservations where tenant_id = $1 and key = $2",
                &[&self.tenant.as_uuid(), &key.as_str()],
            )
            .await
            .expect("a reservation")
            .get(0)
    }
}

fn swept(expired: u64, extended: u64, settled: u64) -> Swept {
    Swept {
        expired,
        extended,
        settled,
    }
}

#[tokio::test]
async fn a_hold_is_let_go_when_its_time_is_over() {
    let tally = Tally::start(10).await;
    tally.reserve("forgotten", 4).await.expect("held");
    tally.clock.advance(HOLD - TimeDelta::microseconds(1));
    assert_eq!(tally.sweep().await, swept(0, 0, 0));
    tally.reserve("fresh", 1).await.expect("held");
    tally.clock.advance(TimeDelta::microseconds(1));
    assert_eq!(tally.sweep().await, swept(1, 0, 0));
    assert_eq!(tally.counter(march()).await, (Some(10), 0, 1));
    assert_eq!(tally.sweep().await, swept(0, 0, 0));

    // Whoever reserves again is told that it holds nothing; whoever used it is booked.
    let again = tally.reserve("forgotten", 4).await;
    assert!(matches!(again, Err(MeteringError::Expired)));
    tally
        .settle("forgotten", 3)
        .await
        .expect("late, and booked all the same");
    tally.settle("forgotten", 3).await.expect("the same");
    assert_eq!(tally.counter(march()).await, (Some(10), 3, 1));
    tally.adds_up().await;
}

#[tokio::test]
async fn what_expired_can_be_given_back_and_is_not_settled_afterwards() {
    let tally = Tally::start(10).await;
    tally.reserve("forgotten", 4).await.expect("held");
    tally.clock.advance(HOLD);
    assert_eq!(tally.sweep().await, swept(1, 0, 0));
    tally.release("forgotten").await.expect("released");
    tally.release("forgotten").await.expect("the same");
    let late = tally.settle("forgotten", 4).await;
    assert!(matches!(late, Err(MeteringError::Released)));
    assert_eq!(tally.counter(march()).await, (Some(10), 0, 0));
    tally.adds_up().await;
}

#[tokio::test]
async fn the_outbox_is_asked_about_its_messages() {
    let tally = Tally::start(10).await;
    let pending = tally.hold_for_outbox(Some("pending")).await;
    let sent = tally.hold_for_outbox(Some("sent")).await;
    let failed = tally.hold_for_outbox(Some("failed")).await;
    let canceled = tally.hold_for_outbox(Some("canceled")).await;
    let unknown = tally.hold_for_outbox(None).await;
    // A client may call its own reservation what it likes: the outbox is not asked about that.
    tally.reserve(pending.as_str(), 1).await.expect("held");
    assert_eq!(tally.counter(march()).await, (Some(10), 0, 6));

    tally.clock.advance(HOLD);
    assert_eq!(tally.sweep().await, swept(4, 1, 1));
    for (key, state) in [
        (&pending, "held"),
        (&sent, "settled"),
        (&failed, "expired"),
        (&canceled, "expired"),
        (&unknown, "expired"),
    ] {
        assert_eq!(tally.state_of(key).await, state);
    }
    assert_eq!(tally.counter(march()).await, (Some(10), 1, 1));
    // Held on for as long again, and asked again then.
    tally.clock.advance(HOLD - TimeDelta::seconds(1));
    assert_eq!(tally.sweep().await, swept(0, 0, 0));
    tally.clock.advance(TimeDelta::seconds(1));
    assert_eq!(tally.sweep().await, swept(0, 1, 0));
    // Whoever sends it late settles it late.
    tally
        .metering()
        .settle(tally.tenant, &pending, actual(1))
        .await
        .expect("settled");
    tally
        .metering()
        .settle(tally.tenant, &sent, actual(1))
        .await
        .expect("the same");
    assert_eq!(tally.counter(march()).await, (Some(10), 2, 0));
    tally.adds_up().await;
}

#[tokio::test]
async fn a_tenant_that_cannot_be_asked_keeps_its_holds_and_holds_nobody_up() {
    let tally = Tally::start(10).await;
    let pending = tally.hold_for_outbox(Some("pending")).await;
    let unknown = tally.hold_for_outbox(None).await;
    let other = tally.test.onboard("oficina", "cars").await;
    let key = super::tally::key("other");
    tally
        .metering()
        .reserve(other.id, Meter::Messages, amount(1), &key)
        .await
        .expect("held");
    let garage = TenantKey::parse("garage").expect("a key");
    let lifecycle = &tally.test.platform.lifecycle;
    lifecycle
        .suspend(&garage, "fraud", cli_origin())
        .await
        .expect("suspended");

    tally.clock.advance(HOLD);
    assert_eq!(tally.sweep().await, swept(1, 2, 0));
    assert_eq!(tally.state_of(&unknown).await, "held");
    lifecycle.activate(&garage, cli_origin()).await.expect("active");
    tally.clock.advance(HOLD);
    assert_eq!(tally.sweep().await, swept(1, 1, 0));
    assert_eq!(tally.state_of(&pending).await, "held");
    assert_eq!(tally.state_of(&unknown).await, "expired");
    tally.adds_up().await;
}

#[tokio::test]
async fn a_counter_that_was_tampered_with_does_not_stop_the_others() {
    let tally = Tally::start(10).await;
    tally.reserve("forgotten", 4).await.expect("held");
    let other = tally.test.onboard("oficina", "cars").await;
    let key = super::tally::key("other");
    tally
        .metering()
        .reserve(other.id, Meter::Messages, amount(1), &key)
        .await
        .expect("held");
    let tampered = format!(
        "update master.usage_counters set reserved = 1 where tenant_id = '{}'",
        tally.tenant
    );
    tally.admin.batch_execute(&tampered).await.expect("done");
    tally.clock.advance(HOLD);
    assert_eq!(tally.sweep().await, swept(1, 1, 0));
    let recount = format!(
        "select master.recount_usage('{}', 'messages', '2026-03-01')",
        tally.tenant
    );
    tally.admin.batch_execute(&recount).await.expect("recounted");
    tally.clock.advance(HOLD);
    assert_eq!(tally.sweep().await, swept(1, 0, 0));
    tally.adds_up().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn several_processes_sweep_at_once_while_others_settle_late() {
    let tally = Tally::start(10_000).await;
    for number in 0..120 {
        tally.reserve(&format!("hold-{number}"), 2).await.expect("held");
    }
    let mut pending = Vec::new();
    for _ in 0..20 {
        pending.push(tally.hold_for_outbox(Some("pending")).await);
    }
    tally.clock.advance(HOLD);
    let second = tally.second().await;
    let sweeps = [&tally.test.platform, &second, &tally.test.platform].map(|platform| {
        let platform = platform.clone();
        tokio::spawn(async move { platform.metering.sweep(&platform.lanes).await.expect("swept") })
    });
    for number in 0..60 {
        tally.settle(&format!("hold-{number}"), 1).await.expect("settled");
    }
    let mut all = Swept::default();
    for sweep in sweeps {
        let one = sweep.await.expect("no panic");
        all.expired += one.expired;
        all.extended += one.extended;
    }
    assert!((60..=120).contains(&all.expired), "{all:?}");
    assert_eq!(all.extended, 20);
    assert_eq!(tally.counter(march()).await, (Some(10_000), 60, 20));
    for key in &pending {
        assert_eq!(tally.state_of(key).await, "held");
    }
    tally.adds_up().await;
}
