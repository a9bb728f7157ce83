//! Lets go of what nobody came back for.
//!
//! A hold that is over asks the tenant's outbox when its key names a message there: one that is to be sent still is held
//! on, one that was sent is settled (whoever sent it died before), anything else is let go. All other holds are let go.
//! Every change is conditional on the hold being over still, so that any number of processes may sweep at once, and a
//! sweep that dies half-way has done half.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::{HOLD, Metering, MeteringError};
use crate::db::DbError;
use crate::db::master::usage::holds::{self, DueHold};
use crate::db::tenant::{Access, Lanes, TenantDb, outbox};
use crate::domain::ids::TenantId;
use crate::domain::metering::{ActualUse, UsageKey};
use crate::domain::month::{BOOKS_TZ, local_month};
use crate::domain::outbox::OutboxState;
use crate::telemetry::metrics::count_metering;

/// Holds that are looked at in one go.
const BATCH: i64 = 1000;
/// How long a reservation that is settled, released or expired is kept: for so long it is known what had been asked for.
const KEPT: TimeDelta = TimeDelta::days(62);
/// When a tenant cannot be asked, its holds are looked at again after this.
const POSTPONED: TimeDelta = TimeDelta::minutes(2);

/// What a sweep has done with the holds that were over.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// Let go.
    pub expired: u64,
    /// Held on: to be sent still, or their tenant could not be asked.
    pub extended: u64,
    /// Settled: they had been sent.
    pub settled: u64,
}

impl Metering {
    /// Deals with every hold that is over.
    ///
    /// # Errors
    /// When the registry fails. A tenant that cannot be asked is no error: its holds stay.
    pub async fn sweep(&self, lanes: &Lanes) -> Result<Swept, DbError> {
        let now = self.clock.now();
        let mut swept = Swept::default();
        loop {
            let due = holds::list_due(&self.master, now, BATCH).await?;
            let last = due.len() < usize::try_from(BATCH).unwrap_or(usize::MAX);
            let before = swept;
            for of_tenant in due.chunk_by(|one, next| one.home.id == next.home.id) {
                self.sweep_tenant(lanes, of_tenant, now, &mut swept).await?;
            }
            // Where nothing moves, another round would meet the same holds.
            if last || swept == before {
                return Ok(swept);
            }
        }
    }

    /// Removes reservations that were settled, released or let go long ago; how many it was.
    ///
    /// # Errors
    /// When the registry fails; what was removed before stays so.
    pub async fn forget_what_is_over(&self) -> Result<u64, DbError> {
        let changed = self.clock.now() - KEPT;
        let month = local_month(changed, BOOKS_TZ);
        let mut all = 0;
        loop {
            let removed = holds::remove_over(&self.master, month, changed, BATCH).await?;
            all += removed;
            if removed < BATCH.unsigned_abs() {
                return Ok(all);
            }
        }
    }

    /// Whatever is wrong with one tenant, the others go on: its holds stay for a while.
    async fn sweep_tenant(
        &self,
        lanes: &Lanes,
        due: &[DueHold],
        now: DateTime<Utc>,
        swept: &mut Swept,
    ) -> Result<(), DbError> {
        let Some(tenant) = due.first().map(|hold| hold.home.id) else {
            return Ok(());
        };
        let done = match self.ask_outbox(lanes, due, now).await {
            Ok(states) => self.apply(tenant, due, &states, now, swept).await,
            Err(error) => {
                tracing::info!(tenant_id = %tenant, %error, "an outbox cannot be asked about holds that are over: {tenant}");
                swept.extended += self.extend(tenant, &keys(due, |_| true), now, POSTPONED).await?;
                Ok(())
            }
        };
        match done {
            // A counter that somebody has changed by hand; the night's check says so, too.
            Err(error @ DbError::Constraint(_)) => {
                tracing::error!(tenant_id = %tenant, %error, "holds that are over cannot be let go: {tenant}");
                swept.extended += self.extend(tenant, &keys(due, |_| true), now, POSTPONED).await?;
                Ok(())
            }
            done => done,
        }
    }

    async fn apply(
        &self,
        tenant: TenantId,
        due: &[DueHold],
        states: &HashMap<Uuid, OutboxState>,
        now: DateTime<Utc>,
        swept: &mut Swept,
    ) -> Result<(), DbError> {
        let state = |hold: &DueHold| hold.key.outbox_id().and_then(|id| states.get(&id)).copied();
        let pending = keys(due, |hold| state(hold) == Some(OutboxState::Pending));
        swept.extended += self.extend(tenant, &pending, now, HOLD).await?;
        for hold in due.iter().filter(|hold| state(hold) == Some(OutboxState::Sent)) {
            swept.settled += u64::from(self.settle_sent(hold).await?);
        }
        let over = keys(due, |hold| {
            !matches!(state(hold), Some(OutboxState::Pending | OutboxState::Sent))
        });
        swept.expired += self.expire(tenant, &over, now).await?;
        Ok(())
    }

    /// What has become of the messages that these holds are for.
    async fn ask_outbox(
        &self,
        lanes: &Lanes,
        due: &[DueHold],
        now: DateTime<Utc>,
    ) -> Result<HashMap<Uuid, OutboxState>, DbError> {
        let ids: Vec<Uuid> = due.iter().filter_map(|hold| hold.key.outbox_id()).collect();
        let Some(hold) = due.first().filter(|_| !ids.is_empty()) else {
            return Ok(HashMap::new());
        };
        let db = TenantDb::new(lanes.clone(), Arc::new(hold.home.clone()));
        let found = db.run(&Access::system(now), outbox::find_states(ids)).await?;
        Ok(found.output.into_iter().collect())
    }

    /// Whether there was something to settle.
    async fn settle_sent(&self, hold: &DueHold) -> Result<bool, DbError> {
        let tenant = hold.home.id;
        let Ok(amount) = ActualUse::parse(hold.amount) else {
            return Ok(false);
        };
        match self.settle(tenant, &hold.key, amount).await {
            Ok(_) => Ok(true),
            Err(MeteringError::Db(error)) => Err(error),
            // Whoever sent it has come back meanwhile.
            Err(_) => Ok(false),
        }
    }

    async fn extend(
        &self,
        tenant: TenantId,
        keys: &[UsageKey],
        now: DateTime<Utc>,
        by: TimeDelta,
    ) -> Result<u64, DbError> {
        match keys {
            [] => Ok(0),
            keys => holds::extend(&self.master, tenant, keys, now, now + by).await,
        }
    }

    async fn expire(&self, tenant: TenantId, keys: &[UsageKey], now: DateTime<Utc>) -> Result<u64, DbError> {
        if keys.is_empty() {
            return Ok(0);
        }
        let mut expired = 0;
        for (meter, count) in holds::expire(&self.master, tenant, keys, now).await? {
            count_metering(meter, "expired", count);
            expired += count;
        }
        Ok(expired)
    }
}

fn keys(due: &[DueHold], which: impl Fn(&DueHold) -> bool) -> Vec<UsageKey> {
    let chosen = due.iter().filter(|hold| which(hold));
    chosen.map(|hold| hold.key.clone()).collect()
}
