//! When something happens again: by the local time of a place, on days, days of the week, or a day of the month.
//!
//! The clock of a place is changed now and then. A time that happens twice on a day is meant the first time; one that is left out is
//! read by the clock as it went before (02:30 becomes 03:30), as RFC 5545 §3.3.5 has it. A month without the day has its last one.

use chrono::{
    DateTime, Datelike as _, Days, NaiveDate, NaiveDateTime, NaiveTime, Offset as _, TimeZone as _, Utc,
};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::day::{self, DueDay};
use super::invalid::{FieldErrors, Invalid};
use super::settings::TimeOfDay;
use super::text_enum::text_enum;

text_enum! {
    /// After what something happens again.
    pub enum Every {
        /// Each day.
        Day = "day",
        /// On some days of each week.
        Week = "week",
        /// On a day of each month.
        Month = "month",
    }
}

text_enum! {
    /// A day of the week.
    pub enum WeekDay {
        /// The first.
        Monday = "monday",
        /// The second.
        Tuesday = "tuesday",
        /// The third.
        Wednesday = "wednesday",
        /// The fourth.
        Thursday = "thursday",
        /// The fifth.
        Friday = "friday",
        /// The sixth.
        Saturday = "saturday",
        /// The last.
        Sunday = "sunday",
    }
}

/// Most times that can be asked for.
const COUNT_MAX: i32 = 1000;
/// Longer than any wait for the next day: a month and the days around it.
const LOOK_AHEAD: u64 = 70;

/// When something happens again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Recurrence {
    /// After what.
    pub every: Every,
    /// With `week`: on which days.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub weekdays: Vec<WeekDay>,
    /// With `month`: on which day, 1 to 31; a month without it has its last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 31)]
    pub day_of_month: Option<i16>,
    /// At what time, by the clock of the place.
    pub time: TimeOfDay,
    /// Not after this day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<NaiveDate>,
    /// So many times, 1 to 1,000; what was missed does not count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 1000)]
    pub count: Option<i32>,
}

impl Recurrence {
    /// Refuses what says nothing, or two things.
    ///
    /// # Errors
    /// `recurrence.weekdays`, `recurrence.day_of_month`, `recurrence.time`, `recurrence.until`, `recurrence.count`.
    pub fn check(self) -> Result<Self, FieldErrors> {
        let mut errors = FieldErrors::new();
        let mut belongs = |field: &str, given: bool, wanted: bool| match (given, wanted) {
            (false, true) => errors.push(field, Invalid::required()),
            (true, false) => errors.push(field, Invalid::new("not_allowed", "does not go with `every`")),
            _ => {}
        };
        belongs(
            "recurrence.weekdays",
            !self.weekdays.is_empty(),
            self.every == Every::Week,
        );
        belongs(
            "recurrence.day_of_month",
            self.day_of_month.is_some(),
            self.every == Every::Month,
        );
        errors.check_opt("recurrence.day_of_month", self.day_of_month, |day| {
            DueDay::parse(day.into())
        });
        if self.weekdays.len() > WeekDay::ALL.len() {
            errors.push(
                "recurrence.weekdays",
                Invalid::new("too_many", "must be at most 7"),
            );
        }
        if parse_time(&self.time).is_none() {
            errors.push("recurrence.time", Invalid::format("must be 00:00 to 23:59"));
        }
        errors.check_opt("recurrence.until", self.until, |until| {
            day::parse(&until.to_string())
        });
        if self.count.is_some_and(|count| !(1..=COUNT_MAX).contains(&count)) {
            errors.push("recurrence.count", Invalid::out_of_range(1, COUNT_MAX.into()));
        }
        errors.into_result().map(|()| self)
    }

    /// The first moment after `after`; `None` when there is none any more. How often it has happened already is not looked at.
    pub fn next_after(&self, after: DateTime<Utc>, tz: Tz) -> Option<DateTime<Utc>> {
        let time = parse_time(&self.time)?;
        let first = day::local(after, tz).pred_opt()?;
        let days = (0..LOOK_AHEAD).filter_map(|ahead| first.checked_add_days(Days::new(ahead)));
        let mut moments = days
            .filter(|date| self.is_on(*date))
            .map(|date| (date, at_local(date.and_time(time), tz)));
        let (date, at) = moments.find(|(_, at)| *at > after)?;
        self.until.is_none_or(|until| date <= until).then_some(at)
    }

    /// Of the moments from `first`, which is one, until `now`, the last: those in between were missed.
    pub fn last_until(&self, first: DateTime<Utc>, now: DateTime<Utc>, tz: Tz) -> DateTime<Utc> {
        let mut last = first;
        while let Some(next) = self.next_after(last, tz).filter(|next| *next <= now) {
            last = next;
        }
        last
    }

    fn is_on(&self, date: NaiveDate) -> bool {
        match self.every {
            Every::Day => true,
            Every::Week => {
                let of_week = usize::try_from(date.weekday().num_days_from_monday()).unwrap_or_default();
                let of_week = WeekDay::ALL.get(of_week);
                of_week.is_some_and(|of_week| self.weekdays.contains(of_week))
            }
            Every::Month => {
                let anchor = self.day_of_month.and_then(|day| DueDay::parse(day.into()).ok());
                anchor.is_some_and(|anchor| day::due_in(day::month_of(date), anchor) == date)
            }
        }
    }
}

fn parse_time(time: &TimeOfDay) -> Option<NaiveTime> {
    NaiveTime::parse_from_str(time.as_str(), "%H:%M").ok()
}

/// Reads a moment by the clock of a place, `2026-12-24T18:00`, of the years 2000 to 2199.
///
/// # Errors
/// `invalid_format`.
pub fn parse_local(value: &str) -> Result<NaiveDateTime, Invalid> {
    let wrong = || Invalid::format("must be a local time of 2000 to 2199, as 2026-12-24T18:00");
    let (date, time) = value.split_once('T').ok_or_else(wrong)?;
    let date = day::parse(date).map_err(|_| wrong())?;
    let time = TimeOfDay::parse(time).ok().and_then(|time| parse_time(&time));
    time.map(|time| date.and_time(time)).ok_or_else(wrong)
}

/// The moment at which the clock of a place shows this.
pub fn at_local(local: NaiveDateTime, tz: Tz) -> DateTime<Utc> {
    if let Some(at) = tz.from_local_datetime(&local).earliest() {
        return at.to_utc();
    }
    // Left out: as the clock went on the day before.
    let before = local
        .checked_sub_days(Days::new(1))
        .and_then(|before| tz.from_local_datetime(&before).latest());
    let offset = before.map_or(0, |before| before.offset().fix().local_minus_utc());
    local.and_utc() - chrono::TimeDelta::seconds(offset.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(json: serde_json::Value) -> Recurrence {
        serde_json::from_value(json).unwrap()
    }

    fn utc(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn course(recurrence: &Recurrence, from: &str, tz: Tz) -> Vec<String> {
        let first = recurrence.next_after(utc(from), tz);
        let next = |at: &DateTime<Utc>| recurrence.next_after(*at, tz);
        let course = std::iter::successors(first, next).take(5);
        course
            .map(|at| at.with_timezone(&tz).format("%F %R").to_string())
            .collect()
    }

    #[test]
    fn months_keep_their_day() {
        let last = of(serde_json::json!({"every": "month", "day_of_month": 31, "time": "09:30"}));
        let days = course(&last, "2027-12-31T12:29:59Z", Tz::America__Sao_Paulo);
        let expected = [
            "2027-12-31",
            "2028-01-31",
            "2028-02-29",
            "2028-03-31",
            "2028-04-30",
        ];
        assert_eq!(days, expected.map(|day| format!("{day} 09:30")));
        let ended = Recurrence {
            until: Some(day::parse("2028-02-28").unwrap()),
            ..last
        };
        assert_eq!(
            course(&ended, "2027-12-31T12:29:59Z", Tz::America__Sao_Paulo).len(),
            2
        );
    }

    #[test]
    fn weeks_have_their_days() {
        let week =
            of(serde_json::json!({"every": "week", "weekdays": ["friday", "monday"], "time": "18:00"}));
        let days = course(&week, "2026-11-21T12:00:00Z", Tz::America__Sao_Paulo);
        let expected = [
            "2026-11-23",
            "2026-11-27",
            "2026-11-30",
            "2026-12-04",
            "2026-12-07",
        ];
        assert_eq!(days, expected.map(|day| format!("{day} 18:00")));
    }

    #[test]
    fn a_time_that_is_left_out_or_comes_twice_happens_once() {
        let (brazil, york) = (Tz::America__Sao_Paulo, Tz::America__New_York);
        let local = |text: &str| parse_local(text).unwrap();
        // 2018-11-04 began at one o'clock in São Paulo.
        assert_eq!(
            at_local(local("2018-11-04T00:30"), brazil),
            utc("2018-11-04T03:30:00Z")
        );
        assert_eq!(
            at_local(local("2018-11-04T01:30"), brazil),
            utc("2018-11-04T03:30:00Z")
        );
        // In New York half past two was left out in March, and half past one came twice in November.
        assert_eq!(
            at_local(local("2026-03-08T02:30"), york),
            utc("2026-03-08T07:30:00Z")
        );
        assert_eq!(
            at_local(local("2026-11-01T01:30"), york),
            utc("2026-11-01T05:30:00Z")
        );
        let daily = of(serde_json::json!({"every": "day", "time": "02:30"}));
        let course = course(&daily, "2026-03-07T12:00:00Z", york);
        assert_eq!(course[..2], ["2026-03-08 03:30", "2026-03-09 02:30"]);
    }

    #[test]
    fn of_what_was_missed_the_last() {
        let daily = of(serde_json::json!({"every": "day", "time": "09:00"}));
        let (first, tz) = (utc("2026-01-01T12:00:00Z"), Tz::America__Sao_Paulo);
        let last = |now: &str| daily.last_until(first, utc(now), tz);
        assert_eq!(last("2026-01-01T12:00:00Z"), first);
        assert_eq!(last("2026-01-05T11:59:59Z"), utc("2026-01-04T12:00:00Z"));
        assert_eq!(last("2026-01-05T12:00:00Z"), utc("2026-01-05T12:00:00Z"));
    }

    #[test]
    fn what_says_nothing_or_two_things_is_refused() {
        let refused = |json: serde_json::Value| {
            let errors = of(json).check().err().into_iter().flatten();
            errors.map(|error| error.field).collect::<Vec<_>>()
        };
        let none: [&str; 0] = [];
        assert_eq!(
            refused(serde_json::json!({"every": "day", "time": "09:00"})),
            none
        );
        assert_eq!(
            refused(
                serde_json::json!({"every": "week", "day_of_month": 32, "time": "24:00", "count": 0, "until": "1999-01-01"})
            ),
            [
                "recurrence.weekdays",
                "recurrence.day_of_month",
                "recurrence.day_of_month",
                "recurrence.time",
                "recurrence.until",
                "recurrence.count"
            ]
        );
        assert_eq!(
            refused(serde_json::json!({"every": "month", "time": "09:00"})),
            ["recurrence.day_of_month"]
        );
    }

    fn any_recurrence() -> impl Strategy<Value = Recurrence> {
        let time = (0..24, 0..60).prop_map(|(hour, minute)| format!("{hour:02}:{minute:02}"));
        let days = proptest::sample::subsequence(WeekDay::WORDS.to_vec(), 1..=7);
        (0..3, time, days, 1..=31).prop_map(|(every, time, days, day)| {
            of(match every {
                0 => serde_json::json!({"every": "day", "time": time}),
                1 => serde_json::json!({"every": "week", "weekdays": days, "time": time}),
                _ => serde_json::json!({"every": "month", "day_of_month": day, "time": time}),
            })
        })
    }

    proptest! {
        /// Each day that is meant has its moment, once, in order, and the clock shows the time unless it was left out on that day.
        #[test]
        fn each_day_once_through_all_changes_of_the_clock(
            recurrence in any_recurrence(),
            start in 0..9_000i64,
            tz in proptest::sample::select(vec![
                Tz::America__Sao_Paulo, Tz::America__New_York, Tz::Europe__Lisbon, Tz::Australia__Lord_Howe, Tz::UTC,
            ]),
        ) {
            let mut at = utc("2000-01-01T00:00:00Z") + chrono::TimeDelta::days(start);
            let first = day::local(at, tz).checked_add_days(Days::new(2)).unwrap();
            let time = parse_time(&recurrence.time).unwrap();
            let mut met = std::collections::BTreeSet::new();
            let mut last = first;
            for _ in 0..60 {
                let next = recurrence.next_after(at, tz).unwrap();
                prop_assert!(next > at);
                let shown = next.with_timezone(&tz).naive_local();
                last = shown.date();
                prop_assert!(met.insert(last), "twice on {last}");
                let exists = tz.from_local_datetime(&last.and_time(time)).earliest().is_some();
                prop_assert!(shown.time() == time || !exists, "{shown}");
                at = next;
            }
            let meant = first.iter_days().take_while(|date| *date < last).filter(|date| recurrence.is_on(*date));
            for date in meant {
                prop_assert!(met.contains(&date), "not on {date}");
            }
        }

        #[test]
        fn nothing_panics(text in any::<String>(), at in 0..4_000_000_000i64) {
            let _ = parse_local(&text);
            let at = DateTime::from_timestamp(at, 0).unwrap().naive_utc();
            let _ = at_local(at, Tz::America__Sao_Paulo);
        }
    }
}
