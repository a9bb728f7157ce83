//! The master plane: one fixed schema that says which tenants exist, where they live and what they may use.
//!
//! Queries are checked against a real database when the program is built (`.sqlx` holds the result); one file per
//! group of tables. A change goes through a [`MasterTx`], which is committed by value: dropping it rolls back.

pub mod admin_links;
pub mod admins;
pub mod archives;
pub mod assistant;
pub mod audit;
pub mod backups;
pub mod billed;
pub mod billing_check;
pub mod billing_reports;
pub mod bot_tokens;
pub mod deletions;
pub mod domains;
pub mod dunning;
pub mod duties;
pub mod homes;
pub mod idempotency;
pub mod invoices;
pub mod lanes;
pub mod ledger;
pub mod ledger_entries;
pub mod mails;
pub mod moves;
pub mod onboarding;
pub mod payments;
pub mod plans;
pub mod reserved_keys;
pub mod restores;
pub mod shards;
pub mod subscriptions;
pub mod tenants;
pub mod throttle;
pub mod trials;
pub mod usage;

use std::time::Duration;

use sqlx::postgres::{PgListener, PgPoolOptions};
use sqlx::{PgConnection, PgPool, Postgres, Transaction};

use super::DbError;
use super::connect::Connector;
use crate::telemetry::metrics::count_master_round_trip;

/// The pool of the master plane. Cheap to clone.
#[derive(Clone)]
pub struct MasterDb {
    pool: PgPool,
}

/// An open transaction of the master plane. Dropping it rolls back.
pub struct MasterTx {
    transaction: Transaction<'static, Postgres>,
}

impl MasterDb {
    /// Prepares the pool; connections are opened when they are first needed.
    pub fn new(connector: &Connector, login: &str, connections: u32, wait: Duration) -> Self {
        let options = connector
            .sqlx_options(login)
            .options([("search_path", "master,pg_temp")]);
        let pool = PgPoolOptions::new()
            .max_connections(connections)
            .acquire_timeout(wait)
            .idle_timeout(Duration::from_secs(300))
            .connect_lazy_with(options);
        Self { pool }
    }

    /// Opens a transaction.
    ///
    /// # Errors
    /// [`DbError::Unavailable`] when no connection can be had in time.
    pub async fn begin(&self) -> Result<MasterTx, DbError> {
        count_master_round_trip();
        Ok(MasterTx {
            transaction: self.pool.begin().await?,
        })
    }

    /// For reads of one statement.
    pub(in crate::db) fn pool(&self) -> &PgPool {
        count_master_round_trip();
        &self.pool
    }

    /// Connections open and in use.
    pub fn status(&self) -> (usize, usize) {
        let open = usize::try_from(self.pool.size()).unwrap_or(usize::MAX);
        (open, open.saturating_sub(self.pool.num_idle()))
    }

    /// Whether the database answers.
    ///
    /// # Errors
    /// Why it does not.
    pub async fn ping(&self) -> Result<(), DbError> {
        sqlx::query("select 1").execute(&self.pool).await?;
        Ok(())
    }

    /// A connection that hears change notices; it counts towards the pool's limit.
    ///
    /// # Errors
    /// [`DbError::Unavailable`] when no connection can be had.
    pub async fn listener(&self, channel: &str) -> Result<NoticeStream, DbError> {
        let mut listener = PgListener::connect_with(&self.pool).await?;
        listener.eager_reconnect(false);
        listener.listen(channel).await?;
        Ok(NoticeStream { listener })
    }

    /// Sends a change notice.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn notify(&self, channel: &str, payload: &str) -> Result<(), DbError> {
        sqlx::query("select pg_notify($1, $2)")
            .bind(channel)
            .bind(payload)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// Closes all connections after their statements have ended.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

impl MasterTx {
    pub(in crate::db) fn connection(&mut self) -> &mut PgConnection {
        count_master_round_trip();
        &mut self.transaction
    }

    /// Makes it so.
    ///
    /// # Errors
    /// Whatever the server refuses; nothing is written then.
    pub async fn commit(self) -> Result<(), DbError> {
        count_master_round_trip();
        Ok(self.transaction.commit().await?)
    }
}

/// Change notices, in order.
pub struct NoticeStream {
    listener: PgListener,
}

impl NoticeStream {
    /// The next notice's payload; `None` when the connection is lost.
    pub async fn next(&mut self) -> Option<String> {
        match self.listener.try_recv().await {
            Ok(Some(notice)) => Some(notice.payload().to_owned()),
            Ok(None) | Err(_) => None,
        }
    }
}
