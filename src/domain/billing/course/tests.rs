//! Subscriptions that are stored nowhere are moved on for years.

use super::*;
use crate::domain::month::local_day;
use SubscriptionStatus::{Active, Canceled, PastDue, Suspended, Trialing};
use proptest::prelude::*;

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

/// A subscription that is stored nowhere: what the clock does to a row is done to this.
struct Life {
    standing: Standing,
    /// Every invoice that was ever issued for a period, and whether it was paid.
    invoices: Vec<(Period, bool)>,
    begun: Vec<Period>,
}

impl Life {
    fn trial(start: DateTime<Utc>, days: i64, price: i64) -> Self {
        let end = start + TimeDelta::days(days);
        Self {
            standing: Standing {
                status: Trialing,
                period: Period { start, end },
                anchor_day: local_day(end),
                past_due_at: None,
                awaits_first_payment: false,
                cancel_at_period_end: false,
                next_price: Cents::parse(price).unwrap(),
                next_invoice: None,
                owes: false,
                in_service_since: Some(start),
            },
            invoices: Vec::new(),
            begun: Vec::new(),
        }
    }

    /// Takes all steps of this moment; how many it were.
    fn look(&mut self, now: DateTime<Utc>) -> usize {
        for taken in 0..100 {
            let next = self.standing.next_invoice;
            self.standing.owes = next.is_some_and(|next| !next.is_paid && next.period.start <= now);
            match self.standing.next_step(now) {
                Step::Rest(until) => {
                    assert!(until.is_none_or(|until| until > now), "{:?}", self.standing);
                    return taken;
                }
                step => self.take(step),
            }
        }
        panic!("it never rests: {:?}", self.standing);
    }

    fn take(&mut self, step: Step) {
        let standing = &mut self.standing;
        match step {
            Step::Issue { period, due_date } => {
                assert!(standing.next_invoice.is_none(), "two at once");
                standing.next_invoice = Some(NextInvoice {
                    period,
                    due_date,
                    is_paid: false,
                });
                self.invoices.push((period, false));
            }
            Step::Advance { period } => self.begin(period),
            Step::FallDue { since } => {
                standing.status = PastDue;
                standing.past_due_at = Some(since);
            }
            Step::Suspend { .. } => standing.status = Suspended,
            Step::Cancel { .. } => {
                standing.status = Canceled;
                standing.next_invoice = None;
            }
            Step::Rest(_) => {}
        }
    }

    fn begin(&mut self, period: Period) {
        let standing = &mut self.standing;
        standing.status = Active;
        standing.period = period;
        standing.past_due_at = None;
        standing.next_invoice = None;
        self.begun.push(period);
    }

    fn pay(&mut self, now: DateTime<Utc>) {
        let Some(next) = &mut self.standing.next_invoice else {
            return;
        };
        if next.is_paid {
            return;
        }
        next.is_paid = true;
        let period = next.period;
        self.invoices.last_mut().unwrap().1 = true;
        if period.start <= now {
            self.begin(period);
        } else {
            self.standing.status = Active;
        }
    }

    /// No gap, no overlap, and of each period one invoice.
    fn adds_up(&self) {
        for periods in self.begun.windows(2) {
            assert_eq!(periods[0].end, periods[1].start);
        }
        let charged: Vec<Period> = self
            .invoices
            .iter()
            .filter(|(_, paid)| *paid)
            .map(|(p, _)| *p)
            .collect();
        for periods in charged.windows(2) {
            assert_eq!(periods[0].end, periods[1].start);
        }
        let started = charged.len() - self.begun.len().min(charged.len());
        assert!(started <= 1, "at most the next one is paid in advance");
        assert_eq!(self.begun, charged[..self.begun.len()]);
    }
}

#[test]
fn a_trial_that_nobody_pays_sinks_on_its_dates() {
    let mut life = Life::trial(at("2026-03-10T12:00:00Z"), 7, 4990);
    let mut seen = Vec::new();
    for hour in 0..24 * 45 {
        let now = at("2026-03-10T12:00:00Z") + TimeDelta::hours(hour);
        let before = (life.standing.status, life.invoices.len());
        life.look(now);
        let after = (life.standing.status, life.invoices.len());
        if before != after {
            seen.push((
                now.to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
                after.0,
                after.1,
            ));
        }
    }
    let seen: Vec<_> = seen
        .iter()
        .map(|(now, status, invoices)| (now.as_str(), *status, *invoices))
        .collect();
    assert_eq!(
        seen,
        [
            ("2026-03-14T12:00:00Z", Trialing, 1),
            ("2026-03-17T12:00:00Z", PastDue, 1),
            ("2026-03-24T12:00:00Z", Suspended, 1),
            ("2026-04-16T12:00:00Z", Canceled, 1),
        ]
    );
    assert!(life.begun.is_empty());
}

#[test]
fn who_pays_during_the_trial_keeps_its_days() {
    let mut life = Life::trial(at("2026-01-24T12:00:00Z"), 7, 4990);
    life.look(at("2026-01-28T12:00:00Z"));
    life.pay(at("2026-01-28T13:00:00Z"));
    assert_eq!(life.standing.status, Active);
    assert_eq!(life.standing.period.end, at("2026-01-31T12:00:00Z"));
    assert_eq!(life.look(at("2026-01-31T11:59:59Z")), 0);
    life.look(at("2026-01-31T12:00:00Z"));
    assert_eq!(
        life.begun,
        [Period {
            start: at("2026-01-31T12:00:00Z"),
            end: at("2026-02-28T03:00:00Z")
        }]
    );
    assert_eq!(
        life.standing.next_period().end,
        at("2026-03-31T03:00:00Z"),
        "the day is kept"
    );
}

#[test]
fn who_is_told_late_has_time_to_pay() {
    let mut life = Life::trial(at("2026-03-10T12:00:00Z"), 7, 4990);
    let back = at("2026-04-20T12:00:00Z");
    life.look(back);
    assert_eq!(life.standing.status, PastDue);
    assert_eq!(life.standing.past_due_at, Some(at("2026-04-23T03:00:00Z")));
    assert_eq!(life.invoices.len(), 1);
    assert_eq!(life.invoices[0].0.start, at("2026-03-17T12:00:00Z"));
}

#[test]
fn a_free_plan_goes_on_by_itself_and_a_canceled_one_ends_with_what_is_paid() {
    let mut life = Life::trial(at("2026-03-10T12:00:00Z"), 7, 0);
    life.look(at("2026-07-01T12:00:00Z"));
    assert_eq!((life.standing.status, life.begun.len()), (Active, 4));
    assert!(life.invoices.is_empty());

    let mut life = Life::trial(at("2026-03-10T12:00:00Z"), 7, 4990);
    life.look(at("2026-03-14T12:00:00Z"));
    life.pay(at("2026-03-15T12:00:00Z"));
    life.standing.cancel_at_period_end = true;
    life.look(at("2026-03-20T12:00:00Z"));
    assert_eq!(life.standing.status, Active, "what is paid is served");
    life.look(at("2026-04-17T03:00:00Z"));
    assert_eq!((life.standing.status, life.invoices.len()), (Canceled, 1));
}

#[test]
fn who_awaits_the_first_payment_is_charged_from_the_day_on_which_it_looks() {
    let now = at("2026-03-10T12:00:00Z");
    let mut life = Life::trial(now, 7, 4990);
    life.standing.status = Suspended;
    life.standing.awaits_first_payment = true;
    life.standing.past_due_at = Some(now);
    assert_eq!(life.look(now), 1);
    assert_eq!(life.invoices[0].0, Period::anchored_at(now));
    assert_eq!(life.look(now + CANCELED_AFTER - TimeDelta::seconds(1)), 0);
    life.look(now + CANCELED_AFTER);
    assert_eq!(life.standing.status, Canceled);
}

#[test]
fn what_is_not_owed_any_more_is_forgiven() {
    let mut life = Life::trial(at("2026-03-10T12:00:00Z"), 7, 4990);
    life.look(at("2026-03-14T12:00:00Z"));
    life.pay(at("2026-03-15T12:00:00Z"));
    let now = at("2026-03-20T12:00:00Z");
    life.look(now);
    // Reopened by a refund, then taken back by an administrator.
    life.standing.status = PastDue;
    life.standing.past_due_at = Some(now);
    life.standing.owes = false;
    assert_eq!(
        life.standing.next_step(now),
        Step::Advance {
            period: life.standing.period
        }
    );
    // Late, and the invoice taken back: there is another one.
    let late = at("2026-04-20T12:00:00Z");
    life.standing.past_due_at = Some(life.standing.period.end);
    let period = life.standing.next_period();
    let due_date = "2026-04-23".parse().unwrap();
    assert_eq!(life.standing.next_step(late), Step::Issue { period, due_date });
    life.standing.next_price = Cents::ZERO;
    assert_eq!(life.standing.next_step(late), Step::Advance { period });
}

/// A tenant that was put away owes nothing for that time.
#[test]
fn periods_go_on_when_a_tenant_comes_back() {
    let mut life = Life::trial(at("2026-03-10T12:00:00Z"), 7, 4990);
    life.standing.in_service_since = Some(at("2026-09-05T15:00:00Z"));
    life.look(at("2026-09-05T16:00:00Z"));
    assert_eq!(
        life.invoices,
        [(Period::anchored_at(at("2026-09-05T15:00:00Z")), false)]
    );
}

#[test]
fn what_has_no_end_is_left_alone() {
    let mut life = Life::trial(at("2026-03-10T12:00:00Z"), 7, 4990);
    life.standing.status = Active;
    life.standing.period.end = at("9999-12-31T00:00:00Z");
    assert_eq!(life.look(at("2126-03-10T12:00:00Z")), 0);
    life.standing.status = Suspended;
    assert_eq!(
        life.look(at("2126-03-10T12:00:00Z")),
        0,
        "by hand, without a date"
    );
}

proptest! {
    /// Two years and more, from any day (leap days and both ways of putting the clock forward and back among them), looked at in
    /// any rhythm, with outages of weeks, and paid early or late: each period is charged exactly once.
    #[test]
    fn two_years_charge_each_period_once(
        first in 0..14_000i64, second in 0..86_400i64,
        looks in proptest::collection::vec((0..240i64, 0..=1i64), 200..400),
    ) {
        let start = at("1985-01-01T03:00:00Z") + TimeDelta::days(first) + TimeDelta::seconds(second);
        let mut life = Life::trial(start, 7, 4990);
        let mut now = start;
        for (hours, pays) in &looks {
            now += TimeDelta::hours(*hours);
            life.look(now);
            prop_assert_eq!(life.look(now), 0, "a step is taken once");
            if *pays == 1 {
                life.pay(now);
            }
            prop_assert!(life.invoices.iter().filter(|(_, paid)| !paid).count() <= 1);
            if life.standing.status == Canceled {
                break;
            }
        }
        life.adds_up();
    }

    /// Looked at twice a day and always paid, nothing is ever late, and the number of periods is that of the months.
    #[test]
    fn who_always_pays_is_never_past_due(first in 0..14_000i64, second in 0..86_400i64) {
        let start = at("1985-01-01T03:00:00Z") + TimeDelta::days(first) + TimeDelta::seconds(second);
        let mut life = Life::trial(start, 7, 4990);
        for half in 0..(2 * 740) {
            let now = start + TimeDelta::hours(12 * half);
            life.look(now);
            prop_assert!([Trialing, Active].contains(&life.standing.status));
            life.pay(now);
        }
        life.adds_up();
        prop_assert!((24..=25).contains(&life.begun.len()), "{}", life.begun.len());
    }
}
