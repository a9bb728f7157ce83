//! A charge: one attempt to collect one amount, for the platform or for a tenant.

use super::ids::TenantId;
use super::payment::PaymentMethod;
use super::text_enum::text_enum;
use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

text_enum! {
    /// Who is paid.
    pub enum Payee {
        /// The platform, for an invoice.
        Platform = "platform",
        /// A tenant, for a due of one of its customers.
        Tenant = "tenant",
    }
}

text_enum! {
    /// Whether an account at a gateway is used for new charges. What was placed through it is followed either way.
    pub enum AccountStatus {
        /// It is.
        Active = "active",
        /// It is not.
        Disabled = "disabled",
    }
}

text_enum! {
    /// What has become of a refund.
    pub enum RefundState {
        /// To be asked of the gateway.
        Requested = "requested",
        /// The gateway gives the money back.
        Done = "done",
        /// The gateway will not.
        Failed = "failed",
    }
}

text_enum! {
    /// What a gateway says and nobody expected.
    pub enum FindingKind {
        /// Less was paid than asked for: it counts for nothing.
        Amount = "amount",
        /// It was paid in another currency: it counts for nothing.
        Currency = "currency",
        /// It was paid to another account of the gateway: it counts for nothing.
        Collector = "collector",
        /// It names a charge of another account: it counts for nothing.
        Account = "account",
        /// More was paid than asked for: all of it counts.
        Overpaid = "overpaid",
        /// One charge was paid twice: once counts.
        PaidTwice = "paid_twice",
        /// It was paid though nothing was owed any more: it counts, and is to be given back.
        Superfluous = "superfluous",
        /// It went back in a further part, when the ledger of invoices had one refund of each charge: of an older program.
        RefundedAgain = "refunded_again",
        /// The bank took it back and has given it again: that is not booked by itself.
        ChargebackWon = "chargeback_won",
    }
}

text_enum! {
    /// Whether somebody has looked at a finding.
    pub enum FindingStatus {
        /// Nobody has.
        Open = "open",
        /// Somebody has.
        Resolved = "resolved",
    }
}

/// For how long after its expiry a charge is asked about: whoever paid at the last moment may be told of late.
pub const ASKED_AFTER_EXPIRY: TimeDelta = TimeDelta::hours(48);

/// How long after its expiry a charge is tried with that neither goes on nor can be closed: no gateway leaves a payment undecided for
/// longer. What it tells later is heard still.
pub const GIVEN_UP_AFTER_EXPIRY: TimeDelta = TimeDelta::days(30);

/// When an open charge that the gateway has had `since` is asked about again, after `checks` times; `None`: no more, by itself.
pub fn next_check(
    checks: i32,
    since: DateTime<Utc>,
    expires_at: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Option<DateTime<Utc>> {
    let at = match checks {
        ..=0 => since + TimeDelta::minutes(1),
        1 => since + TimeDelta::minutes(5),
        2 => since + TimeDelta::minutes(15),
        3 => since + TimeDelta::hours(1),
        _ => now + TimeDelta::hours(6),
    };
    let at = at.max(now + TimeDelta::minutes(1));
    (at <= expires_at + ASKED_AFTER_EXPIRY).then_some(at)
}

/// How long something that failed so often in a row is left alone: from half a minute, twice as long each time, to six hours.
pub fn backoff(failures: i32) -> TimeDelta {
    TimeDelta::seconds(30 * (1_i64 << failures.clamp(0, 10))).min(TimeDelta::hours(6))
}

/// The key under which the gateway places a charge: the same for each try of one attempt, whoever makes it, and of nothing
/// else.
pub fn idempotency_key(tenant: TenantId, subject: Uuid, method: PaymentMethod, attempt: i32) -> Uuid {
    Uuid::new_v5(&subject, format!("{tenant}:{method}:{attempt}").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_open_charge_is_asked_about_ever_more_seldom_until_two_days_after_its_expiry() {
        let placed = DateTime::UNIX_EPOCH;
        let expires = placed + TimeDelta::hours(24);
        let (mut now, mut asked) = (placed, Vec::new());
        for checks in 0.. {
            let Some(at) = next_check(checks, placed, expires, now) else {
                break;
            };
            asked.push((at - placed).num_minutes());
            now = at;
        }
        assert_eq!(asked.first_chunk(), Some(&[1, 5, 15, 60, 7 * 60, 13 * 60]));
        assert_eq!(asked.last(), Some(&(67 * 60)), "{asked:?}");
    }

    #[test]
    fn what_is_long_overdue_is_not_asked_about_at_once_again() {
        let placed = DateTime::UNIX_EPOCH;
        let now = placed + TimeDelta::hours(3);
        let next = next_check(0, placed, placed + TimeDelta::hours(24), now);
        assert_eq!(next, Some(now + TimeDelta::minutes(1)));
    }

    #[test]
    fn a_failure_waits_longer_each_time_up_to_six_hours() {
        let waits: Vec<i64> = (0..12).map(|failures| backoff(failures).num_seconds()).collect();
        assert!(waits.is_sorted(), "{waits:?}");
        assert_eq!((waits.first(), waits.last()), (Some(&30), Some(&21_600)));
        assert_eq!(backoff(i32::MAX), TimeDelta::hours(6));
    }

    #[test]
    fn a_key_is_that_of_one_attempt() {
        let (tenant, subject) = (TenantId::new(), Uuid::now_v7());
        let key = |attempt| idempotency_key(tenant, subject, PaymentMethod::Pix, attempt);
        assert_eq!(key(1), key(1));
        assert_ne!(key(1), key(2));
        assert_ne!(key(1), idempotency_key(tenant, subject, PaymentMethod::Card, 1));
        assert_ne!(
            key(1),
            idempotency_key(TenantId::new(), subject, PaymentMethod::Pix, 1)
        );
    }
}
