//! What people do, as a bot hears of it.

use actix_web::web::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::bot::{Bot, Chat};
use super::files::Kind;
use super::params::Upload;
use super::world::{Book, now};

/// Somebody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// The number that their private chats have, too.
    pub id: i64,
    /// What they call themselves.
    pub first_name: String,
    #[serde(default)]
    /// The rest of it.
    pub last_name: Option<String>,
    #[serde(default)]
    /// Without `@`.
    pub username: Option<String>,
}

impl Person {
    /// Somebody who is called by their number.
    pub fn new(id: i64) -> Self {
        Self {
            id,
            first_name: format!("Pessoa {id}"),
            last_name: None,
            username: None,
        }
    }

    fn user(&self) -> Value {
        let mut user =
            json!({"id": self.id, "is_bot": false, "first_name": self.first_name, "language_code": "pt-br"});
        self.name(&mut user);
        user
    }

    fn chat(&self) -> Value {
        let mut chat = json!({"id": self.id, "type": "private", "first_name": self.first_name});
        self.name(&mut chat);
        chat
    }

    fn name(&self, of: &mut Value) {
        for (field, text) in [("last_name", &self.last_name), ("username", &self.username)] {
            if let Some(text) = text {
                of[field] = text.as_str().into();
            }
        }
    }
}

/// What somebody does.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// Writes.
    Text(String),
    /// Opens the bot, by a link with this payload or with none.
    Start(Option<String>),
    /// Sends a photo.
    Photo(Media),
    /// Sends a file.
    Document(Media),
    /// Sends a video.
    Video(Media),
    /// Sends a film of themselves, shown as a circle.
    VideoNote(Media),
    /// Sends music.
    Audio(Media),
    /// Speaks.
    Voice(Media),
    /// Shares their own phone number.
    Contact(String),
    /// Shares a place: latitude, longitude.
    Location(f64, f64),
    /// Presses the button of this message that carries this data.
    Press {
        /// The message with the buttons.
        message_id: i64,
        /// The button's data.
        data: String,
    },
    /// Changes a message of their own.
    Edit {
        /// Which.
        message_id: i64,
        /// What it says now.
        text: String,
    },
    /// Stops the bot: from then on it cannot write to them.
    Block,
    /// Lets the bot write again.
    Unblock,
}

/// A file that somebody sends.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Media {
    /// What is in it.
    pub bytes: Vec<u8>,
    /// Its name.
    pub name: Option<String>,
    /// As `application/pdf`.
    pub mime: Option<String>,
    /// What they write below it.
    pub caption: Option<String>,
    /// Messages with the same one are an album.
    pub album: Option<String>,
    /// The size it claims to have, when it is not that of the bytes.
    pub size: Option<u64>,
}

/// Something that somebody does, where a bot hears of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Incoming {
    /// Who.
    pub person: Person,
    /// The group, of a negative number; none for the private chat with the bot.
    #[serde(default)]
    pub group: Option<i64>,
    /// The message that it answers.
    #[serde(default)]
    pub reply_to: Option<i64>,
    /// What.
    pub what: What,
}

impl Incoming {
    /// Somebody does something in their private chat with the bot.
    pub fn new(person: i64, what: What) -> Self {
        Self {
            person: Person::new(person),
            group: None,
            reply_to: None,
            what,
        }
    }

    /// The same, by somebody with a name.
    #[must_use]
    pub fn by(mut self, person: Person) -> Self {
        self.person = person;
        self
    }

    /// The same, in a group.
    #[must_use]
    pub fn in_group(mut self, group: i64) -> Self {
        self.group = Some(group);
        self
    }

    /// The same, in answer to a message.
    #[must_use]
    pub fn answering(mut self, message_id: i64) -> Self {
        self.reply_to = Some(message_id);
        self
    }
}

/// Writes down what somebody does; answers the number of the update, none when the bot does not want to hear of it.
pub fn happen(book: &mut Book, token: &str, incoming: &Incoming) -> Result<Option<u32>, String> {
    let number = book.number();
    let bot = book.bots.get_mut(token).ok_or("no such bot")?;
    let id = incoming.group.unwrap_or(incoming.person.id);
    let chat = bot.chats.entry(id).or_insert_with(|| Chat::new(id));
    if incoming.group.is_none() {
        chat.shown = incoming.person.chat();
    }
    // Who does anything else has let the bot in again.
    chat.blocked = matches!(incoming.what, What::Block);
    let (kind, content) = match &incoming.what {
        What::Block | What::Unblock => ("my_chat_member", member(bot, id, incoming)),
        What::Press { message_id, data } => {
            let press = press(bot, id, incoming, (*message_id, data), number)?;
            ("callback_query", press)
        }
        What::Edit { message_id, text } => ("edited_message", edit(bot, id, incoming, *message_id, text)?),
        _ => ("message", message(bot, id, incoming)?),
    };
    Ok(bot.push(kind, id, content))
}

fn member(bot: &Bot, chat: i64, incoming: &Incoming) -> Value {
    let status = |member: bool| match member {
        true => json!({"user": bot.user(), "status": "member"}),
        false => json!({"user": bot.user(), "status": "kicked", "until_date": 0}),
    };
    let known = &bot.chats[&chat];
    json!({"chat": known.shown, "from": incoming.person.user(), "date": now().timestamp(),
           "old_chat_member": status(known.blocked), "new_chat_member": status(!known.blocked)})
}

fn press(
    bot: &mut Bot,
    chat: i64,
    incoming: &Incoming,
    (message_id, data): (i64, &str),
    number: u64,
) -> Result<Value, String> {
    let message = bot.messages.get(&(chat, message_id)).ok_or("no such message")?;
    let rows = message["reply_markup"]["inline_keyboard"].as_array();
    let mut buttons = rows.into_iter().flatten().filter_map(Value::as_array).flatten();
    if !buttons.any(|button| button["callback_data"] == data) {
        return Err("no such button".to_owned());
    }
    let (query, message) = (number.to_string(), message.clone());
    bot.callbacks.insert(query.clone());
    Ok(
        json!({"id": query, "from": incoming.person.user(), "message": message, "chat_instance": chat.to_string(),
              "data": data}),
    )
}

fn edit(bot: &mut Bot, chat: i64, incoming: &Incoming, message_id: i64, text: &str) -> Result<Value, String> {
    let message = bot
        .messages
        .get_mut(&(chat, message_id))
        .ok_or("no such message")?;
    if message["from"]["id"] != incoming.person.id {
        return Err("somebody else's message".to_owned());
    }
    write(message, text);
    message["edit_date"] = now().timestamp().into();
    Ok(message.clone())
}

/// A new message.
fn message(bot: &mut Bot, chat: i64, incoming: &Incoming) -> Result<Value, String> {
    let id = bot.message_number();
    let mut message = json!({"message_id": id, "from": incoming.person.user(), "chat": bot.chats[&chat].shown,
                             "date": now().timestamp()});
    if let Some(answered) = incoming.reply_to {
        let answered = bot.messages.get(&(chat, answered)).ok_or("no such message")?;
        message["reply_to_message"] = answered.clone();
    }
    match &incoming.what {
        What::Text(text) => write(&mut message, text),
        What::Start(None) => write(&mut message, "/start"),
        What::Start(Some(payload)) => write(&mut message, &format!("/start {payload}")),
        What::Photo(media) => attach(bot, &mut message, Kind::Photo, media),
        What::Document(media) => attach(bot, &mut message, Kind::Document, media),
        What::Video(media) => attach(bot, &mut message, Kind::Video, media),
        What::VideoNote(media) => attach(bot, &mut message, Kind::VideoNote, media),
        What::Audio(media) => attach(bot, &mut message, Kind::Audio, media),
        What::Voice(media) => attach(bot, &mut message, Kind::Voice, media),
        What::Contact(phone) => {
            message["contact"] = json!({"phone_number": phone, "first_name": incoming.person.first_name,
                                        "user_id": incoming.person.id});
        }
        What::Location(latitude, longitude) => {
            message["location"] = json!({"latitude": latitude, "longitude": longitude});
        }
        What::Press { .. } | What::Edit { .. } | What::Block | What::Unblock => {}
    }
    bot.messages.insert((chat, id), message.clone());
    Ok(message)
}

fn attach(bot: &mut Bot, message: &mut Value, kind: Kind, media: &Media) {
    let upload = Upload {
        name: media.name.clone(),
        kind: media.mime.clone(),
        bytes: Bytes::from(media.bytes.clone()),
    };
    message[kind.field()] = bot.keep_file(kind, &upload, media.size);
    for (field, text) in [("caption", &media.caption), ("media_group_id", &media.album)] {
        if let Some(text) = text {
            message[field] = text.as_str().into();
        }
    }
}

/// A text, with what Telegram finds in it: a command at its beginning.
fn write(message: &mut Value, text: &str) {
    message["text"] = text.into();
    let command = text.split_whitespace().next().unwrap_or_default();
    if command.len() > 1 && text.starts_with('/') {
        let length = command.encode_utf16().count();
        message["entities"] = json!([{"type": "bot_command", "offset": 0, "length": length}]);
    }
}

impl Chat {
    /// A chat that nobody has named: of a negative number, a group.
    pub fn new(id: i64) -> Self {
        let mut chat = Self {
            shown: match id {
                0.. => Person::new(id).chat(),
                _ if id < -1_000_000_000_000 => {
                    json!({"id": id, "type": "supergroup", "title": format!("Grupo {id}")})
                }
                _ => json!({"id": id, "type": "group", "title": format!("Grupo {id}")}),
            },
            ..Self::default()
        };
        chat.sends.is_group = id < 0;
        chat
    }
}
