//! When a bot may speak next: so many messages a second in all, fewer in one chat, and not at all while the provider asks for silence.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Chats that are remembered; then those are forgotten in which one may speak.
const REMEMBERED: usize = 1024;

/// How fast a bot may speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gaps {
    /// Between two messages.
    pub any: Duration,
    /// Between two messages in one chat.
    pub chat: Duration,
}

impl Gaps {
    /// The same, or so many milliseconds where that is more.
    pub(super) fn at_least(self, wanted_ms: i32) -> Self {
        let wanted = Duration::from_millis(u64::try_from(wanted_ms).unwrap_or(0));
        Self {
            any: self.any.max(wanted),
            chat: self.chat.max(wanted),
        }
    }
}

/// The pace of one bot.
pub(super) struct Pace {
    gaps: Gaps,
    /// What may be said at once in a chat in which nothing was said for long, as the time that it takes otherwise.
    burst: Duration,
    slots: Mutex<Slots>,
}

struct Slots {
    next: Instant,
    silent_until: Option<Instant>,
    chats: HashMap<String, Instant>,
}

impl Pace {
    pub(super) fn new(gaps: Gaps) -> Self {
        Self::bursting(gaps, 1)
    }

    /// In a chat so many may follow each other at once; the gaps that they have left out are kept after them.
    pub(super) fn bursting(gaps: Gaps, burst: u32) -> Self {
        let slots = Slots {
            next: Instant::now(),
            silent_until: None,
            chats: HashMap::new(),
        };
        Self {
            gaps,
            burst: gaps.chat * burst.saturating_sub(1),
            slots: Mutex::new(slots),
        }
    }

    /// Takes the next moment at which something may be said in this chat, if it comes within `most`; else how long it will be, and
    /// nothing is taken.
    pub(super) fn take(&self, chat: &str, now: Instant, most: Duration) -> Result<Instant, Duration> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let in_turn = slots.chats.get(chat).copied().unwrap_or(now);
        let of_chat = in_turn.checked_sub(self.burst).unwrap_or(now);
        let at = now.max(slots.next).max(of_chat);
        if at - now > most {
            return Err(at - now);
        }
        // A chat that has to wait does not make the others wait.
        slots.next = slots.next.max(now) + self.gaps.any;
        if slots.chats.len() >= REMEMBERED {
            slots.chats.retain(|_, next| *next > now);
        }
        slots
            .chats
            .insert(chat.to_owned(), at.max(in_turn) + self.gaps.chat);
        Ok(at)
    }

    /// Nothing is said for so long.
    pub(super) fn hold(&self, wait: Duration, now: Instant) {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        slots.next = slots.next.max(now + wait);
        slots.silent_until = slots.silent_until.max(Some(now + wait));
    }

    /// Nothing is said in this chat for so long.
    pub(super) fn hold_chat(&self, chat: &str, wait: Duration, now: Instant) {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let until = now + wait + self.burst;
        let next = slots.chats.entry(chat.to_owned()).or_insert(until);
        *next = until.max(*next);
    }

    /// Until when nothing is said at all, whoever's turn it is.
    pub(super) fn silent_until(&self, now: Instant) -> Option<Instant> {
        let slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        slots.silent_until.filter(|until| *until > now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GAPS: Gaps = Gaps {
        any: Duration::from_millis(34),
        chat: Duration::from_secs(1),
    };
    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn thirty_a_second_in_all_and_one_in_a_chat() {
        let (pace, now) = (Pace::new(GAPS), Instant::now());
        let first = |chat: &str| pace.take(chat, now, LONG).unwrap() - now;
        assert_eq!(first("a"), Duration::ZERO);
        assert_eq!(first("a"), Duration::from_secs(1));
        assert_eq!(first("b"), Duration::from_millis(68));
        let all: Vec<Duration> = (0..30).map(|n| first(&format!("c{n}"))).collect();
        assert!(all.is_sorted());
        assert!(*all.last().unwrap() >= Duration::from_millis(34 * 30));
    }

    #[test]
    fn a_burst_is_made_up_for() {
        let gaps = Gaps {
            any: Duration::from_millis(10),
            chat: Duration::from_secs(6),
        };
        let (pace, now) = (Pace::bursting(gaps, 3), Instant::now());
        let take = |at: Duration| pace.take("a", now + at, LONG).unwrap() - now;
        let quick: Vec<Duration> = (0..3).map(|_| take(Duration::ZERO)).collect();
        assert_eq!(quick, [0, 10, 20].map(Duration::from_millis));
        assert_eq!(take(Duration::ZERO), Duration::from_secs(6));
        assert_eq!(take(Duration::ZERO), Duration::from_secs(12));
        // Who was silent for long may be quick again.
        let later = Duration::from_secs(60);
        assert_eq!(take(later), later);
        assert_eq!(take(later), later + gaps.any);
    }

    #[test]
    fn what_would_wait_too_long_takes_no_turn() {
        let (pace, now) = (Pace::new(GAPS), Instant::now());
        assert_eq!(pace.take("a", now, LONG), Ok(now));
        for _ in 0..100 {
            assert_eq!(pace.take("a", now, Duration::ZERO), Err(GAPS.chat));
        }
        assert_eq!(pace.take("a", now, LONG), Ok(now + GAPS.chat));
    }

    #[test]
    fn silence_is_for_all_chats() {
        let (pace, now) = (Pace::new(GAPS), Instant::now());
        pace.hold(Duration::from_secs(5), now);
        assert_eq!(pace.take("a", now, LONG), Ok(now + Duration::from_secs(5)));
        assert_eq!(pace.silent_until(now), Some(now + Duration::from_secs(5)));
        assert_eq!(pace.silent_until(now + Duration::from_secs(5)), None);
    }

    #[test]
    fn one_chat_is_held_alone() {
        let (pace, now) = (Pace::bursting(GAPS, 3), Instant::now());
        pace.hold_chat("a", Duration::from_secs(6), now);
        assert_eq!(pace.take("b", now, LONG), Ok(now));
        assert_eq!(pace.take("a", now, LONG), Ok(now + Duration::from_secs(6)));
    }

    #[test]
    fn chats_are_forgotten() {
        let (pace, now) = (Pace::new(GAPS), Instant::now());
        for n in 0..10_000_u64 {
            let later = now + Duration::from_secs(n * 2);
            assert_eq!(pace.take(&n.to_string(), later, LONG), Ok(later));
        }
        assert!(pace.slots.lock().unwrap().chats.len() <= REMEMBERED);
    }
}
