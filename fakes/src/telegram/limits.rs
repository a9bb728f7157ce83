//! How much a bot may send: the limits that Telegram tells of, as sliding windows.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// What is allowed within a window; more is answered 429 with `retry_after`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Messages of one bot to all its chats.
    pub per_bot: usize,
    /// Messages of one bot to one chat.
    pub per_chat: usize,
    /// The window of both, in milliseconds.
    pub window_ms: u64,
    /// Messages of one bot to one group within sixty windows.
    pub per_group: usize,
    /// By so many milliseconds a message may come too early: networks do not keep distances.
    pub slack_ms: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            per_bot: 30,
            per_chat: 1,
            window_ms: 1000,
            per_group: 20,
            slack_ms: 50,
        }
    }
}

impl Limits {
    /// None at all.
    pub fn off() -> Self {
        Self {
            per_bot: usize::MAX,
            per_chat: usize::MAX,
            per_group: usize::MAX,
            ..Self::default()
        }
    }

    fn window(&self) -> Duration {
        Duration::from_millis(self.window_ms.saturating_sub(self.slack_ms))
    }

    /// Counts a message, or says how many seconds to wait.
    pub(super) fn admit(&self, bot: &mut VecDeque<Instant>, chat: &mut Sends) -> Result<(), u64> {
        let now = Instant::now();
        let window = self.window();
        let waits = [
            wait(&mut chat.recent, self.per_chat, window, now),
            wait(bot, self.per_bot, window, now),
            wait(&mut chat.minute, self.per_group, window * 60, now),
        ];
        if let Some(longest) = waits.into_iter().flatten().max() {
            return Err(longest.as_millis().div_ceil(1000).try_into().unwrap_or(1).max(1));
        }
        bot.push_back(now);
        chat.recent.push_back(now);
        if chat.is_group {
            chat.minute.push_back(now);
        }
        Ok(())
    }
}

/// When a chat was written to.
#[derive(Debug, Default)]
pub struct Sends {
    /// Whether the limit of groups holds.
    pub is_group: bool,
    recent: VecDeque<Instant>,
    minute: VecDeque<Instant>,
}

fn wait(times: &mut VecDeque<Instant>, most: usize, window: Duration, now: Instant) -> Option<Duration> {
    while times
        .front()
        .is_some_and(|time| now.duration_since(*time) >= window)
    {
        times.pop_front();
    }
    let first = times.front().filter(|_| times.len() >= most)?;
    Some(window.saturating_sub(now.duration_since(*first)))
}
