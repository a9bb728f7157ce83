//! Making a lane's login role.

use secrecy::{ExposeSecret, SecretString};
use tokio_postgres::Client;

use super::setup::SETUP_LOCK;
use super::{ident, literal, privileges};
use crate::db::DbError;

/// Timeouts that a login has from the server, whatever the program does.
const LOGIN_SETTINGS: [(&str, &str); 3] = [
    ("search_path", ""),
    ("lock_timeout", "3s"),
    ("idle_in_transaction_session_timeout", "20s"),
];

/// Makes the login of a lane, or brings an existing one to the state it must have. Safe to repeat.
///
/// # Errors
/// When the administrator may not make roles.
pub async fn ensure_lane_login(
    admin: &Client,
    login: &str,
    password: &SecretString,
    database: &str,
) -> Result<(), DbError> {
    let role = ident(login);
    let mut commands = vec![
        // A migration grants on the same functions, and PostgreSQL lets only one session do so at a time.
        format!("select pg_advisory_xact_lock({SETUP_LOCK})"),
        ensure_login(admin, login, password).await?,
        format!("grant connect on database {} to {role}", ident(database)),
        privileges::grants_for_login(login),
    ];
    for (name, value) in LOGIN_SETTINGS {
        commands.push(format!("alter role {role} set {name} = {}", literal(value)));
    }
    admin.batch_execute(&commands.join(";\n")).await?;
    Ok(())
}

/// The command that makes or corrects a login role without any right of its own.
///
/// # Errors
/// When the catalogue cannot be read.
pub async fn ensure_login(admin: &Client, login: &str, password: &SecretString) -> Result<String, DbError> {
    let verb = if role_exists(admin, login).await? {
        "alter"
    } else {
        "create"
    };
    // A role made NOINHERIT afterwards keeps what it inherits on PostgreSQL 16 and later, so it is made so at once.
    Ok(format!(
        "{verb} role {} login noinherit nosuperuser nocreatedb nocreaterole noreplication password {}",
        ident(login),
        literal(password.expose_secret()),
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
