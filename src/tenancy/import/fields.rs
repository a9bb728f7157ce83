//! One row of the old database, asked for our fields: columns are found, decoded, translated and checked, and what is wrong
//! is gathered.

use chrono::{DateTime, Utc};

use super::convert;
use super::encoding::{self, Encoding};
use super::map::{FieldMap, Map, OnInvalid, TableMap, Twice};
use super::report::{Level, Problem};
use super::source::{Cell, Row};
use crate::domain::invalid::Invalid;

/// A row and what its map says.
pub struct Fields<'a> {
    /// The old table.
    pub table: &'a str,
    /// What it becomes.
    pub rules: &'a TableMap,
    /// The whole map.
    pub map: &'a Map,
    /// The row.
    pub row: &'a Row<'a>,
    /// What is wrong with it.
    pub problems: Vec<Problem>,
}

/// A value that was found.
struct Found {
    text: String,
    /// From a column of moments in UTC.
    utc: bool,
    /// A number of the database, not text.
    is_number: bool,
}

impl Fields<'_> {
    /// A field that may be empty, checked.
    pub fn optional<T>(&mut self, field: &str, parse: impl FnOnce(&str) -> Result<T, Invalid>) -> Option<T> {
        self.parsed(field, |found| parse(&found.text))
    }

    /// A field that must be there.
    pub fn required<T>(&mut self, field: &str, parse: impl FnOnce(&str) -> Result<T, Invalid>) -> Option<T> {
        let had = self.problems.len();
        let value = self.optional(field, parse);
        if value.is_none() && !self.is_refused(had) {
            self.refuse(field, Invalid::required(), None);
        }
        value
    }

    /// An amount of money.
    pub fn money(&mut self, field: &str) -> Option<i64> {
        self.parsed(field, |found| convert::money(&found.text, found.is_number))
            .map(crate::domain::money::Cents::get)
    }

    /// A whole number, checked.
    pub fn integer<T>(&mut self, field: &str, parse: impl FnOnce(i64) -> Result<T, Invalid>) -> Option<T> {
        self.parsed(field, |found| {
            convert::integer(&found.text, found.is_number).and_then(parse)
        })
    }

    /// A moment; a date of zeros is none, and is reported.
    pub fn time(&mut self, field: &str) -> Option<DateTime<Utc>> {
        let zone = self.map.time_zone;
        let format = self.rules.fields.get(field).and_then(|rule| rule.format.clone());
        let found = self.parsed(field, |found| {
            convert::time(&found.text, format.as_deref(), zone, found.utc)
        })?;
        if found.is_none() {
            let message = "a date of zeros is none".to_owned();
            self.note(Level::Changed, field, "zero_date", message, None);
        }
        found
    }

    /// The row's own name in the old database.
    pub fn id(&self) -> Option<String> {
        let at = self
            .row
            .columns
            .iter()
            .position(|column| column.is(&self.rules.id))?;
        match self.row.cells.get(at)? {
            Cell::Number(number) => Some(number.clone()),
            Cell::Bytes(bytes) => encoding::decode(bytes, self.row.encoding),
            Cell::Null | Cell::Expression => None,
        }
    }

    /// Refuses the row.
    pub fn refuse(&mut self, field: &str, invalid: Invalid, value: Option<String>) {
        self.note(Level::Refused, field, invalid.code, invalid.message, value);
    }

    /// Reports that a value does not come as it was.
    pub fn changed(&mut self, field: &str, code: &'static str, message: &str) {
        self.note(Level::Changed, field, code, message.to_owned(), None);
    }

    /// Reports a value that is left out, because what the row became a part of has another.
    pub fn dropped(&mut self, field: &str, value: String) {
        let message = "is another than that of the contact which the row became a part of, and is left out";
        self.note(Level::Changed, field, "merged", message.to_owned(), Some(value));
    }

    /// Whether something that was found since there were `since` problems refuses the row.
    pub fn is_refused(&self, since: usize) -> bool {
        let new = self.problems.iter().skip(since);
        new.into_iter().any(|problem| problem.level == Level::Refused)
    }

    fn parsed<T>(&mut self, field: &str, parse: impl FnOnce(&Found) -> Result<T, Invalid>) -> Option<T> {
        let rule = self.rules.fields.get(field)?;
        let found = match self.find(field, rule) {
            Ok(found) => found?,
            Err(invalid) => {
                self.refuse(field, invalid, None);
                return None;
            }
        };
        match parse(&found) {
            Ok(value) => Some(value),
            Err(invalid) => {
                let level = match rule.invalid {
                    OnInvalid::Refuse => Level::Refused,
                    OnInvalid::Empty => Level::Changed,
                };
                self.note(level, field, invalid.code, invalid.message, Some(found.text));
                None
            }
        }
    }

    fn find(&mut self, field: &str, rule: &FieldMap) -> Result<Option<Found>, Invalid> {
        let mut found: Option<Found> = None;
        for column in &rule.columns {
            let Some(piece) = self.read(field, column, rule)? else {
                continue;
            };
            match (&mut found, &rule.separator) {
                (Some(all), Some(separator)) => {
                    all.text.push_str(separator);
                    all.text.push_str(piece.text.trim());
                }
                _ => found = Some(piece),
            }
            if rule.separator.is_none() {
                break;
            }
        }
        let constant = || Found {
            text: rule.value.clone().unwrap_or_default(),
            utc: false,
            is_number: false,
        };
        let Some(mut found) = found else {
            return Ok(rule.value.is_some().then(constant));
        };
        if !rule.values.is_empty() {
            let ours = rule
                .values
                .get(&found.text.trim().to_lowercase())
                .or(rule.other.as_ref());
            if let Some(ours) = ours {
                found.text.clone_from(ours);
            }
        }
        Ok(Some(found))
    }

    /// A column's text; `None` when there is none, or one that stands for nothing.
    fn read(&mut self, field: &str, column: &str, rule: &FieldMap) -> Result<Option<Found>, Invalid> {
        let Some(at) = self.row.columns.iter().position(|known| known.is(column)) else {
            return Ok(None);
        };
        let utc = self.row.columns.get(at).is_some_and(|column| column.utc);
        let (text, is_number) = match self.row.cells.get(at) {
            None | Some(Cell::Null) => return Ok(None),
            Some(Cell::Expression) => {
                return Err(Invalid::new(
                    "not_a_value",
                    "is not a value, but something to be computed",
                ));
            }
            Some(Cell::Number(number)) => (number.clone(), true),
            // A `bit(1)`.
            Some(Cell::Bytes(bytes)) if matches!(bytes.as_slice(), [0 | 1]) => {
                (u8::from(bytes == &[1]).to_string(), true)
            }
            Some(Cell::Bytes(bytes)) => (
                self.decode(field, bytes, rule.encoding.unwrap_or(self.row.encoding))?,
                false,
            ),
        };
        let trimmed = text.trim();
        if trimmed.is_empty() || rule.empty.iter().any(|empty| empty == trimmed) {
            return Ok(None);
        }
        Ok(Some(Found { text, utc, is_number }))
    }

    fn decode(&mut self, field: &str, bytes: &[u8], encoding: Encoding) -> Result<String, Invalid> {
        let text = encoding::decode(bytes, encoding)
            .ok_or_else(|| Invalid::new("bad_encoding", format!("is not written in {}", encoding.name())))?;
        let Some(before) = encoding::before_second_encoding(&text) else {
            return Ok(text);
        };
        let (code, message) = ("double_encoded", "was encoded twice");
        match self.map.double_encoded {
            Twice::Refuse => Err(Invalid::new(code, message)),
            Twice::Warn => {
                self.changed(
                    field,
                    code,
                    "seems to have been encoded twice, and is taken as it is",
                );
                Ok(text)
            }
            Twice::Repair => {
                self.changed(field, code, "was encoded twice, and is put right");
                Ok(before)
            }
        }
    }

    fn note(
        &mut self,
        level: Level,
        field: &str,
        code: &'static str,
        message: String,
        value: Option<String>,
    ) {
        let rule = self.rules.fields.get(field);
        let columns = rule
            .map(|rule| rule.columns.join(" + "))
            .filter(|columns| !columns.is_empty());
        let problem = Problem {
            level,
            table: self.table.to_owned(),
            row: self.row.number,
            column: columns.unwrap_or_else(|| field.to_owned()),
            code,
            message,
            value,
        };
        if !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }
}
