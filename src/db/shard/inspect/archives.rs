//! Tenants that could not be put away or brought back, and restores that do not end, as the registry knows them.

use tokio_postgres::Client;

use crate::db::DbError;

/// A tenant of which the last attempt did not succeed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    /// Its key.
    pub key: String,
    /// Whether it is put away, and was to be brought back; else it is to be put away.
    pub is_archived: bool,
    /// Whether it is deleted: it has a date on which all of it is removed.
    pub is_deleted: bool,
    /// Why.
    pub error: String,
}

/// What has not come to its end.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Unended {
    /// Tenants that could not be put away or brought back.
    pub failed: Vec<Failed>,
    /// Tenants that are being restored, and for how many hours.
    pub restores: Vec<(String, i64)>,
}

const FAILED: &str = "\
select t.tenant_key, t.status = 'archived', a.purge_at is not null, a.error
from master.tenant_archives a join master.tenants t on t.id = a.tenant_id
where a.error is not null and t.status in ('archiving', 'archived')
order by t.tenant_key";

const RESTORES: &str = "\
select t.tenant_key, (extract(epoch from now() - r.created_at) / 3600)::int8
from master.tenant_restores r join master.tenants t on t.id = r.tenant_id
order by t.tenant_key";

/// Reads it.
///
/// # Errors
/// When it cannot be read.
pub async fn unended(admin: &Client) -> Result<Unended, DbError> {
    let mut found = Unended::default();
    for row in admin.query(FAILED, &[]).await? {
        found.failed.push(Failed {
            key: row.try_get(0)?,
            is_archived: row.try_get(1)?,
            is_deleted: row.try_get(2)?,
            error: row.try_get(3)?,
        });
    }
    for row in admin.query(RESTORES, &[]).await? {
        found.restores.push((row.try_get(0)?, row.try_get(1)?));
    }
    Ok(found)
}
