//! Rows for people: a table as CSV with a line of headings, or as one JSON object per line.

use futures_util::TryStreamExt as _;
use tokio_postgres::Transaction;

use super::quoted;
use super::shape::Table;
use super::source::Rows;
use crate::db::DbError;
use crate::db::shard::ident;

/// How rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// RFC 4180, UTF-8, with headings.
    Csv,
    /// One object per line.
    JsonLines,
}

/// All rows of these columns of a table of the schema that the transaction works in.
pub(super) async fn export_rows(
    transaction: &Transaction<'_>,
    table: &Table,
    columns: &[String],
    form: Form,
) -> Result<Rows, DbError> {
    let (names, name) = (quoted(columns), ident(&table.name));
    let command = match form {
        Form::Csv => format!("copy (select {names} from {name}) to stdout (format csv, header)"),
        // CSV is the one form of COPY that escapes nothing; JSON never holds the two characters that would be quoted.
        Form::JsonLines => format!(
            r"copy (select row_to_json(r) from (select {names} from {name}) r) to stdout
              (format csv, quote E'\x01', delimiter E'\x02')"
        ),
    };
    let rows = transaction.copy_out(command.as_str()).await?;
    Ok(Box::pin(rows.map_err(DbError::from)))
}
