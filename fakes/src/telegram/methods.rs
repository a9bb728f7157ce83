//! Which method does what (core.telegram.org/bots/api#available-methods).
//!
//! To add one: an arm in [`act`].

use std::sync::Arc;

use serde_json::{Value, json};

use super::bot::Call;
use super::files::{self, Kind};
use super::messages;
use super::params::Params;
use super::polling;
use super::reply::{self, Answer, Refusal};
use super::webhook;
use super::world::{Book, World, now};

/// What `sendChatAction` may say.
const ACTIONS: [&str; 11] = [
    "typing",
    "upload_photo",
    "record_video",
    "upload_video",
    "record_voice",
    "upload_voice",
    "upload_document",
    "choose_sticker",
    "find_location",
    "record_video_note",
    "upload_video_note",
];

/// Makes a call, and writes it down. `agent`: how the client calls itself.
pub async fn call(world: &Arc<World>, token: &str, method: &str, mut params: Params, agent: &str) -> Answer {
    let name = method.to_ascii_lowercase();
    world.change(|book| {
        let bot = book.bot(token)?;
        *bot.counts.entry(name.clone()).or_default() += 1;
        if bot.logged_out && name != "logout" {
            return Err(Refusal::new(400, "Logged out"));
        }
        Ok(())
    })?;
    if name == "getupdates" {
        return polling::get_updates(world, token, &params, agent).await;
    }
    let fetched = files::fetch(world, &name, &mut params).await;
    let answer = world.change(|book| {
        let answer = fetched.and_then(|()| act(book, token, &name, &params));
        note(book, token, method, &params, &answer);
        answer
    });
    if name == "setwebhook" {
        world.deliver(token);
    }
    answer
}

/// Writes a call down.
pub fn note(book: &mut Book, token: &str, method: &str, params: &Params, answer: &Answer) {
    // Some clients write `SendMessage`.
    let (first, rest) = method.split_at_checked(1).unwrap_or((method, ""));
    let call = Call {
        number: book.number(),
        at: now(),
        method: first.to_ascii_lowercase() + rest,
        parameters: params.shown(),
        status: reply::status(answer),
        result: answer.clone().unwrap_or_default(),
    };
    book.log(token, call);
}

fn act(book: &mut Book, token: &str, method: &str, params: &Params) -> Answer {
    match method {
        "getme" => me(book, token),
        "setwebhook" => webhook::set(book, token, params),
        "deletewebhook" => webhook::delete(book, token, params),
        "getwebhookinfo" => webhook::info(book, token),
        "logout" => {
            book.bot(token)?.logged_out = true;
            Ok(true.into())
        }
        "close" => Ok(true.into()),
        "sendmessage" => messages::send(book, token, None, params),
        "editmessagetext" => messages::edit(book, token, "text", params),
        "editmessagecaption" => messages::edit(book, token, "caption", params),
        "editmessagereplymarkup" => messages::edit(book, token, "markup", params),
        "deletemessage" => messages::delete(book, token, params),
        "sendchataction" => action(book, token, params),
        "getchat" => chat(book, token, params),
        "getfile" => book.bot(token)?.get_file(params),
        "answercallbackquery" => answer_press(book, token, params),
        "setmycommands" | "getmycommands" | "deletemycommands" => commands(book, token, method, params),
        _ => match Kind::of_method(method) {
            Some(kind) => messages::send(book, token, Some(kind), params),
            None => Err(Refusal::new(404, "Not Found: method not found")),
        },
    }
}

fn me(book: &mut Book, token: &str) -> Answer {
    let mut user = book.bot(token)?.user();
    for (what, can) in [
        ("can_join_groups", true),
        ("can_read_all_group_messages", false),
        ("supports_inline_queries", false),
        ("can_connect_to_business", false),
        ("has_main_web_app", false),
    ] {
        user[what] = can.into();
    }
    Ok(user)
}

fn action(book: &mut Book, token: &str, params: &Params) -> Answer {
    let (_, chat) = book.bot(token)?.chat(params.text("chat_id"))?;
    let action = params.text("action").unwrap_or_default();
    if !ACTIONS.contains(&action.as_str()) {
        return Err(Refusal::bad("wrong parameter action in request"));
    }
    match chat.blocked {
        true => Err(Refusal::new(403, "Forbidden: bot was blocked by the user")),
        false => Ok(true.into()),
    }
}

fn chat(book: &mut Book, token: &str, params: &Params) -> Answer {
    let (_, chat) = book.bot(token)?.chat(params.text("chat_id"))?;
    let mut shown = chat.shown.clone();
    shown["accent_color_id"] = 0.into();
    shown["max_reaction_count"] = 11.into();
    shown["accepted_gift_types"] = json!({"unlimited_gifts": true, "limited_gifts": true, "unique_gifts": true,
                                          "premium_subscription": true});
    Ok(shown)
}

fn answer_press(book: &mut Book, token: &str, params: &Params) -> Answer {
    let query = params.text("callback_query_id").unwrap_or_default();
    match book.bot(token)?.callbacks.contains(&query) {
        true => Ok(true.into()),
        false => Err(Refusal::bad(
            "query is too old and response timeout expired or query ID is invalid",
        )),
    }
}

fn commands(book: &mut Book, token: &str, method: &str, params: &Params) -> Answer {
    let bot = book.bot(token)?;
    let scope = params.structure("scope")?;
    let scope = scope.unwrap_or_else(|| json!({"type": "default"}));
    let place = format!("{scope} {}", params.text("language_code").unwrap_or_default());
    match method {
        "getmycommands" => Ok(bot.commands.get(&place).cloned().unwrap_or_else(|| json!([]))),
        "deletemycommands" => {
            bot.commands.remove(&place);
            Ok(true.into())
        }
        _ => {
            let given = params.structure("commands")?.unwrap_or_else(|| json!([]));
            let list = given
                .as_array()
                .ok_or_else(|| Refusal::bad("expected an Array of BotCommand"))?;
            if list.len() > 100 || !list.iter().all(is_command) {
                return Err(Refusal::bad("BOT_COMMAND_INVALID"));
            }
            bot.commands.insert(place, given);
            Ok(true.into())
        }
    }
}

fn is_command(command: &Value) -> bool {
    let text = |name: &str| command[name].as_str().unwrap_or_default();
    let is_plain = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_';
    (1..=32).contains(&text("command").len())
        && text("command").chars().all(is_plain)
        && (1..=256).contains(&text("description").chars().count())
}
