//! Making a snapshot: rows flow from the database through one frame in memory to the file.

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use tokio::sync::mpsc;

use super::writing::{Message, Teller, Writing, aborted, pass_on, tell};
use super::{Keeper, KeeperError, OnProgress};
use crate::db::DbError;
use crate::db::connect::AdminClient;
use crate::db::master::audit::{MasterAudit, Subject, insert_audit};
use crate::db::master::domains::{self, DomainRecord};
use crate::db::master::moves;
use crate::db::master::subscriptions::{self, SubscriptionRecord};
use crate::db::master::tenants::{self, TenantRecord};
use crate::db::shard::snapshot::{Source, SourceAddress};
use crate::db::tenant::photos::PhotosOf;
use crate::domain::ids::TenantId;
use crate::domain::platform_key::PlatformKey;
use crate::domain::tenant::{Niche, TenantStatus};
use crate::domain::tenant_key::TenantKey;
use crate::tenancy::lifecycle::Origin;
use crate::tenancy::snapshot::{
    Header, HeaderSubscription, HeaderTable, HeaderTenant, Output, SnapshotError, Stored, Summary,
    TargetFile, Writer,
};

/// Where a snapshot goes, and in which form.
#[derive(Debug, Clone)]
pub struct Target {
    /// The file; one that exists is replaced.
    pub file: PathBuf,
    /// Whether it is encrypted with the platform's key.
    pub encrypted: bool,
}

impl From<&Path> for Target {
    fn from(file: &Path) -> Self {
        Self {
            file: file.to_owned(),
            encrypted: false,
        }
    }
}

impl From<&PathBuf> for Target {
    fn from(file: &PathBuf) -> Self {
        file.as_path().into()
    }
}

/// A snapshot that is on the disk.
#[derive(Debug, Clone)]
pub struct BackedUp {
    /// Whose.
    pub id: TenantId,
    /// Its key.
    pub tenant_key: String,
    /// The moment whose rows these are.
    pub made_at: DateTime<Utc>,
    /// Whether the file is encrypted.
    pub encrypted: bool,
    /// Length of the file.
    pub bytes: u64,
    /// How many tables it holds.
    pub tables: usize,
    /// How many rows.
    pub rows: u64,
    /// How many files of the tenant.
    pub files: u64,
    /// Photos whose rows it holds without their files: a restore will leave them out.
    pub photos_without_files: u64,
    /// SHA-256 of the file.
    pub sha256: [u8; 32],
}

impl Keeper {
    /// Writes the tenant's rows of one moment to a file, which has its name only when it is whole.
    ///
    /// # Errors
    /// See [`KeeperError`].
    pub async fn backup(
        &self,
        key: &TenantKey,
        target: impl Into<Target>,
        origin: Origin,
        progress: &OnProgress,
    ) -> Result<BackedUp, KeeperError> {
        let made = self.write_snapshot(key, &target.into(), progress).await?;
        self.note_backup(&made, origin).await?;
        Ok(made)
    }

    /// As [`Keeper::backup`], noted nowhere.
    pub(in crate::tenancy) async fn write_snapshot(
        &self,
        key: &TenantKey,
        target: &Target,
        progress: &OnProgress,
    ) -> Result<BackedUp, KeeperError> {
        let tenant = tenants::find_record(&self.master, key)
            .await?
            .ok_or(KeeperError::Unknown)?;
        if !matches!(tenant.status, TenantStatus::Active | TenantStatus::Suspended) {
            return Err(KeeperError::WrongState(tenant.status));
        }
        let mut admin = self.shards.administrator(tenant.shard).await?;
        self.write_snapshot_of(&mut admin, tenant, target, progress).await
    }

    /// Writes a tenant's rows of one moment to a file. What the registry says of it must be the same before and after that
    /// moment is chosen: otherwise some of its tables may be gone already, or it lives elsewhere.
    pub(super) async fn write_snapshot_of(
        &self,
        admin: &mut AdminClient,
        tenant: TenantRecord,
        target: &Target,
        progress: &OnProgress,
    ) -> Result<BackedUp, KeeperError> {
        let key = TenantKey::parse(&tenant.key).map_err(|_| KeeperError::Unknown)?;
        let subscription = subscriptions::find_newest(&self.master, &key).await?;
        let domains = domains::list(&self.master, tenant.id).await?;
        let made_at = self.clock.now();
        let address = self.address_of(&tenant).await?;
        let source = self.open(admin, &tenant, &address).await?;
        let table = |table: &crate::db::shard::snapshot::Table| HeaderTable {
            name: table.name.clone(),
            columns: table.columns.clone(),
        };
        let header = Header {
            made_at,
            program: env!("CARGO_PKG_VERSION").to_owned(),
            tenant: describe(&tenant, subscription, domains),
            template: source.versions().iter().cloned().collect(),
            tables: source.tables().iter().map(table).collect(),
            left_out: source.left_out().to_vec(),
        };
        let (file, out) = TargetFile::create(&target.file)?;
        let platform_key = self.platform_key.clone();
        let out = Output::new(out, target.encrypted.then_some(&platform_key))?;
        let writer = Writer::new(out, &header)?;
        let writing = Writing::begin(move |told| write(writer, file, told, &platform_key));
        let read = self.read(source, &address, &writing.teller, progress).await;
        let (photos_without_files, (summary, stored)) = writing.end(read).await?;
        Ok(BackedUp {
            id: tenant.id,
            tenant_key: tenant.key,
            made_at,
            encrypted: target.encrypted,
            bytes: stored.bytes,
            tables: header.tables.len(),
            rows: summary.rows,
            files: summary.files,
            photos_without_files,
            sha256: stored.sha256,
        })
    }

    async fn read(
        &self,
        source: Source<'_>,
        of: &SourceAddress,
        writer: &Teller,
        progress: &OnProgress,
    ) -> Result<u64, KeeperError> {
        let tables = source.tables();
        for (number, table) in tables.iter().enumerate() {
            progress(&table.name, number as u64, tables.len() as u64);
            tell(writer, Message::Table(table.name.clone())).await?;
            pass_on(source.rows(table).await?, writer).await?;
            tell(writer, Message::EndTable).await?;
            crate::kill_point!("backup.table");
        }
        progress("", tables.len() as u64, tables.len() as u64);
        let photos = self.read_files(of.tenant, writer).await?.photos();
        let without_files = match PhotosOf::niche(of.niche.as_str()) {
            Some(table) => source.photos_without_files(table, &photos).await?,
            None => 0,
        };
        source.close().await?;
        tell(writer, Message::Finish).await?;
        Ok(without_files)
    }

    /// Opens one moment of a tenant that nobody has begun to put away, restore or move.
    pub(super) async fn open<'a>(
        &self,
        admin: &'a mut AdminClient,
        tenant: &TenantRecord,
        address: &SourceAddress,
    ) -> Result<Source<'a>, KeeperError> {
        let opened = Source::open(admin, address).await;
        if !moves::is_at_rest(&self.master, tenant).await? {
            return Err(KeeperError::Busy);
        }
        Ok(opened?)
    }

    /// Where a tenant's rows are.
    pub(super) async fn address_of(&self, tenant: &TenantRecord) -> Result<SourceAddress, KeeperError> {
        Ok(SourceAddress {
            tenant: tenant.id,
            niche: Niche::parse(&tenant.niche)
                .map_err(|_| KeeperError::Misfit(format!("there is no niche {}", tenant.niche)))?,
            schema: tenant.schema.clone(),
            role: tenant.role.clone(),
            owner_role: self.shards.roles(tenant.shard).await?.owner(),
        })
    }

    async fn note_backup(&self, made: &BackedUp, origin: Origin) -> Result<(), DbError> {
        let mut tx = self.master.begin().await?;
        let line = MasterAudit {
            actor: origin.actor,
            action: "tenant.backup",
            subject: Subject::Tenant(made.id),
            request_id: origin.request_id,
            details: serde_json::json!({
                "rows": made.rows, "bytes": made.bytes, "encrypted": made.encrypted,
                "photos_without_files": made.photos_without_files,
            }),
            at: self.clock.now(),
        };
        insert_audit(&mut tx, &line).await?;
        tx.commit().await
    }
}

fn describe(
    tenant: &TenantRecord,
    subscription: Option<SubscriptionRecord>,
    domains: Vec<DomainRecord>,
) -> HeaderTenant {
    HeaderTenant {
        id: tenant.id,
        key: tenant.key.clone(),
        name: tenant.name.clone(),
        niche: tenant.niche.clone(),
        document: tenant.document.clone(),
        owner_email: tenant.owner_email.clone(),
        subscription: subscription.map(|bought| HeaderSubscription {
            plan: bought.plan,
            version: bought.plan_version,
            status: bought.state.status,
            trial_ends_at: bought.state.trial_ends_at,
            past_due_at: bought.state.past_due_at,
            period_start: bought.current_period_start,
            period_end: bought.current_period_end,
        }),
        suspended_reason: tenant.suspended_reason.clone(),
        domains: domains
            .into_iter()
            .filter(|domain| domain.verified_at.is_some())
            .map(|domain| domain.host)
            .collect(),
    }
}

fn write(
    mut writer: Writer<Output<BufWriter<File>>>,
    file: TargetFile,
    mut messages: mpsc::Receiver<Message>,
    key: &PlatformKey,
) -> Result<(Summary, Stored), SnapshotError> {
    while let Some(message) = messages.blocking_recv() {
        match message {
            Message::Table(name) => writer.table(&name)?,
            Message::Rows(rows) => writer.rows(&rows)?,
            Message::EndTable => drop(writer.end_table()?),
            Message::File(name, bytes) => {
                writer.file(&name, bytes.len() as u64)?;
                writer.bytes(&bytes)?;
                writer.end_file()?;
            }
            Message::Finish => {
                let (out, summary) = writer.finish(key)?;
                let (out, stored) = out.finish()?;
                file.complete(out)?;
                return Ok((summary, stored));
            }
        }
    }
    Err(aborted())
}
