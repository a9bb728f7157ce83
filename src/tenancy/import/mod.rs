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
mod load;
pub mod map;
mod read;
pub mod report;
pub mod source;

use std::path::PathBuf;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::json;

pub use self::dump::DumpError;
use self::load::fresh;
use self::map::Map;
use self::read::Reading;
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
use crate::domain::clock::Clock;
use crate::domain::ids::TenantId;
use crate::domain::tenant::TenantStatus;
use crate::domain::tenant_key::TenantKey;

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
    /// Take a dump that does not say that it is whole.
    pub accept_unfinished: bool,
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

impl Imported {
    fn none(request: &ImportRequest, digest: String) -> Self {
        Self {
            id: None,
            tenant_key: request.key.to_string(),
            is_done: false,
            report: Report::default(),
            digest,
            onboarded: None,
        }
    }
}

/// Why there is no import. Nothing is half-done then; only after [`ImportError::Unsure`] all of it may have been.
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
    #[error("the tenant is being restored, moved, deleted or backed up: try again in a moment")]
    Busy,
    /// The reader has ended before its time.
    #[error("the source was not read to its end")]
    Aborted,
    /// The answer to the commit was lost, and nobody can be asked what became of it.
    #[error("the database was lost in the middle of the commit ({0}): repeat the command, which finds out")]
    Unsure(DbError),
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
            Some(tenant) => match self.known(tenant, &request, &digest).await {
                Err(ImportError::Again(at)) => return self.repeated(at, &request, origin, digest).await,
                known => known?,
            },
            None => fresh(),
        };
        let reading = Reading {
            source: request.source.clone(),
            map: Arc::clone(&request.map),
            accept_unfinished: request.accept_unfinished,
            now: self.clock.now(),
            step: "checking",
            progress: progress.clone(),
        };
        let (checking, report) = (reading.clone(), request.report.clone());
        let checked = blocking(move || checking.run(known, report.as_deref(), &mut |_| Ok(()))).await?;
        let mut imported = Imported {
            id: tenant.as_ref().map(|tenant| tenant.id),
            report: checked.report,
            ..Imported::none(&request, digest)
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
        if imported.is_done
            && let Err(error) = self.note(&tenant, &origin, "tenant.imported", rows).await
        {
            // The rows are there, whatever the registry says.
            let warning = format!("the registry's audit has no line of its end: {error}");
            imported.report.warnings.push(warning);
        }
        Ok(imported)
    }

    /// The source was imported before. Who onboards the tenant with it may never have been told the secrets.
    async fn repeated(
        &self,
        at: DateTime<Utc>,
        request: &ImportRequest,
        origin: Origin,
        digest: String,
    ) -> Result<Imported, ImportError> {
        if request.dry_run || request.onboarding.is_none() {
            return Err(ImportError::Again(at));
        }
        let mut imported = Imported::none(request, digest);
        match self.onboard(request, &origin, &mut imported).await {
            Ok(tenant) => imported.id = Some(tenant.id),
            // Onboarded otherwise, or too long ago.
            Err(ImportError::Onboard(OnboardError::KeyTaken | OnboardError::KeyReused)) => {
                return Err(ImportError::Again(at));
            }
            Err(error) => return Err(error),
        }
        imported.is_done = true;
        imported
            .report
            .warnings
            .push(format!("all of it was imported on {at}"));
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

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ImportError> + Send + 'static,
) -> Result<T, ImportError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| ImportError::Aborted)?
}
