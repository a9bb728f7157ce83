//! Moving a tenant's schema to another database by logical replication, while it is written to.
//!
//! [`readiness`] asks both servers whether they can, [`target`] makes the empty tables, [`replication`] copies rows and
//! lets changes follow, [`compare`] looks whether both sides hold the same. Each step may be repeated. What a move makes in
//! a server bears its name ([`name_of`]), so whoever finds it knows which move it belongs to.

pub mod compare;
pub mod readiness;
pub mod replication;
pub mod target;

use std::time::Duration;

use tokio_postgres::Client;
use uuid::Uuid;

use super::hold;
use crate::db::DbError;
use crate::domain::ids::TenantId;

/// How the names of slots, publications and subscriptions of moves begin.
pub const NAMES: &str = "helixai_move_";

/// The name of the slot, the publication and the subscription of a move.
pub fn name_of(id: Uuid) -> String {
    format!("{NAMES}{}", id.simple())
}

/// Whether to wait for another operation to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// For a moment.
    Briefly,
    /// Not at all: somebody will ask again.
    Never,
}

/// Keeps every other operation on this tenant away for as long as the connection lives.
///
/// # Errors
/// [`DbError::Conflict`] when another one is at work.
pub async fn hold_tenant(admin: &Client, tenant: TenantId, wait: Wait) -> Result<(), DbError> {
    match wait {
        Wait::Briefly => hold::hold_connection(admin, tenant).await,
        Wait::Never => hold::hold_connection_at_once(admin, tenant).await,
    }
}

/// Ends this connection's waits for locks after this time; zero for never.
///
/// # Errors
/// When the connection is lost.
pub async fn wait_for_locks(admin: &Client, time: Duration) -> Result<(), DbError> {
    let command = format!("set lock_timeout = {}", time.as_millis());
    Ok(admin.batch_execute(&command).await?)
}

fn refused(message: impl Into<String>) -> DbError {
    DbError::Other {
        code: "move".to_owned(),
        message: message.into(),
    }
}
