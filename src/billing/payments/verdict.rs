//! What a payment, as the gateway sees it, means for the charge that it names. No IO: everything that decides about money
//! is decided here.

use crate::billing::gateways::PaymentSeen;
use crate::db::master::payments::charges::ChargeRecord;
use crate::domain::charge::FindingKind;
use crate::domain::money::Cents;
use crate::domain::payment::{PaymentMethod, PaymentStatus};

/// What is to be done about a charge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing: it is known, or old.
    Nothing,
    /// It is not what was asked for, or came back after the bank had taken it: it counts for nothing.
    Refused(FindingKind),
    /// The charge has come further. What is booked is told beside it.
    Moved(Move),
}

/// How far a charge has come, and what that means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Move {
    /// Its status from here on.
    pub status: PaymentStatus,
    /// So much has come in, which was not known.
    pub paid: Option<Cents>,
    /// So much more has gone back.
    pub returned: Option<Cents>,
}

/// Judges a payment that names this charge, of an account that the gateway calls `collector`.
pub(super) fn judge(charge: &ChargeRecord, collector: Option<&str>, seen: &PaymentSeen) -> Verdict {
    use PaymentStatus::{Canceled, ChargedBack, Paid, Refunded, Rejected};
    match seen.status {
        Paid | Refunded | ChargedBack => judge_money(charge, collector, seen),
        // Whoever sees a page may try again until it expires; and a payment that is not the charge's own is one of several.
        Rejected | Canceled
            if charge.method == PaymentMethod::Checkout
                || charge
                    .payment_id
                    .as_ref()
                    .is_some_and(|known| *known != seen.payment_id) =>
        {
            Verdict::Nothing
        }
        status if status.follows(charge.status) => Verdict::Moved(Move {
            status,
            paid: None,
            returned: None,
        }),
        _ => Verdict::Nothing,
    }
}

fn judge_money(charge: &ChargeRecord, collector: Option<&str>, seen: &PaymentSeen) -> Verdict {
    let is_other = |(own, told): (&str, &String)| own != told.as_str();
    if collector.zip(seen.collector.as_ref()).is_some_and(is_other) {
        return Verdict::Refused(FindingKind::Collector);
    }
    if seen.currency != charge.currency {
        return Verdict::Refused(FindingKind::Currency);
    }
    if seen.amount < charge.amount {
        return Verdict::Refused(FindingKind::Amount);
    }
    if charge.status == PaymentStatus::ChargedBack && seen.status == PaymentStatus::Paid {
        let told = seen.updated_at.zip(charge.payment_updated_at);
        // Old news, where the gateway dates them.
        return match told.is_none_or(|(told, known)| told > known) {
            true => Verdict::Refused(FindingKind::ChargebackWon),
            false => Verdict::Nothing,
        };
    }
    let paid = charge.paid.is_none().then_some(seen.amount);
    let whole = charge.paid.unwrap_or(seen.amount);
    // Not every gateway tells how much a chargeback, or a refund of everything, was.
    let back = match seen.status {
        PaymentStatus::Paid => seen.refunded.min(whole),
        _ => whole,
    };
    let returned = Cents::parse(back.get() - charge.refunded.get())
        .ok()
        .filter(|more| *more > Cents::ZERO);
    let status = if seen.status.follows(charge.status) {
        seen.status
    } else {
        charge.status
    };
    if paid.is_none() && returned.is_none() && status == charge.status {
        return Verdict::Nothing;
    }
    Verdict::Moved(Move {
        status,
        paid,
        returned,
    })
}

/// Which of several payments of one charge counts, and whether it was paid more than once. `seen` is the one that somebody
/// told of, `found` all that the gateway knows, possibly without what was placed a moment ago.
pub(super) fn choose(
    charge: &ChargeRecord,
    seen: Option<PaymentSeen>,
    found: Vec<PaymentSeen>,
) -> (Option<PaymentSeen>, Option<PaymentSeen>) {
    use PaymentStatus::{Canceled, InProcess, Paid, Pending, Rejected};
    let own = charge.paid.and(charge.payment_id.as_deref());
    let is_own = |one: &PaymentSeen| own == Some(one.payment_id.as_str());
    let mut paid: Vec<&PaymentSeen> = found.iter().filter(|one| one.status == Paid).collect();
    paid.sort_by_key(|one| (!is_own(one), one.payment_id.clone()));
    let twice = paid.get(1).map(|one| (*one).clone());
    if let Some(first) = paid.first() {
        return (Some((*first).clone()), twice);
    }
    let mut all = found;
    all.extend(seen);
    // The charge's own once it was paid; then what has come to money; then what may still be paid; then what is over.
    let order = |one: &PaymentSeen| match one.status {
        _ if is_own(one) => 3,
        Pending | InProcess => 1,
        Rejected | Canceled => 0,
        _ => 2,
    };
    (all.into_iter().max_by_key(order), None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::charge::Payee;
    use crate::domain::ids::{ChargeId, GatewayAccountId, TenantId};
    use crate::domain::payment::GatewayKind;
    use PaymentStatus::{Canceled, ChargedBack, InProcess, Paid, Pending, Refunded, Rejected};
    use chrono::DateTime;
    use proptest::prelude::*;
    use uuid::Uuid;

    fn cents(amount: i64) -> Cents {
        Cents::parse(amount).unwrap()
    }

    fn charge(method: PaymentMethod) -> ChargeRecord {
        ChargeRecord {
            id: ChargeId::new(),
            account: GatewayAccountId::new(),
            gateway: GatewayKind::MercadoPago,
            tenant: TenantId::new(),
            payee: Payee::Platform,
            subject: Uuid::now_v7(),
            method,
            attempt: 1,
            amount: cents(9900),
            currency: "BRL".to_owned(),
            status: Pending,
            expires_at: DateTime::UNIX_EPOCH,
            card: None,
            asked: 1,
            placed_at: Some(DateTime::UNIX_EPOCH),
            payment_id: Some("1".to_owned()),
            payment_updated_at: None,
            page_id: None,
            pix_code: None,
            pay_url: None,
            barcode: None,
            paid: None,
            settled_at: None,
            refunded: Cents::ZERO,
            applied_at: None,
            checks: 0,
            last_error: None,
            created_at: DateTime::UNIX_EPOCH,
        }
    }

    fn seen(id: &str, status: PaymentStatus) -> PaymentSeen {
        PaymentSeen {
            payment_id: id.to_owned(),
            reference: None,
            collector: Some("77".to_owned()),
            status,
            amount: cents(9900),
            refunded: match status {
                Refunded => cents(9900),
                _ => Cents::ZERO,
            },
            currency: "BRL".to_owned(),
            method: None,
            updated_at: None,
            card: None,
        }
    }

    /// What a charge becomes when this verdict is carried out, and what is booked: in, back.
    fn carried_out(charge: &ChargeRecord, verdict: Verdict, booked: &mut (i64, i64)) -> ChargeRecord {
        let mut next = charge.clone();
        if let Verdict::Moved(moved) = verdict {
            next.status = moved.status;
            next.paid = next.paid.or(moved.paid);
            let back = moved.returned.unwrap_or_default();
            next.refunded = cents(next.refunded.get() + back.get());
            booked.0 += moved.paid.unwrap_or_default().get();
            booked.1 += back.get();
        }
        next
    }

    #[test]
    fn only_what_was_asked_for_counts() {
        let charge = charge(PaymentMethod::Pix);
        let judged = |change: fn(&mut PaymentSeen)| {
            let mut payment = seen("1", Paid);
            change(&mut payment);
            judge(&charge, Some("77"), &payment)
        };
        for (change, kind) in [
            (
                (|payment| payment.amount = cents(9899)) as fn(&mut PaymentSeen),
                FindingKind::Amount,
            ),
            (
                |payment| payment.currency = "ARS".to_owned(),
                FindingKind::Currency,
            ),
            (
                |payment| payment.collector = Some("78".to_owned()),
                FindingKind::Collector,
            ),
        ] {
            assert_eq!(judged(change), Verdict::Refused(kind));
        }
        let paid = |amount| {
            Verdict::Moved(Move {
                status: Paid,
                paid: Some(cents(amount)),
                returned: None,
            })
        };
        assert_eq!(judged(|_| {}), paid(9900));
        assert_eq!(judged(|payment| payment.collector = None), paid(9900));
        assert_eq!(judged(|payment| payment.amount = cents(9901)), paid(9901));
    }

    #[test]
    fn a_page_lets_its_payer_try_again() {
        let page = charge(PaymentMethod::Checkout);
        for status in [Rejected, Canceled] {
            assert_eq!(judge(&page, None, &seen("1", status)), Verdict::Nothing);
            assert_ne!(
                judge(&charge(PaymentMethod::Card), None, &seen("1", status)),
                Verdict::Nothing
            );
        }
        // One of two payments of a PIX: the other one may still be paid.
        assert_eq!(
            judge(&charge(PaymentMethod::Pix), None, &seen("2", Canceled)),
            Verdict::Nothing
        );
    }

    #[test]
    fn what_went_back_in_parts_is_told_in_parts() {
        let mut charge = charge(PaymentMethod::Pix);
        let mut booked = (0, 0);
        let mut payment = seen("1", Paid);
        for (refunded, status) in [(0, Paid), (4000, Paid), (4000, Paid), (9900, Refunded)] {
            (payment.refunded, payment.status) = (cents(refunded), status);
            charge = carried_out(&charge, judge(&charge, None, &payment), &mut booked);
            assert_eq!(booked, (9900, refunded));
        }
        assert_eq!(charge.status, Refunded);
    }

    #[test]
    fn money_that_a_bank_gives_again_is_told_and_old_news_are_not() {
        let mut charge = charge(PaymentMethod::Pix);
        (charge.status, charge.paid, charge.refunded) = (ChargedBack, Some(cents(9900)), cents(9900));
        let mut payment = seen("1", Paid);
        let won = Verdict::Refused(FindingKind::ChargebackWon);
        assert_eq!(judge(&charge, None, &payment), won);
        let at = |seconds| DateTime::from_timestamp(seconds, 0);
        charge.payment_updated_at = at(10);
        for (seconds, expected) in [(9, Verdict::Nothing), (10, Verdict::Nothing), (11, won)] {
            payment.updated_at = at(seconds);
            assert_eq!(judge(&charge, None, &payment), expected, "{seconds}");
        }
    }

    #[test]
    fn a_second_payment_is_named_and_counts_for_nothing() {
        let mut charge = charge(PaymentMethod::Checkout);
        let (chosen, twice) = choose(
            &charge,
            Some(seen("1", Rejected)),
            vec![seen("3", Paid), seen("1", Rejected)],
        );
        assert_eq!(chosen.map(|one| one.payment_id).as_deref(), Some("3"));
        assert_eq!(twice, None);
        (charge.payment_id, charge.paid, charge.status) = (Some("3".to_owned()), Some(cents(9900)), Paid);
        let both = vec![seen("2", Paid), seen("3", Paid)];
        let (chosen, twice) = choose(&charge, Some(seen("2", Paid)), both);
        assert_eq!(chosen.map(|one| one.payment_id).as_deref(), Some("3"));
        assert_eq!(twice.map(|one| one.payment_id).as_deref(), Some("2"));
        // One of the two goes back: it is still paid.
        let (chosen, _) = choose(
            &charge,
            Some(seen("3", Refunded)),
            vec![seen("2", Paid), seen("3", Refunded)],
        );
        assert_eq!(chosen.map(|one| one.status), Some(Paid));
    }

    proptest! {
        /// Deliveries in any order and number, each of which shows the payment as it is then: the books end the same.
        #[test]
        fn any_deliveries_end_the_same(looks in proptest::collection::vec(0..5_usize, 1..12)) {
            let course = [Pending, InProcess, Paid, Refunded, ChargedBack];
            let mut charge = charge(PaymentMethod::Pix);
            let (mut booked, mut furthest) = ((0, 0), 0);
            for look in looks.iter().chain([&4]) {
                // A look that comes late shows what an earlier one has shown.
                furthest = furthest.max(*look);
                let shown = seen("1", course[*look]);
                charge = carried_out(&charge, judge(&charge, None, &shown), &mut booked);
                prop_assert_eq!(charge.status, course[furthest]);
            }
            prop_assert_eq!((charge.status, booked), (ChargedBack, (9900, 9900)));
        }
    }
}
