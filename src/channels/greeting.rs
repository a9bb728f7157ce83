//! What a bot says as long as it has no flow: its first message, with a button, to `/start` and to whoever writes for the first time.
//!
//! [`super::answer`] asks here; whatever answers instead takes the same and gives the same.

use serde_json::json;

use crate::db::tenant::inbound::{Lane, Waiting};
use crate::db::tenant::messages::Said;
use crate::domain::message::MessageKind;

/// What stands on the button.
const BUTTON: &str = "Entrar no VIP";

/// What is said to something that was heard; `earlier`: something was heard before it.
pub(super) fn answer(lane: &Lane, heard: &Waiting, earlier: bool) -> Option<Said> {
    let words = lane.initial_message.as_ref()?;
    if earlier && !is_start(heard) {
        return None;
    }
    Some(match &lane.vip_link {
        None => Said {
            kind: MessageKind::Text,
            body: words.clone(),
            payload: json!({}),
        },
        Some(link) => Said {
            kind: MessageKind::Buttons,
            body: words.clone(),
            payload: json!({"buttons": [{"text": BUTTON, "url": link}]}),
        },
    })
}

/// `/start`, also with what a link has added to it.
fn is_start(heard: &Waiting) -> bool {
    let words = heard.body.as_deref().unwrap_or_default();
    words.split_whitespace().next() == Some("/start")
}
