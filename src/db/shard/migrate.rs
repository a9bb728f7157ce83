//! Runs refinery inside a transaction that is already open.
//!
//! refinery's own driver opens a transaction per call, so a failure leaves a schema with an empty history. Over an
//! open transaction the schema, its history and all migrations are one unit: it is all there or nothing is.

use refinery_core::error::Kind;
use refinery_core::traits::r#async::{AsyncMigrate, AsyncQuery, AsyncTransaction};
use refinery_core::{Migration, Runner};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio_postgres::Transaction;

use crate::db::DbError;

/// The history of `master` and of a shard's own schema.
pub const HISTORY: &str = "schema_history";

struct OpenTransaction<'a>(&'a Transaction<'a>);

/// A failure inside refinery's driver.
#[derive(Debug, thiserror::Error)]
enum DriverError {
    #[error(transparent)]
    Postgres(#[from] tokio_postgres::Error),
    #[error("the migration history is damaged: {0}")]
    History(String),
}

impl AsyncTransaction for OpenTransaction<'_> {
    type Error = DriverError;

    async fn execute<'a, T: Iterator<Item = &'a str> + Send + 'a>(
        &'a mut self,
        queries: T,
    ) -> Result<usize, Self::Error> {
        // One round trip for all of them: the simple protocol takes several statements at once.
        let queries: Vec<&str> = queries.collect();
        self.0.batch_execute(&queries.join(";\n")).await?;
        Ok(queries.len())
    }
}

impl AsyncQuery<Vec<Migration>> for OpenTransaction<'_> {
    async fn query<'a>(&'a mut self, query: &'a str) -> Result<Vec<Migration>, Self::Error> {
        let damaged = |error: &dyn std::fmt::Display| DriverError::History(error.to_string());
        let mut applied = Vec::new();
        for row in self.0.query(query, &[]).await? {
            let on: String = row.try_get(2)?;
            let checksum: String = row.try_get(3)?;
            applied.push(Migration::applied(
                row.try_get(0)?,
                row.try_get(1)?,
                OffsetDateTime::parse(&on, &Rfc3339).map_err(|error| damaged(&error))?,
                checksum.parse().map_err(|error| damaged(&error))?,
            ));
        }
        Ok(applied)
    }
}

impl AsyncMigrate for OpenTransaction<'_> {}

/// Applies what is missing of `migrations` and returns the version reached (0 for an empty set).
///
/// The transaction's `search_path` decides the schema; `history` is the name of its ledger there.
///
/// # Errors
/// [`DbError::Other`] with the migration's name when one fails, diverges or is missing; what another transaction or the
/// network is to blame for, as such. The transaction is then over.
pub async fn migrate(
    transaction: &Transaction<'_>,
    migrations: &[Migration],
    history: &str,
) -> Result<i32, DbError> {
    // One by one: an error then names its migration.
    let mut runner = Runner::new(migrations)
        .set_grouped(false)
        .set_abort_divergent(true)
        .set_abort_missing(true);
    runner.set_migration_table_name(super::ident(history));
    runner
        .run_async(&mut OpenTransaction(transaction))
        .await
        .map_err(explain)?;
    Ok(migrations
        .iter()
        .map(|migration| migration.version())
        .max()
        .unwrap_or_default())
}

/// What went wrong, without any row's values: the server's details are left out, and so is its message where it may quote
/// a value that does not fit (class 22).
fn explain(error: refinery_core::Error) -> DbError {
    let failed = |message: String| DbError::Other {
        code: "migration".to_owned(),
        message,
    };
    let Kind::Connection(what, cause) = error.kind() else {
        return failed(error.to_string());
    };
    let Some(DriverError::Postgres(driver)) = cause.downcast_ref() else {
        return failed(format!("{what}: {cause}"));
    };
    let why = DbError::from(driver);
    if why.is_transient() {
        return why;
    }
    failed(match driver.as_db_error() {
        Some(said) if said.code().code().starts_with("22") => {
            format!(
                "{what}: {}, a row has a value that does not fit",
                said.code().code()
            )
        }
        Some(said) => format!("{what}: {} {}", said.code().code(), said.message()),
        None => format!("{what}: {why}"),
    })
}
