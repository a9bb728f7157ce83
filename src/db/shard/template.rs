//! The tenant template, embedded in the binary: one folder for `core` and one for each niche.
//!
//! Adding a niche is adding a folder under `tenant_template/` (its README says how); nothing here names one.

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

/// The migrations and reference data of one folder.
#[derive(Debug, Clone, Default)]
pub struct Part {
    /// In order of their versions.
    pub migrations: Vec<Migration>,
    /// Reference data for a new schema; empty when the folder has none.
    pub seed: String,
    /// Other names by which a person may ask for this niche.
    pub aliases: Vec<String>,
    /// What a snapshot does with each of its tables.
    pub tables: BTreeMap<String, Keeping>,
    /// What is run after rows were restored; empty when the folder has nothing of the kind.
    pub restore: String,
}

impl Part {
    /// The version that a schema made from this part has.
    pub fn version(&self) -> i32 {
        self.migrations.last().map_or(0, |migration| migration.version())
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
        let mut parts: BTreeMap<String, Part> = BTreeMap::new();
        for path in Files::iter() {
            let Some((folder, name)) = path.split_once('/') else {
                continue;
            };
            let file = Files::get(&path).ok_or_else(|| format!("{path} is not embedded"))?;
            let text =
                String::from_utf8(file.data.into_owned()).map_err(|_| format!("{path} is not UTF-8"))?;
            let part = parts.entry(folder.to_owned()).or_default();
            match name {
                "seed.sql" => part.seed = text,
                "restore.sql" => part.restore = text,
                "niche.toml" => part.aliases = aliases(&text),
                "tables.toml" => part.tables = tables(&text).map_err(|error| format!("{path}: {error}"))?,
                _ => part.migrations.push(read_migration(&path, name, &text)?),
            }
        }
        for part in parts.values_mut() {
            part.migrations.sort();
        }
        if parts.contains_key(CORE) {
            Ok(Self { parts })
        } else {
            Err("the folder core is missing".to_owned())
        }
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

fn aliases(toml: &str) -> Vec<String> {
    config::Config::builder()
        .add_source(config::File::from_str(toml, config::FileFormat::Toml))
        .build()
        .and_then(|file| file.get::<Vec<String>>("aliases"))
        .unwrap_or_default()
}

fn tables(toml: &str) -> Result<BTreeMap<String, Keeping>, String> {
    let words = config::Config::builder()
        .add_source(config::File::from_str(toml, config::FileFormat::Toml))
        .build()
        .and_then(|file| file.get::<BTreeMap<String, String>>("tables"))
        .map_err(|error| error.to_string())?;
    let keeping = |(table, word): (String, String)| match word.as_str() {
        "kept" => Ok((table, Keeping::Kept)),
        "own" => Ok((table, Keeping::Own)),
        "forgotten" => Ok((table, Keeping::Forgotten)),
        other => Err(format!("{table} is neither kept, own nor forgotten: {other}")),
    };
    words.into_iter().map(keeping).collect()
}
