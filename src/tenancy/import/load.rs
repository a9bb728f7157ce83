//! The tenant's side: what rows must fit that it has, and the one transaction that loads them.

use serde_json::json;
use tokio::sync::mpsc;

use super::map::{Map, Target};
use super::read::{Outcome, Reading};
use super::{ImportError, ImportRequest, Imported, Importer};
use crate::db::DbError;
use crate::db::connect::AdminClient;
use crate::db::master::moves;
use crate::db::master::tenants::TenantRecord;
use crate::db::shard::import::{Filling, Known, Rows};
use crate::db::shard::snapshot::SourceAddress;
use crate::domain::tenant::{Niche, TenantStatus};

/// Pieces of rows that may wait for the database.
const WAITING: usize = 4;
/// The stages that every new tenant has (`tenant_template/core/seed.sql`): for a check before there is a tenant.
const SHIPPED_STAGES: [&str; 6] = ["new", "contacted", "qualified", "proposal", "won", "lost"];

impl Importer {
    /// What the rows must fit, if the tenant may have them at all.
    pub(super) async fn known(
        &self,
        tenant: &TenantRecord,
        request: &ImportRequest,
        digest: &str,
    ) -> Result<Known, ImportError> {
        // The onboarding that was asked for is on its way.
        if tenant.status == TenantStatus::Provisioning && request.onboarding.is_some() {
            return Ok(fresh());
        }
        let mut admin = self.shards.administrator(tenant.shard).await?;
        let filling = self.begin(&mut admin, tenant, &request.map).await?;
        look(&filling, request, digest).await
    }

    /// Opens the tenant's schema, if it is one that rows may be written to.
    async fn begin<'a>(
        &self,
        admin: &'a mut AdminClient,
        tenant: &TenantRecord,
        map: &Map,
    ) -> Result<Filling<'a>, ImportError> {
        if !matches!(tenant.status, TenantStatus::Active | TenantStatus::Suspended) {
            return Err(ImportError::WrongState(tenant.status));
        }
        let address = self.address(tenant, map).await?;
        let begun = Filling::begin(admin, &address).await;
        // From here on nobody archives, restores or moves it; who had begun before, the registry knows.
        if !moves::is_at_rest(&self.master, tenant).await? {
            return Err(ImportError::Busy);
        }
        Ok(begun?)
    }

    async fn address(&self, tenant: &TenantRecord, map: &Map) -> Result<SourceAddress, ImportError> {
        let other = || ImportError::OtherNiche(map.niche.clone(), tenant.niche.clone());
        if tenant.niche != map.niche {
            return Err(other());
        }
        Ok(SourceAddress {
            tenant: tenant.id,
            niche: Niche::parse(&tenant.niche).map_err(|_| other())?,
            schema: tenant.schema.clone(),
            role: tenant.role.clone(),
            owner_role: self.shards.roles(tenant.shard).await?.owner(),
        })
    }

    /// Reads the source once more, into the tenant's schema.
    pub(super) async fn load(
        &self,
        tenant: &TenantRecord,
        request: &ImportRequest,
        reading: Reading,
        imported: &mut Imported,
    ) -> Result<(), ImportError> {
        let mut admin = self.shards.administrator(tenant.shard).await?;
        let filling = self.begin(&mut admin, tenant, &request.map).await?;
        let known = look(&filling, request, &imported.digest).await?;
        let now = reading.now;
        let (send, mut receive) = mpsc::channel::<Rows>(WAITING);
        let reader = tokio::task::spawn_blocking(move || {
            reading.run(known, None, &mut |rows| {
                send.blocking_send(rows).map_err(|_| ImportError::Aborted)
            })
        });
        let mut failed = None;
        while let Some(rows) = receive.recv().await {
            if let Err(error) = filling.copy(rows).await {
                failed = Some(error);
                break;
            }
            crate::kill_point!("import.rows");
        }
        // The reader ends when nobody takes its rows.
        drop(receive);
        let outcome = reader.await.map_err(|_| ImportError::Aborted)?;
        if let Some(error) = failed {
            return Err(error.into());
        }
        let Outcome {
            report,
            links,
            filled,
        } = outcome?;
        imported.is_done = report.refused() == 0 || request.skip_refused;
        if imported.is_done {
            let details = json!({ "sha256": imported.digest, "rows": report.imported() });
            if let Err(error) = filling.finish(&links, &filled, &details, now).await {
                drop(admin);
                self.was_committed(tenant, request, &imported.digest, error)
                    .await?;
            }
        }
        imported.report = report;
        Ok(())
    }

    /// Whether the rows are there all the same, when the end of the load has failed.
    async fn was_committed(
        &self,
        tenant: &TenantRecord,
        request: &ImportRequest,
        digest: &str,
        error: DbError,
    ) -> Result<(), ImportError> {
        if !matches!(error, DbError::Unavailable(_)) {
            return Err(error.into());
        }
        let ask = async {
            let mut admin = self.shards.administrator(tenant.shard).await?;
            // Waits until the server has noticed, too.
            let filling = self.begin(&mut admin, tenant, &request.map).await?;
            Ok::<_, ImportError>(filling.imported_before(digest).await?)
        };
        match ask.await {
            Ok(Some(_)) => Ok(()),
            Ok(None) => Err(error.into()),
            Err(_) => Err(ImportError::Unsure(error)),
        }
    }
}

/// What a tenant has that was only just onboarded.
pub(super) fn fresh() -> Known {
    Known {
        stages: SHIPPED_STAGES.map(str::to_owned).into(),
        ..Known::default()
    }
}

/// What the rows must fit; refuses a source that was imported before, and a tenant that has rows already.
async fn look(filling: &Filling<'_>, request: &ImportRequest, digest: &str) -> Result<Known, ImportError> {
    if let Some(at) = filling.imported_before(digest).await? {
        return Err(ImportError::Again(at));
    }
    let mut targets: Vec<&'static str> = request.map.tables.values().map(|table| table.to.name()).collect();
    let vehicles = targets.contains(&Target::Vehicles.name());
    // Contacts come with leads and conversations.
    targets.push(Target::Contacts.name());
    if !request.into_existing {
        let filled = filling.filled(&targets).await?;
        if !filled.is_empty() {
            return Err(ImportError::NotEmpty(filled.join(", ")));
        }
    }
    Ok(filling.known(vehicles).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_stages_are_those_of_the_template() {
        let seed = include_str!("../../../tenant_template/core/seed.sql");
        for stage in SHIPPED_STAGES {
            assert!(seed.contains(&format!("('{stage}', '")), "{stage}");
        }
        assert_eq!(seed.matches("\n    ('").count(), SHIPPED_STAGES.len());
    }
}
