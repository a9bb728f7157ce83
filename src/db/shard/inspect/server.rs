//! The server: its version, the settings that matter to the program, and what the administrator may do.

use std::path::PathBuf;

use chrono::{DateTime, Utc};
use tokio_postgres::Client;

use crate::db::DbError;

/// What a server says of itself.
#[derive(Debug, Clone)]
pub struct Server {
    /// `150018` for 15.18.
    pub version: i32,
    /// As people write it.
    pub version_text: String,
    /// What its clock says.
    pub clock: DateTime<Utc>,
    /// Where it keeps its data, when it is on this machine and a superuser asks.
    pub data_folder: Option<PathBuf>,
    /// When it was started, to the microsecond: two connections that say the same are to one server.
    pub started_at: DateTime<Utc>,
    /// Connections in all.
    pub max_connections: i64,
    /// Those of them that only superusers get, or those who may use reserved ones.
    pub reserved_connections: i64,
    /// Locks that each connection may hold on average.
    pub max_locks_per_transaction: i64,
    /// `minimal`, `replica` or `logical`.
    pub wal_level: String,
    /// Whether a commit reaches the disk.
    pub fsync: bool,
    /// Whether a page that was written in part can be repaired.
    pub full_page_writes: bool,
    /// How passwords are stored.
    pub password_encryption: String,
    /// The database's encoding.
    pub encoding: String,
    /// The administrator's login.
    pub administrator: String,
    /// Whether it is a superuser.
    pub is_superuser: bool,
    /// Whether it may make roles and schemas.
    pub may_provision: bool,
}

/// Asks the server of this connection.
///
/// # Errors
/// When it does not answer.
pub async fn server(admin: &Client) -> Result<Server, DbError> {
    let row = admin
        .query_one(
            "select current_setting('server_version_num')::int4, current_setting('server_version'),
                    pg_postmaster_start_time(), current_setting('max_connections')::int8,
                    current_setting('superuser_reserved_connections')::int8
                        + coalesce(current_setting('reserved_connections', true), '0')::int8,
                    current_setting('max_locks_per_transaction')::int8, current_setting('wal_level'),
                    current_setting('fsync')::bool, current_setting('full_page_writes')::bool,
                    current_setting('password_encryption'), pg_encoding_to_char(d.encoding), r.rolname::text,
                    r.rolsuper,
                    r.rolsuper or (r.rolcreaterole and has_database_privilege(d.oid, 'create')),
                    clock_timestamp(),
                    case when r.rolsuper and (inet_server_addr() is null or inet_server_addr() = inet_client_addr())
                         then current_setting('data_directory') end
             from pg_database d, pg_roles r
             where d.datname = current_database() and r.rolname = current_user",
            &[],
        )
        .await?;
    Ok(Server {
        version: row.get(0),
        version_text: row.get(1),
        started_at: row.get(2),
        max_connections: row.get(3),
        reserved_connections: row.get(4),
        max_locks_per_transaction: row.get(5),
        wal_level: row.get(6),
        fsync: row.get(7),
        full_page_writes: row.get(8),
        password_encryption: row.get(9),
        encoding: row.get(10),
        administrator: row.get(11),
        is_superuser: row.get(12),
        may_provision: row.get(13),
        clock: row.get(14),
        data_folder: row.get::<_, Option<String>>(15).map(PathBuf::from),
    })
}
