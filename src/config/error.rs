//! Why settings were refused, in words for whoever runs the program. No message repeats a secret's value.
//!
//! To add a kind of failure: a variant here with a message that says what to do.

use std::fmt;
use std::ops::RangeInclusive;
use std::path::PathBuf;

/// Settings that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The configuration file cannot be read.
    #[error("cannot read the configuration file {path}: {source}", path = path.display())]
    Unreadable {
        /// The file asked for.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The configuration file is not TOML.
    #[error("{path} is not valid TOML: {reason}", path = path.display())]
    Syntax {
        /// The file asked for.
        path: PathBuf,
        /// Place and reason, without the offending line (it may hold a secret).
        reason: String,
    },
    /// A key that does not exist was set.
    #[error(
        "unknown setting `{key}` in {origin}{}; the keys are listed in docs/CONFIGURATION.md",
        suggestion(nearest)
    )]
    UnknownKey {
        /// The key, as `section.key`.
        key: String,
        /// The file, or the name of the environment variable.
        origin: String,
        /// A known key that looks like it.
        nearest: Option<String>,
    },
    /// A value is of the wrong type.
    #[error("{0}")]
    Type(String),
    /// Values of the right type that make no sense; all of them, not only the first.
    #[error("{}", listed(.0))]
    Invalid(Vec<Problem>),
    /// A setting that this command needs is not set.
    #[error("`{key}` is not set: {advice}")]
    Missing {
        /// The key, as `section.key`.
        key: &'static str,
        /// How to set it.
        advice: &'static str,
    },
}

/// One refused value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The key, as `section.key`.
    pub key: &'static str,
    /// What is wrong and what to do, to be read after the key.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` {}", self.key, self.message)
    }
}

fn suggestion(nearest: &Option<String>) -> String {
    nearest
        .as_ref()
        .map(|key| format!(" (did you mean `{key}`?)"))
        .unwrap_or_default()
}

fn listed(problems: &[Problem]) -> String {
    problems
        .iter()
        .map(Problem::to_string)
        .collect::<Vec<_>>()
        .join("; ")
}

/// Collects refused values, so that a person corrects them all at once.
#[derive(Debug, Default)]
pub(super) struct Problems {
    found: Vec<Problem>,
    /// What was allowed of each value that has bounds, for the reference.
    ranges: Vec<(&'static str, String)>,
}

impl Problems {
    pub(super) fn add(&mut self, key: &'static str, message: impl Into<String>) {
        self.found.push(Problem {
            key,
            message: message.into(),
        });
    }

    pub(super) fn range<T: PartialOrd + fmt::Display>(
        &mut self,
        key: &'static str,
        value: T,
        allowed: RangeInclusive<T>,
    ) {
        let (least, most) = (allowed.start(), allowed.end());
        self.ranges.push((key, format!("{least}–{most}")));
        if !allowed.contains(&value) {
            self.add(
                key,
                format!(
                    "is {value}: use a value from {} to {}",
                    allowed.start(),
                    allowed.end()
                ),
            );
        }
    }

    /// What is allowed of a value, if it has bounds: `1–3600`.
    pub(super) fn range_of(&self, key: &str) -> Option<&str> {
        let found = self.ranges.iter().find(|(known, _)| *known == key);
        found.map(|(_, range)| range.as_str())
    }

    pub(super) fn into_result(self) -> Result<(), ConfigError> {
        if self.found.is_empty() {
            Ok(())
        } else {
            Err(ConfigError::Invalid(self.found))
        }
    }
}
