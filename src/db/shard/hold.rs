//! One operation on the whole of a tenant at a time: a backup may run beside another one, and beside nothing else.
//!
//! The lock is the transaction's, so it is gone when the transaction has been committed, has failed, or has lost its
//! client: whoever takes it knows that nobody is still at work.

use std::time::Duration;

use tokio_postgres::{Client, GenericClient, Transaction};

use crate::db::DbError;
use crate::domain::ids::TenantId;

/// How long another operation may still take to end.
const PATIENCE: Duration = Duration::from_secs(2);
/// Waits for locks of tables that are dropped. Who holds one for longer, a dump for instance, is not waited for.
pub(super) const DROPPING: Duration = Duration::from_secs(5);
/// Tells this lock apart from the one that every request of the tenant takes.
const KIND: i64 = 0x6f70_6572_6174_696f;

fn number(tenant: TenantId) -> i64 {
    tenant.lock_key() ^ KIND
}

/// Keeps every other operation on this tenant away until the transaction ends.
///
/// # Errors
/// [`DbError::Conflict`] when another one is at work.
pub(super) async fn hold(transaction: &Transaction<'_>, tenant: TenantId) -> Result<(), DbError> {
    wait_at_most(transaction, PATIENCE).await?;
    transaction
        .execute("select pg_advisory_xact_lock($1)", &[&number(tenant)])
        .await?;
    wait_at_most(transaction, Duration::ZERO).await
}

/// Keeps every other operation on this tenant away for as long as the connection lives: for work of many transactions. What
/// is done over the same connection is not kept away.
///
/// # Errors
/// [`DbError::Conflict`] when another one is at work.
pub async fn hold_connection(admin: &Client, tenant: TenantId) -> Result<(), DbError> {
    notice_the_end(admin).await?;
    admin
        .batch_execute(&format!("set lock_timeout = {}", PATIENCE.as_millis()))
        .await?;
    admin
        .execute("select pg_advisory_lock($1)", &[&number(tenant)])
        .await?;
    Ok(admin.batch_execute("set lock_timeout = 0").await?)
}

/// As [`hold_connection`], without waiting.
///
/// # Errors
/// [`DbError::Conflict`] when another one is at work.
pub async fn hold_connection_at_once(admin: &Client, tenant: TenantId) -> Result<(), DbError> {
    notice_the_end(admin).await?;
    try_lock(admin, "select pg_try_advisory_lock($1)", tenant).await
}

/// Makes the server notice within seconds that this process is gone: in the middle of a statement, and also when its machine
/// has vanished without a word. Else the lock would be held until the system gives the connection up, hours later.
async fn notice_the_end(admin: &Client) -> Result<(), DbError> {
    // Probes are sent only when nothing is on the way; what is on the way and not received has a limit of its own.
    Ok(admin
        .batch_execute(
            "set client_connection_check_interval = 1000; set tcp_keepalives_idle = 5; set tcp_keepalives_interval = 2;
             set tcp_keepalives_count = 3; set tcp_user_timeout = 11000",
        )
        .await?)
}

/// As [`hold`], without waiting.
///
/// # Errors
/// [`DbError::Conflict`] when another one is at work.
pub(super) async fn hold_at_once(transaction: &Transaction<'_>, tenant: TenantId) -> Result<(), DbError> {
    try_lock(transaction, "select pg_try_advisory_xact_lock($1)", tenant).await
}

/// Keeps operations away that change the tenant, until the transaction ends.
///
/// # Errors
/// [`DbError::Conflict`] when one is at work.
pub(super) async fn hold_shared(transaction: &Transaction<'_>, tenant: TenantId) -> Result<(), DbError> {
    try_lock(transaction, "select pg_try_advisory_xact_lock_shared($1)", tenant).await
}

async fn try_lock(client: &impl GenericClient, lock: &'static str, tenant: TenantId) -> Result<(), DbError> {
    let free: bool = client.query_one(lock, &[&number(tenant)]).await?.try_get(0)?;
    if free {
        Ok(())
    } else {
        Err(DbError::Conflict("another operation on this tenant".to_owned()))
    }
}

/// Ends waits for locks after this time; zero for never.
pub(super) async fn wait_at_most(transaction: &Transaction<'_>, time: Duration) -> Result<(), DbError> {
    let command = format!("set local lock_timeout = {}", time.as_millis());
    Ok(transaction.batch_execute(&command).await?)
}
