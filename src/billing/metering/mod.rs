//! Exact metering: no tenant consumes more than its plan includes, however many ask at once, and nothing that was used goes
//! uncounted.
//!
//! Whatever costs something is reserved before it is done, and settled with what it did cost, or released:
//!
//! ```ignore
//! let key = UsageKey::outbox(message);             // a message in the tenant's outbox; else UsageKey::work("ai_reply", id)
//! metering.reserve(tenant, Meter::Messages, amount, &key).await?;  // MeteringError::LimitExceeded: do not do it
//! // commit the row in the tenant's schema, then send
//! metering.settle(tenant, &key, amount.into()).await?;             // or release, when it was certainly not sent
//! ```
//!
//! - Every operation is one round trip to the registry and may be repeated: the same key is the same effect. Hold no other
//!   database handle meanwhile.
//! - A reservation belongs to the month in São Paulo in which it was made, and is settled into it whenever that happens.
//! - What is not settled within [`HOLD`] is let go by the sweeper ([`sweep`]), unless its key is a message that is still
//!   in the tenant's outbox. What was used is booked even then: settling late is no error.
//! - A process that dies between reserving and settling leaves a hold. Whoever does its work again uses the same key.
//! - More may be settled than was reserved: it was used.
//! - Of one tenant few operations are under way at once; the others wait their turn ([`MeteringError::Busy`]).
//! - What was settled is known by its key for ever, also to a tenant that was deleted and restored; the rest of a reservation
//!   is forgotten after two months.
//! - When the registry is away the error is [`DbError::Unavailable`]: do not do what costs.
//!
//! [`check`] compares the counters with their ledger every night; [`background`] runs both in `serve`.

pub mod alerts;
pub mod background;
pub mod check;
pub mod sweep;

use std::time::Duration;

use chrono::TimeDelta;

use crate::db::DbError;
use crate::db::master::MasterDb;
use crate::db::master::usage::booking::{self, Hold, Recorded, Released, Reserved, Settled};
use crate::domain::clock::Clock;
use crate::domain::ids::TenantId;
use crate::domain::metering::{ActualUse, Amount, Exhausted, Reservation, ReservationState, UsageKey};
use crate::domain::month::{BOOKS_TZ, local_month};
use crate::domain::turns::{Busy, Share, Shares};
use crate::domain::usage::Meter;
use crate::telemetry::metrics::{count_metering, count_usage_alerts};

/// How long something is held before the sweeper asks about it: longer than anything that is reserved for takes.
pub const HOLD: TimeDelta = TimeDelta::minutes(15);

/// Why an operation was refused.
#[derive(Debug, thiserror::Error)]
pub enum MeteringError {
    /// The plan includes no more of it this month.
    #[error("the month's limit of {0} is exhausted: {limit} of them, {used} used, {reserved} reserved",
            limit = .1.limit, used = .1.used, reserved = .1.reserved)]
    LimitExceeded(Meter, Exhausted),
    /// The key was used for another meter or amount.
    #[error("the key belongs to another meter or amount")]
    KeyReused,
    /// The key was never reserved.
    #[error("there is no reservation of this key")]
    Unknown,
    /// The reservation was released.
    #[error("the reservation has been released")]
    Released,
    /// The reservation was let go by the sweeper: it holds nothing any more, but can still be settled.
    #[error("the reservation has expired")]
    Expired,
    /// The reservation was settled, with another amount where one was given.
    #[error("the reservation has been settled")]
    Settled,
    /// The tenant has as many operations under way as it may, and none of them ended in time.
    #[error("the tenant has its share of operations under way")]
    Busy,
    /// The registry failed.
    #[error(transparent)]
    Db(#[from] DbError),
}

/// Counts what tenants consume. Cheap to clone.
#[derive(Clone)]
pub struct Metering {
    master: MasterDb,
    clock: Clock,
    /// Operations on one tenant wait for each other at its counter: there is no use in more connections waiting.
    shares: Shares<TenantId>,
}

impl Metering {
    /// Counts in the registry. One tenant has at most `each` operations under way; more of them wait, for `wait` at most.
    pub fn new(master: MasterDb, clock: Clock, each: usize, wait: Duration) -> Self {
        Self {
            master,
            clock,
            shares: Shares::new(each, wait),
        }
    }

    /// The same books for work that nobody waits for: it waits for so long for its turn.
    #[must_use]
    pub fn waiting(&self, wait: Duration) -> Self {
        Self {
            shares: self.shares.waiting(wait),
            ..self.clone()
        }
    }

    async fn share(&self, tenant: TenantId) -> Result<Share, MeteringError> {
        let share = self.shares.share(tenant).await;
        share.map_err(|Busy| MeteringError::Busy)
    }

    /// Holds `amount` of this month's limit free. Repeated, it answers what was reserved before; the state then tells
    /// whether that has been settled meanwhile.
    ///
    /// # Errors
    /// [`MeteringError::LimitExceeded`], which is not remembered: the same key may succeed later. [`MeteringError::KeyReused`].
    /// [`MeteringError::Released`] and [`MeteringError::Expired`] for a key that holds nothing any more. When the
    /// registry fails.
    pub async fn reserve(
        &self,
        tenant: TenantId,
        meter: Meter,
        amount: Amount,
        key: &UsageKey,
    ) -> Result<Reservation, MeteringError> {
        let now = self.clock.now();
        let hold = Hold {
            period: local_month(now, BOOKS_TZ),
            now,
            until: now + HOLD,
        };
        let share = self.share(tenant).await?;
        let reserved = booking::reserve(&self.master, tenant, meter, amount, key, hold).await?;
        drop(share);
        crate::kill_point!("metering.reserved");
        match reserved {
            Reserved::Now(reservation) => {
                count_metering(meter, "reserved", 1);
                Ok(reservation)
            }
            Reserved::Before(reservation) => match reservation.state {
                ReservationState::Held | ReservationState::Settled => Ok(reservation),
                ReservationState::Released => Err(MeteringError::Released),
                ReservationState::Expired => Err(MeteringError::Expired),
            },
            Reserved::KeyReused => Err(MeteringError::KeyReused),
            Reserved::Refused(exhausted) => {
                count_metering(meter, "refused", 1);
                Err(MeteringError::LimitExceeded(meter, exhausted))
            }
        }
    }

    /// Books what was used of a reservation. Repeated with the same amount it answers the same.
    ///
    /// # Errors
    /// [`MeteringError::Unknown`]; [`MeteringError::Released`]; [`MeteringError::Settled`] with another amount. When the
    /// registry fails.
    pub async fn settle(
        &self,
        tenant: TenantId,
        key: &UsageKey,
        actual: ActualUse,
    ) -> Result<Reservation, MeteringError> {
        crate::kill_point!("metering.before_settle");
        let share = self.share(tenant).await?;
        let settled = booking::settle(&self.master, tenant, key, actual, self.clock.now()).await?;
        drop(share);
        crate::kill_point!("metering.settled");
        match settled {
            Settled::Now(reservation, alerts) => {
                count_metering(reservation.meter, "settled", 1);
                count_usage_alerts(reservation.meter, alerts);
                Ok(reservation)
            }
            Settled::Before(reservation) => Ok(reservation),
            Settled::OtherAmount(_) => Err(MeteringError::Settled),
            Settled::Released => Err(MeteringError::Released),
            Settled::Unknown => Err(MeteringError::Unknown),
        }
    }

    /// Gives a reservation back: what it was for has certainly not happened. Repeated it answers the same.
    ///
    /// # Errors
    /// [`MeteringError::Unknown`]; [`MeteringError::Settled`]. When the registry fails.
    pub async fn release(&self, tenant: TenantId, key: &UsageKey) -> Result<Reservation, MeteringError> {
        let _share = self.share(tenant).await?;
        match booking::release(&self.master, tenant, key, self.clock.now()).await? {
            Released::Now(reservation) => {
                count_metering(reservation.meter, "released", 1);
                Ok(reservation)
            }
            Released::Before(reservation) => Ok(reservation),
            Released::Settled => Err(MeteringError::Settled),
            Released::Unknown => Err(MeteringError::Unknown),
        }
    }

    /// Books what has been used already, without a reservation and whatever the limit says. Repeated with the same amount it
    /// does nothing.
    ///
    /// # Errors
    /// [`MeteringError::KeyReused`], also for the key of a reservation. When the registry fails.
    pub async fn record(
        &self,
        tenant: TenantId,
        meter: Meter,
        amount: Amount,
        key: &UsageKey,
    ) -> Result<(), MeteringError> {
        let now = self.clock.now();
        let period = local_month(now, BOOKS_TZ);
        let _share = self.share(tenant).await?;
        match booking::record(&self.master, tenant, meter, amount, key, period, now).await? {
            Recorded::Now(alerts) => {
                count_metering(meter, "recorded", 1);
                count_usage_alerts(meter, alerts);
                Ok(())
            }
            Recorded::Before => Ok(()),
            Recorded::KeyReused => Err(MeteringError::KeyReused),
        }
    }
}
