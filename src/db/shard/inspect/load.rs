//! How much a database holds, and how busy its server is.

use tokio_postgres::Client;

use crate::db::DbError;

/// What a shard's server says of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Load {
    /// Bytes of the database.
    pub bytes: i64,
    /// Connections of the shard's own logins.
    pub connections: i64,
    /// Those of them that run a statement now.
    pub busy: i64,
    /// Connections that the server takes, for all its databases.
    pub max_connections: i64,
}

/// Asks it, for the logins of this prefix.
///
/// # Errors
/// When it does not answer.
pub async fn load(admin: &Client, prefix: &str) -> Result<Load, DbError> {
    let row = admin
        .query_one(
            "select pg_database_size(current_database()),
                    (select count(*) from pg_stat_activity where starts_with(usename::text, $1)),
                    (select count(*) from pg_stat_activity where starts_with(usename::text, $1) and state = 'active'),
                    current_setting('max_connections')::int8",
            &[&format!("{prefix}_lane_")],
        )
        .await?;
    Ok(Load {
        bytes: row.get(0),
        connections: row.get(1),
        busy: row.get(2),
        max_connections: row.get(3),
    })
}
