//! A tenant whose consumption is looked at from below: the counters, the ledger and the holds, as the tables have them.

use chrono::{DateTime, NaiveDate, Utc};
use helixai::billing::metering::{Metering, MeteringError};
use helixai::domain::clock::Clock;
use helixai::domain::ids::TenantId;
use helixai::domain::metering::{ActualUse, Amount, Exhausted, Reservation, UsageKey};
use helixai::domain::usage::Meter;
use helixai::platform::Platform;
use tokio_postgres::Client;

use crate::helpers::{Builder, TestPlatform};

/// A platform with one tenant.
pub struct Tally {
    pub test: TestPlatform,
    pub clock: Clock,
    pub tenant: TenantId,
    pub schema: String,
    pub admin: Client,
}

/// An instant for clocks that stand still.
pub fn noon() -> DateTime<Utc> {
    "2026-03-10T12:00:00Z".parse().expect("a time")
}

/// The month of [`noon`].
pub fn march() -> NaiveDate {
    "2026-03-01".parse().expect("a date")
}

pub fn amount(amount: i64) -> Amount {
    Amount::parse(amount).expect("an amount")
}

pub fn actual(amount: i64) -> ActualUse {
    ActualUse::parse(amount).expect("an amount")
}

/// A key as a client chooses it.
pub fn key(text: &str) -> UsageKey {
    UsageKey::parse(text).expect("a key")
}

impl Tally {
    /// At noon, with a plan that includes so many messages.
    pub async fn start(messages: i64) -> Self {
        Self::start_with(|builder| builder, messages).await
    }

    /// As [`Tally::start`], with other settings.
    pub async fn start_with(change: impl FnOnce(Builder) -> Builder, messages: i64) -> Self {
        let clock = Clock::fixed(noon());
        // A busy machine, and a thousand who wait for eight connections.
        let builder = TestPlatform::builder()
            .clock(clock.clone())
            .set("database.wait_timeout_secs", 120)
            .set("database.lock_timeout_ms", 14_000);
        let test = change(builder).start().await;
        let garage = test.onboard("garage", "cars").await;
        let admin = test.admin().await;
        let tally = Self {
            test,
            clock,
            tenant: garage.id,
            schema: garage.schema_name,
            admin,
        };
        tally.include(Some(messages)).await;
        tally
    }

    pub fn metering(&self) -> &Metering {
        &self.test.platform.metering
    }

    /// Another process.
    pub async fn second(&self) -> Platform {
        self.test.second().await
    }

    pub async fn reserve(&self, name: &str, wanted: i64) -> Result<Reservation, MeteringError> {
        let wanted = amount(wanted);
        self.metering()
            .reserve(self.tenant, Meter::Messages, wanted, &key(name))
            .await
    }

    pub async fn settle(&self, name: &str, used: i64) -> Result<Reservation, MeteringError> {
        self.metering()
            .settle(self.tenant, &key(name), actual(used))
            .await
    }

    pub async fn release(&self, name: &str) -> Result<Reservation, MeteringError> {
        self.metering().release(self.tenant, &key(name)).await
    }

    /// Moves the tenant to a new plan that includes so many messages and 1,000,000 tokens.
    pub async fn include(&self, messages: Option<i64>) {
        include(&self.admin, self.tenant, messages, self.clock.now()).await;
    }

    /// `(limit, used, reserved)` of a month's messages.
    pub async fn counter(&self, month: NaiveDate) -> (Option<i64>, i64, i64) {
        let row = self
            .admin
            .query_one(
                "select limit_value, used, reserved from master.usage_counters
                 where tenant_id = $1 and meter = 'messages' and period_start = $2",
                &[&self.tenant.as_uuid(), &month],
            )
            .await
            .expect("a counter");
        (row.get(0), row.get(1), row.get(2))
    }

    /// Every counter must be what the ledger and the holds add up to, as seen by this test and by the program.
    pub async fn adds_up(&self) {
        let wrong = self
            .admin
            .query(
                "select c.meter, c.period_start::text, c.used, c.reserved from master.usage_counters c
                 where c.used <> (select coalesce(sum(e.amount), 0) from master.usage_events e
                                  where (e.tenant_id, e.meter, e.period_start) = (c.tenant_id, c.meter, c.period_start))
                    or c.reserved <> (select coalesce(sum(r.amount), 0) from master.usage_reservations r
                                      where (r.tenant_id, r.meter, r.period_start) = (c.tenant_id, c.meter, c.period_start)
                                        and r.state = 'held')
                    or c.used <> (select coalesce(sum(r.settled_amount), 0) from master.usage_reservations r
                                  where (r.tenant_id, r.meter, r.period_start) = (c.tenant_id, c.meter, c.period_start))",
                &[],
            )
            .await
            .expect("counted");
        assert!(wrong.is_empty(), "{wrong:?}");
        assert_eq!(self.metering().check().await.expect("checked"), []);
    }
}

/// Moves a tenant to a new plan that includes so many messages and 1,000,000 tokens.
pub async fn include(admin: &Client, tenant: TenantId, messages: Option<i64>, now: DateTime<Utc>) {
    let code = format!("p{}", uuid::Uuid::now_v7().simple());
    admin
        .query(
            "with plan as (
                 insert into master.plans (id, code, name, status, created_at, updated_at)
                 values (gen_random_uuid(), $1, 'Test', 'active', $2, $2) returning id)
             insert into master.plan_versions (id, plan_id, version, price_cents, currency, trial_days, created_at)
             select gen_random_uuid(), plan.id, 1, 0, 'BRL', 0, $2 from plan",
            &[&code, &now],
        )
        .await
        .expect("a plan");
    admin
        .execute(
            "insert into master.plan_limits (plan_version_id, meter, limit_value)
             select v.id, l.meter, l.limit_value
             from master.plan_versions v join master.plans p on p.id = v.plan_id,
                  (values ('messages', $2::bigint), ('ai_tokens', 1000000)) as l (meter, limit_value)
             where p.code = $1",
            &[&code, &messages],
        )
        .await
        .expect("its limits");
    let changed = admin
        .execute(
            "update master.subscriptions s set plan_version_id = v.id, updated_at = $3
             from master.plan_versions v join master.plans p on p.id = v.plan_id
             where p.code = $1 and s.tenant_id = $2",
            &[&code, &tenant.as_uuid(), &now],
        )
        .await
        .expect("a subscription");
    assert_eq!(changed, 1);
}

/// The numbers of a refusal.
#[track_caller]
pub fn exhausted<T: std::fmt::Debug>(result: Result<T, MeteringError>) -> (i64, i64, i64) {
    match result {
        Err(MeteringError::LimitExceeded(
            Meter::Messages,
            Exhausted {
                limit,
                used,
                reserved,
            },
        )) => (limit, used, reserved),
        other => panic!("not refused: {other:?}"),
    }
}
