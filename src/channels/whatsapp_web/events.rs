//! What a client says of itself, as far as its bot cares.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use tokio::sync::mpsc::UnboundedSender;
use whatsapp_rust::types::events::{
    ConnectFailure, ConnectFailureReason, Event, EventKind, LoggedOut, Receipt,
};
use whatsapp_rust::types::presence::ReceiptType;

use crate::channels::session::End;
use crate::domain::ids::ConversationId;
use crate::domain::instance::InstanceState;
use crate::domain::message::MessageStatus;

/// What is listened to. Messages come to [`super::heard`].
pub(super) const KINDS: [EventKind; 16] = [
    EventKind::Connected,
    EventKind::Disconnected,
    EventKind::PairSuccess,
    EventKind::PairError,
    EventKind::PairingQrCode,
    EventKind::PairingCodeRefresh,
    EventKind::PairingCodeError,
    EventKind::PairingQrCodesExhausted,
    EventKind::PairPasskeyRequest,
    EventKind::QrScannedWithoutMultidevice,
    EventKind::LoggedOut,
    EventKind::ClientOutdated,
    EventKind::StreamReplaced,
    EventKind::TemporaryBan,
    EventKind::ConnectFailure,
    EventKind::Receipt,
];

/// Something that a bot has to act upon.
pub(super) enum News {
    /// A code to be scanned, for so long.
    Qr(String, Duration),
    /// The code that was to be typed is not good any more, or no code will come (`true`: the provider refused one).
    NoPairCode(bool),
    /// A browser has to show a passkey.
    Passkey,
    /// A telephone has linked the device.
    Linked,
    /// A telephone has tried to, and it has failed.
    NotLinked,
    /// It hears and speaks.
    Connected,
    /// The socket is gone.
    Away,
    /// Only a person can help.
    Over(Over),
    /// These messages of the bot have come so far.
    Receipt(Vec<String>, MessageStatus),
    /// Something was stored that may want an answer.
    Heard(ConversationId),
    /// Nothing can be stored just now.
    Deaf(End),
}

/// Why only a person can help.
pub(super) struct Over {
    pub(super) state: InstanceState,
    pub(super) detail: Value,
}

impl Over {
    fn news(state: InstanceState, detail: Value) -> News {
        News::Over(Self { state, detail })
    }
}

/// Passes on what an event means.
pub(super) fn tell(news: &UnboundedSender<News>, event: &Event, now: DateTime<Utc>) {
    if let Some(what) = read(event, now) {
        // Nobody listens any more when the bot is on its way out.
        let _ = news.send(what);
    }
}

fn read(event: &Event, now: DateTime<Utc>) -> Option<News> {
    Some(match event {
        Event::Connected(_) => News::Connected,
        Event::Disconnected(_) => News::Away,
        Event::PairSuccess(_) => News::Linked,
        Event::PairError(_) | Event::QrScannedWithoutMultidevice(_) => News::NotLinked,
        Event::PairingQrCode(qr) => News::Qr(qr.code.clone(), qr.timeout),
        Event::PairingCodeRefresh(_) => News::NoPairCode(false),
        Event::PairingCodeError(_) => News::NoPairCode(true),
        Event::PairPasskeyRequest(_) => News::Passkey,
        // Otherwise a code that is typed goes on.
        Event::PairingQrCodesExhausted(spent) if spent.disconnected => {
            Over::news(InstanceState::QrExpired, json!({}))
        }
        Event::LoggedOut(out) => logged_out(out),
        Event::ClientOutdated(_) => Over::news(InstanceState::Outdated, json!({})),
        Event::StreamReplaced(_) => Over::news(InstanceState::Replaced, json!({})),
        Event::TemporaryBan(ban) => {
            let until = now.checked_add_signed(ban.expire);
            Over::news(
                InstanceState::Banned,
                json!({"until": until, "reason": ban.code.code()}),
            )
        }
        Event::ConnectFailure(failure) => return refused(failure),
        Event::Receipt(receipt) => return receipted(receipt),
        _ => return None,
    })
}

fn logged_out(out: &LoggedOut) -> News {
    let code = match out.reason {
        ConnectFailureReason::AccountLocked => "account_locked",
        _ => "unlinked_at_the_telephone",
    };
    Over::news(InstanceState::LoggedOut, json!({ "code": code }))
}

fn refused(failure: &ConnectFailure) -> Option<News> {
    match failure.reason {
        // It comes back by itself.
        reason if reason.should_reconnect() => None,
        ConnectFailureReason::TempBanned => Some(Over::news(InstanceState::Banned, json!({"until": null}))),
        reason => Some(Over::news(
            InstanceState::Failed,
            json!({"code": "refused", "status": reason.code()}),
        )),
    }
}

fn receipted(receipt: &Receipt) -> Option<News> {
    let status = match receipt.r#type {
        ReceiptType::Delivered => MessageStatus::Delivered,
        ReceiptType::Read | ReceiptType::Played => MessageStatus::Read,
        _ => return None,
    };
    // What another device of the same account has seen is not the contact's word.
    let theirs = !receipt.source.is_from_me && !receipt.source.is_group;
    theirs.then(|| News::Receipt(receipt.message_ids.clone(), status))
}

#[cfg(test)]
mod tests {
    use whatsapp_rust::types::events;

    use super::*;

    fn over(event: &Event) -> Option<(InstanceState, Value)> {
        match read(event, DateTime::UNIX_EPOCH) {
            Some(News::Over(over)) => Some((over.state, over.detail)),
            _ => None,
        }
    }

    #[test]
    fn a_code_is_passed_on_with_its_life() {
        let qr = events::PairingQrCode::builder()
            .code("2@ref,key".to_owned())
            .timeout(Duration::from_secs(60))
            .build();
        let Some(News::Qr(code, life)) = read(&Event::PairingQrCode(qr), DateTime::UNIX_EPOCH) else {
            panic!("no code");
        };
        assert_eq!((code.as_str(), life), ("2@ref,key", Duration::from_secs(60)));
        let spent = |disconnected| {
            let spent = events::PairingQrCodesExhausted::builder().disconnected(disconnected);
            over(&Event::PairingQrCodesExhausted(spent.build()))
        };
        assert_eq!(spent(true), Some((InstanceState::QrExpired, json!({}))));
        assert_eq!(spent(false), None);
    }

    #[test]
    fn what_comes_back_by_itself_is_left_alone() {
        let failed = |reason| {
            let failure = events::ConnectFailure::builder().reason(reason).build();
            over(&Event::ConnectFailure(failure)).map(|(state, _)| state)
        };
        assert_eq!(failed(ConnectFailureReason::ServiceUnavailable), None);
        assert_eq!(failed(ConnectFailureReason::InternalServerError), None);
        assert_eq!(
            failed(ConnectFailureReason::TempBanned),
            Some(InstanceState::Banned)
        );
        assert_eq!(
            failed(ConnectFailureReason::BadUserAgent),
            Some(InstanceState::Failed)
        );
    }
}
