//! Dumps of `mysqldump`: the rows of one table are read out of it, everything else is passed over.
//!
//! [`statements`] finds where statements end; what a statement says is for `sqlparser`, with the dialect of MySQL. Only
//! `create table` (for the order of columns), `insert` and `set names` are looked at. Nothing is ever executed.

mod literal;
mod statements;

use std::collections::HashMap;
use std::io::Read;

use sqlparser::ast::{Insert, ObjectName, SetExpr, Statement as Sql, TableObject};
use sqlparser::dialect::MySqlDialect;
use sqlparser::parser::{Parser, ParserError};

use super::encoding::{self, Encoding};
use super::source::{Cell, Column, Notes, OnRow, Row};
use literal::{bytes, cell, is_moment, one_character_per_byte};
use statements::{Statement, Statements};

/// Deepest nesting that is followed; rows have none.
const DEEPEST: usize = 50;

/// Why a dump cannot be used at all.
#[derive(Debug, thiserror::Error)]
pub enum DumpError {
    /// It ends inside of a statement.
    #[error("the dump is cut off: what begins in line {0} has no end")]
    CutOff(u64),
    /// It ends where a statement does, and has not said that this is its end.
    #[error(
        "the dump does not end with \"Dump completed\": it may be cut off, or made with `--skip-comments`"
    )]
    Unfinished,
    /// A row is too long.
    #[error("line {0} has a row or statement of more than 16 MiB")]
    TooLong(u64),
    /// A statement cannot be understood.
    #[error("line {0} cannot be read as MySQL writes it")]
    Unreadable(u64),
    /// Rows of a table that nobody has described.
    #[error(
        "line {1} has rows of {0} without the names of its columns, and the dump has no `create table` of it that can be \
         read: make it with `mysqldump --complete-insert`"
    )]
    NoColumns(String, u64),
    /// Two tables of one name.
    #[error("line {1} describes a second table {0}: the dump holds several databases; dump one of them")]
    Twice(String, u64),
    /// The file cannot be read.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// What a dump has said so far.
struct Reading<'a> {
    table: &'a str,
    /// Of the tables that it has described.
    columns: HashMap<String, Vec<Column>>,
    /// What the beginnings of `insert`s mean, by their texts: hundreds begin alike.
    heads: HashMap<Vec<u8>, (String, Vec<Column>)>,
    /// Moments are in UTC.
    utc: bool,
    encoding: Encoding,
    notes: Notes,
    row: u64,
}

/// Hands the rows of one table to `on_row`; answers what is to be said of the dump. An `encoding` that is given is the
/// dump's, whatever it says itself.
///
/// # Errors
/// See [`DumpError`]; whatever `on_row` answers.
pub fn read<E: From<DumpError>>(
    input: impl Read,
    table: &str,
    encoding: Option<Encoding>,
    on_row: OnRow<'_, E>,
) -> Result<Notes, E> {
    let mut reading = Reading {
        table,
        columns: HashMap::new(),
        heads: HashMap::new(),
        utc: false,
        encoding: encoding.unwrap_or(encoding::UTF_8),
        notes: Notes::default(),
        row: 0,
    };
    let mut statements = Statements::new(input);
    while let Some(statement) = statements.next()? {
        let word = first_word(&statement.text);
        match word.as_str() {
            "SET" => reading.setting(&statement.text, encoding.is_none())?,
            "CREATE" => reading.create(&statement)?,
            "INSERT" | "REPLACE" => reading.insert(&statement, on_row)?,
            _ => {}
        }
    }
    reading.notes.completed = statements.is_completed();
    Ok(reading.notes)
}

impl Reading<'_> {
    /// `SET NAMES latin1`, `SET TIME_ZONE='+00:00'`.
    fn setting(&mut self, text: &[u8], names_count: bool) -> Result<(), DumpError> {
        let text = one_character_per_byte(text);
        let words: Vec<&str> = text
            .split(|c: char| c.is_whitespace() || "='\"".contains(c))
            .filter(|word| !word.is_empty())
            .collect();
        match words.as_slice() {
            [_, names, name, ..] if names.eq_ignore_ascii_case("names") && names_count => {
                match encoding::of_mysql(name) {
                    Some(found) => self.encoding = found,
                    None => self.notes.unknown_encoding = Some((*name).to_owned()),
                }
            }
            [_, zone, value] if zone.eq_ignore_ascii_case("time_zone") => self.utc = *value == "+00:00",
            _ => {}
        }
        Ok(())
    }

    fn create(&mut self, statement: &Statement) -> Result<(), DumpError> {
        let Ok(Sql::CreateTable(create)) = parse(&statement.text) else {
            // A view, a trigger, or a table of a kind that is not known: whose rows come without the names of columns is
            // refused when they come.
            return Ok(());
        };
        let Some(name) = last_name(&create.name) else {
            return Ok(());
        };
        let columns = create.columns.iter().map(|column| Column {
            name: decoded(&column.name.value),
            utc: self.utc && is_moment(&column.data_type),
        });
        let columns = columns.collect();
        if self.columns.insert(name.to_lowercase(), columns).is_some() && self.is_wanted(&name) {
            return Err(DumpError::Twice(name, statement.line));
        }
        Ok(())
    }

    fn is_wanted(&self, name: &str) -> bool {
        name.eq_ignore_ascii_case(self.table)
    }

    fn insert<E: From<DumpError>>(&mut self, statement: &Statement, on_row: OnRow<'_, E>) -> Result<(), E> {
        let line = statement.line;
        let unreadable = || DumpError::Unreadable(line);
        let head = statement.head.and_then(|head| statement.text.get(..head));
        let Some(head) = head else {
            // `insert … select`: rows that are not there. `mysqldump` writes none.
            return match parse(&statement.text) {
                Ok(Sql::Insert(insert))
                    if !inserted_into(&insert).is_some_and(|table| self.is_wanted(&table)) =>
                {
                    Ok(())
                }
                _ => Err(unreadable().into()),
            };
        };
        if !self.heads.contains_key(head) {
            let known = self.head(head).ok_or_else(unreadable)?;
            self.notes.tables.insert(known.0.clone());
            self.heads.insert(head.to_vec(), known);
        }
        let Some((table, listed)) = self.heads.get(head).filter(|(table, _)| self.is_wanted(table)) else {
            return Ok(());
        };
        let columns = if listed.is_empty() {
            self.columns
                .get(&table.to_lowercase())
                .ok_or_else(|| DumpError::NoColumns(table.clone(), line))?
        } else {
            listed
        };
        let Ok(Sql::Insert(insert)) = parse(&statement.text) else {
            return Err(unreadable().into());
        };
        let Some(SetExpr::Values(values)) = insert.source.map(|source| *source.body) else {
            return Err(unreadable().into());
        };
        self.notes.encoding = Some(self.encoding);
        for expressions in &values.rows {
            self.row += 1;
            let cells: Vec<Cell> = expressions.content.iter().map(cell).collect();
            on_row(&Row {
                number: self.row,
                columns,
                cells: &cells,
                encoding: self.encoding,
            })?;
        }
        Ok(())
    }

    /// The table and the columns that the beginning of an `insert` names.
    fn head(&self, head: &[u8]) -> Option<(String, Vec<Column>)> {
        let Ok(Sql::Insert(insert)) = parse(&[head, b" (0)"].concat()) else {
            return None;
        };
        let table = inserted_into(&insert)?;
        let described = self.columns.get(&table.to_lowercase());
        let columns = insert.columns.iter().filter_map(last_name).map(|name| {
            let known = described.and_then(|columns| columns.iter().find(|column| column.is(&name)));
            Column {
                utc: known.is_some_and(|column| column.utc),
                name,
            }
        });
        Some((table, columns.collect()))
    }
}

fn parse(text: &[u8]) -> Result<Sql, ParserError> {
    Parser::new(&MySqlDialect {})
        .with_recursion_limit(DEEPEST)
        .try_with_sql(&one_character_per_byte(text))?
        .parse_statement()
}

fn inserted_into(insert: &Insert) -> Option<String> {
    match &insert.table {
        TableObject::TableName(name) => last_name(name),
        _ => None,
    }
}

/// The name without the database before it.
fn last_name(name: &ObjectName) -> Option<String> {
    let part = name.0.last()?.as_ident()?;
    Some(decoded(&part.value))
}

/// Names are written in UTF-8 whatever texts are in.
fn decoded(name: &str) -> String {
    String::from_utf8_lossy(&bytes(name)).into_owned()
}

fn first_word(text: &[u8]) -> String {
    let letters = text.iter().take_while(|byte| byte.is_ascii_alphabetic());
    letters
        .map(|byte| char::from(byte.to_ascii_uppercase()))
        .collect()
}

#[cfg(test)]
mod tests;
