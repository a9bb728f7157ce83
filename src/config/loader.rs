//! Where settings come from and which source wins: the embedded defaults, a file, the environment, and what the
//! program itself decides (`helixai dev`, tests), each over the one before.
//!
//! To add a source: collect it as [`Layer`], so that its unknown keys are refused like those of the others.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use config::{Config, Environment, File, FileFormat, Map, Source, Value, ValueKind};

use super::Settings;
use super::error::ConfigError;

/// Every key with its default and what it means.
pub const DEFAULT_TOML: &str = include_str!("../../config/default.toml");

const PREFIX: &str = "HELIXAI";
const FILE_VARIABLE: &str = "HELIXAI_CONFIG";

/// Gathers the sources of the settings; see the module.
#[derive(Default)]
pub struct Loader {
    file: Option<PathBuf>,
    environment: HashMap<String, String>,
    decided: HashMap<String, String>,
}

impl Loader {
    /// Only the defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The sources of this process: `file`, or the one that `HELIXAI_CONFIG` names, and the environment.
    ///
    /// # Errors
    /// A variable of ours is not UTF-8.
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads the environment"
    )]
    pub fn from_process(file: Option<&Path>) -> Result<Self, ConfigError> {
        let mut loader = Self::new();
        loader.file = file.map(Path::to_owned).or_else(|| {
            let named = std::env::var_os(FILE_VARIABLE)?;
            (!named.is_empty()).then(|| PathBuf::from(named))
        });
        for (name, value) in std::env::vars_os() {
            let Some(name) = name.to_str().filter(|name| is_ours(name)) else {
                continue;
            };
            let value = value
                .into_string()
                .map_err(|_| ConfigError::Type(format!("the environment variable {name} is not UTF-8")))?;
            loader.environment.insert(name.to_owned(), value);
        }
        Ok(loader)
    }

    /// Reads this file, which needs to hold only what differs.
    #[must_use]
    pub fn file(mut self, path: impl Into<PathBuf>) -> Self {
        self.file = Some(path.into());
        self
    }

    /// Takes these variables (`HELIXAI__SECTION__KEY`) as the environment; others are ignored.
    #[must_use]
    pub fn environment<K, V>(mut self, variables: impl IntoIterator<Item = (K, V)>) -> Self
    where
        K: Into<String>,
        V: Into<String>,
    {
        let variables = variables
            .into_iter()
            .map(|(name, value)| (name.into(), value.into()));
        self.environment
            .extend(variables.filter(|(name, _)| is_ours(name)));
        self
    }

    /// Decides a value (`section.key`), over every other source.
    #[must_use]
    pub fn set(mut self, key: impl Into<String>, value: impl ToString) -> Self {
        self.decided.insert(key.into(), value.to_string());
        self
    }

    /// Reads the sources and checks every value.
    ///
    /// # Errors
    /// See [`Settings::load`].
    pub fn load(self) -> Result<Settings, ConfigError> {
        let defaults = File::from_str(DEFAULT_TOML, FileFormat::Toml);
        let known = leaves(
            &defaults
                .collect()
                .map_err(|error| ConfigError::Type(error.to_string()))?,
        );
        let mut builder = Config::builder().add_source(defaults);
        if let Some(path) = &self.file {
            builder = builder.add_source(file_layer(path, &known)?);
        }
        builder = builder.add_source(environment_layer(self.environment, &known)?);
        for (key, value) in self.decided {
            refuse_unknown(&key, &known, || "the program".to_owned())?;
            builder = builder
                .set_override(&key, value)
                .map_err(|error| ConfigError::Type(error.to_string()))?;
        }
        let merged = builder
            .build()
            .map_err(|error| ConfigError::Type(error.to_string()))?;
        let settings: Settings = merged
            .try_deserialize()
            .map_err(|error| ConfigError::Type(error.to_string()))?;
        settings.check()?;
        Ok(settings)
    }
}

/// A source already read, whose keys are known.
#[derive(Debug, Clone)]
struct Layer(Map<String, Value>);

impl Source for Layer {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, config::ConfigError> {
        Ok(self.0.clone())
    }
}

fn file_layer(path: &Path, known: &BTreeSet<String>) -> Result<Layer, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable {
        path: path.to_owned(),
        source,
    })?;
    let values = File::from_str(&text, FileFormat::Toml)
        .collect()
        .map_err(|error| ConfigError::Syntax {
            path: path.to_owned(),
            reason: without_source_line(&error.to_string()),
        })?;
    for key in leaves(&values) {
        refuse_unknown(&key, known, || path.display().to_string())?;
    }
    Ok(Layer(values))
}

fn environment_layer(
    variables: HashMap<String, String>,
    known: &BTreeSet<String>,
) -> Result<Environment, ConfigError> {
    for name in variables.keys() {
        let key = name
            .get(PREFIX.len() + 2..)
            .unwrap_or_default()
            .to_lowercase()
            .replace("__", ".");
        refuse_unknown(&key, known, || format!("the environment ({name})"))?;
    }
    Ok(Environment::with_prefix(PREFIX)
        .prefix_separator("__")
        .separator("__")
        .source(Some(variables)))
}

fn is_ours(name: &str) -> bool {
    name.strip_prefix(PREFIX)
        .is_some_and(|rest| rest.starts_with("__"))
}

fn refuse_unknown(
    key: &str,
    known: &BTreeSet<String>,
    origin: impl FnOnce() -> String,
) -> Result<(), ConfigError> {
    let is_section = || {
        known
            .iter()
            .any(|name| name.split_once('.').is_some_and(|(section, _)| section == key))
    };
    if known.contains(key) || is_section() {
        return Ok(());
    }
    Err(ConfigError::UnknownKey {
        key: key.to_owned(),
        origin: origin(),
        nearest: nearest(key, known),
    })
}

/// The paths of the values below `table`, as `section.key`; an empty table counts as a value.
fn leaves(table: &Map<String, Value>) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (name, value) in table {
        match &value.kind {
            ValueKind::Table(inner) if !inner.is_empty() => {
                found.extend(leaves(inner).into_iter().map(|key| format!("{name}.{key}")));
            }
            _ => {
                found.insert(name.clone());
            }
        }
    }
    found
}

/// The known key most like `key`, if one is alike at all.
fn nearest(key: &str, known: &BTreeSet<String>) -> Option<String> {
    let last = key.rsplit('.').next().unwrap_or(key);
    known
        .iter()
        .map(|candidate| {
            let name = candidate.rsplit('.').next().unwrap_or(candidate);
            (distance(key, candidate).min(distance(last, name) + 1), candidate)
        })
        .filter(|(distance, _)| *distance <= 3)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate.clone())
}

/// Levenshtein's edit distance.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (cell, y) in row.iter_mut().skip(1).zip(b.chars()) {
            let best = (diagonal + usize::from(x != y)).min(*cell + 1).min(left + 1);
            diagonal = std::mem::replace(cell, best);
            left = best;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

/// A parser's message without the line it quotes, which may hold a secret.
fn without_source_line(message: &str) -> String {
    let kept: Vec<&str> = message
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.contains('|'))
        .collect();
    kept.join(": ")
}
