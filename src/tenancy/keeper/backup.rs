//! Making a snapshot: rows flow from the database through one frame in memory to the file.

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures_util::StreamExt as _;
use tokio::sync::mpsc;

use super::{Keeper, KeeperError, OnProgress};
use crate::db::DbError;
use crate::db::connect::AdminClient;
use crate::db::master::audit::{MasterAudit, Subject, insert_audit};
use crate::db::master::domains::{self, DomainRecord};
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

/// Bytes of rows that are handed to the writer at once.
const PIECE: usize = 128 * 1024;
/// Pieces that may wait for the writer.
const WAITING: usize = 4;

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

/// What the writer is told.
pub(super) enum Message {
    Table(String),
    Rows(Vec<u8>),
    EndTable,
    File(String, Vec<u8>),
    /// Everything was read: without this the file gets no name.
    Finish,
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

    /// Writes a tenant's rows of one moment to a file. Its status in the registry must be the same before and after that
    /// moment is chosen: otherwise some of its tables may be gone already.
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
        let source = Source::open(admin, &address).await?;
        let now = tenants::find_record(&self.master, &key).await?;
        if now.is_none_or(|now| (now.id, now.status) != (tenant.id, tenant.status)) {
            return Err(KeeperError::Busy);
        }
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
        let (send, receive) = mpsc::channel(WAITING);
        let writing = tokio::task::spawn_blocking(move || write(writer, file, receive, &platform_key));
        let read = self.read(source, &address, &send, progress).await;
        drop(send);
        let summary = writing.await.map_err(|_| aborted())?;
        // Where both have failed, the reader did because the writer had.
        let ((summary, stored), photos_without_files) = match (read, summary) {
            (Ok(photos_without_files), written) => (written?, photos_without_files),
            (Err(_), Err(error @ SnapshotError::Io(_))) => return Err(error.into()),
            (Err(error), _) => return Err(error),
        };
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
        writer: &mpsc::Sender<Message>,
        progress: &OnProgress,
    ) -> Result<u64, KeeperError> {
        let tables = source.tables();
        for (number, table) in tables.iter().enumerate() {
            progress(&table.name, number as u64, tables.len() as u64);
            tell(writer, Message::Table(table.name.clone())).await?;
            let mut rows = source.rows(table).await?;
            let mut piece = Vec::new();
            // The server sends row by row.
            while let Some(row) = rows.next().await {
                let row: Bytes = row?;
                piece.extend_from_slice(&row);
                if piece.len() >= PIECE {
                    tell(writer, Message::Rows(std::mem::take(&mut piece))).await?;
                }
            }
            tell(writer, Message::Rows(piece)).await?;
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

pub(super) async fn tell(writer: &mpsc::Sender<Message>, message: Message) -> Result<(), KeeperError> {
    writer.send(message).await.map_err(|_| aborted().into())
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

/// The other side has ended before its time.
fn aborted() -> SnapshotError {
    SnapshotError::Damaged("it was not written to its end")
}
