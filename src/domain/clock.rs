//! What time it is: the one place that asks the operating system.
//!
//! Every rule that depends on time takes the time as an argument; whoever starts a use case reads it once from a
//! [`Clock`] that was passed down. Tests pass one that stands still until told otherwise. Times are cut to the
//! microsecond, which is what PostgreSQL keeps: a time written and read back is the same time.

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use std::{
    sync::{Arc, PoisonError, RwLock},
    time::SystemTime,
};

/// Tells the time. Clones of a settable clock share it.
#[derive(Debug, Clone)]
pub struct Clock(Source);

#[derive(Debug, Clone)]
enum Source {
    System,
    Settable(Arc<RwLock<DateTime<Utc>>>),
}

impl Clock {
    /// The clock of the machine.
    pub const fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that stands at `now` until [`set`](Self::set) or [`advance`](Self::advance) is called.
    pub fn fixed(now: DateTime<Utc>) -> Self {
        Self(Source::Settable(Arc::new(RwLock::new(now))))
    }

    /// The time, to the microsecond.
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that asks the operating system"
    )]
    pub fn now(&self) -> DateTime<Utc> {
        let now = match &self.0 {
            Source::System => DateTime::<Utc>::from(SystemTime::now()),
            Source::Settable(time) => *time.read().unwrap_or_else(PoisonError::into_inner),
        };
        now.trunc_subsecs(6)
    }

    /// Moves a settable clock to `now`, for all its clones. The clock of the machine is left alone.
    pub fn set(&self, now: DateTime<Utc>) {
        self.change(|_| now);
    }

    /// Moves a settable clock by `by`, for all its clones. The clock of the machine is left alone.
    pub fn advance(&self, by: TimeDelta) {
        self.change(|time| time + by);
    }

    fn change(&self, change: impl FnOnce(DateTime<Utc>) -> DateTime<Utc>) {
        match &self.0 {
            Source::System => debug_assert!(false, "only a settable clock can be moved"),
            Source::Settable(time) => {
                let mut time = time.write().unwrap_or_else(PoisonError::into_inner);
                *time = change(*time);
            }
        }
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::system()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_cut_to_microseconds() {
        let clock = Clock::fixed(DateTime::from_timestamp_nanos(1_700_000_000_123_456_789));
        assert_eq!(
            clock.now(),
            DateTime::from_timestamp_nanos(1_700_000_000_123_456_000)
        );
        assert_eq!(Clock::system().now().timestamp_subsec_nanos() % 1000, 0);
    }

    #[test]
    fn clones_share_the_time() {
        let clock = Clock::fixed(DateTime::UNIX_EPOCH);
        let other = clock.clone();
        clock.advance(TimeDelta::days(7));
        assert_eq!(other.now(), DateTime::UNIX_EPOCH + TimeDelta::days(7));
        other.set(DateTime::UNIX_EPOCH);
        assert_eq!(clock.now(), DateTime::UNIX_EPOCH);
    }
}
