//! A tenant's schema without its rows: what onboarding and restoring make alike.
//!
//! Default privileges come before the tables, because `grant … on all tables in schema` scans the whole catalogue.

use tokio_postgres::Transaction;

use super::template::{Part, Template};
use super::{ident, migrate};
use crate::db::DbError;
use crate::domain::tenant::Niche;

/// Tables that a tenant's role may add to and read, never change.
const APPEND_ONLY: [&str; 1] = ["audit_log"];

/// The versions that a schema has, for the registry's ledger: `(part, version)`.
pub type Versions = Vec<(String, i32)>;

/// The ledger of one part of the template inside a tenant's schema.
pub fn history_of(part: &str) -> String {
    format!("schema_history_{part}")
}

/// A schema to be, and what it is made from.
pub(super) struct Plan<'a> {
    pub(super) schema: &'a str,
    /// The tenant's role, which exists.
    pub(super) role: &'a str,
    /// Owns the tables.
    pub(super) owner_role: &'a str,
    pub(super) parts: [(String, Part); 2],
}

impl<'a> Plan<'a> {
    /// A schema of a niche, which must be one of the template's.
    pub(super) fn new(
        schema: &'a str,
        role: &'a str,
        owner_role: &'a str,
        niche: &Niche,
    ) -> Result<Self, DbError> {
        Self::from_template(Template::embedded()?, schema, role, owner_role, niche)
    }

    /// As [`Plan::new`], from another template.
    pub(super) fn from_template(
        template: &Template,
        schema: &'a str,
        role: &'a str,
        owner_role: &'a str,
        niche: &Niche,
    ) -> Result<Self, DbError> {
        let parts = template.parts_of(niche).ok_or_else(|| DbError::Other {
            code: "template".to_owned(),
            message: format!("there is no niche {}", niche.as_str()),
        })?;
        Ok(Self {
            schema,
            role,
            owner_role,
            parts,
        })
    }

    /// The versions that it has when all migrations are applied.
    pub(super) fn newest(&self) -> Versions {
        let version = |(name, part): &(String, Part)| (name.clone(), part.version());
        self.parts.iter().map(version).collect()
    }

    /// Makes the empty schema. From here on the transaction works in it, as the owner of its tables.
    pub(super) async fn create(&self, transaction: &Transaction<'_>) -> Result<(), DbError> {
        let (role, schema, owner) = (ident(self.role), ident(self.schema), ident(self.owner_role));
        transaction
            .batch_execute(&format!(
                "create schema {schema} authorization {owner};
                 grant usage on schema {schema} to {role};
                 set local role {owner};
                 set local search_path = {schema}, pg_temp",
            ))
            .await?;
        crate::kill_point!("provision.schema");
        for (name, _) in &self.parts {
            transaction
                .batch_execute(&history_table(&history_of(name)))
                .await?;
        }
        transaction
            .batch_execute(&format!(
                "alter default privileges in schema {schema} grant select, insert, update, delete on tables to {role};
                 alter default privileges in schema {schema} grant usage on sequences to {role}",
            ))
            .await?;
        Ok(())
    }

    /// Applies what is missing of the migrations, up to these versions.
    pub(super) async fn migrate(
        &self,
        transaction: &Transaction<'_>,
        versions: &Versions,
    ) -> Result<(), DbError> {
        for (name, part) in &self.parts {
            let wanted = versions.iter().find(|(wanted, _)| wanted == name);
            let version = wanted.map_or(0, |(_, version)| *version);
            let migrations = part.migrations_up_to(version);
            migrate::migrate(transaction, &migrations, &history_of(name)).await?;
            crate::kill_point!("provision.migrated");
        }
        Ok(())
    }

    /// Takes from the tenant's role what default privileges give too much of.
    pub(super) async fn restrict(&self, transaction: &Transaction<'_>) -> Result<(), DbError> {
        let role = ident(self.role);
        for table in APPEND_ONLY {
            transaction
                .batch_execute(&format!("revoke update, delete on {} from {role}", ident(table)))
                .await?;
        }
        Ok(())
    }
}

/// The versions that a schema's histories have reached.
pub(super) async fn versions(
    transaction: &Transaction<'_>,
    schema: &str,
    parts: &[&str],
) -> Result<Versions, DbError> {
    let mut versions = Versions::new();
    for part in parts {
        let history = format!("{}.{}", ident(schema), ident(&history_of(part)));
        let sql = format!("select coalesce(max(version), 0) from {history}");
        let version = transaction.query_one(&sql, &[]).await?.try_get(0)?;
        versions.push(((*part).to_owned(), version));
    }
    Ok(versions)
}

// refinery would make the ledger itself, but after the default privileges, and so open to the tenant.
fn history_table(name: &str) -> String {
    format!(
        "create table {} (version int4 primary key, name varchar(255), applied_on varchar(255), checksum varchar(255))",
        ident(name)
    )
}
