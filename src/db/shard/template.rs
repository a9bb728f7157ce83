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

/// The migrations and reference data of one folder.
#[derive(Debug, Clone, Default)]
pub struct Part {
    /// In order of their versions.
    pub migrations: Vec<Migration>,
    /// Reference data for a new schema; empty when the folder has none.
    pub seed: String,
    /// Other names by which a person may ask for this niche.
    pub aliases: Vec<String>,
}

impl Part {
    /// The version that a schema made from this part has.
    pub fn version(&self) -> i32 {
        self.migrations.last().map_or(0, |migration| migration.version())
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
                "niche.toml" => part.aliases = aliases(&text),
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
