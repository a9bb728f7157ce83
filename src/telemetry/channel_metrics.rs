//! Metrics of channels.

use ::metrics::counter;

use crate::domain::conversation::Channel;

/// Attempts to send a message, by `channel` and `outcome` (`sent`, `retried`, `failed`).
pub const SENT: &str = "helixai_channel_messages_sent_total";
/// Attempts to fetch what somebody has sent along, by `channel` and `outcome` (`stored`, `retried`, `too_large`, `failed`).
pub const FILES: &str = "helixai_channel_files_total";
/// Bots that believed to be connected and heard nothing, by `channel`.
pub const SILENT: &str = "helixai_channel_silent_total";
/// Copies of linked devices, by `outcome` (`written`, `failed`).
pub const COPIED: &str = "helixai_channel_session_backups_total";
/// What can become of one.
pub(super) const OUTCOMES: [&str; 3] = ["sent", "retried", "failed"];

/// What can become of a file.
pub(super) const FILE_OUTCOMES: [&str; 4] = ["stored", "retried", "too_large", "failed"];

/// Counts what became of an attempt to send a message.
pub fn count_sent(channel: Channel, outcome: &'static str) {
    count_sent_times(channel, outcome, 1);
}

pub(super) fn count_sent_times(channel: Channel, outcome: &'static str, times: u64) {
    counter!(SENT, "channel" => channel.as_str(), "outcome" => outcome).increment(times);
}

/// Counts what became of an attempt to fetch a file.
pub fn count_file(channel: Channel, outcome: &'static str) {
    count_file_times(channel, outcome, 1);
}

pub(super) fn count_file_times(channel: Channel, outcome: &'static str, times: u64) {
    counter!(FILES, "channel" => channel.as_str(), "outcome" => outcome).increment(times);
}

/// Counts a bot that believed to be connected and heard nothing.
pub fn count_silent(channel: Channel) {
    count_silent_times(channel, 1);
}

pub(super) fn count_silent_times(channel: Channel, times: u64) {
    counter!(SILENT, "channel" => channel.as_str()).increment(times);
}

/// Counts what became of a copy of a linked device.
pub fn count_copied(outcome: &'static str) {
    count_copied_times(outcome, 1);
}

pub(super) fn count_copied_times(outcome: &'static str, times: u64) {
    counter!(COPIED, "outcome" => outcome).increment(times);
}
