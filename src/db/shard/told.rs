//! What a shard's transactions tell of the tenants that this process has sockets of: heard on one connection of a lane's login.
//!
//! `helixai.tell` notifies only while some process has said ([`Told::beat`]) that it has sockets of the tenant.

use tokio::sync::mpsc::UnboundedReceiver;
use uuid::Uuid;

use crate::db::DbError;
use crate::db::connect::{AdminClient, Connector};

/// The channel of `helixai.tell`.
const LISTEN: &str = "listen helixai_events";

/// A connection that hears.
pub struct Told {
    client: AdminClient,
    notices: UnboundedReceiver<String>,
}

impl Told {
    /// Connects as this login, and hears from now on: of no tenant yet, whatever this process had said on a connection that was lost.
    ///
    /// # Errors
    /// When the server cannot be reached or refuses.
    pub async fn listen(connector: &Connector, login: &str, process: Uuid) -> Result<Self, DbError> {
        let (client, notices) = connector.notified(login).await?;
        client.execute(LISTEN, &[]).await?;
        let told = Self { client, notices };
        told.end(process).await?;
        Ok(told)
    }

    /// Says that this process has sockets for so many seconds more, and of which tenants besides, and no more. `true`: it had been
    /// forgotten, and has to name all of them.
    ///
    /// # Errors
    /// When the connection is lost.
    pub async fn beat(
        &self,
        process: Uuid,
        lease: i32,
        added: &[Uuid],
        gone: &[Uuid],
    ) -> Result<bool, DbError> {
        const BEAT: &str = "select helixai.beat_sockets($1, $2, $3, $4)";
        let row = self
            .client
            .query_one(BEAT, &[&process, &lease, &added, &gone])
            .await?;
        Ok(row.try_get(0)?)
    }

    /// Says that this process has no sockets any more.
    ///
    /// # Errors
    /// When the connection is lost.
    pub async fn end(&self, process: Uuid) -> Result<(), DbError> {
        self.client
            .execute("select helixai.end_sockets($1)", &[&process])
            .await?;
        Ok(())
    }

    /// What is told next; `None`: the connection is lost.
    pub async fn next(&mut self) -> Option<String> {
        self.notices.recv().await
    }
}
