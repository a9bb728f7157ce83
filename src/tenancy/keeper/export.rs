//! The data of a tenant for the tenant itself: a zip with each table as CSV and as JSON lines, the photos, and what was sent along with messages. One moment, as
//! a snapshot is, but for people and other programs; no password and no credential is in it.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use chrono::{DateTime, SecondsFormat, Utc};
use tokio::sync::mpsc;
use zip::result::ZipError;
use zip::write::{SimpleFileOptions, ZipWriter};

use super::fill::misfit;
use super::writing::{Message, Writing, aborted, pass_on, tell};
use super::{Keeper, KeeperError, OnProgress};
use crate::db::master::audit::{MasterAudit, Subject, insert_audit};
use crate::db::master::tenants::{self, TenantRecord};
use crate::db::shard::snapshot::{Form, Table};
use crate::db::shard::template::{Personal, Template};
use crate::domain::ids::TenantId;
use crate::domain::tenant::{Niche, TenantStatus};
use crate::domain::tenant_key::TenantKey;
use crate::tenancy::lifecycle::Origin;
use crate::tenancy::snapshot::{Output, SnapshotError, Stored, TargetFile};

/// An export that is on the disk.
#[derive(Debug, Clone)]
pub struct Exported {
    /// Whose.
    pub id: TenantId,
    /// Its key.
    pub tenant_key: String,
    /// Length of the file.
    pub bytes: u64,
    /// How many tables it holds.
    pub tables: usize,
    /// SHA-256 of the file.
    pub sha256: [u8; 32],
}

impl Keeper {
    /// Writes the tenant's data to a zip, which has its name only when it is whole.
    ///
    /// # Errors
    /// See [`KeeperError`].
    pub async fn export(
        &self,
        key: &TenantKey,
        target: &Path,
        origin: Origin,
        progress: &OnProgress,
    ) -> Result<Exported, KeeperError> {
        let tenant = self.exportable(key).await?;
        let (file, out) = TargetFile::create(target)?;
        let (tables, stored) = self
            .write_export(&tenant, out, move |out| file.complete(out), progress)
            .await?;
        let mut tx = self.master.begin().await?;
        let line = MasterAudit {
            actor: origin.actor,
            action: "tenant.export",
            subject: Subject::Tenant(tenant.id),
            request_id: origin.request_id,
            details: serde_json::json!({ "tables": tables, "bytes": stored.bytes }),
            at: self.clock.now(),
        };
        insert_audit(&mut tx, &line).await?;
        tx.commit().await?;
        Ok(Exported {
            id: tenant.id,
            tenant_key: tenant.key,
            bytes: stored.bytes,
            tables,
            sha256: stored.sha256,
        })
    }

    /// Writes the tenant's data to whoever reads it at the other end of `out`: the zip is whole when this says so. Who asked
    /// for it, and that they may, is noted by the caller.
    ///
    /// # Errors
    /// See [`KeeperError`].
    pub async fn hand_over<W: Write + Send + 'static>(
        &self,
        key: &TenantKey,
        out: W,
    ) -> Result<(), KeeperError> {
        let tenant = self.exportable(key).await?;
        let finish = |mut out: W| Ok(out.flush()?);
        let nobody: OnProgress = Arc::new(|_, _, _| {});
        self.write_export(&tenant, out, finish, &nobody).await?;
        Ok(())
    }

    async fn exportable(&self, key: &TenantKey) -> Result<TenantRecord, KeeperError> {
        let tenant = tenants::find_record(&self.master, key)
            .await?
            .ok_or(KeeperError::Unknown)?;
        match tenant.status {
            TenantStatus::Active | TenantStatus::Suspended => Ok(tenant),
            status => Err(KeeperError::WrongState(status)),
        }
    }

    /// How many tables were written, and what came of it.
    async fn write_export<W: Write + Send + 'static>(
        &self,
        tenant: &TenantRecord,
        out: W,
        finish: impl FnOnce(W) -> Result<(), SnapshotError> + Send + 'static,
        progress: &OnProgress,
    ) -> Result<(usize, Stored), KeeperError> {
        let address = self.address_of(tenant).await?;
        let made_at = self.clock.now();
        let mut admin = self.shards.administrator(tenant.shard).await?;
        let source = self.open(&mut admin, tenant, &address).await?;
        let tables = public_columns(&address.niche, source.tables())?;
        let out = Output::new(out, None)?;
        let writing = Writing::begin(move |told| write(out, finish, told));
        let send = &writing.teller;
        let read = async {
            let readme = readme(tenant, &tables, made_at).into_bytes();
            tell(send, Message::File("README.txt".to_owned(), readme)).await?;
            for (number, (table, columns)) in tables.iter().enumerate() {
                progress(&table.name, number as u64, tables.len() as u64);
                for (form, name) in [(Form::Csv, "csv"), (Form::JsonLines, "jsonl")] {
                    let name = format!("{name}/{}.{name}", table.name);
                    tell(send, Message::Table(name)).await?;
                    pass_on(source.export(table, columns, form).await?, send).await?;
                }
            }
            progress("", tables.len() as u64, tables.len() as u64);
            self.read_files(tenant.id, send).await?;
            source.close().await?;
            tell(send, Message::Finish).await
        }
        .await;
        let ((), stored) = writing.end(read).await?;
        Ok((tables.len(), stored))
    }
}

/// Each table with those of its columns that hold no password and no credential.
fn public_columns(niche: &Niche, tables: &[Table]) -> Result<Vec<(Table, Vec<String>)>, KeeperError> {
    let template = Template::embedded()?;
    let public = tables.iter().map(|table| {
        let words = template.personal(niche, &table.name);
        let words = words
            .ok_or_else(|| misfit(&table.name, "has columns of which nobody has said whose they are"))?;
        let shown =
            |column: &&String| !matches!(words.get(*column), Some(Personal::Password | Personal::Secret));
        Ok((
            table.clone(),
            table.columns.iter().filter(shown).cloned().collect(),
        ))
    });
    public.collect()
}

fn write<W: Write>(
    out: Output<W>,
    finish: impl FnOnce(W) -> Result<(), SnapshotError>,
    mut messages: mpsc::Receiver<Message>,
) -> Result<Stored, SnapshotError> {
    // Lengths are not known before the rows are written: they follow them.
    let mut zip = ZipWriter::new_stream(out);
    let options = SimpleFileOptions::default()
        .large_file(true)
        .unix_permissions(0o600);
    while let Some(message) = messages.blocking_recv() {
        match message {
            Message::Table(name) => zip.start_file(name, options).map_err(zipped)?,
            Message::Rows(rows) => zip.write_all(&rows)?,
            Message::EndTable => {}
            Message::File(name, bytes) => {
                zip.start_file(name, options).map_err(zipped)?;
                zip.write_all(&bytes)?;
            }
            Message::Finish => {
                let (out, stored) = zip.finish().map_err(zipped)?.into_inner().finish()?;
                finish(out)?;
                return Ok(stored);
            }
        }
    }
    Err(aborted())
}

fn zipped(error: ZipError) -> SnapshotError {
    SnapshotError::Io(std::io::Error::other(error))
}

fn readme(tenant: &TenantRecord, tables: &[(Table, Vec<String>)], at: DateTime<Utc>) -> String {
    let (name, key) = (&tenant.name, &tenant.key);
    let at = at.to_rfc3339_opts(SecondsFormat::Secs, true);
    let list: Vec<&str> = tables.iter().map(|(table, _)| table.name.as_str()).collect();
    let list = list.join(", ");
    format!(
        "{name} ({key}), {at}\n\n\
         Os seus dados, como estavam nesse momento. Cada tabela está em csv/ (UTF-8, com títulos) e em jsonl/ (um objeto JSON por\n\
         linha); as fotos estão em photos/; o que veio com uma mensagem está em media/, com o id dela. Horários são UTC; valores\n\
         terminados em _cents são centavos. Senhas e chaves não estão aqui.\n\n\
         Your data as they were at that moment. Each table is in csv/ (UTF-8, with headings) and in jsonl/ (one JSON object per\n\
         line); the photos are in photos/; what came with a message is in media/, by its id. Times are UTC; amounts ending in\n\
         _cents are cents. Passwords and keys are not in here.\n\n\
         {list}\n"
    )
}
