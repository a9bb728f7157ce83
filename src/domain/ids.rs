//! Identifiers: one type per kind of thing, so that a lead's id cannot be passed where a vehicle's is meant.
//!
//! All are UUIDv7 made by the program, never by the database: they sort by the time of making and need no
//! sequence, which would have to be renumbered when a tenant moves to another server.
//! A new kind is one line in the list below.

use super::invalid::Invalid;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};
use utoipa::ToSchema;
use uuid::{NoContext, Timestamp, Uuid};

macro_rules! ids {
    ($($(#[$meta:meta])* $name:ident;)+) => {$(
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
        #[serde(transparent)]
        #[schema(value_type = String, format = Uuid)]
        pub struct $name(Uuid);

        impl $name {
            /// A new identifier (UUIDv7).
            #[expect(clippy::new_without_default, reason = "a default identifier would be a surprise")]
            pub fn new() -> Self {
                Self(Uuid::now_v7())
            }

            /// Takes an identifier that already exists.
            pub const fn from_uuid(id: Uuid) -> Self {
                Self(id)
            }

            /// The identifier as the drivers take it.
            pub const fn as_uuid(self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0.hyphenated())
            }
        }

        impl FromStr for $name {
            type Err = Invalid;

            fn from_str(value: &str) -> Result<Self, Invalid> {
                parse(value).map(Self)
            }
        }

        impl From<$name> for Uuid {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self {
                Self(id)
            }
        }
    )+};
}

impl DeviceCopyId {
    /// An identifier of this moment, which it tells again.
    pub fn at(moment: DateTime<Utc>) -> Self {
        let seconds = u64::try_from(moment.timestamp()).unwrap_or_default();
        let at = Timestamp::from_unix(NoContext, seconds, moment.timestamp_subsec_nanos());
        Self(Uuid::new_v7(at))
    }

    /// The moment of its making, to the millisecond; `None` for one that was not made by [`Self::at`].
    pub fn moment(self) -> Option<DateTime<Utc>> {
        let (seconds, nanos) = self.0.get_timestamp()?.to_unix();
        DateTime::from_timestamp(i64::try_from(seconds).ok()?, nanos)
    }
}

ids! {
    /// A bot of a tenant.
    InstanceId;
    /// A copy of a bot's linked device.
    DeviceCopyId;
    /// A client of the platform.
    TenantId;
    /// A database that holds tenants.
    ShardId;
    /// A plan.
    PlanId;
    /// One immutable version of a plan.
    PlanVersionId;
    /// A tenant's subscription of a plan.
    SubscriptionId;
    /// An operator of the platform.
    AdminId;
    /// A signed-in operator.
    AdminSessionId;
    /// A custom domain of a tenant.
    DomainId;
    /// A person who works for a tenant.
    UserId;
    /// A signed-in user of a tenant.
    SessionId;
    /// An API key of a tenant.
    ApiKeyId;
    /// Somebody who may become a customer of a tenant.
    LeadId;
    /// A change of a lead's stage, or of who looks after it.
    LeadChangeId;
    /// A vehicle in a tenant's catalogue.
    VehicleId;
    /// A real-estate property in a tenant's catalogue.
    PropertyId;
    /// A product or service in a tenant's catalogue.
    ProductId;
    /// A picture of something in a tenant's catalogue.
    PhotoId;
    /// Somebody a tenant exchanges messages with.
    ContactId;
    /// A thread of messages with a contact.
    ConversationId;
    /// One message.
    MessageId;
    /// The same words to many contacts.
    BroadcastId;
    /// A message that is said later.
    ScheduledMessageId;
    /// One line of an audit.
    AuditId;
    /// One HTTP request.
    RequestId;
    /// One piece of work to be done later.
    JobId;
    /// An account at a gateway, of the platform or of a tenant.
    GatewayAccountId;
    /// One attempt to collect one amount.
    ChargeId;
    /// Money that goes back.
    RefundId;
    /// Something about a payment that nobody expected.
    PaymentFindingId;
    /// A card that may be charged again.
    SavedCardId;
    /// A mail of the platform.
    MailId;
    /// An invoice of the platform.
    InvoiceId;
    /// One line of the ledger of invoices.
    LedgerEntryId;
    /// Somebody who pays a tenant.
    CustomerId;
    /// What a tenant's customer may pay by the month.
    CustomerPlanId;
    /// What a tenant's customer has ordered.
    OrderId;
    /// What a tenant's customer owes on a day.
    DueId;
    /// Money that came in for a due, or went back.
    DuePaymentId;
    /// Words with placeholders.
    MessageTemplateId;
    /// When customers are reminded of what they owe.
    ReminderRuleId;
    /// What somebody has noted about a conversation.
    NoteId;
    /// Words that people who answer use again and again.
    CannedReplyId;
    /// Something that a user is to look at.
    NotificationId;
}

/// Only the hyphenated form: one thing has one address.
fn parse(value: &str) -> Result<Uuid, Invalid> {
    let hyphenated = value.len() == uuid::fmt::Hyphenated::LENGTH;
    Uuid::try_parse(value)
        .ok()
        .filter(|_| hyphenated)
        .ok_or_else(|| Invalid::format("must be a UUID, as 0190163d-8694-739b-aea5-966c26f8ad91"))
}

impl TenantId {
    /// The number under which the tenant's advisory lock is taken: the last eight bytes, which are random in a
    /// UUIDv7. Two tenants with the same number would only wait for each other.
    pub const fn lock_key(self) -> i64 {
        self.0.as_u64_pair().1.cast_signed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn is_read_back_from_text_and_json() -> Result<(), Box<dyn std::error::Error>> {
        let id = LeadId::new();
        assert_eq!(id.to_string().parse::<LeadId>()?, id);
        assert_eq!(serde_json::to_string(&id)?, format!("\"{id}\""));
        assert_eq!(serde_json::from_str::<LeadId>(&format!("\"{id}\""))?, id);
        Ok(())
    }

    #[test]
    fn has_one_written_form() {
        let id = Uuid::now_v7();
        assert!(id.simple().to_string().parse::<LeadId>().is_err());
        assert!(id.braced().to_string().parse::<LeadId>().is_err());
        assert!(id.urn().to_string().parse::<LeadId>().is_err());
    }

    #[test]
    fn lock_key_is_the_last_eight_bytes_big_endian() {
        let id = Uuid::from_u128(0x0102_0304_0506_0708_ff02_0304_0506_0708);
        assert_eq!(
            TenantId::from_uuid(id).lock_key().to_be_bytes(),
            [0xff, 2, 3, 4, 5, 6, 7, 8]
        );
    }

    proptest! {
        #[test]
        fn parse_never_panics(text in any::<String>()) {
            let _ = text.parse::<TenantId>();
        }

        #[test]
        fn any_uuid_is_read_back(bits in any::<u128>()) {
            let id = UserId::from_uuid(Uuid::from_u128(bits));
            prop_assert_eq!(id.to_string().parse::<UserId>(), Ok(id));
        }
    }
}
