//! The tenant template, embedded in the binary: one folder for `core` and one for each niche.
//!
//! Adding a niche is adding a folder under `tenant_template/` (its README says how); nothing here names one.
//! Whoever works with tenants takes [`Template::embedded`]; a template of other files is for those who try a change.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use refinery_core::Migration;
use rust_embed::RustEmbed;

use crate::db::DbError;
use crate::domain::tenant::Niche;

/// The folder that every tenant has.
pub const CORE: &str = "core";

#[derive(RustEmbed)]
#[folder = "tenant_template/"]
#[include = "*.sql"]
#[include = "*.toml"]
struct Files;

/// What a snapshot does with a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keeping {
    /// It comes back in every restore.
    Kept,
    /// It comes back when the same tenant is restored, never in a copy under another key.
    Own,
    /// It is not in the file.
    Forgotten,
}

/// Whose word a column of texts is: what a masked copy makes of it, and whether an export holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Personal {
    /// Nobody's.
    Plain,
    /// The name of a person.
    Name,
    /// An address.
    Email,
    /// A number.
    Phone,
    /// What a provider calls a person, a chat or a message.
    Handle,
    /// What somebody wrote.
    Text,
    /// The same, in JSON.
    Json,
    /// A hash of a password.
    Password,
    /// A credential.
    Secret,
}

impl Personal {
    fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "plain" => Self::Plain,
            "name" => Self::Name,
            "email" => Self::Email,
            "phone" => Self::Phone,
            "handle" => Self::Handle,
            "text" => Self::Text,
            "json" => Self::Json,
            "password" => Self::Password,
            "secret" => Self::Secret,
            _ => return None,
        })
    }
}

/// The words of a table's columns, by their names.
pub type Words = BTreeMap<String, Personal>;

/// The migrations and reference data of one folder.
#[derive(Debug, Clone, Default)]
pub struct Part {
    /// In order of their versions.
    pub migrations: Vec<Migration>,
    /// Reference data for a new schema; empty when the folder has none.
    pub seed: String,
    /// Other names by which a person may ask for this niche.
    pub aliases: Vec<String>,
    /// The oldest version that this program serves, where the folder says so.
    minimum: Option<i32>,
    /// What a snapshot does with each of its tables.
    pub tables: BTreeMap<String, Keeping>,
    /// Whose word the columns of texts of each of its tables are.
    pub columns: BTreeMap<String, Words>,
    /// What is run after rows were restored; empty when the folder has nothing of the kind.
    pub restore: String,
}

impl Part {
    /// The version that a schema made from this part has.
    pub fn version(&self) -> i32 {
        self.migrations.last().map_or(0, |migration| migration.version())
    }

    /// The oldest version that this program serves. A folder that says nothing asks for its newest.
    pub fn minimum(&self) -> i32 {
        self.minimum.unwrap_or_else(|| self.version())
    }

    /// The migrations that a schema of this version has had.
    pub fn migrations_up_to(&self, version: i32) -> Vec<Migration> {
        let had = |migration: &&Migration| migration.version() <= version;
        self.migrations.iter().filter(had).cloned().collect()
    }
}

/// The template of every niche.
#[derive(Debug)]
pub struct Template {
    parts: BTreeMap<String, Part>,
}

static TEMPLATE: LazyLock<Result<Template, String>> = LazyLock::new(Template::read);

impl Template {
    /// The embedded template.
    ///
    /// # Errors
    /// When a file in it cannot be read as a migration; a test sees to it that this never ships.
    pub fn embedded() -> Result<&'static Self, DbError> {
        TEMPLATE.as_ref().map_err(|message| DbError::Other {
            code: "template".to_owned(),
            message: message.clone(),
        })
    }

    fn read() -> Result<Self, String> {
        Self::from_files(files()?)
    }

    /// The embedded files, by their paths.
    ///
    /// # Errors
    /// Which of them is no text.
    pub fn embedded_files() -> Result<BTreeMap<String, String>, String> {
        let text = |path: &str| {
            let file = Files::get(path).ok_or_else(|| format!("{path} is not embedded"))?;
            String::from_utf8(file.data.into_owned()).map_err(|_| format!("{path} is not UTF-8"))
        };
        Files::iter()
            .map(|path| Ok((path.to_string(), text(&path)?)))
            .collect()
    }

    /// A template of these files: paths as in `tenant_template/`, and their texts.
    ///
    /// # Errors
    /// Which file cannot be understood.
    pub fn from_files(files: BTreeMap<String, String>) -> Result<Self, String> {
        let mut parts: BTreeMap<String, Part> = BTreeMap::new();
        for (path, text) in files {
            let Some((folder, name)) = path.split_once('/') else {
                continue;
            };
            let part = parts.entry(folder.to_owned()).or_default();
            match name {
                "seed.sql" => part.seed = text,
                "restore.sql" => part.restore = text,
                "core.toml" | "niche.toml" => {
                    part.aliases = value(&text, "aliases").unwrap_or_default();
                    part.minimum = value(&text, "minimum").ok();
                }
                "tables.toml" => part.tables = tables(&text).map_err(|error| format!("{path}: {error}"))?,
                "columns.toml" => {
                    part.columns = columns(&text).map_err(|error| format!("{path}: {error}"))?
                }
                _ => part.migrations.push(read_migration(&path, name, &text)?),
            }
        }
        for (folder, part) in &mut parts {
            part.migrations.sort();
            if part.minimum() > part.version() {
                return Err(format!("{folder} asks for a version that it does not have"));
            }
        }
        if parts.contains_key(CORE) {
            Ok(Self { parts })
        } else {
            Err("the folder core is missing".to_owned())
        }
    }

    /// The part of this name: `core` or a niche.
    pub fn part(&self, ledger: &str) -> Option<&Part> {
        self.parts.get(ledger)
    }

    /// What every tenant has.
    pub fn core(&self) -> Part {
        self.parts.get(CORE).cloned().unwrap_or_default()
    }

    /// What the tenants of a niche have on top; `None` when there is no such niche.
    pub fn niche(&self, niche: &Niche) -> Option<&Part> {
        self.parts.get(niche.as_str()).filter(|_| niche.as_str() != CORE)
    }

    /// The two parts that a tenant of this niche is made from, with the names of their histories' folders; `None` when
    /// there is no such niche.
    pub fn parts_of(&self, niche: &Niche) -> Option<[(String, Part); 2]> {
        let own = self.niche(niche)?.clone();
        Some([(CORE.to_owned(), self.core()), (niche.as_str().to_owned(), own)])
    }

    /// What a tenant of each niche has when it is up to date: `(niche, ledger, version)`.
    pub fn newest(&self) -> Vec<(&str, &str, i32)> {
        let mut newest = Vec::new();
        for niche in self.niches() {
            for ledger in [CORE, niche] {
                let version = self.parts.get(ledger).map_or(0, Part::version);
                newest.push((niche, ledger, version));
            }
        }
        newest
    }

    /// Whether a schema of these versions, `(ledger, version)`, is older than this program serves.
    pub fn is_too_old(&self, niche: &Niche, versions: &[(String, i32)]) -> bool {
        self.lacks(niche, versions, Part::minimum)
    }

    /// Whether there are migrations for a schema of these versions.
    pub fn is_behind(&self, niche: &Niche, versions: &[(String, i32)]) -> bool {
        self.lacks(niche, versions, Part::version)
    }

    fn lacks(&self, niche: &Niche, versions: &[(String, i32)], needed: fn(&Part) -> i32) -> bool {
        let reached = |ledger: &str| {
            let of = versions.iter().find(|(name, _)| name == ledger);
            of.map_or(0, |(_, version)| *version)
        };
        let mut parts = [CORE, niche.as_str()].into_iter();
        parts.any(|ledger| {
            self.part(ledger)
                .is_some_and(|part| reached(ledger) < needed(part))
        })
    }

    /// Whose word the columns of a table are that tenants of this niche have; `None` when nothing is said of the table.
    pub fn personal(&self, niche: &Niche, table: &str) -> Option<&Words> {
        let core = self.parts.get(CORE)?;
        core.columns
            .get(table)
            .or_else(|| self.niche(niche)?.columns.get(table))
    }

    /// The niche that a person means by `name`: its folder or one of its aliases.
    pub fn find_niche(&self, name: &str) -> Option<Niche> {
        let wanted = name.trim().to_lowercase();
        let folder = self
            .parts
            .iter()
            .filter(|(folder, _)| folder.as_str() != CORE)
            .find(|(folder, part)| **folder == wanted || part.aliases.contains(&wanted))?
            .0;
        Niche::parse(folder).ok()
    }

    /// The names of all niches.
    pub fn niches(&self) -> Vec<&str> {
        self.parts
            .keys()
            .map(String::as_str)
            .filter(|folder| *folder != CORE)
            .collect()
    }
}

fn read_migration(path: &str, name: &str, text: &str) -> Result<Migration, String> {
    let stem = name
        .strip_suffix(".sql")
        .ok_or_else(|| format!("{path} is neither a migration nor seed.sql"))?;
    Migration::unapplied(stem, text).map_err(|error| format!("{path}: {error}"))
}

/// The files of the template: those that are embedded, unless a test has others.
#[cfg(not(feature = "kill_points"))]
fn files() -> Result<BTreeMap<String, String>, String> {
    Template::embedded_files()
}

/// As above. A migration is tried with a program that has one more than the tenants.
#[cfg(feature = "kill_points")]
#[expect(
    clippy::disallowed_methods,
    reason = "test-only, and not a setting of the program"
)]
fn files() -> Result<BTreeMap<String, String>, String> {
    let mut files = Template::embedded_files()?;
    let Some(more) = std::env::var_os("HELIXAI_TEST_MORE_TEMPLATE") else {
        return Ok(files);
    };
    let more: BTreeMap<String, String> = std::fs::read(more)
        .map_err(|error| error.to_string())
        .and_then(|text| serde_json::from_slice(&text).map_err(|error| error.to_string()))?;
    files.extend(more);
    Ok(files)
}

fn value<'a, T: serde::Deserialize<'a>>(toml: &str, name: &str) -> Result<T, config::ConfigError> {
    config::Config::builder()
        .add_source(config::File::from_str(toml, config::FileFormat::Toml))
        .build()
        .and_then(|file| file.get(name))
}

fn tables(toml: &str) -> Result<BTreeMap<String, Keeping>, String> {
    let words: BTreeMap<String, String> = value(toml, "tables").map_err(|error| error.to_string())?;
    let keeping = |(table, word): (String, String)| match word.as_str() {
        "kept" => Ok((table, Keeping::Kept)),
        "own" => Ok((table, Keeping::Own)),
        "forgotten" => Ok((table, Keeping::Forgotten)),
        other => Err(format!("{table} is neither kept, own nor forgotten: {other}")),
    };
    words.into_iter().map(keeping).collect()
}

fn columns(toml: &str) -> Result<BTreeMap<String, Words>, String> {
    let said = config::Config::builder()
        .add_source(config::File::from_str(toml, config::FileFormat::Toml))
        .build()
        .and_then(|file| file.try_deserialize::<BTreeMap<String, BTreeMap<String, String>>>())
        .map_err(|error| error.to_string())?;
    let word = |(column, word): (String, String)| match Personal::parse(&word) {
        Some(personal) => Ok((column, personal)),
        None => Err(format!("{column} has a word that is not known: {word}")),
    };
    let table = |(table, words): (String, BTreeMap<String, String>)| {
        let words = words.into_iter().map(word).collect::<Result<Words, String>>()?;
        Ok::<_, String>((table, words))
    };
    said.into_iter().map(table).collect()
}
