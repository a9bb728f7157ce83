//! Messages: sent, changed, deleted.

use serde_json::{Value, json};

use super::files::Kind;
use super::markup;
use super::params::Params;
use super::reply::{Answer, Refusal};
use super::text;
use super::world::{Book, now};

/// How many characters a text may have.
const MOST_TEXT: usize = 4096;
/// How many characters a caption may have.
const MOST_CAPTION: usize = 1024;

/// `sendMessage`, and with a kind of file `sendPhoto` and the like.
pub fn send(book: &mut Book, token: &str, kind: Option<Kind>, params: &Params) -> Answer {
    let limits = book.limits;
    let bot = book.bot(token)?;
    let (chat, known) = bot.chat(params.text("chat_id"))?;
    let shown = known.shown.clone();
    let mut message = json!({"from": bot.user(), "chat": shown, "date": now().timestamp()});
    match kind {
        None => write(&mut message, params)?,
        Some(kind) => {
            let (caption, entities) = text::of_call(params, "caption", MOST_CAPTION)?;
            if !caption.is_empty() {
                message["caption"] = caption.into();
            }
            if !entities.is_empty() {
                message["caption_entities"] = entities.into();
            }
            message[kind.field()] = bot.file_of(kind, params)?;
        }
    }
    if let Some(buttons) = markup::of_call(params)? {
        message["reply_markup"] = buttons;
    }
    if let Some(answered) = answered(params)? {
        let found = bot.messages.get(&(chat, answered.id)).cloned();
        match found {
            Some(mut found) => {
                if let Value::Object(found) = &mut found {
                    found.remove("reply_to_message");
                }
                message["reply_to_message"] = found;
            }
            None if answered.must_be => return Err(Refusal::bad("message to be replied not found")),
            None => {}
        }
    }
    let known = bot
        .chats
        .get_mut(&chat)
        .ok_or_else(|| Refusal::bad("chat not found"))?;
    if known.blocked {
        return Err(Refusal::new(403, "Forbidden: bot was blocked by the user"));
    }
    limits
        .admit(&mut bot.sends, &mut known.sends)
        .map_err(Refusal::too_many)?;
    let id = bot.message_number();
    message["message_id"] = id.into();
    bot.messages.insert((chat, id), message.clone());
    Ok(message)
}

fn write(message: &mut Value, params: &Params) -> Result<(), Refusal> {
    let (text, entities) = text::of_call(params, "text", MOST_TEXT)?;
    if text.trim().is_empty() {
        return Err(Refusal::bad("message text is empty"));
    }
    message["text"] = text.into();
    match entities.is_empty() {
        true => {
            if let Value::Object(message) = message {
                message.remove("entities");
            }
        }
        false => message["entities"] = entities.into(),
    }
    Ok(())
}

struct Answered {
    id: i64,
    must_be: bool,
}

fn answered(params: &Params) -> Result<Option<Answered>, Refusal> {
    if let Some(reply) = params.structure("reply_parameters")? {
        let id = reply["message_id"].as_i64().unwrap_or_default();
        let must_be = reply["allow_sending_without_reply"] != true;
        return Ok(Some(Answered { id, must_be }));
    }
    let must_be = !params.boolean("allow_sending_without_reply");
    Ok(params
        .integer("reply_to_message_id")
        .map(|id| Answered { id, must_be }))
}

/// `editMessageText`, `editMessageCaption` and `editMessageReplyMarkup`.
pub fn edit(book: &mut Book, token: &str, what: &str, params: &Params) -> Answer {
    let bot = book.bot(token)?;
    let (chat, _) = bot.chat(params.text("chat_id"))?;
    let Some(id) = params.integer("message_id") else {
        return Err(Refusal::bad("message identifier is not specified"));
    };
    let mine = bot.id;
    let Some(message) = bot.messages.get_mut(&(chat, id)) else {
        return Err(Refusal::bad("message to edit not found"));
    };
    if message["from"]["id"] != mine || (what == "text" && message.get("text").is_none()) {
        return Err(Refusal::bad("message can't be edited"));
    }
    let mut changed = message.clone();
    match what {
        "text" => write(&mut changed, params)?,
        "caption" => {
            let (caption, entities) = text::of_call(params, "caption", MOST_CAPTION)?;
            changed["caption"] = caption.into();
            changed["caption_entities"] = entities.into();
        }
        _ => {}
    }
    match markup::of_call(params)? {
        Some(buttons) => changed["reply_markup"] = buttons,
        // Whoever changes a message without saying its buttons takes them away.
        None => {
            if let Value::Object(changed) = &mut changed {
                changed.remove("reply_markup");
            }
        }
    }
    if changed == *message {
        return Err(Refusal::bad(
            "message is not modified: specified new message content and reply markup are exactly the same as a \
             current content and reply markup of the message",
        ));
    }
    changed["edit_date"] = now().timestamp().into();
    message.clone_from(&changed);
    Ok(changed)
}

pub fn delete(book: &mut Book, token: &str, params: &Params) -> Answer {
    let bot = book.bot(token)?;
    let (chat, _) = bot.chat(params.text("chat_id"))?;
    let Some(id) = params.integer("message_id") else {
        return Err(Refusal::bad("message identifier is not specified"));
    };
    match bot.messages.remove(&(chat, id)) {
        Some(_) => Ok(true.into()),
        None => Err(Refusal::bad("message to delete not found")),
    }
}
