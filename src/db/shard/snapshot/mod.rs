//! The rows of one tenant, read out of its schema and loaded into a new one.
//!
//! Nothing here costs more the more tenants there are: the catalogue is asked by what hangs on the one schema, through
//! indexes. Connections are an administrator's, opened for the operation, but rows are read with the tenant's own role.

mod devices;
mod export;
mod load;
mod rehearsal;
mod shape;
mod source;

pub use export::Form;
pub use load::{Destination, Inquiry, Loading, RowSink};
pub use rehearsal::Rehearsal;
pub use shape::{Shape, Table};
pub use source::{Rows, Source, SourceAddress};
pub(super) use source::{enter, reader};

use tokio_postgres::Transaction;
use uuid::Uuid;

use super::ident;
use crate::db::DbError;
use crate::domain::ids::PhotoId;

/// Rows of photos that are kept by this program, whose files are not among `$1`.
const WITHOUT_FILES: &str = "url = '/photos/' || id and id <> all ($1)";

fn uuids(photos: &[PhotoId]) -> Vec<Uuid> {
    photos.iter().map(|photo| photo.as_uuid()).collect()
}

/// Settings of the session that change how a value is written as text.
async fn write_values_alike(transaction: &Transaction<'_>) -> Result<(), DbError> {
    transaction
        .batch_execute(
            "set local datestyle = 'ISO, YMD'; set local intervalstyle = 'postgres'; set local timezone = 'UTC';
             set local bytea_output = 'hex'; set local extra_float_digits = 1; set local statement_timeout = 0",
        )
        .await?;
    Ok(())
}

fn quoted(columns: &[String]) -> String {
    let names: Vec<String> = columns.iter().map(|column| ident(column)).collect();
    names.join(", ")
}

fn refused(message: String) -> DbError {
    DbError::Other {
        code: "snapshot".to_owned(),
        message,
    }
}
