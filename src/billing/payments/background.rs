//! What collecting does by itself while the program serves. Each gateway has a worker of its own, so that one that is away
//! keeps nobody waiting for the others. Any number of processes may do so.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::{StreamExt as _, stream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{LEASE, PaymentError, Payments};
use crate::db::DbError;
use crate::db::master::duties::{self, Turn};
use crate::db::master::payments::charges::ChargeRecord;
use crate::db::master::payments::{events, turns};
use crate::domain::ids::TenantId;
use crate::domain::month::{BOOKS_TZ, start_of_day};
use crate::domain::payment::GatewayKind;

/// What one claim takes: what can begin at once, since the lease of all of it begins with the claim.
const BATCH: i64 = 8;
/// Calls to one gateway at once, of one process.
const AT_ONCE: usize = 8;
/// What one process does for all of them every day.
const DUTY: &str = "payments_sweep";
/// How long that may take, before another process believes that this one is gone.
const DUTY_LEASE: TimeDelta = TimeDelta::minutes(15);
/// Charges that are made due in one go.
const PAGE: i64 = 1000;
/// What was paid, or expired, so long ago is no longer asked about every day.
const SWEPT: TimeDelta = TimeDelta::days(7);
/// How long it is known what was told: longer than any gateway tells it again.
const KEPT: TimeDelta = TimeDelta::days(60);

/// Works every `every`, and when a webhook came, until `stop`.
pub fn spawn(payments: &Payments, every: Duration, stop: &CancellationToken) -> Vec<JoinHandle<()>> {
    let workers = GatewayKind::ALL.iter().map(|gateway| {
        let (payments, gateway, stop) = (payments.clone(), *gateway, stop.clone());
        tokio::spawn(async move {
            let mut tick = tokio::time::interval(every);
            loop {
                tokio::select! {
                    () = stop.cancelled() => return,
                    _ = tick.tick() => {}
                    () = payments.news.notified() => {}
                }
                if let Err(error) = payments.work(gateway).await {
                    tracing::warn!(%error, gateway = gateway.as_str(), "payments cannot be worked on");
                }
            }
        })
    });
    let mut all: Vec<_> = workers.collect();
    let (payments, stop) = (payments.clone(), stop.clone());
    all.push(tokio::spawn(async move {
        let mut tick = tokio::time::interval(every.max(Duration::from_secs(60)));
        let mut known = None;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = tick.tick() => {}
            }
            let today = day(payments.clock.now());
            if known != Some(today) {
                match payments.work_of_the_day(today).await {
                    Ok(true) => known = Some(today),
                    Ok(false) => {}
                    Err(error) => tracing::warn!(%error, "payments cannot be swept"),
                }
            }
        }
    }));
    all
}

impl Payments {
    /// Does all that is due at a gateway: looks into what it told, places what was ordered, asks about what is open, has
    /// booked what was paid, gives back. How much it was.
    ///
    /// # Errors
    /// When the registry fails. What a gateway does not do is tried again later, and no error.
    pub async fn work(&self, gateway: GatewayKind) -> Result<usize, DbError> {
        let mut done = 0;
        loop {
            let some = self.look_into_due(gateway).await?
                + self.take_turns(gateway).await?
                + self.give_back_due(gateway, None).await?;
            if some == 0 {
                return Ok(done);
            }
            done += some;
        }
    }

    async fn look_into_due(&self, gateway: GatewayKind) -> Result<usize, DbError> {
        let (worker, now) = (Uuid::now_v7(), self.clock.now());
        let due = events::claim_due(&self.master, gateway, worker, BATCH, now + LEASE, now).await?;
        let count = due.len();
        let looks = due.into_iter().map(|event| self.look_into(event, worker));
        first_error(looks).await?;
        Ok(count)
    }

    async fn take_turns(&self, gateway: GatewayKind) -> Result<usize, DbError> {
        let (worker, now) = (Uuid::now_v7(), self.clock.now());
        let due = turns::claim_due(&self.master, gateway, worker, BATCH, now + LEASE, now).await?;
        let count = due.len();
        let turns = due
            .into_iter()
            .map(|charge| async move { self.turn(charge, worker).await });
        first_error(turns).await?;
        Ok(count)
    }

    /// A turn; what does not succeed is noted and no error, unless the registry itself is away.
    async fn turn(&self, charge: ChargeRecord, worker: Uuid) -> Result<(), DbError> {
        let error = match self.take_turn(charge.clone(), worker).await {
            Ok(_) => return Ok(()),
            Err(PaymentError::Db(error)) if error.is_transient() => return Err(error),
            Err(error) => error,
        };
        tracing::info!(charge_id = %charge.id, %error, "a charge is tried again later: {}", charge.id);
        match error {
            PaymentError::Db(_) => match self.postpone(&charge, worker, error).await {
                Err(PaymentError::Db(error)) if error.is_transient() => Err(error),
                _ => Ok(()),
            },
            _ => Ok(()),
        }
    }

    /// Has charges looked at of which nobody has heard for long, and forgets old events, unless another process does so or has
    /// done so; whether it is done.
    ///
    /// # Errors
    /// When the registry fails: somebody tries again once the lease is over.
    pub async fn work_of_the_day(&self, today: DateTime<Utc>) -> Result<bool, DbError> {
        let now = self.clock.now();
        match duties::take(&self.master, DUTY, today, DUTY_LEASE, now).await? {
            Turn::Elsewhere => Ok(false),
            Turn::Done(_) => Ok(true),
            Turn::Mine => {
                let swept = self.reconcile(None, SWEPT).await?;
                while events::remove_done(&self.master, now - KEPT, 1000).await? == 1000 {}
                let swept = i64::try_from(swept).unwrap_or(i64::MAX);
                duties::finish(&self.master, DUTY, today, swept, self.clock.now()).await?;
                Ok(true)
            }
        }
    }

    /// Makes charges due now, of one tenant or of all, that were open or paid within `back`; how many.
    ///
    /// # Errors
    /// When the registry fails.
    pub async fn reconcile(&self, tenant: Option<TenantId>, back: TimeDelta) -> Result<u64, DbError> {
        let now = self.clock.now();
        let (mut all, mut after) = (0, None);
        loop {
            let (count, last) = turns::make_due(&self.master, tenant, now - back, after, PAGE, now).await?;
            all += count;
            after = last;
            if last.is_none() {
                return Ok(all);
            }
        }
    }

    /// Makes events due again; how many.
    ///
    /// # Errors
    /// When the registry fails.
    pub async fn replay(&self, which: &events::Replay) -> Result<u64, DbError> {
        events::replay(&self.master, which, self.clock.now()).await
    }
}

/// Runs all of them, a few at once; the first error, if there was one.
async fn first_error(
    work: impl Iterator<Item = impl Future<Output = Result<(), DbError>>>,
) -> Result<(), DbError> {
    let results: Vec<_> = stream::iter(work).buffer_unordered(AT_ONCE).collect().await;
    results.into_iter().collect()
}

/// The beginning of the day in the books' time.
fn day(now: DateTime<Utc>) -> DateTime<Utc> {
    start_of_day(now.with_timezone(&BOOKS_TZ).date_naive(), BOOKS_TZ)
}
