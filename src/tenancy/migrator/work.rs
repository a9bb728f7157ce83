//! One tenant: its shard does it, then the registry notes it.

use std::collections::BTreeMap;
use std::time::Instant;

use super::Migrator;
use crate::db::DbError;
use crate::db::connect::AdminClient;
use crate::db::master::audit::{MasterAudit, Subject as AuditSubject, insert_audit};
use crate::db::master::ledger::{self, Pending};
use crate::db::shard::template::CORE;
use crate::db::shard::upgrade::{Subject, Upgrade, UpgradeError, Upgraded};
use crate::domain::ids::ShardId;
use crate::tenancy::lifecycle::Origin;

/// After so many tenants a connection is opened anew: a backend of the server keeps what it has read of each.
const TENANTS_PER_CONNECTION: u32 = 100;

/// What became of one tenant.
pub(super) enum Done {
    /// It was migrated.
    Migrated,
    /// It was up to date; the registry did not know.
    UpToDate,
    /// It is somebody else's to work on, or gone.
    LeftAlone,
    /// Somebody is in the way: to be tried again.
    Waiting(DbError),
    /// Its shard cannot be reached: to be tried again.
    Unreachable(DbError),
    /// A migration cannot be applied.
    Failed(String),
}

/// A worker's connection to the shard of the tenant that it had last.
#[derive(Default)]
pub(super) struct Connection(Option<(ShardId, AdminClient, u32)>);

impl Connection {
    async fn to(&mut self, migrator: &Migrator, shard: ShardId) -> Result<&mut AdminClient, DbError> {
        let usable = self.0.as_ref().is_some_and(|(to, client, served)| {
            *to == shard && !client.is_closed() && *served < TENANTS_PER_CONNECTION
        });
        if !usable {
            self.0 = None;
            let client = migrator.shards.administrator(shard).await?;
            self.0 = Some((shard, client, 0));
        }
        let lost = || DbError::Unavailable("no connection".to_owned());
        let (_, client, served) = self.0.as_mut().ok_or_else(lost)?;
        *served += 1;
        Ok(client)
    }
}

impl Migrator {
    /// Migrates one tenant.
    ///
    /// # Errors
    /// When the registry fails: what the shard has done, the next run notes.
    pub(super) async fn migrate_one(
        &self,
        connection: &mut Connection,
        tenant: &Pending,
        origin: &Origin,
    ) -> Result<Done, DbError> {
        let client = match connection.to(self, tenant.shard).await {
            Ok(client) => client,
            Err(error) => return Ok(Done::Unreachable(error)),
        };
        let owner_role = self.shards.roles(tenant.shard).await?.owner();
        let subject = Subject {
            tenant: tenant.id,
            niche: tenant.niche.clone(),
            schema: tenant.schema.clone(),
            role: tenant.role.clone(),
            owner_role,
        };
        let started = Instant::now();
        let upgrade = match Upgrade::begin(client, &subject, self.template).await {
            Ok(Some(upgrade)) => upgrade,
            Ok(None) => return Ok(Done::LeftAlone),
            Err(error) => return self.explain(tenant, CORE, error).await,
        };
        // From here on no restore or removal can begin; what had begun before, the registry knows.
        if !ledger::is_pending(&self.master, tenant).await? {
            return Ok(Done::LeftAlone);
        }
        match upgrade.finish(self.patience.lock).await {
            Ok(upgraded) => self.note(tenant, &upgraded, started, origin).await,
            Err(UpgradeError::Migration { ledger, error }) => self.explain(tenant, &ledger, error).await,
            Err(UpgradeError::Db(error)) => self.explain(tenant, CORE, error).await,
        }
    }

    async fn explain(&self, tenant: &Pending, ledger: &str, error: DbError) -> Result<Done, DbError> {
        if error.is_transient() {
            return Ok(Done::Waiting(error));
        }
        let why = error.to_string();
        ledger::note_failed(&self.master, tenant.id, ledger, &why, self.clock.now()).await?;
        Ok(Done::Failed(why))
    }

    async fn note(
        &self,
        tenant: &Pending,
        upgraded: &Upgraded,
        started: Instant,
        origin: &Origin,
    ) -> Result<Done, DbError> {
        let now = self.clock.now();
        let mut tx = self.master.begin().await?;
        let known: BTreeMap<String, i32> = ledger::lock_versions(&mut tx, tenant.id)
            .await?
            .into_iter()
            .collect();
        ledger::note_migrated(&mut tx, tenant.id, &upgraded.to, started.elapsed(), now).await?;
        let reached: BTreeMap<String, i32> = upgraded.to.iter().cloned().collect();
        // Also when a run that was killed has changed the schema: it noted nothing. Another run at the same time may have.
        if reached != known {
            let line = MasterAudit {
                actor: origin.actor,
                action: "tenant.migrate",
                subject: AuditSubject::Tenant(tenant.id),
                request_id: origin.request_id.clone(),
                details: serde_json::json!({ "from": known, "to": reached }),
                at: now,
            };
            insert_audit(&mut tx, &line).await?;
        }
        tx.commit().await?;
        crate::kill_point!("migrate.noted");
        Ok(if upgraded.from == upgraded.to {
            Done::UpToDate
        } else {
            Done::Migrated
        })
    }
}
