//! What fills the placeholders of words that are said in a conversation: what is known of the contact by itself (`{{nome}}`,
//! `{{primeiro_nome}}`, `{{empresa}}`), everything else by a value that was given for it.
//!
//! A value that is missing, or that the words do not ask for, is refused when the words are given, not noticed when they are said.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::invalid::{FieldErrors, Invalid};
use super::message_template::{self, Open, Placeholder};
use super::text::text;

/// Most values.
const MOST: usize = 30;
/// Most characters of one.
const VALUE_MAX: usize = 1000;

/// Values by name. It has no `Debug`: they may be personal data.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Variables(BTreeMap<String, String>);

/// To whom words are said, and by whom. It has no `Debug`: it is personal data.
#[derive(Clone)]
pub struct Addressed {
    /// Of the contact.
    pub name: Option<String>,
    /// How the business is called.
    pub company: String,
}

/// Whether it is known of the contact, or of the tenant, by itself.
fn is_known(open: Open<'_>) -> bool {
    use Placeholder::{Company, FirstName, Name};
    matches!(open, Open::Known(Name | FirstName | Company))
}

impl Variables {
    /// Reads values: at most 30, each of at most 1,000 characters.
    ///
    /// # Errors
    /// The refused ones, as `variables.<name>`.
    pub fn parse(values: BTreeMap<String, String>) -> Result<Self, FieldErrors> {
        let mut errors = FieldErrors::new();
        if values.len() > MOST {
            let invalid = Invalid::new("too_many", format!("must be at most {MOST}"));
            errors.push("variables", invalid);
            return Err(errors);
        }
        let mut read = BTreeMap::new();
        for (name, value) in values {
            if !message_template::is_variable(&name) {
                let invalid = Invalid::format("names must be a to z, 0 to 9 and _, at most 40 characters");
                errors.push("variables", invalid);
            } else if let Some(value) = errors.check(&format!("variables.{name}"), text(&value, VALUE_MAX)) {
                read.insert(name, value);
            }
        }
        errors.into_result().map(|()| Self(read))
    }

    /// Refuses what these words ask for and has no value, values that they do not ask for, and what becomes too long.
    ///
    /// # Errors
    /// `variables.<name>`: `required` or `unknown_variable`; `body`: `too_long`.
    pub fn check_for(&self, words: &str) -> Result<(), FieldErrors> {
        let mut errors = FieldErrors::new();
        let opens = message_template::opens(words);
        for open in &opens {
            let name = open.name();
            if !is_known(*open) && !self.0.contains_key(name) {
                errors.push(&format!("variables.{name}"), Invalid::required());
            }
        }
        for name in self.0.keys() {
            if !opens.iter().any(|open| open.name() == name && !is_known(*open)) {
                let invalid = Invalid::new("unknown_variable", "is not asked for by the words");
                errors.push(&format!("variables.{name}"), invalid);
            }
        }
        let nobody = Addressed {
            name: Some(String::new()),
            company: String::new(),
        };
        if errors.is_empty() && self.filled(words, &nobody).chars().count() > message_template::BODY_MAX {
            errors.push("body", Invalid::too_long(message_template::BODY_MAX));
        }
        errors.into_result()
    }

    /// The words as they are said. A line that needs a name which is not known is left out; `None` when nothing is left.
    pub fn fill(&self, words: &str, to: &Addressed) -> Option<String> {
        let filled = self.filled(words, to);
        let filled: String = filled.chars().take(message_template::BODY_MAX).collect();
        (!filled.trim().is_empty()).then_some(filled)
    }

    fn filled(&self, words: &str, to: &Addressed) -> String {
        message_template::fill(words, |open| match open {
            Open::Known(Placeholder::Name) => to.name.clone(),
            Open::Known(Placeholder::FirstName) => first_word(to.name.as_deref()?),
            Open::Known(Placeholder::Company) => Some(to.company.clone()),
            other => self.0.get(other.name()).cloned(),
        })
    }
}

fn first_word(name: &str) -> Option<String> {
    name.split_whitespace().next().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(pairs: &[(&str, &str)]) -> Variables {
        let owned = pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Variables::parse(owned.collect()).unwrap()
    }

    fn refused(words: &str, given: &Variables) -> Vec<(String, &'static str)> {
        let errors = given.check_for(words).err().into_iter().flatten();
        errors.map(|error| (error.field, error.code)).collect()
    }

    #[test]
    fn what_is_missing_or_not_asked_for_is_refused() {
        let words = "Oi {{primeiro_nome}}: {{var.cupom}} até {{vencimento}}, {{empresa}}";
        let missing = refused(words, &Variables::default());
        let required = |name: &str| (format!("variables.{name}"), "required");
        assert_eq!(missing, [required("cupom"), required("vencimento")]);
        let given = variables(&[("cupom", "X"), ("vencimento", "sexta"), ("nome", "Eu")]);
        let unknown = [("variables.nome".to_owned(), "unknown_variable")];
        assert_eq!(refused(words, &given), unknown);
    }

    #[test]
    fn words_are_filled_once() {
        let to = Addressed {
            name: Some("Ana Maria".to_owned()),
            company: "Loja".to_owned(),
        };
        let given = variables(&[("cupom", "{{nome}}")]);
        let filled = given.fill("Oi {{primeiro_nome}}, {{var.cupom}} da {{empresa}}", &to);
        assert_eq!(filled.as_deref(), Some("Oi Ana, {{nome}} da Loja"));
        let nobody = Addressed { name: None, ..to };
        assert_eq!(
            given.fill("Oi {{nome}}\n{{var.cupom}}", &nobody).as_deref(),
            Some("{{nome}}")
        );
        assert_eq!(given.fill("Oi {{nome}}", &nobody), None);
    }

    #[test]
    fn what_becomes_too_long_is_refused() {
        let long = "x".repeat(900);
        let given = variables(&[("a", &long)]);
        let words = "{{var.a}}".repeat(5);
        assert_eq!(refused(&words, &given), [("body".to_owned(), "too_long")]);
        assert!(Variables::parse([("A".to_owned(), String::new())].into()).is_err());
    }
}
