//! WhatsApp as its own pages speak it: a bot is a device that a telephone has linked, with a socket and keys of its own.
//!
//! WhatsApp has not made this way for programs: it may break, and may be against its terms. All bots of a process share one
//! HTTP client and one TLS configuration; a bot's device lives sealed in its tenant's schema ([`store`]).
//!
//! A bot that is linked to no telephone shows codes to be scanned ([`super::link_codes`]). Only one that is starting, pairing or
//! reconnecting is tried again by itself: whom WhatsApp has shut out, replaced or unlinked, a person starts again.

mod copying;
mod events;
mod files;
mod heard;
mod http;
mod reading;
mod sending;
mod session;
pub mod store;
mod transport;
mod watching;

use std::time::Duration;

use super::outbound::Gaps;

pub(super) use self::session::{park, run};

/// Nobody types faster than this; who does is shut out sooner.
const GAPS: Gaps = Gaps {
    any: Duration::from_millis(250),
    chat: Duration::from_secs(1),
};

/// How fast a bot may speak that wants so many milliseconds between its messages.
pub(super) fn gaps(message_delay_ms: i32) -> Gaps {
    GAPS.at_least(message_delay_ms)
}

/// What all bots of a process share. Cheap to clone.
#[derive(Clone)]
pub struct Api {
    transport: transport::Sockets,
    http: http::Http,
    version: Option<(u32, u32, u32)>,
}

impl Api {
    /// WhatsApp at this address, for a page of this version; both may be empty: WhatsApp's own, and the one that its page names.
    ///
    /// # Errors
    /// When one of them cannot be read; it is named.
    pub fn new(url: &str, version: &str) -> Result<Self, String> {
        Ok(Self {
            transport: transport::Sockets::new(url)?,
            http: http::Http::new(url)?,
            version: parse_version(version)?,
        })
    }
}

fn parse_version(version: &str) -> Result<Option<(u32, u32, u32)>, String> {
    if version.is_empty() {
        return Ok(None);
    }
    let parts: Result<Vec<u32>, _> = version.split('.').map(str::parse).collect();
    match parts.as_deref() {
        Ok([first, second, third]) => Ok(Some((*first, *second, *third))),
        _ => Err("whatsapp_version: must be three numbers, as 2.3000.1015901307".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_three_numbers() {
        assert_eq!(parse_version(""), Ok(None));
        assert_eq!(
            parse_version("2.3000.1015901307"),
            Ok(Some((2, 3000, 1_015_901_307)))
        );
        for wrong in ["2", "2.3000", "2.3000.x", "2.3000.1.1", " ", "-1.0.0"] {
            assert!(parse_version(wrong).is_err(), "{wrong}");
        }
    }
}
