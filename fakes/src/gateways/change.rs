//! What payers, banks and accounts do to a payment, and what of it a payment's state allows.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::payment::{Payment, Refund, State};

/// One thing done. Over HTTP: `{"do":"pay_part","cents":100}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Change {
    /// The payer pays all of it.
    Pay,
    /// The payer pays less, or more.
    PayPart {
        /// In cents.
        cents: i64,
    },
    /// The payer pays in another currency.
    PayIn {
        /// `USD`
        currency: String,
    },
    /// The payer pays although it has expired.
    PayLate,
    /// The payer's bank says no.
    Reject,
    /// Somebody looks into it.
    Review,
    /// Its time is over.
    Expire,
    /// Its account takes it back.
    Cancel,
    /// Some of it goes back, or all that is left.
    Refund {
        /// In cents.
        #[serde(default)]
        cents: Option<i64>,
    },
    /// The payer's bank takes it back.
    ChargeBack,
    /// The payer's bank gives it again.
    WinChargeback,
}

impl Change {
    /// Makes the change.
    ///
    /// # Errors
    /// When the state does not allow it.
    pub(super) fn apply(
        &self,
        payment: &mut Payment,
        refund_id: &str,
        now: DateTime<Utc>,
    ) -> Result<(), String> {
        use State::{Canceled, ChargedBack, Expired, InReview, Paid, Rejected, Waiting};
        let mut after = payment.clone();
        after.state = match (self, payment.state) {
            (Self::Pay, Waiting | InReview | Rejected) | (Self::PayLate, Expired | Canceled) => {
                after.paid_cents = payment.cents;
                Paid
            }
            (Self::PayPart { cents }, Waiting | InReview) => {
                after.paid_cents = *cents;
                Paid
            }
            (Self::PayIn { currency }, Waiting | InReview) => {
                after.paid_cents = payment.cents;
                after.currency.clone_from(currency);
                Paid
            }
            (Self::Reject, Waiting | InReview) => Rejected,
            (Self::Review, Waiting) => InReview,
            (Self::Expire, Waiting | InReview | Rejected) => Expired,
            (Self::Cancel, Waiting | InReview) => Canceled,
            (Self::Refund { cents }, Paid) => refunded(&mut after, *cents, refund_id)?,
            (Self::ChargeBack, Paid) => ChargedBack,
            (Self::WinChargeback, ChargedBack) => {
                after.was_disputed = true;
                Paid
            }
            (_, state) => return Err(format!("{self:?} is not possible: the payment is {state:?}")),
        };
        after.updated_at = now;
        after.before = Some(Box::new(Payment {
            before: None,
            ..payment.clone()
        }));
        *payment = after;
        Ok(())
    }
}

fn refunded(payment: &mut Payment, cents: Option<i64>, id: &str) -> Result<State, String> {
    let left = payment.paid_cents - payment.refunded_cents();
    let cents = cents.unwrap_or(left);
    if cents <= 0 || cents > left {
        return Err(format!("{cents} cents cannot go back: {left} are left"));
    }
    payment.refunds.push(Refund {
        id: id.to_owned(),
        cents,
        description: None,
    });
    Ok(if cents == left {
        State::Refunded
    } else {
        State::Paid
    })
}
