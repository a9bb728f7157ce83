//! The map: which table of the old database becomes which of ours, and where each field comes from.
//!
//! A TOML file; `config/import/garage.toml`, embedded, is the one for the garage's old program and the example for
//! others. `docs/IMPORT.md` describes every key.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::Error as _;

use super::encoding::{self, Encoding};

/// The map of the garage's old database.
pub const GARAGE: &str = include_str!("../../../config/import/garage.toml");

/// A checked map.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Map {
    /// The niche that a tenant must have for it.
    pub niche: String,
    /// What the texts are written in; when absent, what the dump says, and UTF-8 for other files.
    #[serde(default, deserialize_with = "encoding_name")]
    pub encoding: Option<Encoding>,
    /// What is done with text that was encoded twice.
    #[serde(default)]
    pub double_encoded: Twice,
    /// Where the clocks hung that wrote times without a zone.
    #[serde(default = "brazil", deserialize_with = "time_zone")]
    pub time_zone: chrono_tz::Tz,
    /// What stands between values in a file of comma-separated ones.
    #[serde(default = "comma")]
    pub csv_delimiter: char,
    /// By the old name.
    pub tables: BTreeMap<String, TableMap>,
}

/// What one old table becomes.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableMap {
    /// Which of ours.
    pub to: Target,
    /// The column by which other tables name its rows.
    #[serde(default = "id")]
    pub id: String,
    /// Where our fields come from.
    pub fields: BTreeMap<String, FieldMap>,
}

/// What is done with text whose UTF-8 was encoded as if it were Latin-1.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Twice {
    /// It is taken as it is, and reported.
    #[default]
    Warn,
    /// It is put right, and reported.
    Repair,
    /// The row is refused.
    Refuse,
}

/// What is done with a value that cannot be ours.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnInvalid {
    /// The row is refused.
    #[default]
    Refuse,
    /// The field stays empty, and that is reported.
    Empty,
}

/// Our tables, in the order in which they are filled: each names only rows of those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// People.
    Contacts,
    /// Vehicles for sale.
    Vehicles,
    /// People who may buy.
    Leads,
    /// What is held with them.
    Conversations,
    /// What was said.
    Messages,
}

impl Target {
    /// In order.
    pub const ALL: [Self; 5] = [
        Self::Contacts,
        Self::Vehicles,
        Self::Leads,
        Self::Conversations,
        Self::Messages,
    ];

    /// Its name, as in the database.
    pub fn name(self) -> &'static str {
        match self {
            Self::Contacts => "contacts",
            Self::Vehicles => "vehicles",
            Self::Leads => "leads",
            Self::Conversations => "conversations",
            Self::Messages => "messages",
        }
    }

    /// The fields that a map may fill.
    pub fn fields(self) -> &'static [&'static str] {
        match self {
            Self::Contacts => &["name", "phone", "email", "notes", "created_at", "updated_at"],
            Self::Vehicles => &[
                "title",
                "make",
                "model",
                "year_manufacture",
                "year_model",
                "price_cents",
                "mileage_km",
                "fuel",
                "transmission",
                "color",
                "plate",
                "description",
                "status",
                "created_at",
                "updated_at",
            ],
            Self::Leads => &[
                "contact",
                "name",
                "phone",
                "email",
                "source",
                "stage",
                "notes",
                "created_at",
                "updated_at",
            ],
            Self::Conversations => &[
                "lead",
                "contact",
                "name",
                "phone",
                "channel",
                "status",
                "created_at",
                "updated_at",
            ],
            Self::Messages => &["conversation", "author", "kind", "body", "created_at"],
        }
    }
}

/// Where a field comes from. In a file a text alone is the column.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct FieldForm {
    from: Option<String>,
    first: Vec<String>,
    join: Vec<String>,
    separator: Option<String>,
    value: Option<String>,
    values: BTreeMap<String, String>,
    other: Option<String>,
    empty: Vec<String>,
    format: Option<String>,
    #[serde(deserialize_with = "encoding_name")]
    encoding: Option<Encoding>,
    invalid: OnInvalid,
}

/// Where a field comes from, checked.
#[derive(Debug, Clone)]
pub struct FieldMap {
    /// The columns: the first that is not empty, or all of them joined.
    pub columns: Vec<String>,
    /// What stands between joined columns; `None` for the first that is not empty.
    pub separator: Option<String>,
    /// What it is when the columns are empty, or when there are none.
    pub value: Option<String>,
    /// The old words, in lower case, and ours.
    pub values: BTreeMap<String, String>,
    /// Ours for every other word.
    pub other: Option<String>,
    /// What stands for nothing.
    pub empty: Vec<String>,
    /// How a time is written, as `strftime` has it; `epoch` for seconds since 1970.
    pub format: Option<String>,
    /// What this column alone is written in.
    pub encoding: Option<Encoding>,
    /// What becomes of a value that cannot be ours.
    pub invalid: OnInvalid,
}

impl<'de> Deserialize<'de> for FieldMap {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let form = match toml::Value::deserialize(deserializer)? {
            toml::Value::String(column) => FieldForm {
                from: Some(column),
                ..FieldForm::default()
            },
            other => FieldForm::deserialize(other).map_err(D::Error::custom)?,
        };
        form.check().map_err(D::Error::custom)
    }
}

impl FieldForm {
    fn check(self) -> Result<FieldMap, &'static str> {
        let ways = [self.from.is_some(), !self.first.is_empty(), !self.join.is_empty()];
        match ways.iter().filter(|way| **way).count() {
            0 if self.value.is_none() => return Err("name one of `from`, `first`, `join` and `value`"),
            0 | 1 => {}
            _ => return Err("name only one of `from`, `first` and `join`"),
        }
        if self.other.is_some() && self.values.is_empty() {
            return Err("`other` needs `values`");
        }
        let separator = match (self.join.is_empty(), self.separator) {
            (false, separator) => Some(separator.unwrap_or_else(|| " ".to_owned())),
            (true, None) => None,
            (true, Some(_)) => return Err("`separator` needs `join`"),
        };
        let columns = self.from.into_iter().chain(self.first).chain(self.join).collect();
        let lower = |(old, new): (String, String)| (old.trim().to_lowercase(), new);
        Ok(FieldMap {
            columns,
            separator,
            value: self.value,
            values: self.values.into_iter().map(lower).collect(),
            other: self.other,
            empty: self.empty,
            format: self.format,
            encoding: self.encoding,
            invalid: self.invalid,
        })
    }
}

impl Map {
    /// Reads a map.
    ///
    /// # Errors
    /// What is wrong with it, for the person who wrote it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let map: Self = toml::from_str(text).map_err(|error| error.to_string())?;
        if !map.csv_delimiter.is_ascii() {
            return Err("csv_delimiter must be one ASCII character".to_owned());
        }
        for (name, table) in &map.tables {
            let known = table.to.fields();
            if let Some(unknown) = table.fields.keys().find(|field| !known.contains(&field.as_str())) {
                return Err(format!(
                    "tables.{name}.fields: {} has no field {unknown}; it has {}",
                    table.to.name(),
                    known.join(", ")
                ));
            }
        }
        for target in Target::ALL {
            if map.tables.values().filter(|table| table.to == target).count() > 1 {
                return Err(format!(
                    "several tables become {}: import them one after the other",
                    target.name()
                ));
            }
        }
        if map.tables.is_empty() {
            return Err("no table is mapped".to_owned());
        }
        Ok(map)
    }

    /// What becomes of an old table; case does not matter.
    pub fn table(&self, name: &str) -> Option<&TableMap> {
        let mut tables = self.tables.iter();
        tables
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, table)| table)
    }

    /// The tables in the order in which they are filled.
    pub fn in_order(&self) -> Vec<(&str, &TableMap)> {
        let mut tables: Vec<_> = self
            .tables
            .iter()
            .map(|(name, table)| (name.as_str(), table))
            .collect();
        tables.sort_by_key(|(_, table)| table.to);
        tables
    }
}

fn brazil() -> chrono_tz::Tz {
    chrono_tz::America::Sao_Paulo
}

fn comma() -> char {
    ','
}

fn id() -> String {
    "id".to_owned()
}

fn time_zone<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<chrono_tz::Tz, D::Error> {
    let name = String::deserialize(deserializer)?;
    name.parse()
        .map_err(|_| D::Error::custom(format!("time_zone: {name} is not known")))
}

fn encoding_name<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Encoding>, D::Error> {
    let name = String::deserialize(deserializer)?;
    match encoding::named(&name) {
        Some(encoding) => Ok(Some(encoding)),
        None => Err(D::Error::custom(format!(
            "encoding: {name} is not known, or not one that can be read"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn refused(text: &str) -> String {
        Map::parse(text).unwrap_err()
    }

    #[test]
    fn the_garages_map_fits() {
        let map = Map::parse(GARAGE).unwrap();
        let order: Vec<&str> = map.in_order().into_iter().map(|(name, _)| name).collect();
        assert_eq!(order, ["cars", "leads", "conversas", "mensagens"]);
        assert_eq!((map.niche.as_str(), map.csv_delimiter), ("cars", ','));
    }

    #[test]
    fn mistakes_are_named() {
        let table =
            |fields: &str| format!("niche = 'cars'\n[tables.a]\nto = 'leads'\n[tables.a.fields]\n{fields}");
        for (text, reason) in [
            (table("nome = 'x'"), "no field nome; it has contact, name"),
            (table("name = {}"), "name one of `from`"),
            (table("name = { from = 'a', join = ['b'] }"), "only one of"),
            (table("name = { from = 'a', separator = 'b' }"), "`separator` needs `join`"),
            (table("name = { from = 'a', other = 'b' }"), "`other` needs `values`"),
            (table("name = { from = 'a', typo = 'b' }"), "typo"),
            (table("name = { from = 'a', encoding = 'gbk' }"), "gbk"),
            ("niche = 'cars'\ntime_zone = 'Mars'\n[tables]".to_owned(), "Mars"),
            ("niche = 'cars'\n[tables]".to_owned(), "no table is mapped"),
            ("niche = 'cars'\nencodings = 'x'\n[tables]".to_owned(), "encodings"),
            ("niche = 'cars'\n[tables.a]\nto = 'users'\nfields = {}".to_owned(), "users"),
            (
                "niche = 'cars'\n[tables.a]\nto = 'leads'\nfields = {}\n[tables.b]\nto = 'leads'\nfields = {}".to_owned(),
                "several tables",
            ),
        ] {
            assert!(refused(&text).contains(reason), "{reason:?} is not in {:?}", refused(&text));
        }
    }

    proptest! {
        #[test]
        fn parse_never_panics(text in any::<String>()) {
            let _ = Map::parse(&text);
        }
    }
}
