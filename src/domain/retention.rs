//! When snapshots are made, and which of them are kept.

use std::collections::HashSet;
use std::path::PathBuf;

use chrono::{DateTime, Datelike as _, Months, NaiveDate, TimeDelta, Utc};

/// How snapshots are made by the clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// The folder that holds one of each tenant.
    pub folder: PathBuf,
    /// The time between two snapshots of a tenant.
    pub every: TimeDelta,
    /// Which of them are kept.
    pub keep: Keep,
    /// Whether they are encrypted with the platform's key.
    pub encrypt: bool,
    /// Of so many of a tenant one is proven; 0: none.
    pub verify_every: u32,
    /// Tenants that one process backs up at once.
    pub jobs: usize,
}

/// How many are kept of each kind; one snapshot may be several kinds at once. Days are days in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep {
    /// The newest ones, whatever their age, as long as their tenant lives.
    pub last: usize,
    /// Days, today among them, of which the newest is kept.
    pub daily: u32,
    /// Weeks, this one among them, of which the newest is kept.
    pub weekly: u32,
    /// Months, this one among them, of which the newest is kept.
    pub monthly: u32,
}

impl Keep {
    /// Which of these good snapshots, newest first, are kept at `now`.
    pub fn kept(&self, taken: &[DateTime<Utc>], lives: bool, now: DateTime<Utc>) -> Vec<bool> {
        let today = now.date_naive();
        let monday = week_of(today);
        let first_day = today - TimeDelta::days(i64::from(self.daily) - 1);
        let first_week = monday - TimeDelta::weeks(i64::from(self.weekly) - 1);
        let first_month = month_of(today)
            .checked_sub_months(Months::new(self.monthly.saturating_sub(1)))
            .unwrap_or(NaiveDate::MIN);
        let (mut days, mut weeks, mut months) = (HashSet::new(), HashSet::new(), HashSet::new());
        let mut kept = Vec::with_capacity(taken.len());
        for (number, at) in taken.iter().enumerate() {
            let day = at.date_naive();
            let (week, month) = (week_of(day), month_of(day));
            // Each is asked, since one snapshot takes all the places that it can.
            let daily = days.insert(day) && self.daily > 0 && day >= first_day;
            let weekly = weeks.insert(week) && self.weekly > 0 && week >= first_week;
            let monthly = months.insert(month) && self.monthly > 0 && month >= first_month;
            kept.push((lives && number < self.last) || daily || weekly || monthly);
        }
        kept
    }
}

fn week_of(day: NaiveDate) -> NaiveDate {
    day - TimeDelta::days(i64::from(day.weekday().num_days_from_monday()))
}

fn month_of(day: NaiveDate) -> NaiveDate {
    day.with_day(1).unwrap_or(day)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEEP: Keep = Keep {
        last: 2,
        daily: 3,
        weekly: 2,
        monthly: 2,
    };

    fn at(text: &str) -> DateTime<Utc> {
        format!("2026-{text}:00Z").parse().unwrap()
    }

    fn kept(keep: Keep, lives: bool, taken: &[&str]) -> Vec<String> {
        let times: Vec<_> = taken.iter().map(|text| at(text)).collect();
        let kept = keep.kept(&times, lives, at("03-18T12:00"));
        let both = taken.iter().zip(kept);
        both.filter(|(_, kept)| *kept)
            .map(|(text, _)| (*text).to_owned())
            .collect()
    }

    #[test]
    fn the_newest_of_each_day_week_and_month_is_kept() {
        // The 18th of March 2026 is a Wednesday.
        let taken = [
            "03-18T11:00",
            "03-18T05:00",
            "03-17T23:00",
            "03-17T05:00",
            "03-16T05:00",
            "03-15T05:00",
            "03-14T05:00",
            "03-08T05:00",
            "02-28T05:00",
            "02-27T05:00",
            "01-31T05:00",
        ];
        let expected = [
            "03-18T11:00",
            "03-18T05:00",
            "03-17T23:00",
            "03-16T05:00",
            "03-15T05:00",
            "02-28T05:00",
        ];
        assert_eq!(kept(KEEP, true, &taken), expected);
    }

    #[test]
    fn the_last_ones_of_a_tenant_that_lives_are_kept_for_ever() {
        let taken = ["01-03T05:00", "01-02T05:00", "01-01T05:00"];
        assert_eq!(kept(KEEP, true, &taken), ["01-03T05:00", "01-02T05:00"]);
        assert_eq!(kept(KEEP, false, &taken), [""; 0]);
    }

    #[test]
    fn nothing_is_kept_of_a_kind_that_is_not_wanted() {
        let none = Keep {
            last: 1,
            daily: 0,
            weekly: 0,
            monthly: 0,
        };
        assert_eq!(kept(none, true, &["03-18T11:00", "03-17T05:00"]), ["03-18T11:00"]);
        let days = Keep {
            daily: 2,
            last: 0,
            ..none
        };
        assert_eq!(
            kept(days, false, &["03-18T11:00", "03-17T05:00", "03-16T05:00"]),
            ["03-18T11:00", "03-17T05:00"]
        );
    }

    #[test]
    fn whoever_backs_up_each_day_keeps_what_was_asked_for() {
        // Day after day: what has been let go once is not missed later.
        let keep = Keep {
            last: 3,
            daily: 7,
            weekly: 4,
            monthly: 6,
        };
        let mut there: Vec<DateTime<Utc>> = Vec::new();
        let mut now = at("01-01T03:00");
        for _ in 0..400 {
            there.insert(0, now);
            let kept = keep.kept(&there, true, now);
            let mut kept = kept.iter();
            there.retain(|_| *kept.next().unwrap());
            now += TimeDelta::days(1);
        }
        assert!((12..=17).contains(&there.len()), "{there:?}");
        assert_eq!(
            there
                .windows(2)
                .take(6)
                .filter(|pair| pair[0] - pair[1] == TimeDelta::days(1))
                .count(),
            6
        );
        assert!(*there.last().unwrap() < now - TimeDelta::days(120), "{there:?}");
    }
}
