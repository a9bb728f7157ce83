//! What a larger plan costs for the rest of a period.
//!
//! Both shares are rounded by themselves, half up, and both are shown to the customer. With D the days of the period and R
//! those that are left, the day of the change among them: `charge = rnd(new · R/D)`, `credit = rnd(paid · R/D)`, but never
//! more than what is left of what was paid for the period; `rnd(n/d) = (2n + d) / (2d)` in whole numbers.

use crate::domain::money::Cents;

/// A change of plan in a period.
#[derive(Debug, Clone, Copy)]
pub struct Change {
    /// Price of a whole period of the plan that is left.
    pub old_price: Cents,
    /// Price of a whole period of the plan that is taken.
    pub new_price: Cents,
    /// Days of the period.
    pub days: i64,
    /// Days that are left of it, the day of the change among them.
    pub days_left: i64,
    /// All that was charged and paid for this period.
    pub fee: Cents,
    /// What of it was credited by earlier changes.
    pub prior_credits: Cents,
}

/// The two lines of an invoice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proration {
    /// For the new plan.
    pub charge: Cents,
    /// For the old one; to be subtracted.
    pub credit: Cents,
}

impl Change {
    /// What is to be charged and credited.
    pub fn proration(&self) -> Proration {
        let left = self.fee.get().saturating_sub(self.prior_credits.get()).max(0);
        let credit = self.share(self.old_price).get().min(left);
        Proration {
            charge: self.share(self.new_price),
            credit: Cents::parse(credit).unwrap_or_default(),
        }
    }

    fn share(&self, price: Cents) -> Cents {
        let days = i128::from(self.days.max(1));
        let left = i128::from(self.days_left).clamp(0, days);
        let rounded = (2 * i128::from(price.get()) * left + days) / (2 * days);
        // Never more than the price, which fits.
        i64::try_from(rounded)
            .ok()
            .and_then(|cents| Cents::parse(cents).ok())
            .unwrap_or(price)
    }
}

impl Proration {
    /// What is to be paid, in cents; not positive: the change costs nothing.
    pub const fn net(self) -> i64 {
        self.charge.get() - self.credit.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cents(amount: i64) -> Cents {
        Cents::parse(amount).unwrap()
    }

    fn change(old: i64, new: i64, days: i64, days_left: i64, fee: i64, prior: i64) -> Proration {
        let change = Change {
            old_price: cents(old),
            new_price: cents(new),
            days,
            days_left,
            fee: cents(fee),
            prior_credits: cents(prior),
        };
        change.proration()
    }

    #[test]
    fn the_known_figures() {
        let found = change(9900, 19_900, 30, 12, 9900, 0);
        assert_eq!((found.charge, found.credit), (cents(7960), cents(3960)));
        assert_eq!(found.net(), 4000);
        assert_eq!(change(4990, 9990, 31, 9, 4990, 0).net(), 1451, "two roundings");
    }

    #[test]
    fn nothing_is_credited_that_was_not_paid_or_was_credited_before() {
        assert_eq!(change(0, 9900, 30, 30, 0, 0).net(), 9900);
        assert_eq!(change(9900, 19_900, 30, 12, 0, 0).credit, Cents::ZERO);
        assert_eq!(change(9900, 19_900, 30, 12, 9900, 9000).credit, cents(900));
        assert_eq!(change(9900, 19_900, 30, 12, 9900, 10_000).credit, Cents::ZERO);
        assert_eq!(change(9900, 19_900, 30, 0, 9900, 0).net(), 0);
        assert_eq!(
            change(Cents::MAX.get(), Cents::MAX.get(), 31, 31, Cents::MAX.get(), 0).net(),
            0
        );
    }

    proptest! {
        #[test]
        fn the_whole_period_is_the_whole_price(old in 0..=Cents::MAX.get(), new in 0..=Cents::MAX.get(), days in 1..=31i64) {
            let found = change(old, new, days, days, old, 0);
            prop_assert_eq!((found.charge, found.credit), (cents(new), cents(old)));
        }

        /// Each share is the exact one, rounded: less than half a cent, or just half a one, away.
        #[test]
        fn no_cent_is_made_or_lost_by_rounding(price in 0..=Cents::MAX.get(), days in 28..=31i64, left in 0..=31i64) {
            let left = left.min(days);
            let share = i128::from(change(0, price, days, left, 0, 0).charge.get());
            let exact = i128::from(price) * i128::from(left);
            let off = (share * i128::from(days) - exact) * 2;
            prop_assert!(-i128::from(days) < off && off <= i128::from(days), "{} {}", share, off);
        }

        /// However often somebody changes to larger plans: what is paid in all is what the days of each plan cost, but for a
        /// cent per change; and never is more credited than was paid.
        #[test]
        fn changes_in_a_row_add_up(
            first in 0..100_000i64, raises in proptest::collection::vec((1..100_000i64, 0..31i64), 0..8), days in 28..=31i64,
        ) {
            let mut price = first;
            let (mut fee, mut credits, mut left) = (first, 0, days);
            let mut exact = 0;
            for (raise, later) in &raises {
                let at = (left - later).max(0);
                exact += i128::from(price) * i128::from(left - at);
                let found = change(price, price + raise, days, at, fee, credits);
                prop_assert!(found.net() >= 0);
                fee += found.charge.get();
                credits += found.credit.get();
                prop_assert!(credits <= fee);
                (price, left) = (price + raise, at);
            }
            exact += i128::from(price) * i128::from(left);
            let paid = i128::from(fee - credits) * i128::from(days);
            let most = i128::from(days) * i128::try_from(raises.len()).unwrap();
            prop_assert!((paid - exact).abs() <= most, "{} {}", paid, exact);
        }

        /// Going up twice on one day costs what going there at once costs.
        #[test]
        fn a_detour_on_one_day_is_free(
            old in 0..100_000i64, middle in 0..100_000i64, new in 0..100_000i64, days in 28..=31i64, left in 0..=28i64,
        ) {
            let straight = change(old, new, days, left, old, 0).net();
            let there = change(old, middle, days, left, old, 0);
            let on = change(middle, new, days, left, old + there.charge.get(), there.credit.get());
            prop_assert_eq!(there.net() + on.net(), straight);
        }
    }
}
