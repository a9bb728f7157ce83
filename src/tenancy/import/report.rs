//! What an import has found: totals, and each row that cannot come along or does not come as it was.
//!
//! Values are written to the report's file alone, which its owner has asked for and nobody else can read: never to logs,
//! never to the terminal.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use serde::Serialize;

/// How many problems are kept to be shown; all are counted, and written to the file.
const SHOWN: usize = 100;

/// What became of a row, or of a value in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// The row cannot be imported.
    Refused,
    /// It is imported, but not as it was.
    Changed,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// How bad it is.
    pub level: Level,
    /// The old table.
    pub table: String,
    /// Which of its rows, from 1 on; 0 for all of them.
    pub row: u64,
    /// The old column, or our field when it has none.
    pub column: String,
    /// For programs.
    pub code: &'static str,
    /// For people; never the value.
    pub message: String,
    /// The value, for the file alone.
    #[serde(skip)]
    pub value: Option<String>,
}

/// A table in numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct TableTotals {
    /// The old name.
    pub table: String,
    /// What it becomes.
    pub to: &'static str,
    /// Rows read.
    pub rows: u64,
    /// Rows that are, or would be, imported as a row of their own.
    pub imported: u64,
    /// Rows that became a part of one that was there: a second conversation with the same person, a known contact.
    pub merged: u64,
    /// Rows that cannot be imported.
    pub refused: u64,
    /// Values that do not come as they were.
    pub changed: u64,
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Table by table, in the order in which they are filled.
    pub tables: Vec<TableTotals>,
    /// What is to be known of the source as a whole.
    pub warnings: Vec<String>,
    /// The first problems.
    pub problems: Vec<Problem>,
}

impl Report {
    /// Rows that cannot be imported.
    pub fn refused(&self) -> u64 {
        self.tables.iter().map(|table| table.refused).sum()
    }

    /// Rows that are, or would be, imported.
    pub fn imported(&self) -> u64 {
        self.tables.iter().map(|table| table.imported).sum()
    }
}

/// Writes a report while rows are read.
pub(super) struct Recorder {
    report: Report,
    file: Option<BufWriter<File>>,
}

/// A line of the file.
#[derive(Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    problem: &'a Problem,
    value: &'a Option<String>,
}

impl Recorder {
    /// With a file, which only its owner can read; one that exists is replaced.
    pub fn new(file: Option<&Path>) -> std::io::Result<Self> {
        let open = |path: &Path| {
            let mut options = File::options();
            let file = options
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(path)?;
            // The mode counts for a new file alone.
            file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
            Ok::<_, std::io::Error>(BufWriter::new(file))
        };
        Ok(Self {
            report: Report::default(),
            file: file.map(open).transpose()?,
        })
    }

    pub fn begin(&mut self, table: &str, to: &'static str) {
        self.report.tables.push(TableTotals {
            table: table.to_owned(),
            to,
            ..TableTotals::default()
        });
    }

    /// The totals of the table that is being read.
    pub fn totals(&mut self, count: impl FnOnce(&mut TableTotals)) {
        if let Some(table) = self.report.tables.last_mut() {
            count(table);
        }
    }

    pub fn warn(&mut self, text: String) {
        if !self.report.warnings.contains(&text) {
            self.report.warnings.push(text);
        }
    }

    /// Notes what is wrong with a row; answers whether it is refused.
    pub fn row(&mut self, problems: Vec<Problem>) -> std::io::Result<bool> {
        let refused = problems.iter().any(|problem| problem.level == Level::Refused);
        let changed = problems
            .iter()
            .filter(|problem| problem.level == Level::Changed)
            .count();
        self.totals(|table| {
            table.refused += u64::from(refused);
            table.changed += changed as u64;
        });
        for problem in problems {
            if let Some(file) = &mut self.file {
                let value = &problem.value;
                serde_json::to_writer(
                    &mut *file,
                    &Line {
                        problem: &problem,
                        value,
                    },
                )?;
                file.write_all(b"\n")?;
            }
            if self.report.problems.len() < SHOWN {
                self.report.problems.push(problem);
            }
        }
        Ok(refused)
    }

    pub fn finish(mut self) -> std::io::Result<Report> {
        if let Some(file) = &mut self.file {
            file.flush()?;
        }
        for problem in &mut self.report.problems {
            problem.value = None;
        }
        Ok(self.report)
    }
}
