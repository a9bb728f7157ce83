//! When somebody is told of an invoice that is to be paid: by local days around the one on which it is due, in the morning.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};

use crate::domain::month::{BOOKS_TZ, start_of_day};
use crate::domain::text_enum::text_enum;

/// The hour of the place at which people are told.
pub const MORNING: TimeDelta = TimeDelta::hours(9);

text_enum! {
    /// A step, in order of time.
    pub enum DunningStep {
        /// It is there, and due in three days.
        Notice = "d-3",
        /// It is due today.
        Due = "d0",
        /// It was due three days ago.
        Reminder = "d3",
        /// It was due a week ago: the last notice.
        Last = "d7",
    }
}

text_enum! {
    /// What was decided about a step.
    pub enum DunningOutcome {
        /// Somebody is told.
        Mailed = "mailed",
        /// A later step was due as well: nobody is told twice at once.
        Skipped = "skipped",
    }
}

impl DunningStep {
    /// Days after the one on which the invoice is due.
    pub const fn days(self) -> i64 {
        match self {
            Self::Notice => -3,
            Self::Due => 0,
            Self::Reminder => 3,
            Self::Last => 7,
        }
    }

    /// When it is taken, for an invoice that is due on `due`.
    pub fn at(self, due: NaiveDate) -> DateTime<Utc> {
        morning(due + TimeDelta::days(self.days()))
    }
}

/// The morning of a local day.
pub fn morning(day: NaiveDate) -> DateTime<Utc> {
    start_of_day(day, BOOKS_TZ) + MORNING
}

/// The steps whose time has come and that nobody has decided about. The last of them is told, the others are skipped.
pub fn decide(
    due: NaiveDate,
    decided: &[DunningStep],
    now: DateTime<Utc>,
) -> Vec<(DunningStep, DunningOutcome)> {
    let come = DunningStep::ALL
        .iter()
        .copied()
        .filter(|step| step.at(due) <= now && !decided.contains(step));
    let mut steps: Vec<_> = come.map(|step| (step, DunningOutcome::Skipped)).collect();
    if let Some((_, outcome)) = steps.last_mut() {
        *outcome = DunningOutcome::Mailed;
    }
    steps
}

/// When the next step is due, once those of now are decided.
pub fn next_at(due: NaiveDate, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let steps = DunningStep::ALL.iter().map(|step| step.at(due));
    steps.filter(|at| *at > now).min()
}

#[cfg(test)]
mod tests {
    use super::*;
    use DunningOutcome::{Mailed, Skipped};
    use DunningStep::{Due, Last, Notice, Reminder};
    use proptest::prelude::*;

    fn due() -> NaiveDate {
        "2026-03-31".parse().unwrap()
    }

    #[test]
    fn each_step_has_its_morning() {
        let days = [
            (Notice, "2026-03-28T12:00:00Z"),
            (Due, "2026-03-31T12:00:00Z"),
            (Reminder, "2026-04-03T12:00:00Z"),
            (Last, "2026-04-07T12:00:00Z"),
        ];
        let mut decided = Vec::new();
        for (step, at) in days {
            let at: DateTime<Utc> = at.parse().unwrap();
            let before = at - TimeDelta::microseconds(1);
            assert_eq!(decide(due(), &decided, before), []);
            assert_eq!(next_at(due(), before), Some(at));
            assert_eq!(decide(due(), &decided, at), [(step, Mailed)]);
            decided.push(step);
            assert_eq!(decide(due(), &decided, at), []);
        }
        assert_eq!(next_at(due(), Last.at(due())), None);
    }

    #[test]
    fn after_an_outage_people_are_told_once() {
        let now = Reminder.at(due());
        assert_eq!(
            decide(due(), &[Notice], now),
            [(Due, Skipped), (Reminder, Mailed)]
        );
    }

    proptest! {
        /// However often and irregularly somebody looks, each step is decided once, and at most one is told at a time.
        #[test]
        fn each_step_is_decided_once(mut hours in proptest::collection::vec(-200..400i64, 0..40)) {
            hours.sort_unstable();
            let mut decided = Vec::new();
            for hour in hours.iter().chain(&[400]) {
                let found = decide(due(), &decided, morning(due()) + TimeDelta::hours(*hour));
                prop_assert!(found.iter().filter(|(_, outcome)| *outcome == Mailed).count() <= 1);
                decided.extend(found.into_iter().map(|(step, _)| step));
            }
            prop_assert_eq!(decided.as_slice(), DunningStep::ALL);
        }
    }
}
