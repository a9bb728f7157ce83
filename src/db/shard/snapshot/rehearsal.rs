//! A rehearsal of a restore: the same schema, the same rows, the same migrations, and never a commit.
//!
//! The scratch schema exists in this one transaction. No other connection ever sees it, its owner is the role that owns all
//! tables and that no lane may become, and it is gone with the transaction, however that ends: there is nothing to clean up after a
//! crash, and, nothing being committed, no other connection has to read the catalogue anew.

use tokio_postgres::{Client, Transaction};
use uuid::Uuid;

use super::load::{RowSink, bring_up, make_empty};
use super::shape::{Shape, Table};
use super::source::{Rows, read_rows};
use super::write_values_alike;
use crate::db::DbError;
use crate::db::shard::schema::{Plan, Versions};
use crate::domain::tenant::Niche;

/// A scratch schema. Dropped, it is gone.
pub struct Rehearsal<'a> {
    transaction: Transaction<'a>,
    owner_role: String,
    niche: Niche,
    schema: String,
    shape: Shape,
}

impl<'a> Rehearsal<'a> {
    /// Makes the empty schema at these versions of the template.
    ///
    /// # Errors
    /// Whatever the server refuses.
    pub async fn begin(
        admin: &'a mut Client,
        owner_role: String,
        niche: &Niche,
        versions: &Versions,
    ) -> Result<Self, DbError> {
        let transaction = admin.transaction().await?;
        write_values_alike(&transaction).await?;
        let schema = format!("verify_{}", Uuid::now_v7().simple());
        let plan = Plan::new(&schema, &owner_role, &owner_role, niche)?;
        let shape = make_empty(&transaction, &plan, versions).await?;
        Ok(Self {
            transaction,
            owner_role,
            niche: niche.clone(),
            schema,
            shape,
        })
    }

    /// The tables that the schema has at the versions of the rows.
    pub fn tables(&self) -> &[Table] {
        &self.shape.tables
    }

    /// Begins to fill a table, which must be one of [`Rehearsal::tables`].
    ///
    /// # Errors
    /// Whatever the server refuses.
    pub async fn fill(&self, table: &Table) -> Result<RowSink, DbError> {
        RowSink::open(&self.transaction, table).await
    }

    /// All rows that a table has now.
    ///
    /// # Errors
    /// Whatever the server refuses.
    pub async fn rows(&self, table: &Table) -> Result<Rows, DbError> {
        read_rows(&self.transaction, table).await
    }

    /// Does with the rows what a restore would do before its commit, then takes everything back.
    ///
    /// # Errors
    /// Whatever the server refuses.
    pub async fn finish(self) -> Result<(), DbError> {
        let plan = Plan::new(&self.schema, &self.owner_role, &self.owner_role, &self.niche)?;
        bring_up(&self.transaction, &plan).await?;
        self.transaction.rollback().await?;
        Ok(())
    }
}
