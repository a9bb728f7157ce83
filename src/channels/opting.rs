//! Opting out of broadcasts, and back in, by a word that is said alone. [`super::answer`] asks here before it asks what the bot says.

use serde_json::json;

use crate::db::tenant::inbound::Waiting;
use crate::db::tenant::messages::Said;
use crate::domain::message::MessageKind;

const OUT: [&str; 4] = ["SAIR", "PARAR", "STOP", "CANCELAR"];
const BACK: [&str; 2] = ["VOLTAR", "START"];

/// Whether somebody wants to be out: `None` when they say something else.
pub(super) fn wants_out(heard: &Waiting) -> Option<bool> {
    let words = heard.body.as_deref()?;
    let word = words.trim_matches(|c: char| !c.is_alphanumeric()).to_uppercase();
    // `/start` is for the bot.
    let is_command = words.trim_start().starts_with('/');
    match word.as_str() {
        out if OUT.contains(&out) => Some(true),
        back if BACK.contains(&back) && !is_command => Some(false),
        _ => None,
    }
}

/// What is said to somebody who is out now, or is back.
pub(super) fn confirm(out: bool) -> Said {
    let words = if out {
        "Pronto: você não vai mais receber nossas mensagens em massa. Para voltar a receber, responda VOLTAR."
    } else {
        "Pronto: você voltou a receber nossas mensagens. Para sair, responda SAIR."
    };
    Said {
        kind: MessageKind::Text,
        body: words.to_owned(),
        payload: json!({}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::MessageId;

    #[test]
    fn a_word_alone_is_a_wish() {
        let wish = |body: &str| {
            wants_out(&Waiting {
                id: MessageId::new(),
                kind: "text".to_owned(),
                body: Some(body.to_owned()),
            })
        };
        for out in ["SAIR", " sair. ", "Parar!", "stop", "Cancelar"] {
            assert_eq!(wish(out), Some(true), "{out}");
        }
        for back in ["voltar", "START", "Start!"] {
            assert_eq!(wish(back), Some(false), "{back}");
        }
        for other in ["", "/start", "quero sair", "cancelar o pedido", "saída", "!"] {
            assert_eq!(wish(other), None, "{other}");
        }
    }
}
