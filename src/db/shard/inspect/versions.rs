//! Which migrations the program's own schemas have had.

use tokio_postgres::Client;

use crate::db::DbError;
use crate::db::shard::{ident, migrate, setup};

/// The versions of the program's own schemas; `None` for one that does not exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Versions {
    /// The registry's.
    pub master: Option<i32>,
    /// The shard's.
    pub shard: Option<i32>,
}

impl Versions {
    /// What this program was built with.
    ///
    /// # Errors
    /// When an embedded migration cannot be read; a test sees to it that this never ships.
    pub fn embedded() -> Result<Self, DbError> {
        Ok(Self {
            master: Some(setup::newest_version("")?),
            shard: Some(setup::newest_version("shard/")?),
        })
    }

    /// Whether a schema lacks a migration that `needed` has.
    pub fn is_behind(self, needed: Self) -> bool {
        self.master < needed.master || self.shard < needed.shard
    }
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
