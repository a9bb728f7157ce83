//! One tenant's turn: a few rows of its queues, each handed to whoever knows its kind.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::{HANDLING, Handled, Handler, Jobs, LEASE, POSTPONED, ROWS, UNKNOWN, Work};
use crate::db::DbError;
use crate::db::tenant::work::{self, Claimed, Queue, Settled};
use crate::db::tenant::{Access, LaneAddress, TenantDb, TenantHome, due};
use crate::domain::ids::TenantId;
use crate::telemetry::work_metrics::count_work;

/// The first wait after a failure; each is twice the one before, up to the longest.
const FIRST_WAIT: TimeDelta = TimeDelta::seconds(30);
const LONGEST_WAIT: TimeDelta = TimeDelta::hours(1);

impl Jobs {
    /// A tenant's turn, and its end: whatever goes wrong with this tenant, the others go on. Without a home it is not served, or not
    /// here, at the moment.
    pub(super) async fn turn(
        &self,
        door: &LaneAddress,
        worker: Uuid,
        tenant: TenantId,
        home: Option<TenantHome>,
    ) -> Result<(), DbError> {
        let postponed = || Some(self.platform.clock.now() + POSTPONED);
        let next = match home {
            None => postponed(),
            Some(home) => match self.work_for(worker, home).await {
                Ok(next) => next,
                Err(error) => {
                    tracing::info!(tenant_id = %tenant, %error, "a tenant's work is put off: {tenant}");
                    postponed()
                }
            },
        };
        crate::kill_point!("jobs.before_end");
        due::end(&self.platform.lanes, door, tenant, worker, next).await
    }

    /// Does some of what is due; answers when there is more to do.
    async fn work_for(&self, worker: Uuid, home: TenantHome) -> Result<Option<DateTime<Utc>>, DbError> {
        let (tenant, now) = (home.id, self.platform.clock.now());
        let db = TenantDb::new(self.platform.lanes.clone(), Arc::new(home));
        let kinds: Vec<&'static str> = self.handlers.iter().map(|handler| handler.kind()).collect();
        let claim = |queue| work::claim(queue, worker, kinds.clone(), ROWS, (now, now + LEASE));
        let claimed = (claim(Queue::Outbox), claim(Queue::Jobs));
        let (outbox, jobs) = db.run(&Access::system(now), claimed).await?.output;
        crate::kill_point!("jobs.claimed");
        let rows = outbox.into_iter().map(|row| (Queue::Outbox, row));
        for (queue, row) in rows.chain(jobs.into_iter().map(|row| (Queue::Jobs, row))) {
            self.row(&db, worker, tenant, queue, row).await?;
        }
        let now = self.platform.clock.now();
        let next = work::next_due(kinds, now + UNKNOWN);
        let next = db.run(&Access::system(now), next).await?.output;
        // What has waited since long before stands behind the tenants that wait now.
        Ok(next.map(|next| next.max(now)))
    }

    async fn row(
        &self,
        db: &TenantDb,
        worker: Uuid,
        tenant: TenantId,
        queue: Queue,
        row: Claimed,
    ) -> Result<(), DbError> {
        let Some(handler) = self.handlers.iter().find(|handler| handler.kind() == row.kind) else {
            return Ok(());
        };
        let (id, attempts, last) = (row.id, row.attempts, row.attempts >= row.max_attempts);
        let handled = self.hand(handler.as_ref(), db, tenant, row).await;
        crate::kill_point!("jobs.handled");
        let now = self.platform.clock.now();
        let (settled, word, error) = match handled {
            Handled::Done => (Settled::Done, "done", None),
            Handled::Canceled => (Settled::Canceled, "canceled", None),
            Handled::Failed(error) => (Settled::Failed, "failed", Some(error)),
            Handled::Again(error) if last => (Settled::Failed, "failed", Some(error)),
            Handled::Again(error) => (Settled::Again(now + wait(attempts)), "retried", Some(error)),
        };
        count_work(handler.kind(), word);
        if settled == Settled::Failed {
            let error = error.as_deref().unwrap_or_default();
            tracing::warn!(tenant_id = %tenant, work = %id, kind = handler.kind(), error, "work of a tenant failed: {tenant}");
        }
        let settle = work::settle(queue, id, worker, &settled, error, now);
        db.run(&Access::system(now), settle).await?;
        Ok(())
    }

    async fn hand(&self, handler: &dyn Handler, db: &TenantDb, tenant: TenantId, row: Claimed) -> Handled {
        if row.attempts > row.max_attempts {
            return Handled::Failed("its workers died".to_owned());
        }
        let work = Work {
            tenant,
            db: db.clone(),
            id: row.id,
            payload: row.payload,
            attempts: row.attempts,
            now: self.platform.clock.now(),
        };
        let handled = tokio::time::timeout(HANDLING, handler.handle(&work)).await;
        handled.unwrap_or_else(|_| Handled::Again("it took too long".to_owned()))
    }
}

/// How long to wait after so many attempts.
fn wait(attempts: i32) -> TimeDelta {
    let doubled = FIRST_WAIT * 2_i32.saturating_pow(attempts.clamp(1, 12).unsigned_abs() - 1);
    doubled.min(LONGEST_WAIT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_up_to_an_hour() {
        let seconds: Vec<i64> = (0..10).map(|attempts| wait(attempts).num_seconds()).collect();
        assert_eq!(seconds, [30, 30, 60, 120, 240, 480, 960, 1920, 3600, 3600]);
    }
}
