//! Why a gateway did not do what it was asked for.

use std::fmt;
use std::time::Duration;

/// What came of a call that did not succeed. `Display` and `Debug` hold no personal data, and may be kept and logged.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// It will not do this, however often it is asked.
    #[error("the gateway refused: {code}")]
    Refused {
        /// The gateway's own code; or one of ours, when it would have been refused for sure.
        code: String,
        /// The gateway's own text.
        message: Said,
    },
    /// The account has no such payment.
    #[error("the gateway knows no such payment")]
    Unknown,
    /// The credentials are not good.
    #[error("the gateway refused the credentials")]
    Credentials,
    /// What it did before stands against it: a key used for another order, a payment in another state.
    #[error("the gateway has it otherwise")]
    Conflict,
    /// Too many requests, or an error of its own.
    #[error("the gateway is busy")]
    Busy {
        /// How long it asked to be left alone.
        retry_after: Option<Duration>,
    },
    /// No answer in time. It may have done what was asked for.
    #[error("the gateway did not answer")]
    Unreachable,
    /// An answer that makes no sense. It may have done what was asked for.
    #[error("the gateway's answer cannot be read")]
    Unreadable,
}

impl GatewayError {
    /// Whether the same call, later, may succeed.
    pub const fn may_be_repeated(&self) -> bool {
        matches!(self, Self::Busy { .. } | Self::Unreachable | Self::Unreadable)
    }

    /// A refusal of ours: the gateway would refuse it for sure.
    pub(super) fn refused(code: &str) -> Self {
        Self::Refused {
            code: code.to_owned(),
            message: Said::default(),
        }
    }

    /// The gateway does not collect in this way.
    pub(super) fn not_offered() -> Self {
        Self::refused("method_not_offered")
    }
}

/// What a gateway said, in its own words: may name a payer's address or document, so neither `Display` nor `Debug` shows it.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Said(String);

/// More of it nobody reads.
const LONGEST: usize = 500;

impl Said {
    /// Keeps a text, cut to what somebody reads.
    pub(super) fn new(text: &str) -> Self {
        Self(text.chars().take(LONGEST).collect())
    }

    /// The text, for the person whose order it is; never for a log.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Said(…)")
    }
}
