//! What a tenant's subscription lets it do at a given moment.
//!
//! The stored status says what was last decided; how far an unpaid subscription has sunk since then is derived
//! from the clock whenever it is read, so that no job has to run for a trial to end. Days count as 24 hours.

use super::text_enum::text_enum;
use chrono::{DateTime, TimeDelta, Utc};

text_enum! {
    /// `trialing → active ⇄ past_due → suspended → canceled`.
    pub enum SubscriptionStatus {
        /// Trying the product out.
        Trialing = "trialing",
        /// Paid.
        Active = "active",
        /// Something is due; all is served still.
        PastDue = "past_due",
        /// Did not pay for [`SUSPENDED_AFTER`]: may read, pay and receive.
        Suspended = "suspended",
        /// Did not pay for [`CANCELED_AFTER`], or gave up.
        Canceled = "canceled",
    }
}

/// How long after the day on which payment was due a subscription is suspended.
pub const SUSPENDED_AFTER: TimeDelta = TimeDelta::days(7);
/// How long after that day it is canceled.
pub const CANCELED_AFTER: TimeDelta = TimeDelta::days(30);

/// A subscription as stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SubscriptionState {
    /// What was last decided.
    pub status: SubscriptionStatus,
    /// When the trial ends; without an end it never does.
    pub trial_ends_at: Option<DateTime<Utc>>,
    /// Since when payment is due.
    pub past_due_at: Option<DateTime<Utc>>,
}

impl SubscriptionState {
    /// The status at `now`. An end is exclusive: at the very moment at which a trial ends it has ended.
    pub fn at(&self, now: DateTime<Utc>) -> SubscriptionStatus {
        use SubscriptionStatus::{Active, Canceled, PastDue, Suspended, Trialing};
        let due = match self.status {
            Active | Canceled => None,
            Trialing => self.trial_ends_at,
            PastDue | Suspended => self.past_due_at,
        };
        let sunk = match due.map(|due| now - due) {
            None => self.status,
            Some(late) if late >= CANCELED_AFTER => Canceled,
            Some(late) if late >= SUSPENDED_AFTER => Suspended,
            Some(late) if late >= TimeDelta::zero() => PastDue,
            Some(_) => self.status,
        };
        // What was decided by hand is not undone by the calendar.
        if self.status == Suspended && sunk == PastDue {
            Suspended
        } else {
            sunk
        }
    }
}

/// How much of the product a subscription opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gate {
    /// Everything.
    Full,
    /// Reading, paying and receiving.
    ReadOnly,
    /// Seeing what is owed, and taking one's data away.
    BillingOnly,
}

/// What part of the product an operation belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Section {
    /// Logging in and out, one's own account.
    Login,
    /// The subscription and its invoices.
    Billing,
    /// Paying.
    Checkout,
    /// Reading the tenant's data, and its public pages.
    Read,
    /// Changing the tenant's data, bots, sending.
    Write,
    /// Booking or giving back what was reserved before.
    Settle,
    /// Messages that come in from outside.
    Inbound,
    /// Taking all of the tenant's data away.
    Export,
}

impl Gate {
    /// The gate of a tenant with this status; of a tenant without any subscription when `None`.
    pub const fn of(status: Option<SubscriptionStatus>) -> Self {
        use SubscriptionStatus::{Active, Canceled, PastDue, Suspended, Trialing};
        match status {
            Some(Trialing | Active | PastDue) => Self::Full,
            Some(Suspended) => Self::ReadOnly,
            Some(Canceled) | None => Self::BillingOnly,
        }
    }

    /// Whether operations of this section are served; the others are answered `subscription_inactive`.
    pub const fn allows(self, section: Section) -> bool {
        use Section::{Billing, Export, Login, Write};
        match self {
            Self::Full => true,
            Self::ReadOnly => !matches!(section, Write),
            Self::BillingOnly => matches!(section, Login | Billing | Export),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use SubscriptionStatus::{Active, Canceled, PastDue, Suspended, Trialing};
    use proptest::prelude::*;

    const DUE: DateTime<Utc> = DateTime::UNIX_EPOCH;

    fn state(status: SubscriptionStatus) -> SubscriptionState {
        SubscriptionState {
            status,
            trial_ends_at: Some(DUE),
            past_due_at: Some(DUE),
        }
    }

    #[test]
    fn a_trial_sinks_by_the_clock() {
        let second = TimeDelta::seconds(1);
        for (after, status) in [
            (-second, Trialing),
            (TimeDelta::zero(), PastDue),
            (SUSPENDED_AFTER - second, PastDue),
            (SUSPENDED_AFTER, Suspended),
            (CANCELED_AFTER - second, Suspended),
            (CANCELED_AFTER, Canceled),
        ] {
            assert_eq!(state(Trialing).at(DUE + after), status, "{after}");
        }
    }

    #[test]
    fn what_has_no_end_does_not_end() {
        let endless = |status| SubscriptionState {
            status,
            trial_ends_at: None,
            past_due_at: None,
        };
        for status in SubscriptionStatus::ALL {
            assert_eq!(endless(*status).at(DUE + TimeDelta::days(9999)), *status);
        }
        assert_eq!(state(Active).at(DUE + TimeDelta::days(9999)), Active);
        assert_eq!(state(Suspended).at(DUE + TimeDelta::days(1)), Suspended);
    }

    #[test]
    fn each_gate_opens_what_it_says() {
        use Section::{Billing, Checkout, Export, Inbound, Login, Read, Settle, Write};
        let open = |status| {
            let gate = Gate::of(status);
            [Login, Billing, Checkout, Read, Write, Inbound, Export, Settle]
                .map(|section| gate.allows(section))
        };
        for status in [Trialing, Active, PastDue] {
            assert_eq!(open(Some(status)), [true; 8]);
        }
        assert_eq!(
            open(Some(Suspended)),
            [true, true, true, true, false, true, true, true]
        );
        for status in [Some(Canceled), None] {
            assert_eq!(
                open(status),
                [true, true, false, false, false, false, true, false]
            );
        }
    }

    proptest! {
        #[test]
        fn nothing_gets_better_by_waiting(
            status in proptest::sample::select(SubscriptionStatus::ALL), day in -10..60i64, later in 0..60i64,
        ) {
            let place = |status| SubscriptionStatus::ALL.iter().position(|s| *s == status);
            let at = |day| place(state(status).at(DUE + TimeDelta::days(day)));
            prop_assert!(at(day) <= at(day + later));
            prop_assert!(place(status) <= at(day));
        }
    }
}
