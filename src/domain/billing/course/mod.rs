//! What happens next to a subscription: decided from what is stored and the time alone.
//!
//! [`Standing::next_step`] names one step at a time. Whoever takes it stores what it says and asks again, until it is told to
//! rest: so a clock that stood still for weeks takes the same steps as one that never did, and a step that was taken is
//! not taken again. The invoice of a period is issued [`NOTICE_DAYS`] before it begins, and there is never more than one
//! that is not paid.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};

use super::dunning::morning;
use super::period::{Period, local_date};
use crate::domain::money::Cents;
use crate::domain::month::{BOOKS_TZ, start_of_day};
use crate::domain::subscription::{CANCELED_AFTER, SUSPENDED_AFTER, SubscriptionStatus};

/// Days before a period at which its invoice is issued, and that everybody has to pay one.
pub const NOTICE_DAYS: i64 = 3;

/// A subscription as it is stored, with its next invoice.
#[derive(Debug, Clone, Copy)]
pub struct Standing {
    /// What was last decided.
    pub status: SubscriptionStatus,
    /// The trial, or the period that was last begun. Of one that awaits its first payment it says nothing.
    pub period: Period,
    /// Local day on which periods begin.
    pub anchor_day: i16,
    /// Since when payment is due.
    pub past_due_at: Option<DateTime<Utc>>,
    /// It begins when it is first paid: without a trial.
    pub awaits_first_payment: bool,
    /// Its owner wants it to end with what is paid.
    pub cancel_at_period_end: bool,
    /// Of the plan from the next period on.
    pub next_price: Cents,
    /// The invoice of the next period, or of the first one.
    pub next_invoice: Option<NextInvoice>,
    /// Whether something of it should have been paid by now; of a canceled one, whether anything is open.
    pub owes: bool,
    /// When its tenant was last put into service; periods before that are not charged.
    pub in_service_since: Option<DateTime<Utc>>,
}

/// The invoice of a period that has not begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NextInvoice {
    /// What is charged.
    pub period: Period,
    /// When it is due.
    pub due_date: NaiveDate,
    /// Whether it was paid.
    pub is_paid: bool,
}

/// One change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Issue the invoice of the next period.
    Issue {
        /// What it charges.
        period: Period,
        /// When it is due.
        due_date: NaiveDate,
    },
    /// Begin the next period.
    Advance {
        /// Which.
        period: Period,
    },
    /// The next period is not paid.
    FallDue {
        /// Since when.
        since: DateTime<Utc>,
    },
    /// It was not paid for [`SUSPENDED_AFTER`].
    Suspend {
        /// When that was.
        at: DateTime<Utc>,
    },
    /// It ends, and what is still to be paid is taken back.
    Cancel {
        /// When that was.
        at: DateTime<Utc>,
    },
    /// Nothing; nor before this moment, if there is one.
    Rest(Option<DateTime<Utc>>),
}

impl Standing {
    /// What to do now.
    pub fn next_step(&self, now: DateTime<Utc>) -> Step {
        use SubscriptionStatus::{Active, Canceled, PastDue, Suspended, Trialing};
        match self.status {
            Canceled if self.owes => Step::Cancel { at: now },
            Canceled => Step::Rest(None),
            Suspended if self.awaits_first_payment => self.first_payment(now),
            PastDue | Suspended => self.sinking(now),
            Trialing | Active => self.living(now),
        }
    }

    /// It begins with the day of its payment, so its first period is a month from now on.
    fn first_payment(&self, now: DateTime<Utc>) -> Step {
        let step = self.sinking(now);
        if !matches!(step, Step::Rest(_)) {
            return step;
        }
        let period = Period::anchored_at(now);
        match self.next_invoice {
            None if self.next_price == Cents::ZERO => Step::Advance { period },
            None => Step::Issue {
                period,
                due_date: first_due(now),
            },
            Some(_) => step,
        }
    }

    fn sinking(&self, now: DateTime<Utc>) -> Step {
        let Some(since) = self.past_due_at else {
            return Step::Rest(None);
        };
        let (suspended, canceled) = (since + SUSPENDED_AFTER, since + CANCELED_AFTER);
        if now >= canceled {
            Step::Cancel { at: canceled }
        } else if !self.owes && !self.awaits_first_payment {
            self.forgiven(now)
        } else if self.status == SubscriptionStatus::Suspended {
            Step::Rest(Some(canceled))
        } else if now >= suspended {
            Step::Suspend { at: suspended }
        } else {
            Step::Rest(Some(suspended))
        }
    }

    /// What was owed was taken back: it goes on as if it had been paid, or with another invoice.
    fn forgiven(&self, now: DateTime<Utc>) -> Step {
        let period = self.next_period();
        match self.next_invoice {
            _ if now < self.period.end => Step::Advance { period: self.period },
            Some(next) => Step::Advance { period: next.period },
            None if self.next_price == Cents::ZERO => Step::Advance { period },
            None => Step::Issue {
                period,
                due_date: first_due(now),
            },
        }
    }

    fn living(&self, now: DateTime<Utc>) -> Step {
        let end = self.period.end;
        let is_over = now >= end;
        let at_its_end = |step| if is_over { step } else { Step::Rest(Some(end)) };
        match self.next_invoice {
            Some(next) if next.is_paid => at_its_end(Step::Advance { period: next.period }),
            _ if self.cancel_at_period_end => at_its_end(Step::Cancel { at: end }),
            Some(next) => at_its_end(Step::FallDue {
                since: end.max(start_of_day(next.due_date, BOOKS_TZ)),
            }),
            None if self.next_price == Cents::ZERO => at_its_end(Step::Advance {
                period: self.next_period(),
            }),
            None => {
                let issue_at = morning(local_date(end) - TimeDelta::days(NOTICE_DAYS));
                if now < issue_at {
                    return Step::Rest(Some(issue_at));
                }
                Step::Issue {
                    period: self.next_period(),
                    due_date: local_date(end).max(first_due(now)),
                }
            }
        }
    }

    /// The period that follows. One that would have begun while the tenant was put away begins when it came back.
    pub fn next_period(&self) -> Period {
        match self.in_service_since {
            Some(back) if back > self.period.end => Period::anchored_at(back),
            _ => Period::beginning(self.period.end, self.anchor_day),
        }
    }
}

/// The earliest day on which something that is issued now is due.
pub fn first_due(now: DateTime<Utc>) -> NaiveDate {
    local_date(now) + TimeDelta::days(NOTICE_DAYS)
}

#[cfg(test)]
mod tests;
