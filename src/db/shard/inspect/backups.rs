//! The snapshots that the program makes by itself, as the registry knows them.

use std::time::Duration;

use tokio_postgres::Client;

use crate::db::DbError;

/// What is wrong with the snapshots.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Backups {
    /// Keys of tenants that have no good snapshot which is young enough.
    pub overdue: Vec<String>,
    /// Tenants whose last snapshot is not to be trusted, and why.
    pub distrusted: Vec<(String, String)>,
    /// Tenants whose last backup came to nothing, and why.
    pub failed: Vec<(String, String)>,
}

const OVERDUE: &str = "\
select t.tenant_key from master.tenants t
where t.status in ('active', 'suspended') and t.created_at < now() - make_interval(secs => $1)
  and not exists (select from master.tenant_backups b
                  where b.tenant_id = t.id and b.error is null and b.taken_at >= now() - make_interval(secs => $1))
order by t.tenant_key";

const BAD: &str = "\
select t.tenant_key, b.error, b.file_name is not null
from master.tenants t
join lateral (select n.error, n.file_name from master.tenant_backups n
              where n.tenant_id = t.id order by n.id desc limit 1) b on b.error is not null
order by t.tenant_key";

/// Reads it; a snapshot is young enough when it is not older than this.
///
/// # Errors
/// When it cannot be read.
pub async fn backups(admin: &Client, oldest: Duration) -> Result<Backups, DbError> {
    let mut found = Backups::default();
    for row in admin.query(OVERDUE, &[&oldest.as_secs_f64()]).await? {
        found.overdue.push(row.try_get(0)?);
    }
    for row in admin.query(BAD, &[]).await? {
        let bad = (row.try_get(0)?, row.try_get(1)?);
        if row.try_get(2)? {
            found.distrusted.push(bad);
        } else {
            found.failed.push(bad);
        }
    }
    Ok(found)
}
