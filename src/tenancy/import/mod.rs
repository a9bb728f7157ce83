//! Importing: an old database becomes a tenant.
//!
//! The source is read twice. The first time everything is checked and nothing is written; what is wrong is reported row by
//! row. Only then is the tenant onboarded, if it is to be, and all rows are loaded in one transaction on its shard
//! ([`crate::db::shard::import`]), which notes the source's digest: killed anywhere there is nothing of it, and the same
//! source does not come twice. The registry's audit has a line before that transaction and one after it.
//!
//! A new kind of source is a variant in [`source`], a new table of ours a variant in [`map::Target`] and a function in
//! [`build`].

mod build;
mod convert;
mod dump;
mod encoding;
mod fields;
pub mod map;
mod read;
pub mod report;
pub mod source;

use std::path::PathBuf;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::json;
use tokio::sync::mpsc;

use self::map::{Map, Target};
use self::read::{Outcome, Reading};
use self::report::Report;
use self::source::{Source, SourceError};
use super::keeper::OnProgress;
use super::lifecycle::Origin;
use super::provision::{IdempotencyKey, OnboardError, Onboarded, Onboarding, Provisioner};
use super::shards::Shards;
use crate::db::DbError;
use crate::db::master::MasterDb;
use crate::db::master::audit::{MasterAudit, Subject, insert_audit};
use crate::db::master::tenants::{self, TenantRecord};
use crate::db::shard::import::{Filling, Known, Rows};
use crate::db::shard::snapshot::SourceAddress;
use crate::domain::clock::Clock;
use crate::domain::ids::TenantId;
use crate::domain::tenant::{Niche, TenantStatus};
use crate::domain::tenant_key::TenantKey;

/// Pieces of rows that may wait for the database.
const WAITING: usize = 4;
/// The stages that every new tenant has (`tenant_template/core/seed.sql`): for a check before there is a tenant.
const SHIPPED_STAGES: [&str; 6] = ["new", "contacted", "qualified", "proposal", "won", "lost"];

/// Imports old databases.
#[derive(Clone)]
pub struct Importer {
    /// The registry.
    pub master: MasterDb,
    /// The databases that tenants live in.
    pub shards: Shards,
    /// Onboards the tenants.
    pub provisioner: Provisioner,
    /// Tells the time.
    pub clock: Clock,
}

/// What is asked for.
#[derive(Clone)]
pub struct ImportRequest {
    /// Into which tenant.
    pub key: TenantKey,
    /// How it is onboarded; `None` when it must be there.
    pub onboarding: Option<(Onboarding, IdempotencyKey)>,
    /// The old database.
    pub source: Source,
    /// What becomes of it.
    pub map: Arc<Map>,
    /// Check only.
    pub dry_run: bool,
    /// Leave out rows that are refused, instead of importing nothing.
    pub skip_refused: bool,
    /// Add to the rows that the tenant has.
    pub into_existing: bool,
    /// Where every problem is written, with its value.
    pub report: Option<PathBuf>,
}

/// How an import ended.
pub struct Imported {
    /// The tenant; `None` when there is none yet.
    pub id: Option<TenantId>,
    /// Its key.
    pub tenant_key: String,
    /// Whether the rows are there.
    pub is_done: bool,
    /// What was found.
    pub report: Report,
    /// SHA-256 of the source.
    pub digest: String,
    /// The tenant that was onboarded for it, with its secrets.
    pub onboarded: Option<Onboarded>,
}

/// Why there is no import. Nothing is half-done then.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// There is no such tenant.
    #[error("unknown tenant")]
    Unknown,
    /// The tenant is in a state in which this cannot be done.
    #[error("nothing can be imported into a tenant that is {0}")]
    WrongState(TenantStatus),
    /// The map is for another niche.
    #[error("the map is for the niche {0}, and the tenant's is {1}")]
    OtherNiche(String, String),
    /// The tenant has rows.
    #[error("the tenant already has rows of {0}")]
    NotEmpty(String),
    /// The same source was imported before.
    #[error("this source was imported on {0}: nothing is imported twice")]
    Again(DateTime<Utc>),
    /// Somebody has written what the rows hold meanwhile.
    #[error("{0} was written by somebody else meanwhile")]
    Meanwhile(String),
    /// The tenant is not onboarded.
    #[error(transparent)]
    Onboard(#[from] OnboardError),
    /// The source cannot be used at all.
    #[error(transparent)]
    Source(SourceError),
    /// The report's file cannot be written.
    #[error("the report cannot be written: {0}")]
    Report(std::io::Error),
    /// Another operation on the tenant is at work.
    #[error("the tenant is being restored, deleted or backed up: try again in a moment")]
    Busy,
    /// The reader has ended before its time.
    #[error("the source was not read to its end")]
    Aborted,
    /// A database failed.
    #[error(transparent)]
    Db(DbError),
}

impl From<DbError> for ImportError {
    fn from(error: DbError) -> Self {
        match error {
            DbError::Conflict(_) => Self::Busy,
            DbError::Constraint(name) => Self::Meanwhile(name),
            other => Self::Db(other),
        }
    }
}

impl Importer {
    /// Checks the source and, unless something is refused, imports all of it.
    ///
    /// # Errors
    /// See [`ImportError`]; no row is imported then. Rows that are refused are no error: they are in the report.
    pub async fn import(
        &self,
        request: ImportRequest,
        origin: Origin,
        progress: &OnProgress,
    ) -> Result<Imported, ImportError> {
        let source = request.source.clone();
        let digest = blocking(move || Ok(source.digest()?)).await?;
        let tenant = tenants::find_record(&self.master, &request.key).await?;
        if tenant.is_none() && request.onboarding.is_none() {
            return Err(ImportError::Unknown);
        }
        let known = match &tenant {
            Some(tenant) => self.known(tenant, &request, &digest).await?,
            None => fresh(),
        };
        let reading = Reading {
            source: request.source.clone(),
            map: Arc::clone(&request.map),
            now: self.clock.now(),
            step: "checking",
            progress: progress.clone(),
        };
        let (checking, report) = (reading.clone(), request.report.clone());
        let checked = blocking(move || checking.run(known, report.as_deref(), &mut |_| Ok(()))).await?;
        let mut imported = Imported {
            id: tenant.as_ref().map(|tenant| tenant.id),
            tenant_key: request.key.to_string(),
            is_done: false,
            report: checked.report,
            digest,
            onboarded: None,
        };
        if request.dry_run || (imported.report.refused() > 0 && !request.skip_refused) {
            return Ok(imported);
        }
        let tenant = self.onboard(&request, &origin, &mut imported).await?;
        imported.id = Some(tenant.id);
        self.note(
            &tenant,
            &origin,
            "tenant.import",
            json!({ "sha256": imported.digest }),
        )
        .await?;
        crate::kill_point!("import.intent");
        let reading = Reading {
            step: "loading",
            ..reading
        };
        self.load(&tenant, &request, reading, &mut imported).await?;
        let rows = json!({ "sha256": imported.digest, "tables": imported.report.tables });
        if imported.is_done {
            self.note(&tenant, &origin, "tenant.imported", rows).await?;
        }
        Ok(imported)
    }

    /// The tenant, onboarded if it is to be.
    async fn onboard(
        &self,
        request: &ImportRequest,
        origin: &Origin,
        imported: &mut Imported,
    ) -> Result<TenantRecord, ImportError> {
        if let Some((onboarding, repeat)) = request.onboarding.clone() {
            let onboarded = self
                .provisioner
                .onboard(onboarding, Some(repeat), origin.actor, origin.request_id.clone())
                .await?;
            imported.onboarded = Some(onboarded);
            crate::kill_point!("import.onboarded");
        }
        tenants::find_record(&self.master, &request.key)
            .await?
            .ok_or(ImportError::Unknown)
    }

    /// What the rows must fit, if the tenant may have them at all.
    async fn known(
        &self,
        tenant: &TenantRecord,
        request: &ImportRequest,
        digest: &str,
    ) -> Result<Known, ImportError> {
        match tenant.status {
            TenantStatus::Active | TenantStatus::Suspended => {}
            // The onboarding that was asked for is on its way.
            TenantStatus::Provisioning if request.onboarding.is_some() => return Ok(fresh()),
            status => return Err(ImportError::WrongState(status)),
        }
        let mut admin = self.shards.administrator(tenant.shard).await?;
        let address = self.address(tenant, &request.map).await?;
        let filling = Filling::begin(&mut admin, &address).await?;
        look(&filling, request, digest).await
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
    async fn load(
        &self,
        tenant: &TenantRecord,
        request: &ImportRequest,
        reading: Reading,
        imported: &mut Imported,
    ) -> Result<(), ImportError> {
        let address = self.address(tenant, &request.map).await?;
        let mut admin = self.shards.administrator(tenant.shard).await?;
        let filling = Filling::begin(&mut admin, &address).await?;
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
        let Outcome { report, links } = outcome?;
        imported.is_done = report.refused() == 0 || request.skip_refused;
        if imported.is_done {
            let details = json!({ "sha256": imported.digest, "rows": report.imported() });
            filling.finish(&links, &details, now).await?;
        }
        imported.report = report;
        Ok(())
    }

    async fn note(
        &self,
        tenant: &TenantRecord,
        origin: &Origin,
        action: &'static str,
        details: serde_json::Value,
    ) -> Result<(), ImportError> {
        let mut tx = self.master.begin().await?;
        let line = MasterAudit {
            actor: origin.actor,
            action,
            subject: Subject::Tenant(tenant.id),
            request_id: origin.request_id.clone(),
            details,
            at: self.clock.now(),
        };
        insert_audit(&mut tx, &line).await?;
        Ok(tx.commit().await?)
    }
}

/// What a tenant has that was only just onboarded.
fn fresh() -> Known {
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

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ImportError> + Send + 'static,
) -> Result<T, ImportError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| ImportError::Aborted)?
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
