//! Making a lane's login role.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use tokio_postgres::Client;

use super::setup::SETUP_LOCK;
use super::{ident, literal, privileges};
use crate::db::DbError;
use crate::db::connect::Connector;

/// What a login has from the server, whatever the program does.
#[derive(Debug, Clone, Copy)]
pub struct LoginTimeouts {
    /// Longest wait for a lock.
    pub lock: Duration,
    /// Longest silence inside a transaction.
    pub idle_in_transaction: Duration,
}

impl LoginTimeouts {
    /// Commands that give a login its path and its timeouts.
    pub(super) fn commands(self, login: &str, search_path: &str) -> String {
        let role = ident(login);
        let settings = [
            ("search_path", literal(search_path)),
            ("lock_timeout", self.lock.as_millis().to_string()),
            (
                "idle_in_transaction_session_timeout",
                self.idle_in_transaction.as_millis().to_string(),
            ),
            // The server goes on with a query whose connection is gone, unless it looks.
            ("client_connection_check_interval", "1000".to_owned()),
            // A search for stop words alone is no news.
            ("client_min_messages", "warning".to_owned()),
        ];
        settings
            .map(|(name, value)| format!("alter role {role} set {name} = {value}"))
            .join(";\n")
    }
}

/// Makes the login of a lane, or brings an existing one to the state it must have. Safe to repeat.
///
/// # Errors
/// When the administrator may not make roles.
pub async fn ensure_lane_login(
    admin: &Client,
    connector: &Connector,
    login: &str,
    timeouts: LoginTimeouts,
) -> Result<(), DbError> {
    let commands = [
        // A migration grants on the same functions, and PostgreSQL lets only one session do so at a time.
        format!("select pg_advisory_xact_lock({SETUP_LOCK})"),
        ensure_login(admin, login, &connector.password(login)).await?,
        format!(
            "grant connect on database {} to {}",
            ident(connector.database()),
            ident(login)
        ),
        // A tenant's statement runs a few times on each connection: planning it each time would cost more than running it.
        format!(
            "alter role {} set plan_cache_mode = 'force_generic_plan'",
            ident(login)
        ),
        privileges::grants_for_login(login),
        // No path: a statement that forgot its scope finds nothing.
        timeouts.commands(login, ""),
    ];
    admin.batch_execute(&commands.join(";\n")).await?;
    Ok(())
}

/// The command that makes or corrects a login role without any right of its own.
///
/// # Errors
/// When the catalogue cannot be read.
pub async fn ensure_login(admin: &Client, login: &str, password: &SecretString) -> Result<String, DbError> {
    // A role made NOINHERIT afterwards keeps what it inherits on PostgreSQL 16 and later, so it is made so at once.
    // To name the other attributes of an existing role takes a superuser; `doctor` looks at them.
    let verb = if role_exists(admin, login).await? {
        "alter"
    } else {
        "create"
    };
    Ok(format!(
        "{verb} role {} login noinherit password {}",
        ident(login),
        literal(password.expose_secret())
    ))
}

/// Whether a role of this name exists in the cluster.
///
/// # Errors
/// When the catalogue cannot be read.
pub async fn role_exists(admin: &Client, role: &str) -> Result<bool, DbError> {
    Ok(admin
        .query_one(
            "select exists (select from pg_roles where rolname = $1)",
            &[&role],
        )
        .await?
        .get(0))
}
