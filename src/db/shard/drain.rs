//! Waiting until nobody is inside a tenant any more, after its role was taken from the lane's login.
//!
//! A transaction learns who is whose member when it begins, and takes its tenant's shared lock in the next statement.
//! One that began before the revoke and is still between the two would pass the guard, however late it comes to it.
//! So these are waited for first, until they have taken a lock or ended; then the tenant's exclusive lock is waited for.

use std::collections::HashSet;
use std::time::Duration;

use tokio_postgres::Client;

use crate::db::DbError;
use crate::domain::ids::TenantId;

const POLL: Duration = Duration::from_millis(2);
/// Longer than the server lets a login's transaction stand still.
const PATIENCE: Duration = Duration::from_secs(60);

/// Transactions of a login that hold no tenant's lock. A transaction has its virtual id before it reads any catalogue.
const UNDECIDED: &str = "\
select x.pid, x.virtualtransaction
from pg_locks x
join pg_stat_activity a on a.pid = x.pid and a.usename = $1
where x.locktype = 'virtualxid' and x.mode = 'ExclusiveLock' and x.granted
  and not exists (select from pg_locks t where t.pid = x.pid and t.locktype = 'advisory' and t.granted)";

/// Waits until every transaction in the tenant's schema has ended. The revoke must have been committed.
///
/// # Errors
/// [`DbError::Timeout`] when a transaction does not end; whatever the server refuses.
pub async fn drain(admin: &mut Client, login: &str, tenant: TenantId) -> Result<(), DbError> {
    let waiting = async {
        let mut left = undecided(admin, login).await?;
        while !left.is_empty() {
            tokio::time::sleep(POLL).await;
            let now = undecided(admin, login).await?;
            left.retain(|transaction| now.contains(transaction));
        }
        Ok::<(), DbError>(())
    };
    tokio::time::timeout(PATIENCE, waiting)
        .await
        .map_err(|_| DbError::Timeout)??;
    let transaction = admin.transaction().await?;
    transaction
        .execute("select pg_advisory_xact_lock($1)", &[&tenant.lock_key()])
        .await?;
    transaction.commit().await?;
    Ok(())
}

async fn undecided(admin: &Client, login: &str) -> Result<HashSet<(i32, String)>, DbError> {
    let rows = admin.query(UNDECIDED, &[&login]).await?;
    rows.iter()
        .map(|row| Ok((row.try_get(0)?, row.try_get(1)?)))
        .collect()
}
