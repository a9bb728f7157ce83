//! The templates of mails: embedded in the program, one folder of `mail_templates/` for each kind.
//!
//! A value that a template names and the mail lacks is an error, never an empty text.

use std::sync::OnceLock;

use chrono::NaiveDate;
use minijinja::value::{Serde, Value};
use minijinja::{Environment, Error, ErrorKind, State, UndefinedBehavior};
use rust_embed::RustEmbed;
use serde_json::Map;

use crate::domain::mail::MailKind;
use crate::domain::money::Cents;
use crate::domain::settings::Language;

#[derive(RustEmbed)]
#[folder = "mail_templates/"]
#[include = "*.txt"]
#[include = "*.html"]
struct Files;

/// A mail as a person reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// One line.
    pub subject: String,
    /// For programs that show no HTML.
    pub text: String,
    /// A whole document.
    pub html: String,
}

/// Fills the template of a kind.
///
/// # Errors
/// When a value is missing, of another type, or the template is broken: a defect, which names the template and no value.
pub fn render(
    kind: MailKind,
    locale: Language,
    values: Map<String, serde_json::Value>,
) -> Result<Rendered, Error> {
    let environment = environment();
    let mut context = values;
    context.insert("locale".to_owned(), locale.as_str().into());
    let context = Value::from(Serde(&context));
    let fill = |extension: &str| {
        let name = format!("{kind}/{locale}.{extension}");
        environment.get_template(&name)?.render(context.clone())
    };
    let text = fill("txt")?;
    let (subject, text) = text.split_once("\n\n").ok_or_else(|| {
        Error::new(
            ErrorKind::BadSerialization,
            format!("{kind}/{locale}.txt has no subject"),
        )
    })?;
    Ok(Rendered {
        subject: subject.split_whitespace().collect::<Vec<_>>().join(" "),
        text: text.trim().to_owned() + "\n",
        html: fill("html")?,
    })
}

fn environment() -> &'static Environment<'static> {
    static ENVIRONMENT: OnceLock<Environment<'static>> = OnceLock::new();
    ENVIRONMENT.get_or_init(|| {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_loader(|name| {
            let file = Files::get(name).map(|file| String::from_utf8(file.data.into_owned()));
            file.transpose()
                .map_err(|_| Error::new(ErrorKind::BadSerialization, format!("{name} is not UTF-8")))
        });
        environment.add_filter("money", money);
        environment.add_filter("date", date);
        environment.add_filter("month", month);
        environment.add_filter("count", count);
        environment
    })
}

fn wrong(what: &'static str) -> Error {
    Error::new(ErrorKind::InvalidOperation, what)
}

fn is_english(state: &State<'_, '_>) -> bool {
    let locale = state.lookup("locale");
    locale.is_some_and(|locale| locale.as_str() == Some(Language::En.as_str()))
}

/// Cents of a real, as the language writes them.
fn money(state: &State<'_, '_>, cents: i64) -> Result<String, Error> {
    let written = Cents::parse(cents)
        .map_err(|_| wrong("is no amount of money"))?
        .to_string();
    Ok(if is_english(state) {
        swapped(&written)
    } else {
        written
    })
}

/// A whole number with its thousands set apart.
fn count(state: &State<'_, '_>, number: i64) -> Result<String, Error> {
    let digits = number.unsigned_abs().to_string();
    let mut written = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            written.push('.');
        }
        written.push(digit);
    }
    Ok(if is_english(state) {
        swapped(&written)
    } else {
        written
    })
}

/// Points for commas, and the other way round.
fn swapped(number: &str) -> String {
    let swap = |digit| match digit {
        '.' => ',',
        ',' => '.',
        other => other,
    };
    number.chars().map(swap).collect()
}

/// A day, `2026-11-30`, as the language writes it.
fn date(state: &State<'_, '_>, day: &str) -> Result<String, Error> {
    let day = NaiveDate::parse_from_str(day, "%F").map_err(|_| wrong("is no date, as 2026-11-30"))?;
    let format = if is_english(state) {
        "%-d %B %Y"
    } else {
        "%d/%m/%Y"
    };
    Ok(day.format(format).to_string())
}

/// A month, by its first day, `2026-11-01`.
fn month(state: &State<'_, '_>, day: &str) -> Result<String, Error> {
    let day = NaiveDate::parse_from_str(day, "%F").map_err(|_| wrong("is no date, as 2026-11-01"))?;
    let format = if is_english(state) { "%B %Y" } else { "%m/%Y" };
    Ok(day.format(format).to_string())
}

#[cfg(test)]
mod tests;
