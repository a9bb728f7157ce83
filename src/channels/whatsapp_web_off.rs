//! What is left of WhatsApp's linked devices in a program that was built without them: bots that say so.

use std::time::Duration;

use tokio::sync::Notify;

use super::outbound::Gaps;
use super::session::{End, Running};

/// Nothing.
#[derive(Clone)]
pub struct Api;

impl Api {
    /// Whatever the settings are.
    ///
    /// # Errors
    /// None.
    pub fn new(_url: &str, _version: &str) -> Result<Self, String> {
        Ok(Self)
    }
}

pub(super) fn gaps(_message_delay_ms: i32) -> Gaps {
    let none = Duration::ZERO;
    Gaps {
        any: none,
        chat: none,
    }
}

pub(super) async fn park(_running: &Running) -> End {
    End::Parked
}

pub(super) async fn run(_running: &Running, _wake: &Notify) -> (End, bool) {
    (End::Dead("channel_not_built"), false)
}
