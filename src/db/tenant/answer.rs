//! What the server answers to a statement, and how its rows are read.

use std::sync::Arc;

use tokio_postgres::types::{FromSql, Type};

use crate::db::DbError;

/// The rows of one statement, as they came.
pub struct Answer {
    pub(super) columns: Arc<[Type]>,
    pub(super) affected: u64,
    /// All rows, one after the other.
    bytes: Vec<u8>,
    /// Where each row ends.
    ends: Vec<usize>,
}

impl Default for Answer {
    fn default() -> Self {
        Self {
            columns: Arc::from([]),
            affected: 0,
            bytes: Vec::new(),
            ends: Vec::new(),
        }
    }
}

impl Answer {
    /// Adds a row: for each column its length and its bytes.
    pub(super) fn push(&mut self, row: &[u8]) {
        self.bytes.extend_from_slice(row);
        self.ends.push(self.bytes.len());
    }

    /// The rows, in their order.
    pub(super) fn rows(&self) -> impl Iterator<Item = Columns<'_>> {
        let mut start = 0;
        self.ends.iter().map(move |end| {
            let row = self.bytes.get(start..*end).unwrap_or_default();
            start = *end;
            Columns {
                kinds: &self.columns,
                rest: row,
                next: 0,
            }
        })
    }
}

/// The columns of a row, read from left to right: the order of the `select` list and of the reads must agree.
pub struct Columns<'a> {
    kinds: &'a [Type],
    rest: &'a [u8],
    next: usize,
}

impl<'a> Columns<'a> {
    /// The next column.
    ///
    /// # Errors
    /// When the column is missing or has another type.
    #[expect(clippy::should_implement_trait, reason = "each call reads another type")]
    pub fn next<T: FromSql<'a>>(&mut self) -> Result<T, DbError> {
        let kind = self
            .kinds
            .get(self.next)
            .ok_or_else(|| self.unreadable("is missing"))?;
        self.next += 1;
        if !T::accepts(kind) {
            return Err(self.unreadable("has another type"));
        }
        let value = match self.value().ok_or_else(|| self.unreadable("is cut off"))? {
            Some(bytes) => T::from_sql(kind, bytes),
            None => T::from_sql_null(kind),
        };
        value.map_err(|_| self.unreadable("does not hold such a value"))
    }

    /// The next column, parsed into a domain value.
    ///
    /// # Errors
    /// When the stored text is not one the domain knows: a defect, since constraints keep it out.
    pub fn parse<T: std::str::FromStr>(&mut self) -> Result<T, DbError> {
        let text: &str = self.next()?;
        text.parse()
            .map_err(|_| self.unreadable("holds an unknown value"))
    }

    /// The bytes of the next column; inner `None`: null.
    fn value(&mut self) -> Option<Option<&'a [u8]>> {
        let (length, rest) = self.rest.split_first_chunk::<4>()?;
        self.rest = rest;
        let Ok(length) = usize::try_from(i32::from_be_bytes(*length)) else {
            return Some(None);
        };
        let (bytes, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(Some(bytes))
    }

    /// Names the column, never its value.
    fn unreadable(&self, why: &str) -> DbError {
        DbError::Other {
            code: "driver".to_owned(),
            message: format!("column {} {why}", self.next),
        }
    }
}
