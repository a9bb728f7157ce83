//! The signals that ask the program to stop, as one stream.
//!
//! Once a [`StopSignals`] exists, none of them ends the program by itself: make it before anything that must
//! be cleaned up is started, and wait on it beside the work.

use anyhow::Context as _;
use nix::sys::signal::Signal;
use tokio::signal::unix::{Signal as Stream, SignalKind, signal};

/// SIGINT, SIGTERM and SIGHUP from now on.
#[derive(Debug)]
pub struct StopSignals {
    interrupt: Stream,
    terminate: Stream,
    hangup: Stream,
}

impl StopSignals {
    /// Starts to listen.
    pub fn listen() -> anyhow::Result<Self> {
        let stream = |kind| signal(kind).context("signals cannot be listened to");
        Ok(Self {
            interrupt: stream(SignalKind::interrupt())?,
            terminate: stream(SignalKind::terminate())?,
            hangup: stream(SignalKind::hangup())?,
        })
    }

    /// Waits for the next request to stop. Dropping the future loses no signal.
    pub async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.interrupt.recv() => Signal::SIGINT,
            _ = self.terminate.recv() => Signal::SIGTERM,
            _ = self.hangup.recv() => Signal::SIGHUP,
        }
    }
}
