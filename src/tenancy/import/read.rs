//! Reading a source once: every table of the map in the order in which ours are filled, each row checked and made ours.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::ImportError;
use super::build::{Builder, Built};
use super::dump::DumpError;
use super::fields::Fields;
use super::map::{Map, TableMap};
use super::report::{Level, Problem, Recorder, Report};
use super::source::{Column, Row, Source, SourceError, Wanted};
use crate::db::shard::import::{Filled, Known, Rows};
use crate::tenancy::keeper::OnProgress;

/// Bytes of rows that are handed on at once.
const PIECE: usize = 512 * 1024;
/// Rows between two looks at the progress.
const STEP: u64 = 500;

/// What is read, and how.
#[derive(Clone)]
pub(super) struct Reading {
    pub source: Source,
    pub map: Arc<Map>,
    /// Takes a dump that does not say that it is whole.
    pub accept_unfinished: bool,
    pub now: DateTime<Utc>,
    /// What is being done, for the progress.
    pub step: &'static str,
    pub progress: OnProgress,
}

/// What a source was found to hold.
pub(super) struct Outcome {
    pub report: Report,
    /// Leads whose contact their conversations have shown.
    pub links: Vec<(Uuid, Uuid)>,
    /// Contacts that rows were merged into, each with what it lacked.
    pub filled: Vec<Filled>,
}

/// Takes rows of ours, in the order in which they can be loaded.
pub(super) type Sink<'a> = &'a mut dyn FnMut(Rows) -> Result<(), ImportError>;

impl Reading {
    /// Reads everything; rows that are not refused go to `sink`. Works for as long as that takes: not for a thread that
    /// others wait for.
    pub fn run(&self, known: Known, report: Option<&Path>, sink: Sink<'_>) -> Result<Outcome, ImportError> {
        let mut recorder = Recorder::new(report).map_err(ImportError::Report)?;
        let mut builder = Builder::new(known, self.now);
        let read = Arc::new(AtomicU64::new(0));
        let tables = self.map.in_order();
        let all = self.source.bytes()?.saturating_mul(match self.source {
            // A dump is read once for each table, whatever order it has them in.
            Source::Dump(_) => tables.len() as u64,
            Source::Csv(_) => 1,
        });
        for (name, rules) in tables {
            recorder.begin(name, rules.to.name());
            let mut first = true;
            let show = || {
                (self.progress)(
                    &format!("{} {name}", self.step),
                    read.load(Ordering::Relaxed),
                    all,
                )
            };
            show();
            let wanted = Wanted {
                encoding: self.map.encoding,
                delimiter: u8::try_from(self.map.csv_delimiter).unwrap_or(b','),
            };
            let notes = self.source.rows(name, &wanted, &read, &mut |row: &Row<'_>| {
                if std::mem::take(&mut first) {
                    for warning in columns_left(name, rules, row.columns) {
                        recorder.warn(warning);
                    }
                }
                if row.number.is_multiple_of(STEP) {
                    show();
                }
                self.row((name, rules), row, &mut builder, &mut recorder)?;
                if builder.waiting() >= PIECE {
                    send(&mut builder, sink)?;
                }
                Ok::<(), ImportError>(())
            })?;
            send(&mut builder, sink)?;
            if first {
                recorder.warn(format!("there are no rows of {name}"));
            }
            let is_mapped = |table: &&String| self.map.table(table).is_some();
            let left: Vec<&String> = notes.tables.iter().filter(|table| !is_mapped(table)).collect();
            if !left.is_empty() {
                // Names are the client's: what would move a terminal's cursor is shown as its number.
                let left: Vec<String> = left
                    .iter()
                    .map(|table| table.escape_debug().to_string())
                    .collect();
                recorder.warn(format!("nothing is made of the tables {}", left.join(", ")));
            }
            if let Some(unknown) = notes.unknown_encoding {
                recorder.warn(format!(
                    "the dump is written in {unknown}, which is not known here: say `encoding` in the map"
                ));
            }
            if !notes.completed && !self.accept_unfinished {
                return Err(SourceError::Dump(DumpError::Unfinished).into());
            }
            if !notes.completed {
                recorder.warn(format!("{}: it was accepted as it is", DumpError::Unfinished));
            }
        }
        Ok(Outcome {
            report: recorder.finish().map_err(ImportError::Report)?,
            links: builder.links,
            filled: builder.filled.into_values().collect(),
        })
    }

    fn row(
        &self,
        (table, rules): (&str, &TableMap),
        row: &Row<'_>,
        builder: &mut Builder,
        recorder: &mut Recorder,
    ) -> Result<(), ImportError> {
        recorder.totals(|totals| totals.rows += 1);
        let mut fields = Fields {
            table,
            rules,
            map: &self.map,
            row,
            problems: Vec::new(),
        };
        let built = if row.cells.len() == row.columns.len() {
            builder.row(rules.to, &mut fields)
        } else {
            fields.problems.push(Problem {
                level: Level::Refused,
                table: table.to_owned(),
                row: row.number,
                column: String::new(),
                code: "wrong_columns",
                message: format!("has {} values for {} columns", row.cells.len(), row.columns.len()),
                value: None,
            });
            None
        };
        if !recorder.row(fields.problems).map_err(ImportError::Report)? {
            recorder.totals(|totals| match built {
                Some(Built::Merged) => totals.merged += 1,
                _ => totals.imported += 1,
            });
        }
        Ok(())
    }
}

impl From<SourceError> for ImportError {
    fn from(error: SourceError) -> Self {
        Self::Source(error)
    }
}

fn send(builder: &mut Builder, sink: Sink<'_>) -> Result<(), ImportError> {
    builder.take().into_iter().try_for_each(sink)
}

/// What the map names and the table lacks, and what the table has and the map does not name.
fn columns_left(table: &str, rules: &TableMap, columns: &[Column]) -> Vec<String> {
    let named: Vec<&String> = rules.fields.values().flat_map(|field| &field.columns).collect();
    let mut warnings = Vec::new();
    let known = |name: &str| columns.iter().any(|column| column.is(name));
    for (field, rule) in &rules.fields {
        if !rule.columns.is_empty() && !rule.columns.iter().any(|column| known(column)) {
            let missing = rule.columns.join(", ");
            warnings.push(format!(
                "{table} has no column {missing}, from which {field} would come"
            ));
        }
    }
    let is_named = |column: &Column| column.is(&rules.id) || named.iter().any(|name| column.is(name));
    let left: Vec<&str> = columns
        .iter()
        .filter(|column| !is_named(column))
        .map(|column| column.name.as_str())
        .collect();
    if !left.is_empty() {
        warnings.push(format!("{table}: nothing is made of {}", left.join(", ")));
    }
    warnings
}
