//! What a bot that is linked to a WhatsApp account keeps by a name.

use super::text_enum::text_enum;

text_enum! {
    /// What something is that is kept by a name. What a kind says of its columns: `value` is sealed, `at` and `also_at` are numbers.
    pub enum KeyKind {
        /// Whom a device belongs to.
        Identity = "identity",
        /// A conversation with a device.
        Session = "session",
        /// A key of the device's own that somebody begins one conversation with.
        Prekey = "prekey",
        /// One that many begin conversations with.
        SignedPrekey = "signed_prekey",
        /// What one device says in a group.
        SenderKey = "sender_key",
        /// What opens the account's settings. `at`: its place in the order of their coming.
        SyncKey = "sync_key",
        /// How far the settings of a collection are known.
        SyncVersion = "sync_version",
        /// What proves that a setting was not altered.
        Mac = "mac",
        /// What is known of a hidden name. `other`: its number; `at`: when it was learnt.
        Lid = "lid",
        /// A number. `other`: its hidden name; `at`: when it was learnt; no value.
        Pn = "pn",
        /// The key with which a conversation began.
        BaseKey = "base_key",
        /// Somebody's devices.
        DeviceList = "device_list",
        /// What is known of a group.
        Group = "group",
        /// A device in a group. `at`: 1 when it can read what the bot says there, else 0; no value.
        GroupDevice = "group_device",
        /// What proves to the bot's contact that they know each other. `at`: when it came; `also_at`: when one was given to them.
        TcToken = "tc_token",
        /// A message that was sent and may be asked for again. `at`: when it was kept.
        Sent = "sent",
        /// A message that came in and is not stored yet. `at`: when it was kept.
        Inbound = "inbound",
        /// With what later messages speak of an earlier one. `at`: when that was said, or 0; `also_at`: until when, 0 for ever.
        Secret = "secret",
    }
}
