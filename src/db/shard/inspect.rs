//! Reads the catalogues of a database, for those who check or report on it. Changes nothing.
//!
//! One function per question; `tenancy::doctor` compares the answers with what they should be.

use tokio_postgres::Client;

use super::{ident, migrate};
use crate::db::DbError;

/// The versions of the program's own schemas; `None` for one that does not exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Versions {
    /// The registry's.
    pub master: Option<i32>,
    /// The shard's.
    pub shard: Option<i32>,
}

/// Which migrations have been applied to schemas `master` and `helixai`.
///
/// # Errors
/// When the catalogue cannot be read.
pub async fn versions(admin: &Client) -> Result<Versions, DbError> {
    Ok(Versions {
        master: version(admin, "master").await?,
        shard: version(admin, "helixai").await?,
    })
}

async fn version(admin: &Client, schema: &str) -> Result<Option<i32>, DbError> {
    let history = format!("{}.{}", ident(schema), migrate::HISTORY);
    let exists: bool = admin
        .query_one("select to_regclass($1) is not null", &[&history])
        .await?
        .get(0);
    if !exists {
        return Ok(None);
    }
    Ok(admin
        .query_one(&format!("select coalesce(max(version), 0) from {history}"), &[])
        .await?
        .get(0))
}
