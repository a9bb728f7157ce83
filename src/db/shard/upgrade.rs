//! Bringing the schema of a tenant that lives to the newest version of its template: one transaction, so that a schema has
//! all of it or nothing, and its own history says which.
//!
//! Requests go on meanwhile. A migration waits only a moment for a table that somebody uses: whoever comes after it has to
//! wait behind it, so it gives way and is tried again later.

use std::time::Duration;

use tokio_postgres::{Client, Transaction};

use super::hold::{hold_at_once, wait_at_most};
use super::ident;
use super::migrate::migrate;
use super::provision::is_provisioned;
use super::schema::{Plan, Versions, history_of, versions};
use super::template::Template;
use crate::db::DbError;
use crate::domain::ids::TenantId;
use crate::domain::tenant::Niche;

/// Which schema.
#[derive(Debug, Clone)]
pub struct Subject {
    /// Whose it is.
    pub tenant: TenantId,
    /// Its niche.
    pub niche: Niche,
    /// Its name.
    pub schema: String,
    /// The tenant's role.
    pub role: String,
    /// The role that owns its tables.
    pub owner_role: String,
}

/// Why a schema stays as it is.
#[derive(Debug, thiserror::Error)]
pub enum UpgradeError {
    /// A migration of this ledger cannot be applied.
    #[error("{error}")]
    Migration {
        /// The ledger.
        ledger: String,
        /// Why.
        error: DbError,
    },
    /// Somebody is in the way, the connection was lost, or the server refuses what is no migration.
    #[error(transparent)]
    Db(#[from] DbError),
}

impl UpgradeError {
    fn of(ledger: &str, error: DbError) -> Self {
        if error.is_transient() {
            return error.into();
        }
        let ledger = ledger.to_owned();
        Self::Migration { ledger, error }
    }
}

/// Versions before and after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upgraded {
    /// Before.
    pub from: Versions,
    /// After.
    pub to: Versions,
}

/// An upgrade under way. Dropped, it leaves nothing. No other operation on the tenant begins meanwhile.
pub struct Upgrade<'a> {
    transaction: Transaction<'a>,
    subject: &'a Subject,
    template: &'a Template,
}

impl<'a> Upgrade<'a> {
    /// Keeps other operations on the tenant away; `None` when the shard has no such tenant (any more).
    ///
    /// # Errors
    /// [`DbError::Conflict`] while another operation on the tenant is at work; whatever the server refuses.
    pub async fn begin(
        admin: &'a mut Client,
        subject: &'a Subject,
        template: &'a Template,
    ) -> Result<Option<Self>, DbError> {
        let transaction = admin.transaction().await?;
        hold_at_once(&transaction, subject.tenant).await?;
        if !is_provisioned(transaction.client(), subject.tenant, &subject.role).await? {
            return Ok(None);
        }
        crate::kill_point!("migrate.held");
        Ok(Some(Self {
            transaction,
            subject,
            template,
        }))
    }

    /// Applies what is missing and commits; waits `patience` for each lock.
    ///
    /// # Errors
    /// See [`UpgradeError`]. When the connection is lost here, only the schema's own history tells what became of it.
    pub async fn finish(self, patience: Duration) -> Result<Upgraded, UpgradeError> {
        let Self {
            transaction,
            subject,
            template,
        } = self;
        let Subject {
            niche,
            schema,
            role,
            owner_role,
            ..
        } = subject;
        let plan = Plan::from_template(template, schema, role, owner_role, niche)?;
        wait_at_most(&transaction, patience).await?;
        let (owner, path) = (ident(owner_role), ident(schema));
        let enter = format!("set local role {owner}; set local search_path = {path}, pg_temp");
        transaction.batch_execute(&enter).await.map_err(DbError::from)?;
        let [(core, _), (own, _)] = &plan.parts;
        let from = versions(&transaction, schema, &[core, own]).await?;
        let to = plan.newest();
        if from != to {
            for (ledger, part) in &plan.parts {
                migrate(&transaction, &part.migrations, &history_of(ledger))
                    .await
                    .map_err(|error| UpgradeError::of(ledger, error))?;
            }
            plan.restrict(&transaction).await?;
        }
        crate::kill_point!("migrate.applied");
        transaction.commit().await.map_err(DbError::from)?;
        crate::kill_point!("migrate.committed");
        Ok(Upgraded { from, to })
    }
}
