//! Reading: one transaction that sees one moment, whatever is written meanwhile, and can write nothing itself.

use std::pin::Pin;

use bytes::Bytes;
use futures_util::{Stream, TryStreamExt as _};
use tokio_postgres::{Client, IsolationLevel, Transaction};

use super::export::{Form, export_rows};
use super::shape::{Shape, Table};
use super::{WITHOUT_FILES, quoted, refused, uuids, write_values_alike};
use crate::db::DbError;
use crate::db::shard::hold::hold_shared;
use crate::db::shard::ident;
use crate::db::shard::schema::{Versions, versions};
use crate::db::shard::template::{CORE, Keeping, Template};
use crate::db::tenant::photos::PhotosOf;
use crate::domain::ids::{PhotoId, TenantId};
use crate::domain::tenant::Niche;

/// The rows of a table as `COPY` writes them, in pieces of any length.
pub type Rows = Pin<Box<dyn Stream<Item = Result<Bytes, DbError>> + Send>>;

/// Whose rows, and where they are.
#[derive(Debug, Clone)]
pub struct SourceAddress {
    /// The tenant.
    pub tenant: TenantId,
    /// Its niche.
    pub niche: Niche,
    /// Its schema.
    pub schema: String,
    /// Its role, which reads.
    pub role: String,
    /// The role that owns its tables, which reads when the administrator may not become the other.
    pub owner_role: String,
}

/// One moment of a tenant's schema.
pub struct Source<'a> {
    transaction: Transaction<'a>,
    versions: Versions,
    /// Those that are in a snapshot.
    shape: Shape,
    left_out: Vec<String>,
}

impl<'a> Source<'a> {
    /// Opens it. Until it is dropped nobody can restore over the tenant or delete it.
    ///
    /// # Errors
    /// [`DbError::Conflict`] while the tenant is being restored or deleted; when the schema holds what the template does
    /// not know; whatever the server refuses.
    pub async fn open(admin: &'a mut Client, address: &SourceAddress) -> Result<Self, DbError> {
        let template = Template::embedded()?;
        let Some([(_, core), (niche, own)]) = template.parts_of(&address.niche) else {
            return Err(refused(format!("there is no niche {}", address.niche.as_str())));
        };
        let transaction = admin
            .build_transaction()
            .isolation_level(IsolationLevel::RepeatableRead)
            .read_only(true)
            .start()
            .await?;
        hold_shared(&transaction, address.tenant).await?;
        let role = reader(&transaction, address).await?;
        let parts = [CORE, niche.as_str()];
        let versions = versions(&transaction, &address.schema, &parts).await?;
        let mut shape = Shape::read(&transaction, &address.schema, &parts).await?;
        let mut left_out = Vec::new();
        for table in &shape.tables {
            match core
                .tables
                .get(&table.name)
                .or_else(|| own.tables.get(&table.name))
            {
                Some(Keeping::Kept | Keeping::Own) => {}
                Some(Keeping::Forgotten) => left_out.push(table.name.clone()),
                None => {
                    return Err(refused(format!(
                        "{}.{} is no table of the template",
                        address.schema, table.name
                    )));
                }
            }
        }
        shape.tables.retain(|table| !left_out.contains(&table.name));
        write_values_alike(&transaction).await?;
        enter(&transaction, &address.schema, role).await?;
        Ok(Self {
            transaction,
            versions,
            shape,
            left_out,
        })
    }

    /// The tables of the snapshot, in the order in which they can be loaded.
    pub fn tables(&self) -> &[Table] {
        &self.shape.tables
    }

    /// The tables that are in no snapshot.
    pub fn left_out(&self) -> &[String] {
        &self.left_out
    }

    /// The versions of the template that the schema has.
    pub fn versions(&self) -> &Versions {
        &self.versions
    }

    /// All rows of a table.
    ///
    /// # Errors
    /// Whatever the server refuses.
    pub async fn rows(&self, table: &Table) -> Result<Rows, DbError> {
        read_rows(&self.transaction, table).await
    }

    /// How many rows of photos name files that are not among those of `kept`.
    ///
    /// # Errors
    /// Whatever the server refuses.
    pub async fn photos_without_files(&self, of: PhotosOf, kept: &[PhotoId]) -> Result<u64, DbError> {
        let missing = format!("select count(*) from {} where {WITHOUT_FILES}", ident(of.table()));
        let row = self.transaction.query_one(&missing, &[&uuids(kept)]).await?;
        Ok(row.try_get::<_, i64>(0)?.unsigned_abs())
    }

    /// All rows of a table for people, with these of its columns.
    ///
    /// # Errors
    /// Whatever the server refuses.
    pub async fn export(&self, table: &Table, columns: &[String], form: Form) -> Result<Rows, DbError> {
        export_rows(&self.transaction, table, columns, form).await
    }

    /// Ends the transaction.
    ///
    /// # Errors
    /// When the connection was lost: the last rows may not have come.
    pub async fn close(self) -> Result<(), DbError> {
        Ok(self.transaction.commit().await?)
    }
}

/// All rows of a table of the schema that the transaction works in.
pub(super) async fn read_rows(transaction: &Transaction<'_>, table: &Table) -> Result<Rows, DbError> {
    let command = format!(
        "copy {} ({}) to stdout",
        ident(&table.name),
        quoted(&table.columns)
    );
    let rows = transaction.copy_out(command.as_str()).await?;
    Ok(Box::pin(rows.map_err(DbError::from)))
}

/// From here on the transaction works in this schema, as this role.
pub(in crate::db::shard) async fn enter(
    transaction: &Transaction<'_>,
    schema: &str,
    role: &str,
) -> Result<(), DbError> {
    transaction
        .batch_execute(&format!(
            "set local search_path = {}, pg_temp; set local role {}",
            ident(schema),
            ident(role)
        ))
        .await?;
    Ok(())
}

/// The role that reads: the tenant's, which reaches nothing else. An administrator who is no superuser may not become
/// it, and reads as the owner of the tables.
pub(in crate::db::shard) async fn reader<'a>(
    transaction: &Transaction<'_>,
    address: &'a SourceAddress,
) -> Result<&'a str, DbError> {
    let known: bool = transaction
        .query_one(
            "select to_regnamespace($1) is not null and exists (select from pg_roles where rolname = $2)",
            &[&ident(&address.schema), &address.role],
        )
        .await?
        .try_get(0)?;
    if !known {
        return Err(refused(format!("{} does not exist", address.schema)));
    }
    // From PostgreSQL 16 on, who made a role is its member without the right to become it.
    let may: bool = transaction
        .query_one(
            "select pg_has_role(current_user, $1, case when current_setting('server_version_num')::int4 < 160000
                                                       then 'MEMBER' else 'SET' end)",
            &[&address.role],
        )
        .await?
        .try_get(0)?;
    Ok(if may { &address.role } else { &address.owner_role })
}
