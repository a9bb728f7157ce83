//! Watching a client: what it says becomes the bot's state, and what it does not say is asked for once a second.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
use whatsapp_rust::Client;
use whatsapp_rust::bot::BotHandle;
use whatsapp_rust::pair_code::PairCodeOptions;
use whatsapp_rust::wacore::time::now_millis;

use super::events::{News, Over};
use super::reading::own_id;
use super::session::last_words;
use super::store::Store;
use crate::channels::session::{End, Running};
use crate::db::tenant::instances;
use crate::db::tenant::receipts::{self, Receipt};
use crate::db::tenant::whatsapp_codes::{self, CodeKind};
use crate::domain::ids::ConversationId;
use crate::domain::instance::InstanceState;

/// How often a client is looked at.
const LOOK: Duration = Duration::from_secs(1);
/// So many failed connections in a row, and the bot is started anew, later and later.
const FAILURES: u32 = 3;
/// A client asks WhatsApp for a sign of life twice a minute: without one for so long, it only believes to be connected.
const SILENT: i64 = 90_000;
/// A code that is typed is good for so long.
const PAIR_CODE_LIFE: TimeDelta = TimeDelta::seconds(180);
/// How long WhatsApp may take to give one.
const PAIRING: Duration = Duration::from_secs(20);
/// Looks at which a receipt is tried of a message that is not known to be sent yet.
const RECEIPT_LOOKS: u8 = 5;
/// Receipts that are kept for a database that is away.
const MOST_RECEIPTS: usize = 10_000;

/// A client that is watched.
pub(super) struct Watch<'a> {
    running: &'a Running,
    client: Arc<Client>,
    store: Arc<Store>,
    heard: UnboundedSender<ConversationId>,
    /// Why only a person can help, once that is so.
    pub(super) over: Option<Over>,
    connected: bool,
    /// A code was shown: it may be linked.
    linkable: bool,
    /// Until then a code may be typed, and that is what is shown.
    typed_until: Option<DateTime<Utc>>,
    failures: u32,
    /// Since when nothing has been heard of a client that is not there.
    waits_since: i64,
    /// With the looks at which their messages were not known.
    receipts: Vec<(Receipt, u8)>,
}

impl<'a> Watch<'a> {
    pub(super) fn new(
        running: &'a Running,
        client: Arc<Client>,
        store: Arc<Store>,
        heard: UnboundedSender<ConversationId>,
    ) -> Self {
        Self {
            running,
            client,
            store,
            heard,
            over: None,
            connected: false,
            linkable: false,
            typed_until: None,
            failures: 0,
            waits_since: now_millis(),
            receipts: Vec::new(),
        }
    }

    /// Watches until the run is over.
    pub(super) async fn run(&mut self, handle: &mut BotHandle, told: &mut UnboundedReceiver<News>) -> End {
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let end = tokio::select! {
                biased;
                () = self.running.stop.cancelled() => Some(End::Stopped),
                Some(news) = told.recv() => self.hear(news).await,
                () = &mut *handle => Some(self.gone(told).await),
                () = self.running.asked.notified() => {
                    self.show_pair_code().await;
                    None
                }
                _ = look.tick() => self.look().await,
            };
            if let Some(end) = end {
                return end;
            }
        }
    }

    /// The client has ended; it may have said why.
    async fn gone(&mut self, told: &mut UnboundedReceiver<News>) -> End {
        while let Some(news) = last_words(told).await {
            if let Some(end) = self.hear(news).await {
                return end;
            }
        }
        End::Retry("provider_closed")
    }

    async fn hear(&mut self, news: News) -> Option<End> {
        self.waits_since = now_millis();
        match news {
            News::Qr(code, life) => self.show_qr(&code, life).await,
            News::NoPairCode(refused) => self.forget_pair_code(refused).await,
            News::Passkey => self.set(InstanceState::AwaitingPasskey, json!({})).await,
            News::NotLinked => tracing::info!(instance_id = %self.running.instance,
                "a telephone could not link a bot: {}", self.running.instance),
            News::Linked => {
                self.linkable = false;
                self.forget_codes().await;
                self.set(InstanceState::Pairing, json!({})).await;
            }
            News::Connected => self.come_in().await,
            News::Away => self.away().await,
            News::Receipt(ids, status) => {
                let now = self.running.channels.clock.now();
                // No text of the database's has a NUL in it.
                let ids = ids.iter().filter(|id| !id.contains('\0'));
                self.receipts.extend(ids.map(|id| {
                    let receipt = Receipt {
                        provider_message_id: own_id(id),
                        ours: None,
                        became: status,
                        error: None,
                        at: Some(now),
                    };
                    (receipt, 0)
                }));
                self.note_receipts(false).await;
            }
            // Whoever receives lives as long as this.
            News::Heard(conversation) => drop(self.heard.send(conversation)),
            News::Deaf(end) => return Some(end),
            News::Over(over) => {
                self.over = Some(over);
                return Some(End::Parked);
            }
        }
        None
    }

    async fn set(&self, state: InstanceState, detail: Value) {
        self.note(state, detail, None).await;
    }

    /// Notes what has become of the bot, while it is ours: of a bot that was lost its new owner speaks.
    async fn note(&self, state: InstanceState, detail: Value, username: Option<String>) {
        let (instance, now) = (self.running.instance, self.running.channels.clock.now());
        let noted = instances::set_state(instance, state, detail, username, now);
        if let Err(error) = self.store.run(noted).await {
            tracing::debug!(instance_id = %instance, %error, "the state of a bot was not noted");
        }
    }

    async fn come_in(&mut self) {
        (self.connected, self.linkable, self.failures) = (true, false, 0);
        self.forget_codes().await;
        let number = self.client.pn().map(|jid| format!("+{}", jid.user));
        self.note(InstanceState::Connected, json!({}), number).await;
        self.running.outbox.notify_one();
        self.running.unheard.notify_one();
    }

    async fn away(&mut self) {
        self.connected = false;
        let next_at = self.running.channels.clock.now() + TimeDelta::seconds(1);
        let detail = json!({"code": "provider_away", "attempt": self.failures, "next_at": next_at});
        self.set(InstanceState::Reconnecting, detail).await;
    }

    /// What the client does not say by itself.
    async fn look(&mut self) -> Option<End> {
        if self.client.persistence_manager().is_saver_halted() {
            return Some(End::Retry("store_away"));
        }
        let there = self.client.is_connected() && self.client.is_logged_in();
        let stats = self.client.stats();
        if self.connected && !there {
            self.away().await;
        }
        let now = now_millis();
        let is_mute = match there {
            true => self.connected && is_silent(stats.last_data_received_ms, now),
            // Who shows a code waits for a person.
            false => !self.linkable && now.saturating_sub(self.waits_since) > SILENT,
        };
        if is_mute {
            return Some(self.running.end_silent());
        }
        if !there && stats.reconnect_errors >= FAILURES {
            return Some(End::Retry("provider_away"));
        }
        if !there && stats.reconnect_errors > self.failures {
            self.failures = stats.reconnect_errors;
            self.waits_since = now;
            self.away().await;
        }
        self.note_receipts(true).await;
        None
    }

    async fn show_qr(&mut self, code: &str, life: Duration) {
        let (tenant, instance) = (self.running.tenant, self.running.instance);
        let channels = &self.running.channels;
        let now = channels.clock.now();
        let expires_at = now + TimeDelta::from_std(life).unwrap_or_default();
        let sealed = channels.seal_code(tenant, instance, CodeKind::Qr, code);
        let shown = whatsapp_codes::set_qr(instance, sealed, expires_at, now);
        let n = match self.store.run(shown).await {
            Ok(n) => n,
            Err(error) => {
                tracing::warn!(instance_id = %instance, %error, "a code of a bot was not stored: {instance}");
                return;
            }
        };
        self.linkable = true;
        if self.typed_until.is_none_or(|until| until <= now) {
            self.typed_until = None;
            let detail = json!({"n": n, "expires_at": expires_at});
            self.set(InstanceState::AwaitingQr, detail).await;
        }
        self.show_pair_code().await;
    }

    /// Asks for a code to be typed, if one is wanted and the bot may be linked.
    async fn show_pair_code(&mut self) {
        let (running, instance) = (self.running, self.running.instance);
        if !self.linkable {
            return;
        }
        let wanted = running.run(whatsapp_codes::find_wanted(instance)).await;
        let Ok(Some(phone)) = wanted else {
            return;
        };
        // There may be one for another number.
        self.client.cancel_pair_code().await;
        let options = PairCodeOptions {
            phone_number: phone.trim_start_matches('+').to_owned(),
            ..PairCodeOptions::default()
        };
        let code = tokio::select! {
            () = running.stop.cancelled() => return,
            code = tokio::time::timeout(PAIRING, self.client.pair_with_code(options)) => code,
        };
        let Ok(Ok(code)) = code else {
            return self.forget_pair_code(true).await;
        };
        let now = running.channels.clock.now();
        let until = now + PAIR_CODE_LIFE;
        let sealed = running
            .channels
            .seal_code(running.tenant, instance, CodeKind::PairCode, &code);
        let shown = whatsapp_codes::set_pair_code(instance, sealed, until, now);
        if self.store.run(shown).await.is_ok() {
            self.typed_until = Some(until);
            self.set(InstanceState::AwaitingPairCode, json!({"expires_at": until}))
                .await;
        }
    }

    async fn forget_pair_code(&mut self, refused: bool) {
        self.typed_until = None;
        let instance = self.running.instance;
        let _ = self.store.run(whatsapp_codes::delete_pair_code(instance)).await;
        if self.linkable {
            let code = if refused {
                "pair_code_refused"
            } else {
                "pair_code_spent"
            };
            self.set(InstanceState::AwaitingQr, json!({ "code": code })).await;
        }
    }

    async fn forget_codes(&mut self) {
        self.typed_until = None;
        let forget = whatsapp_codes::delete_all(self.running.instance);
        if let Err(error) = self.store.run(forget).await {
            tracing::debug!(%error, "codes of a bot are forgotten later");
        }
    }

    /// A receipt may be faster than the note that its message was sent: it is kept for a few looks.
    async fn note_receipts(&mut self, looking: bool) {
        if self.receipts.is_empty() {
            return;
        }
        let (instance, now) = (self.running.instance, self.running.channels.clock.now());
        // Whoever sends books first.
        let note = |(receipt, _): &(Receipt, u8)| receipts::note(instance, receipt, true, now);
        let notes: Vec<_> = self.receipts.iter().map(note).collect();
        let noted = match self.running.run(notes).await {
            Ok(noted) => noted,
            Err(error) if error.is_transient() || error.refusal().is_some() => {
                return self.receipts.truncate(MOST_RECEIPTS);
            }
            Err(error) => {
                tracing::error!(instance_id = %instance, %error, "receipts of a bot cannot be noted, and are passed over: {instance}");
                return self.receipts.clear();
            }
        };
        let waiting = std::mem::take(&mut self.receipts).into_iter().zip(noted);
        let unknown = waiting.filter(|(_, (_, noted))| !noted.known);
        let unknown = unknown.map(|((receipt, looks), _)| (receipt, looks + u8::from(looking)));
        self.receipts = unknown.filter(|(_, looks)| *looks <= RECEIPT_LOOKS).collect();
    }
}

/// Whether nothing has been received for too long; 0: nothing yet, which the connection itself will see.
fn is_silent(last_received: u64, now: i64) -> bool {
    let last = i64::try_from(last_received).unwrap_or(i64::MAX);
    last > 0 && now.saturating_sub(last) > SILENT
}

#[cfg(test)]
mod tests {
    use super::is_silent;

    #[test]
    fn silence_is_noticed() {
        assert!(!is_silent(0, 1_000_000));
        assert!(!is_silent(1_000_000, 1_090_000));
        assert!(is_silent(1_000_000, 1_090_001));
        assert!(!is_silent(1_000_000, 0));
    }
}
