//! What is left of WhatsApp's linked devices in a program that was built without them: bots that say so.

use std::time::Duration;

use tokio::sync::Notify;

use super::outbound::Gaps;
use super::session::{End, Running};
use crate::domain::ids::{InstanceId, TenantId};
use crate::domain::platform_key::PlatformKey;

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

/// What devices are linked.
pub mod store {
    use super::{InstanceId, PlatformKey, TenantId};

    /// Nobody here can say: it is taken for linked.
    pub fn is_linked(_key: &PlatformKey, _of: (TenantId, InstanceId), _sealed: &[u8]) -> bool {
        true
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
