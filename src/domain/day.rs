//! Days without an hour, as bills have them, and the day of the month on which something is due again and again.
//!
//! A day that a month does not have is its last one, and the anchor is kept: 31 January, 28 February, 31 March.

use chrono::{DateTime, Datelike as _, Days, NaiveDate, Utc};
use chrono_tz::Tz;

use super::bounded::bounded_number;
use super::invalid::Invalid;
use super::month::next_month;

bounded_number!(
    /// The day of the month on which something is due; a month without it is due on its last day.
    DueDay, 1, 31, 10
);

/// Years that a day may have.
const YEARS: std::ops::RangeInclusive<i32> = 2000..=2199;

/// Reads a day, `2026-11-21`, of the years 2000 to 2199.
///
/// # Errors
/// `invalid_format`.
pub fn parse(value: &str) -> Result<NaiveDate, Invalid> {
    let day = (value.len() == 10)
        .then(|| NaiveDate::parse_from_str(value, "%Y-%m-%d").ok())
        .flatten();
    day.filter(|day| YEARS.contains(&day.year()))
        .ok_or_else(|| Invalid::format("must be a day of 2000 to 2199, as 2026-11-21"))
}

/// Reads a month, `2026-11`: its first day.
///
/// # Errors
/// `invalid_format`.
pub fn parse_month(value: &str) -> Result<NaiveDate, Invalid> {
    parse(&format!("{value}-01")).map_err(|_| Invalid::format("must be a month of 2000 to 2199, as 2026-11"))
}

/// The day that it is at `tz`.
pub fn local(now: DateTime<Utc>, tz: Tz) -> NaiveDate {
    now.with_timezone(&tz).date_naive()
}

/// The day of the month that begins on `month` on which something is due.
pub fn due_in(month: NaiveDate, due_day: DueDay) -> NaiveDate {
    let last = next_month(month).pred_opt().unwrap_or(month);
    let days = u64::from(due_day.get().unsigned_abs()).saturating_sub(1);
    month.checked_add_days(Days::new(days)).unwrap_or(last).min(last)
}

/// The first day of the month of `day`.
pub fn month_of(day: NaiveDate) -> NaiveDate {
    day.with_day(1).unwrap_or(day)
}

/// The first day from `earliest` on (that day included) on which something is due.
pub fn first_due(earliest: NaiveDate, due_day: DueDay) -> NaiveDate {
    let month = month_of(earliest);
    let due = due_in(month, due_day);
    if due >= earliest {
        due
    } else {
        due_in(next_month(month), due_day)
    }
}

/// The day in the month after that of `due`.
pub fn next_due(due: NaiveDate, due_day: DueDay) -> NaiveDate {
    due_in(next_month(month_of(due)), due_day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn day(text: &str) -> NaiveDate {
        parse(text).unwrap()
    }

    #[test]
    fn a_day_has_one_form() {
        assert_eq!(day("2028-02-29").to_string(), "2028-02-29");
        assert_eq!(parse_month("2026-11"), Ok(day("2026-11-01")));
        for bad in [
            "",
            "2026-02-29",
            "2026-2-1",
            "1999-12-31",
            "2200-01-01",
            "02026-01-1",
            "21/11/2026",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        for bad in ["2026", "2026-13", "2026-1", "2026-11-01", ""] {
            assert!(parse_month(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_anchor_is_kept_and_clamped() {
        let anchor = DueDay::parse(31).unwrap();
        let mut due = first_due(day("2027-12-31"), anchor);
        let mut seen = Vec::new();
        for _ in 0..5 {
            seen.push(due.to_string());
            due = next_due(due, anchor);
        }
        assert_eq!(
            seen,
            [
                "2027-12-31",
                "2028-01-31",
                "2028-02-29",
                "2028-03-31",
                "2028-04-30"
            ]
        );
        assert_eq!(
            first_due(day("2026-11-06"), DueDay::parse(5).unwrap()),
            day("2026-12-05")
        );
        assert_eq!(
            first_due(day("2026-11-05"), DueDay::parse(5).unwrap()),
            day("2026-11-05")
        );
    }

    proptest! {
        #[test]
        fn each_month_is_due_exactly_once(start in 0..60_000u64, anchor in 1..=31i64) {
            let start = day("2000-01-01") + Days::new(start);
            let anchor = DueDay::parse(anchor).unwrap();
            let mut due = first_due(start, anchor);
            prop_assert!(due >= start && due <= start + Days::new(31));
            for _ in 0..30 {
                let next = next_due(due, anchor);
                prop_assert_eq!(month_of(next), next_month(month_of(due)));
                prop_assert_eq!(first_due(due.succ_opt().unwrap(), anchor), next);
                due = next;
            }
        }

        #[test]
        fn parse_never_panics(text in any::<String>()) {
            let _ = parse(&text);
            let _ = parse_month(&text);
        }
    }
}
