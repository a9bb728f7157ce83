//! What the administrator does to a database that holds tenants: migrations, roles, revokes, provisioning.
//!
//! Everything here uses a connection that is opened for the operation and closed after it, never a pool; [`told`] hears for as long as
//! somebody listens.

pub mod drain;
pub mod hold;
pub mod import;
pub mod inspect;
pub mod lanes;
pub mod migrate;
pub mod moving;
pub mod privileges;
pub mod provision;
pub mod removal;
pub mod schema;
pub mod setup;
pub mod sizes;
pub mod snapshot;
pub mod template;
pub mod told;
pub mod upgrade;

/// Quotes an identifier that this program made or stored. Input never becomes an identifier.
pub(crate) fn ident(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Quotes a literal for the few commands that take no parameters (`create role … password`).
pub(crate) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
