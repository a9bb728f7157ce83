//! Metrics of sockets.

use ::metrics::{counter, gauge};

/// Sockets open.
pub const OPEN: &str = "helixai_sockets_open";
/// Events for sockets, by `outcome` (`sent`; `dropped`: the socket reads too slowly, and is told that it has missed something).
pub const EVENTS: &str = "helixai_socket_events_total";

/// One more socket, or one less.
pub fn add_socket(more: f64) {
    gauge!(OPEN).increment(more);
}

/// Counts events for sockets.
pub fn count_events(outcome: &'static str, times: u64) {
    counter!(EVENTS, "outcome" => outcome).increment(times);
}
