//! Amounts, keys and reservations: the words in which consumption is asked for, booked and answered.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Serialize, Serializer};
use utoipa::ToSchema;
use uuid::Uuid;

use super::bounded::bounded_number;
use super::invalid::Invalid;
use super::text_enum::text_enum;
use super::usage::Meter;

bounded_number!(
    /// How much is reserved or recorded at once: messages, tokens.
    Amount, 1, 1_000_000_000, 1
);

bounded_number!(
    /// How much was used of a reservation in the end; possibly nothing.
    ActualUse, 0, 1_000_000_000, 1
);

impl Amount {
    /// One of them.
    pub const ONE: Self = Self(1);
}

impl From<Amount> for ActualUse {
    fn from(amount: Amount) -> Self {
        Self(amount.get())
    }
}

text_enum! {
    /// What has become of a reservation.
    pub enum ReservationState {
        /// It keeps its amount free.
        Held = "held",
        /// What was used has been booked.
        Settled = "settled",
        /// Nothing was used.
        Released = "released",
        /// Nobody came back in time; what was used can still be booked.
        Expired = "expired",
    }
}

/// Names one effect on a tenant's counters, whatever the meter: the same key again is the same effect. Keys of the
/// tenant's own programs and keys of the platform's work never meet, so that a tenant can neither settle nor release what
/// was reserved for its messages.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UsageKey(String);

/// Before the keys that come in through the API.
const CLIENT: &str = "api:";
/// Before the keys of the platform's own work.
const WORK: &str = "work:";

impl UsageKey {
    /// Most characters of a key that a client chooses.
    pub const MAX: usize = 200;

    /// Of a message in the tenant's outbox: the sweeper asks the outbox about it before it lets the hold go.
    pub fn outbox(id: Uuid) -> Self {
        Self(id.hyphenated().to_string())
    }

    /// Of other work of the platform, as `UsageKey::work("ai_reply", message)`.
    pub fn work(kind: &'static str, id: Uuid) -> Self {
        Self(format!("{WORK}{kind}:{}", id.hyphenated()))
    }

    /// As a client of the API names it: 1 to 200 visible ASCII characters.
    ///
    /// # Errors
    /// `required`, `too_long`, `invalid_format`.
    pub fn parse(value: &str) -> Result<Self, Invalid> {
        if value.is_empty() {
            return Err(Invalid::required());
        }
        if !value.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Invalid::format("must be visible ASCII characters without spaces"));
        }
        if value.len() > Self::MAX {
            return Err(Invalid::too_long(Self::MAX));
        }
        Ok(Self(format!("{CLIENT}{value}")))
    }

    /// As it was stored.
    pub(crate) fn stored(key: String) -> Self {
        Self(key)
    }

    /// As it is stored.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The message in the outbox that it belongs to, if it belongs to one.
    pub fn outbox_id(&self) -> Option<Uuid> {
        let hyphenated = self.0.len() == uuid::fmt::Hyphenated::LENGTH;
        Uuid::try_parse(&self.0).ok().filter(|_| hyphenated)
    }
}

impl fmt::Display for UsageKey {
    /// As whoever chose it knows it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.strip_prefix(CLIENT).unwrap_or(&self.0))
    }
}

impl fmt::Debug for UsageKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UsageKey({})", self.0)
    }
}

impl Serialize for UsageKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// An amount that is kept free for something under way, and what has become of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Reservation {
    /// As it was named.
    #[schema(value_type = String, example = "order-1842")]
    pub key: UsageKey,
    /// Of what.
    pub meter: Meter,
    /// How much was reserved.
    pub amount: i64,
    /// What has become of it.
    pub state: ReservationState,
    /// How much was used; null until it is settled.
    pub settled_amount: Option<i64>,
    /// The month that it counts in, wherever it is settled, as `2026-03`.
    #[schema(example = "2026-03")]
    pub period: String,
    /// When it is let go unless it has been settled or released.
    pub expires_at: DateTime<Utc>,
}

/// What the counter said when it had no room left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exhausted {
    /// What the plan includes.
    pub limit: i64,
    /// Consumed.
    pub used: i64,
    /// Promised to what is under way.
    pub reserved: i64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn keys_of_clients_and_of_the_platform_never_meet() -> Result<(), Invalid> {
        let id = Uuid::now_v7();
        let outbox = UsageKey::outbox(id);
        assert_eq!(outbox.outbox_id(), Some(id));
        assert_eq!(UsageKey::work("ai_reply", id).outbox_id(), None);
        for text in [outbox.as_str(), UsageKey::work("ai_reply", id).as_str()] {
            let client = UsageKey::parse(text)?;
            assert_ne!(client.as_str(), text);
            assert_eq!(client.outbox_id(), None);
            assert_eq!(client.to_string(), text, "it is shown as it was chosen");
        }
        Ok(())
    }

    #[test]
    fn a_clients_key_is_visible_ascii() {
        let code = |text: &str| UsageKey::parse(text).map_err(|invalid| invalid.code).err();
        assert_eq!(code(""), Some("required"));
        assert_eq!(code(&"k".repeat(200)), None);
        assert_eq!(code(&"k".repeat(201)), Some("too_long"));
        for text in [" ", "a b", "a\nb", "a\0", "chave-é"] {
            assert_eq!(code(text), Some("invalid_format"), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn any_key_fits_where_it_is_kept(text in any::<String>()) {
            if let Ok(key) = UsageKey::parse(&text) {
                prop_assert!((1..=220).contains(&key.as_str().chars().count()));
                prop_assert_eq!(key.to_string(), text);
                prop_assert_eq!(UsageKey::stored(key.as_str().to_owned()), key);
            }
        }
    }
}
