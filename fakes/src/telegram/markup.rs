//! `reply_markup`: what the real one refuses of it.

use reqwest::Url;
use serde_json::Value;

use super::params::Params;
use super::reply::Refusal;

/// The buttons below a message as the message shows them; none for keyboards, which it does not show.
pub fn of_call(params: &Params) -> Result<Option<Value>, Refusal> {
    let markup = match params.structure("reply_markup") {
        Ok(None) => return Ok(None),
        Ok(Some(markup)) => markup,
        Err(_) => return Err(Refusal::bad("can't parse reply keyboard markup JSON object")),
    };
    let Some(fields) = markup.as_object() else {
        return Err(Refusal::bad("object expected as reply markup"));
    };
    let Some(rows) = fields.get("inline_keyboard") else {
        return Ok(None);
    };
    let no_rows =
        || Refusal::bad("field \"inline_keyboard\" of the InlineKeyboardMarkup should be an Array of Arrays");
    let rows = rows.as_array().ok_or_else(no_rows)?;
    let mut count = 0;
    for row in rows {
        for button in row.as_array().ok_or_else(no_rows)? {
            check(button)?;
            count += 1;
        }
    }
    if count > 100 {
        return Err(Refusal::bad("reply markup is too long"));
    }
    Ok((count > 0).then_some(markup))
}

fn check(button: &Value) -> Result<(), Refusal> {
    if !button.is_object() {
        return Err(Refusal::bad(
            "can't parse inline keyboard button: InlineKeyboardButton must be an Object",
        ));
    }
    let field = |name: &str| button.get(name).and_then(Value::as_str);
    let Some(_) = field("text").filter(|text| !text.is_empty()) else {
        return Err(Refusal::bad(
            "can't parse inline keyboard button: Field \"text\" must be of type String",
        ));
    };
    if let Some(url) = field("url") {
        let scheme = Url::parse(url).ok().map(|url| url.scheme().to_owned());
        let known = scheme.is_some_and(|scheme| matches!(scheme.as_str(), "http" | "https" | "tg" | "ton"));
        return match known {
            true => Ok(()),
            false => Err(Refusal::bad(format!(
                "inline keyboard button URL '{url}' is invalid: Wrong HTTP URL"
            ))),
        };
    }
    if let Some(data) = field("callback_data") {
        return match data.len() {
            1..=64 => Ok(()),
            _ => Err(Refusal::bad("BUTTON_DATA_INVALID")),
        };
    }
    let others = [
        "web_app",
        "login_url",
        "switch_inline_query",
        "switch_inline_query_current_chat",
        "switch_inline_query_chosen_chat",
        "copy_text",
        "callback_game",
        "pay",
    ];
    match others.iter().any(|other| button.get(other).is_some()) {
        true => Ok(()),
        false => Err(Refusal::bad("Text buttons are unallowed in the inline keyboard")),
    }
}
