//! What Meta's error codes mean for a message and for its number
//! (developers.facebook.com/docs/whatsapp/cloud-api/support/error-codes). Codes decide; the status of HTTP only where there is none.

use std::time::Duration;

use crate::channels::outbound::Unsent;

/// One person is written to too fast.
const ONE_PERSON: Duration = Duration::from_secs(6);
/// The number writes too fast.
const NUMBER: Duration = Duration::from_secs(2);
/// The account or the application asks too much; that is counted by the hour.
const ACCOUNT: Duration = Duration::from_secs(60);

/// Why a request has failed.
pub(super) fn unsent(status: u16, code: Option<i64>) -> Unsent {
    match code {
        Some(0 | 190) => Unsent::ShutOut("token_refused"),
        Some(3 | 10 | 200..=299 | 131_005) => Unsent::ShutOut("no_permission"),
        Some(368 | 131_031) => Unsent::ShutOut("account_blocked"),
        Some(33 | 133_010) => Unsent::ShutOut("number_unknown"),
        Some(131_056) => Unsent::WaitHere(ONE_PERSON),
        Some(130_429) => Unsent::Wait(NUMBER),
        Some(4 | 80_007) => Unsent::Wait(ACCOUNT),
        Some(1 | 2 | 131_000 | 131_016 | 131_057 | 133_004) => Unsent::Away("provider_error"),
        _ if status == 401 => Unsent::ShutOut("token_refused"),
        _ if status == 429 => Unsent::Wait(NUMBER),
        _ if status >= 500 => Unsent::Away("provider_error"),
        Some(code) => Unsent::Never(refused(code)),
        None => Unsent::Never("rejected"),
    }
}

/// Why a message will not arrive, in a word.
pub(super) fn refused(code: i64) -> &'static str {
    match code {
        131_047 => "outside_window",
        131_026 => "undeliverable",
        131_050 => "opted_out",
        130_472 | 131_049 => "held_back",
        131_048 => "spam_limit",
        131_042 => "payment_issue",
        131_030 => "recipient_not_allowed",
        _ => "rejected",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_decide() {
        for (status, code, expected) in [
            (401, Some(190), Unsent::ShutOut("token_refused")),
            (401, None, Unsent::ShutOut("token_refused")),
            (403, Some(10), Unsent::ShutOut("no_permission")),
            (403, Some(230), Unsent::ShutOut("no_permission")),
            (400, Some(131_047), Unsent::Never("outside_window")),
            (400, Some(131_026), Unsent::Never("undeliverable")),
            (400, Some(100), Unsent::Never("rejected")),
            (400, Some(130_429), Unsent::Wait(NUMBER)),
            (429, Some(130_429), Unsent::Wait(NUMBER)),
            (400, Some(131_056), Unsent::WaitHere(ONE_PERSON)),
            (400, Some(80_007), Unsent::Wait(ACCOUNT)),
            (429, None, Unsent::Wait(NUMBER)),
            (500, Some(131_000), Unsent::Away("provider_error")),
            (503, None, Unsent::Away("provider_error")),
            (500, Some(-1), Unsent::Away("provider_error")),
            (404, None, Unsent::Never("rejected")),
        ] {
            assert_eq!(unsent(status, code), expected, "{status} {code:?}");
        }
    }
}
