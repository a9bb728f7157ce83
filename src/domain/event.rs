//! What a socket is told: that something has changed, by ids and states. What it is now is asked for, by whoever may.

use super::text_enum::text_enum;

text_enum! {
    /// What has happened.
    pub enum EventKind {
        /// A socket hears from now on: what there was before is to be asked for.
        Ready = "ready",
        /// More has happened than was told: everything is to be asked for again.
        Resync = "resync",
        /// Something was said, or is to be.
        MessageCreated = "message.created",
        /// A message was sent, delivered, read or given up.
        MessageUpdated = "message.updated",
        /// A conversation has begun, or is somebody else's, read, closed, put off, labelled, noted on.
        ConversationUpdated = "conversation.updated",
        /// A conversation is no more.
        ConversationDeleted = "conversation.deleted",
        /// A bot is in another state, or has another code to be scanned.
        BotState = "bot.state",
        /// Somebody is to look at something.
        NotificationCreated = "notification.created",
        /// Somebody's way in is over or leads elsewhere. No socket is told.
        AccessChanged = "access.changed",
    }
}
