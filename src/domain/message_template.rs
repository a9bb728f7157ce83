//! Words that a tenant uses again and again: `Olá {{nome}}, {{valor}} vence em {{vencimento}}.`
//!
//! A placeholder that is not known is refused when the template is written, not noticed when it is sent. What has no value
//! for a message (no PIX code, no plan) takes its whole line with it, so that nobody reads half a sentence. `{{var.cupom}}` is
//! the tenant's own: whoever sends the words gives its value ([`super::message_variables`]); a reminder has none.

use super::due::AMOUNT_MAX;
use super::ids::{MessageTemplateId, ReminderRuleId};
use super::money::Cents;
use super::{invalid::Invalid, text, text_enum::text_enum};
use chrono::{DateTime, NaiveDate, Utc};
use serde::Serialize;
use utoipa::ToSchema;

text_enum! {
    /// What a template may leave open.
    pub enum Placeholder {
        /// The customer's name.
        Name = "nome",
        /// The first word of it.
        FirstName = "primeiro_nome",
        /// What is to be paid still.
        Amount = "valor",
        /// The day on which it is due.
        DueDate = "vencimento",
        /// How many days until then, or since then.
        Days = "dias",
        /// What it is for.
        Description = "descricao",
        /// The customer's plan.
        Plan = "plano",
        /// The PIX code, to be copied and pasted.
        Pix = "pix",
        /// How the tenant's business is called.
        Company = "empresa",
    }
}

/// So many days after the day on which something is due, at most 90; negative: before it, at most 10.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = i32, minimum = -10, maximum = 90, example = 3)]
pub struct ReminderDays(i16);

impl ReminderDays {
    /// Reads a number of days.
    pub fn parse(days: i64) -> Result<Self, Invalid> {
        let known = i16::try_from(days).ok().filter(|days| (-10..=90).contains(days));
        known.map(Self).ok_or_else(|| Invalid::out_of_range(-10, 90))
    }
}

/// Most characters of the words.
pub const BODY_MAX: usize = 4096;
/// Most characters of a subject.
pub const SUBJECT_MAX: usize = 200;

/// What words leave open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Open<'a> {
    /// Something that has a meaning here.
    Known(Placeholder),
    /// Something of the tenant's own, by its name.
    Own(&'a str),
}

impl<'a> Open<'a> {
    fn parse(name: &'a str) -> Result<Self, Invalid> {
        if let Some(own) = name.strip_prefix("var.").filter(|own| is_variable(own)) {
            return Ok(Self::Own(own));
        }
        Placeholder::parse(name).map(Self::Known).map_err(|_| {
            let known = Placeholder::WORDS.join(", ");
            Invalid::new(
                "unknown_placeholder",
                format!("may leave open only: {known}, var.<name>"),
            )
        })
    }

    /// What a value for it is called.
    pub fn name(self) -> &'a str {
        match self {
            Self::Known(placeholder) => placeholder.as_str(),
            Self::Own(name) => name,
        }
    }
}

/// Whether a value may be called this: a to z, 0 to 9 and `_`, at most 40 characters.
pub fn is_variable(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    (1..=40).contains(&name.len()) && name.bytes().all(allowed)
}

/// A part of a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part<'a> {
    Words(&'a str),
    Open(Open<'a>),
}

fn parts(text: &str) -> Result<Vec<Part<'_>>, Invalid> {
    let (mut parts, mut rest) = (Vec::new(), text);
    while let Some((words, after)) = rest.split_once("{{") {
        let (name, after) = after
            .split_once("}}")
            .ok_or_else(|| Invalid::format("must close each {{ with }}"))?;
        let open = Open::parse(name.trim())?;
        parts.extend([Part::Words(words), Part::Open(open)]);
        rest = after;
    }
    parts.push(Part::Words(rest));
    Ok(parts)
}

/// Reads the words of a template: 1 to 4,096 characters with known placeholders.
///
/// # Errors
/// `unknown_placeholder`, `required`, `too_long` and the like.
pub fn body(value: &str) -> Result<String, Invalid> {
    if value.trim().is_empty() {
        return Err(Invalid::required());
    }
    let body = text::text(value, BODY_MAX)?;
    parts(&body).map(|_| body.clone())
}

/// Reads a subject: one line with known placeholders.
///
/// # Errors
/// As [`body`].
pub fn subject(value: &str) -> Result<String, Invalid> {
    let subject = text::line(value, SUBJECT_MAX)?;
    parts(&subject).map(|_| subject.clone())
}

/// Whether these words leave this open.
pub fn uses(words: &str, open: Placeholder) -> bool {
    opens(words).contains(&Open::Known(open))
}

/// What these words leave open.
pub fn opens(words: &str) -> Vec<Open<'_>> {
    let parts = parts(words).unwrap_or_default().into_iter();
    let opens = parts.filter_map(|part| match part {
        Part::Open(open) => Some(open),
        Part::Words(_) => None,
    });
    opens.collect()
}

/// The words with their placeholders filled. A line with one that has no value is left out.
pub fn fill(template: &str, value: impl Fn(Open<'_>) -> Option<String>) -> String {
    let lines = template.split('\n').filter_map(|line| fill_line(line, &value));
    lines.collect::<Vec<_>>().join("\n")
}

fn fill_line(line: &str, value: impl Fn(Open<'_>) -> Option<String>) -> Option<String> {
    // Only what was checked is stored; anything else is shown as it is.
    let Ok(parts) = parts(line) else {
        return Some(line.to_owned());
    };
    let filled = parts.into_iter().map(|part| match part {
        Part::Words(words) => Some(words.to_owned()),
        Part::Open(open) => value(open),
    });
    filled.collect()
}

/// What fills the placeholders. It has no `Debug`: it is personal data.
#[derive(Clone)]
pub struct Filling {
    /// Of the customer.
    pub name: Option<String>,
    /// What is to be paid still, in cents.
    pub amount_cents: i64,
    /// When.
    pub due_date: NaiveDate,
    /// The day on which it is read.
    pub today: NaiveDate,
    /// What for.
    pub description: String,
    /// The customer's plan.
    pub plan: Option<String>,
    /// To be copied and pasted.
    pub pix: Option<String>,
    /// How the business is called.
    pub company: String,
}

/// A PIX as a preview shows it.
pub const EXAMPLE_PIX: &str = "00020126580014br.gov.bcb.pix0136exemplo5204000053039865802BR6304ABCD";

impl Filling {
    /// What a preview shows when it is of no due.
    pub fn example(company: String, today: NaiveDate) -> Self {
        Self {
            name: Some("Maria da Silva".to_owned()),
            amount_cents: 9990,
            due_date: today,
            today,
            description: "Mensalidade".to_owned(),
            plan: Some("Plano Ouro".to_owned()),
            pix: Some(EXAMPLE_PIX.to_owned()),
            company,
        }
    }

    fn value(&self, open: Open<'_>) -> Option<String> {
        let Open::Known(open) = open else {
            return None;
        };
        match open {
            Placeholder::Name => self.name.clone(),
            Placeholder::FirstName => {
                let first = self.name.as_deref()?.split_whitespace().next();
                first.map(str::to_owned)
            }
            Placeholder::Amount => {
                let cents = Cents::parse(self.amount_cents.clamp(0, AMOUNT_MAX));
                cents.ok().map(|cents| cents.to_string())
            }
            Placeholder::DueDate => Some(self.due_date.format("%d/%m/%Y").to_string()),
            Placeholder::Days => Some((self.due_date - self.today).num_days().abs().to_string()),
            Placeholder::Description => Some(self.description.clone()),
            Placeholder::Plan => self.plan.clone(),
            Placeholder::Pix => self.pix.clone(),
            Placeholder::Company => Some(self.company.clone()),
        }
    }

    /// The subject of an e-mail; the name of the business when there is none.
    pub fn subject(&self, template: Option<&str>) -> String {
        let filled = template.and_then(|template| fill_line(template, |open| self.value(open)));
        filled.unwrap_or_else(|| self.company.clone())
    }

    /// The words with their placeholders filled. A line with one that has no value is left out.
    pub fn fill(&self, template: &str) -> String {
        fill(template, |open| self.value(open))
    }
}

/// Words with placeholders.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct MessageTemplate {
    /// Its id.
    pub id: MessageTemplateId,
    /// As the tenant calls it.
    pub name: String,
    /// Of an e-mail; the name of the business when there is none.
    pub subject: Option<String>,
    /// The words.
    pub body: String,
    /// Send it with a PATCH to be told when somebody else was faster.
    pub version: i32,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
}

/// When customers are reminded of what they owe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ReminderRule {
    /// Its id.
    pub id: ReminderRuleId,
    /// So many days after the day on which something is due; negative: before it. One rule for each number.
    #[schema(value_type = ReminderDays)]
    pub days: i16,
    /// In which words.
    pub template_id: MessageTemplateId,
    /// Whether it counts.
    pub active: bool,
    /// Send it with a PATCH to be told when somebody else was faster.
    pub version: i32,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn filling() -> Filling {
        let day = |text: &str| crate::domain::day::parse(text).unwrap();
        Filling {
            name: Some("João D'Ávila".to_owned()),
            amount_cents: 123_456,
            due_date: day("2026-12-05"),
            today: day("2026-12-02"),
            description: "Plano Ouro 12/2026".to_owned(),
            plan: None,
            pix: None,
            company: "Academia Sol".to_owned(),
        }
    }

    #[test]
    fn placeholders_are_filled() {
        let words = "Olá {{primeiro_nome}} ({{ nome }})!\n{{valor}} em {{vencimento}}, faltam {{dias}} dias: {{descricao}}.\n{{empresa}}";
        assert_eq!(
            filling().fill(words),
            "Olá João (João D'Ávila)!\nR$ 1.234,56 em 05/12/2026, faltam 3 dias: Plano Ouro 12/2026.\nAcademia Sol"
        );
    }

    #[test]
    fn a_line_without_its_value_is_left_out() {
        let words = "Oi {{nome}}\nPIX: {{pix}}\nPlano {{plano}}\nObrigado";
        assert_eq!(filling().fill(words), "Oi João D'Ávila\nObrigado");
        let known = Filling {
            pix: Some("0002…{{nome}}".to_owned()),
            ..filling()
        };
        // What was filled in is not filled again.
        assert_eq!(known.fill("PIX: {{pix}}"), "PIX: 0002…{{nome}}");
    }

    #[test]
    fn what_is_unknown_is_refused_when_it_is_written() {
        let code = |value: &str| body(value).map_err(|invalid| invalid.code);
        assert!(code("{ {nome} } }}").is_ok());
        assert_eq!(code("{{name}}"), Err("unknown_placeholder"));
        assert_eq!(code("{{nome"), Err("invalid_format"));
        assert_eq!(code("{{}}"), Err("unknown_placeholder"));
        assert_eq!(code(" \n"), Err("required"));
        assert_eq!(code(&"é".repeat(4097)), Err("too_long"));
        assert_eq!(
            subject("a\nb").map_err(|invalid| invalid.code),
            Err("invalid_format")
        );
        assert_eq!(
            subject("{{valor}} de {{x}}").map_err(|invalid| invalid.code),
            Err("unknown_placeholder")
        );
    }

    proptest! {
        #[test]
        fn nothing_panics(words in any::<String>(), near in "[{}a-z \\n]{0,60}") {
            for words in [words, near] {
                let _ = subject(&words);
                let accepted = body(&words);
                let filled = filling().fill(&words);
                if accepted.is_ok() && !words.contains("{{") {
                    prop_assert_eq!(filled, words);
                }
            }
        }
    }
}
