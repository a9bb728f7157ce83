//! Months as the books keep them: half-open, in the local time of São Paulo by the time-zone database.
//!
//! Usage and invoices belong to the month of the place, not of UTC, and never to a fixed −03:00: Brazil has
//! changed its daylight saving time before and may again.

use chrono::{DateTime, Datelike, Months, NaiveDate, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;

/// The time zone of the books.
pub const BOOKS_TZ: Tz = Tz::America__Sao_Paulo;

/// First day of the month that `now` falls into at `tz`.
pub fn local_month(now: DateTime<Utc>, tz: Tz) -> NaiveDate {
    let today = now.with_timezone(&tz).date_naive();
    today.with_day(1).unwrap_or(today)
}

/// A month as it is written, `2026-03`.
pub fn name(month: NaiveDate) -> String {
    month.format("%Y-%m").to_string()
}

/// Day of the month on which `at` falls in São Paulo, 1 to 31.
pub fn local_day(at: DateTime<Utc>) -> i16 {
    i16::try_from(at.with_timezone(&BOOKS_TZ).day()).unwrap_or(1)
}

/// First day of the month after `month`.
pub fn next_month(month: NaiveDate) -> NaiveDate {
    month.checked_add_months(Months::new(1)).unwrap_or(NaiveDate::MAX)
}

/// First day of the month before `month`.
pub fn previous_month(month: NaiveDate) -> NaiveDate {
    month.checked_sub_months(Months::new(1)).unwrap_or(NaiveDate::MIN)
}

/// The instant at which the day `date` begins at `tz`: the earlier of two midnights, and where a change of the
/// clock skips midnight, the first moment after it.
pub fn start_of_day(date: NaiveDate, tz: Tz) -> DateTime<Utc> {
    let midnight = date.and_time(chrono::NaiveTime::MIN);
    (0..24)
        .find_map(|quarter| {
            tz.from_local_datetime(&(midnight + TimeDelta::minutes(15 * quarter)))
                .earliest()
        })
        .map_or_else(|| midnight.and_utc(), |local| local.to_utc())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utc(text: &str) -> Result<DateTime<Utc>, chrono::ParseError> {
        DateTime::parse_from_rfc3339(text).map(|time| time.to_utc())
    }

    #[test]
    fn the_month_is_the_place_s() -> Result<(), chrono::ParseError> {
        let may = NaiveDate::parse_from_str("2026-05-01", "%F")?;
        assert_eq!(local_month(utc("2026-06-01T02:59:59Z")?, BOOKS_TZ), may);
        assert_eq!(
            local_month(utc("2026-06-01T03:00:00Z")?, BOOKS_TZ),
            next_month(may)
        );
        assert_eq!(
            start_of_day(next_month(may), BOOKS_TZ),
            utc("2026-06-01T03:00:00Z")?
        );
        Ok(())
    }

    #[test]
    fn a_midnight_that_did_not_happen_begins_at_one() -> Result<(), chrono::ParseError> {
        let date = NaiveDate::parse_from_str("2018-11-04", "%F")?;
        assert_eq!(start_of_day(date, BOOKS_TZ), utc("2018-11-04T03:00:00Z")?);
        Ok(())
    }
}
