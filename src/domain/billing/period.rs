//! Periods of subscriptions: half-open months of the place, that begin on the same local day as long as the month has it.
//!
//! The day is the *anchor*; it is kept, so that 31 January is followed by 28 February and that by 31 March. All days and
//! midnights are those of the time-zone database, never a fixed offset.

use chrono::{DateTime, Datelike, Days, NaiveDate, Utc};

use crate::domain::month::{BOOKS_TZ, local_day, next_month, start_of_day};

/// From a moment up to, and without, another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period {
    /// Its first moment.
    pub start: DateTime<Utc>,
    /// The first moment after it.
    pub end: DateTime<Utc>,
}

/// The day that it is in São Paulo.
pub fn local_date(at: DateTime<Utc>) -> NaiveDate {
    at.with_timezone(&BOOKS_TZ).date_naive()
}

impl Period {
    /// The period that begins at `start` and ends with the next local day that is the anchor's.
    pub fn beginning(start: DateTime<Utc>, anchor_day: i16) -> Self {
        let day = local_date(start);
        let this_month = anchored(day, anchor_day);
        let last = if this_month > day {
            this_month
        } else {
            anchored(next_month(first_of(day)), anchor_day)
        };
        Self {
            start,
            end: start_of_day(last, BOOKS_TZ),
        }
    }

    /// The period that begins at `start`, which is its anchor.
    pub fn anchored_at(start: DateTime<Utc>) -> Self {
        Self::beginning(start, local_day(start))
    }

    /// Its local days.
    pub fn days(&self) -> i64 {
        days_between(local_date(self.start), local_date(self.end)).max(1)
    }

    /// Its local days from the one of `now` on, that day included: 0 after the end, all of them before the start.
    pub fn days_left(&self, now: DateTime<Utc>) -> i64 {
        days_between(local_date(now), local_date(self.end)).clamp(0, self.days())
    }
}

fn days_between(from: NaiveDate, to: NaiveDate) -> i64 {
    to.signed_duration_since(from).num_days()
}

fn first_of(day: NaiveDate) -> NaiveDate {
    day.with_day(1).unwrap_or(day)
}

/// The anchor's day in the month of `day`: the last one, where the month is too short.
fn anchored(day: NaiveDate, anchor_day: i16) -> NaiveDate {
    let first = first_of(day);
    let length = days_between(first, next_month(first));
    let offset = i64::from(anchor_day).clamp(1, length) - 1;
    first
        .checked_add_days(Days::new(offset.unsigned_abs()))
        .unwrap_or(first)
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeDelta;
    use proptest::prelude::*;

    fn date(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn ends(first: &str, anchor: i16, count: usize) -> Vec<String> {
        let mut start = start_of_day(date(first), BOOKS_TZ);
        let mut found = Vec::new();
        for _ in 0..count {
            start = Period::beginning(start, anchor).end;
            found.push(local_date(start).to_string());
        }
        found
    }

    #[test]
    fn the_anchor_is_kept_through_short_months() {
        assert_eq!(
            ends("2026-01-31", 31, 5),
            [
                "2026-02-28",
                "2026-03-31",
                "2026-04-30",
                "2026-05-31",
                "2026-06-30"
            ]
        );
        assert_eq!(ends("2028-01-30", 30, 2), ["2028-02-29", "2028-03-30"]);
        assert_eq!(ends("2026-12-15", 15, 2), ["2027-01-15", "2027-02-15"]);
    }

    /// The clock was put forward at midnight of 4 November 2018, and back at that of 18 February 2018.
    #[test]
    fn a_day_without_midnight_begins_later_and_one_with_two_at_the_first() {
        let period = Period::beginning(at("2018-10-04T03:00:00Z"), 4);
        assert_eq!(period.end, at("2018-11-04T03:00:00Z"));
        assert_eq!(period.days(), 31);
        let period = Period::beginning(period.end, 4);
        assert_eq!(period.end, at("2018-12-04T02:00:00Z"));
        let period = Period::beginning(at("2018-01-18T02:00:00Z"), 18);
        assert_eq!(period.end, at("2018-02-18T03:00:00Z"));
        assert_eq!(period.days(), 31);
    }

    #[test]
    fn a_first_period_begins_in_the_middle_of_a_day() {
        let period = Period::anchored_at(at("2026-03-17T12:00:00Z"));
        assert_eq!(period.end, at("2026-04-17T03:00:00Z"));
        assert_eq!(period.days(), 31);
        assert_eq!(period.days_left(at("2026-03-17T12:00:00Z")), 31);
        assert_eq!(period.days_left(at("2026-03-10T12:00:00Z")), 31);
        assert_eq!(period.days_left(at("2026-04-17T02:59:59Z")), 1);
        assert_eq!(period.days_left(at("2026-04-17T03:00:00Z")), 0);
        // Late in the evening it is the next day in UTC, and not there.
        assert_eq!(Period::anchored_at(at("2026-03-18T02:00:00Z")).end, period.end);
    }

    proptest! {
        #[test]
        fn periods_are_months_without_gaps(day in 0..36_500i64, second in 0..86_400i64, count in 1..40usize) {
            let first = at("1985-01-01T03:00:00Z") + TimeDelta::days(day) + TimeDelta::seconds(second);
            let anchor = local_day(first);
            let mut period = Period::beginning(first, anchor);
            for _ in 0..count {
                prop_assert!(period.start < period.end);
                prop_assert!((28..=31).contains(&period.days()), "{:?}", period);
                let last = local_date(period.end);
                let length = i16::try_from(days_between(first_of(last), next_month(first_of(last)))).unwrap();
                prop_assert_eq!(local_day(period.end), anchor.min(length));
                prop_assert_eq!(period.end, start_of_day(last, BOOKS_TZ));
                period = Period::beginning(period.end, anchor);
            }
        }

        #[test]
        fn each_day_that_passes_is_one_less(start in 0..36_500i64, hours in 0..800i64) {
            let start = at("1985-01-01T03:00:00Z") + TimeDelta::days(start);
            let period = Period::anchored_at(start);
            let now = start + TimeDelta::hours(hours);
            let spent = days_between(local_date(start), local_date(now)).min(period.days());
            prop_assert_eq!(period.days_left(now), period.days() - spent);
        }
    }
}
