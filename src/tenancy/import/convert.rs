//! Values as old programs wrote them: money with commas or points, numbers with points between thousands, dates of zeros.

use chrono::{DateTime, Datelike as _, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, TimeZone as _, Utc};
use chrono_tz::Tz;

use crate::domain::invalid::Invalid;
use crate::domain::money::Cents;

/// Years outside of these are mistakes, not moments.
const YEARS: std::ops::RangeInclusive<i32> = 1900..=2200;

/// An amount in the currency's units, as `45900.00`, `45.900,00` or `R$ 45.900`. A comma is before the cents; so is a
/// point, unless a comma or another point follows it. One point with three digits after it could be either: in a number
/// of the database it is before a fraction, in a text it is refused.
pub fn money(text: &str, is_number: bool) -> Result<Cents, Invalid> {
    let refused = || Invalid::format("must be an amount, as 45900.00 or 45.900,00");
    let text = text.trim();
    let text = text.strip_prefix("R$").unwrap_or(text).trim();
    let points = text.matches('.').count();
    let (whole, fraction) = if let Some((whole, fraction)) = text.rsplit_once(',') {
        (thousands(whole).ok_or_else(refused)?, fraction)
    } else if points > 1 {
        (thousands(text).ok_or_else(refused)?, "")
    } else {
        match text.split_once('.') {
            Some((_, fraction)) if fraction.len() == 3 && !is_number => {
                return Err(Invalid::new(
                    "ambiguous",
                    "has one point with three digits after it: thousands, or a fraction?",
                ));
            }
            Some((whole, fraction)) => (digits(whole).ok_or_else(refused)?, fraction),
            None => (digits(text).ok_or_else(refused)?, ""),
        }
    };
    let fraction = fraction.trim_end_matches('0');
    if fraction.len() > 2 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(refused());
    }
    let cents = format!("{whole}{fraction:0<2}");
    cents
        .parse()
        .map_err(|_| Invalid::out_of_range(0, i64::MAX))
        .and_then(Cents::parse)
}

/// A whole number; a fraction of zeros is none. In a text, points may stand between thousands, so three zeros after one are no
/// fraction; in a number of the database a point is always before one.
pub fn integer(text: &str, is_number: bool) -> Result<i64, Invalid> {
    let text = text.trim();
    let whole = text
        .split_once('.')
        .filter(|(_, rest)| rest.bytes().all(|byte| byte == b'0') && (is_number || rest.len() != 3));
    let text = whole.map_or(text, |(whole, _)| whole);
    let (sign, number) = text.strip_prefix('-').map_or((1, text), |number| (-1, number));
    digits(number)
        .or_else(|| thousands(number).filter(|_| !is_number))
        .and_then(|number| number.parse::<i64>().ok())
        .map(|number| sign * number)
        .ok_or_else(|| Invalid::format("must be a whole number"))
}

fn digits(text: &str) -> Option<String> {
    let all = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    all.then(|| text.to_owned())
}

/// `12.345.678` without its points; digits alone are their own.
fn thousands(text: &str) -> Option<String> {
    let mut groups = text.split('.');
    let first = groups.next()?;
    let rest: Vec<&str> = groups.collect();
    let fits = rest.is_empty() || (first.len() <= 3 && rest.iter().all(|group| group.len() == 3));
    fits.then(|| digits(&text.replace('.', ""))).flatten()
}

/// A moment. `utc`: it was written in UTC; otherwise a clock in `zone` showed it. `None` for a date of zeros, which MySQL
/// keeps where there is none.
pub fn time(text: &str, format: Option<&str>, zone: Tz, utc: bool) -> Result<Option<DateTime<Utc>>, Invalid> {
    let text = text.trim();
    if is_zero_date(text) {
        return Ok(None);
    }
    let refused = || Invalid::format("must be a date, perhaps with a time");
    if format == Some("epoch") {
        let seconds = text.parse().map_err(|_| refused())?;
        let at = DateTime::from_timestamp(seconds, 0).ok_or_else(refused)?;
        return within_years(at).map(Some);
    }
    if let Ok(at) = DateTime::parse_from_rfc3339(text) {
        return within_years(at.to_utc()).map(Some);
    }
    let formats: &[&str] = match &format {
        Some(format) => std::slice::from_ref(format),
        None => &["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M"],
    };
    let shown = formats
        .iter()
        .find_map(|format| NaiveDateTime::parse_from_str(text, format).ok())
        .or_else(|| {
            let day = NaiveDate::parse_from_str(text, format.unwrap_or("%Y-%m-%d")).ok()?;
            Some(day.and_time(NaiveTime::MIN))
        })
        .ok_or_else(refused)?;
    let at = if utc {
        shown.and_utc()
    } else {
        in_zone(shown, zone)
    };
    within_years(at).map(Some)
}

fn within_years(at: DateTime<Utc>) -> Result<DateTime<Utc>, Invalid> {
    if YEARS.contains(&at.year()) {
        Ok(at)
    } else {
        Err(Invalid::out_of_range(
            (*YEARS.start()).into(),
            (*YEARS.end()).into(),
        ))
    }
}

/// The first of two moments when clocks were put back; an hour later when they were put forward over it.
fn in_zone(shown: NaiveDateTime, zone: Tz) -> DateTime<Utc> {
    let later = || {
        zone.from_local_datetime(&(shown + TimeDelta::hours(1)))
            .earliest()
    };
    zone.from_local_datetime(&shown)
        .earliest()
        .or_else(later)
        .map_or_else(|| shown.and_utc(), |at| at.to_utc())
}

/// `0000-00-00`, and dates of which only the month or the day is zero.
fn is_zero_date(text: &str) -> bool {
    let day = text.get(..10).unwrap_or_default();
    let mut parts = day.split('-');
    let numbers = [parts.next(), parts.next(), parts.next()];
    day.len() == 10
        && numbers
            .iter()
            .any(|part| part.is_some_and(|part| part.bytes().all(|byte| byte == b'0')))
        && day.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cents(text: &str) -> Result<i64, &'static str> {
        money(text, false).map(Cents::get).map_err(|error| error.code)
    }

    #[test]
    fn amounts_are_read_as_people_write_them() {
        for (text, expected) in [
            ("45900.00", 4_590_000),
            ("45900.5", 4_590_050),
            ("45900", 4_590_000),
            ("45.900,00", 4_590_000),
            ("R$ 1.245.900,99", 124_590_099),
            ("45900,9", 4_590_090),
            ("1.245.900", 124_590_000),
            ("0.00", 0),
            ("99.9900", 9999),
        ] {
            assert_eq!(cents(text), Ok(expected), "{text}");
        }
        assert_eq!(cents("45.900"), Err("ambiguous"));
        assert_eq!(money("45.900", true).map(Cents::get), Ok(4590));
        for text in [
            "",
            "x",
            "-1",
            "1e5",
            "10,555",
            "10.5.5",
            "1,000.00",
            "10 reais",
            ".5",
            "45.90.000,00",
        ] {
            assert_eq!(cents(text), Err("invalid_format"), "{text}");
        }
        assert_eq!(cents("99999999999999999999"), Err("out_of_range"));
    }

    #[test]
    fn whole_numbers_may_have_points() {
        for (text, expected) in [
            ("85000", 85_000),
            ("85.000", 85_000),
            ("1.250.000", 1_250_000),
            ("12.0", 12),
            ("-3", -3),
        ] {
            assert_eq!(integer(text, false).ok(), Some(expected), "{text}");
        }
        for (number, expected) in [("120.000", 120), ("85000.000", 85_000), ("-3.0", -3), ("7", 7)] {
            assert_eq!(integer(number, true).ok(), Some(expected), "{number}");
        }
        assert!(integer("120.500", true).is_err() && integer("1.250.000", true).is_err());
        for text in ["", "85,5", "8.5", "85 km", "1.00.0", "99999999999999999999"] {
            assert!(
                integer(text, false).is_err() && integer(text, true).is_err(),
                "{text}"
            );
        }
    }

    #[test]
    fn a_clock_showed_it_somewhere() {
        let zone = chrono_tz::America::Sao_Paulo;
        let at = |text: &str, utc: bool| time(text, None, zone, utc).map(|at| at.map(|at| at.to_rfc3339()));
        let expected = |text: &str| Ok(Some(text.to_owned()));
        assert_eq!(
            at("2024-03-01 10:00:00", false),
            expected("2024-03-01T13:00:00+00:00")
        );
        assert_eq!(
            at("2024-03-01 10:00:00.250", true),
            expected("2024-03-01T10:00:00.250+00:00")
        );
        assert_eq!(at("2024-03-01", false), expected("2024-03-01T03:00:00+00:00"));
        assert_eq!(
            at("2024-03-01T10:00:00-05:00", true),
            expected("2024-03-01T15:00:00+00:00")
        );
        // Clocks were put forward at midnight, and back at midnight.
        assert_eq!(
            at("2018-11-04 00:30:00", false),
            expected("2018-11-04T03:30:00+00:00")
        );
        assert_eq!(
            at("2018-02-17 23:30:00", false),
            expected("2018-02-18T01:30:00+00:00")
        );
        for zeros in [
            "0000-00-00 00:00:00",
            "0000-00-00",
            "2019-00-00",
            "2019-05-00 00:00:00",
        ] {
            assert_eq!(at(zeros, false), Ok(None), "{zeros}");
        }
        for wrong in [
            "",
            "amanhã",
            "01/03/2024",
            "2024-13-01",
            "2024-02-30",
            "1024-01-01",
            "9999-12-31",
        ] {
            assert!(at(wrong, false).is_err(), "{wrong}");
        }
    }

    #[test]
    fn other_forms_are_named() {
        let zone = chrono_tz::UTC;
        let at = |text, format| time(text, Some(format), zone, false).map(|at| at.map(|at| at.timestamp()));
        assert_eq!(at("01/03/2024 10:00", "%d/%m/%Y %H:%M"), Ok(Some(1_709_287_200)));
        assert_eq!(at("01/03/2024", "%d/%m/%Y"), Ok(Some(1_709_251_200)));
        assert_eq!(at("1709287200", "epoch"), Ok(Some(1_709_287_200)));
        assert!(at("2024-03-01", "%d/%m/%Y").is_err());
    }

    proptest! {
        #[test]
        fn nothing_panics(text in any::<String>(), near in "[0-9R$., -]{0,25}", format in "[%a-zA-Z/ ]{0,8}") {
            for text in [&text, &near] {
                let _ = (money(text, true), money(text, false), integer(text, true), integer(text, false));
                let _ = time(text, None, chrono_tz::America::Sao_Paulo, false);
                let _ = time(text, Some(&format), chrono_tz::America::Sao_Paulo, true);
            }
        }

        #[test]
        fn cents_come_back(cents in 0_i64..1_000_000_000_000) {
            let text = format!("{}.{:02}", cents / 100, cents % 100);
            prop_assert_eq!(money(&text, true).map(Cents::get), Ok(cents));
            prop_assert_eq!(money(&text.replace('.', ","), false).map(Cents::get), Ok(cents));
        }
    }
}
