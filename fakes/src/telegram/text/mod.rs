//! Texts with marks in them (core.telegram.org/bots/api#formatting-options): the text as a person reads it, and its entities.

mod html;
mod markdown;

use serde_json::{Value, json};

use super::params::Params;
use super::reply::Refusal;

/// The text of a call and its entities. `field`: `text` or `caption`; `most`: how many characters.
pub fn of_call(params: &Params, field: &str, most: usize) -> Result<(String, Vec<Value>), Refusal> {
    let given = params.text(field).unwrap_or_default();
    let mode = params.text("parse_mode").unwrap_or_default();
    let marked = match mode.to_ascii_lowercase().as_str() {
        "" => {
            let named = if field == "text" {
                "entities"
            } else {
                "caption_entities"
            };
            let entities = params.structure(named)?;
            let entities = entities.and_then(|entities| entities.as_array().cloned());
            Ok(Marked {
                text: given,
                entities: entities.unwrap_or_default(),
                ..Marked::default()
            })
        }
        "html" => html::read(&given),
        "markdownv2" => markdown::read(&given),
        "markdown" => markdown::read_old(&given),
        _ => return Err(Refusal::bad("unsupported parse_mode")),
    };
    let marked = marked.map_err(|why| Refusal::bad(format!("can't parse entities: {why}")))?;
    if marked.text.chars().count() > most {
        let what = if field == "text" {
            "message"
        } else {
            "message caption"
        };
        return Err(Refusal::bad(format!("{what} is too long")));
    }
    Ok((marked.text, marked.entities))
}

/// A text while its marks are taken out.
#[derive(Default)]
struct Marked {
    text: String,
    /// Its length as Telegram counts: in UTF-16 units.
    units: usize,
    entities: Vec<Value>,
}

impl Marked {
    fn push(&mut self, letter: char) {
        self.text.push(letter);
        self.units += letter.len_utf16();
    }

    /// Marks everything since `from`, in units; nothing is not marked.
    fn mark(&mut self, from: usize, kind: &str, more: Value) {
        if self.units == from {
            return;
        }
        let mut entity = json!({"type": kind, "offset": from, "length": self.units - from});
        if let (Value::Object(entity), Value::Object(more)) = (&mut entity, more) {
            entity.extend(more);
        }
        self.entities.push(entity);
    }

    fn done(mut self) -> Self {
        self.entities.sort_by_key(|entity| entity["offset"].as_u64());
        self
    }
}
