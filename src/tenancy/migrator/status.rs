//! How far the tenants are, from the registry alone.

use serde::Serialize;

use super::{Migrator, Trouble};
use crate::db::DbError;
use crate::db::master::ledger;

/// Which versions there are, and whose migration is still to come.
#[derive(Debug, Serialize)]
pub struct Status {
    /// The versions of each ledger, older first.
    pub versions: Vec<VersionShare>,
    /// Keys of the tenants that have less than this program's newest; those whose migration failed last.
    pub behind: Vec<String>,
    /// Migrations that could not be applied, the latest first.
    pub failed: Vec<Failed>,
}

/// A version, and how many tenants have it.
#[derive(Debug, Serialize)]
pub struct VersionShare {
    /// `core`, or a niche.
    pub ledger: String,
    /// The version.
    pub version: i32,
    /// How many tenants have it.
    pub tenants: i64,
    /// This program's newest; `None` for a niche that it does not know.
    pub newest: Option<i32>,
    /// Tenants with an older one are answered 503.
    pub minimum: Option<i32>,
}

/// A migration that could not be applied.
#[derive(Debug, Serialize)]
pub struct Failed {
    /// Whose, and why.
    #[serde(flatten)]
    pub trouble: Trouble,
    /// The ledger.
    pub ledger: String,
    /// The version that the schema has stayed at.
    pub version: i32,
    /// When it was last tried.
    pub at: chrono::DateTime<chrono::Utc>,
}

impl Migrator {
    /// Asks the registry.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn status(&self) -> Result<Status, DbError> {
        let counts = ledger::count_versions(&self.master).await?;
        let versions = counts.into_iter().map(|count| {
            let part = self.template.part(&count.ledger);
            VersionShare {
                newest: part.map(|part| part.version()),
                minimum: part.map(|part| part.minimum()),
                ledger: count.ledger,
                version: count.version,
                tenants: count.tenants,
            }
        });
        let pending = ledger::list_pending(&self.master, &self.template.newest(), false).await?;
        let failed = ledger::list_failed(&self.master).await?;
        Ok(Status {
            versions: versions.collect(),
            behind: pending.into_iter().map(|tenant| tenant.key).collect(),
            failed: failed
                .into_iter()
                .map(|failed| Failed {
                    trouble: Trouble {
                        tenant_key: failed.tenant_key,
                        error: failed.error,
                    },
                    ledger: failed.ledger,
                    version: failed.version,
                    at: failed.at,
                })
                .collect(),
        })
    }
}
