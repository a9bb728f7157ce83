//! How a login ends badly.

use wacore_binary::Node;
use wacore_binary::builder::NodeBuilder;

use crate::stanza::{conflict, stream_error};

/// What a client hears instead of a welcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// A number: 401 the device was removed, 402 banned, 403 the account is locked, 405 the client is too old,
    /// 503 come back later. 515 asks to come back at once, and is the end of a stream rather than a failed login.
    Code(u16),
    /// 402 with its details.
    TemporaryBan {
        /// Why, as a number of WhatsApp's: 101 too many messages to strangers, 104 too many of the same, …
        reason: u16,
        /// For how long.
        seconds: u32,
    },
    /// Another connection of the same device has come.
    Replaced,
}

impl Refusal {
    /// The last stanza that the client gets.
    pub(crate) fn node(self) -> Node {
        match self {
            Self::Code(515) => stream_error(515),
            Self::Code(reason) => failure(reason).build(),
            Self::TemporaryBan { reason, seconds } => {
                failure(402).attr("code", reason).attr("expire", seconds).build()
            }
            Self::Replaced => conflict("replaced"),
        }
    }
}

/// The end of a login, with a number.
fn failure(reason: u16) -> NodeBuilder {
    NodeBuilder::new("failure")
        .attr("reason", reason)
        .attr("location", "lla")
}
