//! Messages to the outside, as the tenant's outbox keeps them.

use super::text_enum::text_enum;

text_enum! {
    /// What has become of a message.
    pub enum OutboxState {
        /// To be sent, or being sent.
        Pending = "pending",
        /// The provider has taken it.
        Sent = "sent",
        /// It will not be sent any more.
        Failed = "failed",
        /// Somebody changed their mind.
        Canceled = "canceled",
    }
}
