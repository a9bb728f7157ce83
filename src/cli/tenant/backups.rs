//! `helixai tenant backups`: the snapshots of a tenant that the program has made by itself.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;
use uuid::Uuid;

use crate::cli::exit::Exit;
use crate::cli::{output, session};
use crate::db::master::backups::{self, BackupRecord};
use crate::domain::hex::hex;
use crate::domain::tenant_key::TenantKey;
use crate::platform::Platform;
use crate::tenancy::keeper::KeeperError;

/// Which tenant.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The tenant's key, or the one that a deleted tenant had
    #[arg(value_parser = TenantKey::parse)]
    key: TenantKey,

    /// Print them as JSON
    #[arg(long)]
    json: bool,
}

/// A snapshot, as it is printed.
#[derive(Debug, Serialize)]
struct Backup {
    id: Uuid,
    file: Option<PathBuf>,
    taken_at: DateTime<Utc>,
    bytes: Option<i64>,
    rows: Option<i64>,
    sha256: Option<String>,
    encrypted: bool,
    verified_at: Option<DateTime<Utc>>,
    error: Option<String>,
}

/// Prints them, newest first.
pub async fn run(config: Option<&Path>, args: Args) -> anyhow::Result<ExitCode> {
    let platform = session::start(config).await?;
    let tenant = backups::find_tenant(&platform.master, &args.key).await?;
    let tenant = tenant
        .ok_or(KeeperError::Unknown)
        .with_context(|| args.key.to_string())?;
    let found = backups::list_of(&platform.master, tenant).await?;
    let found: Vec<Backup> = found.iter().map(|backup| shown(&platform, backup)).collect();
    platform.close().await;
    if args.json {
        output::json(&serde_json::json!({ "items": found }));
        return Ok(Exit::Done.into());
    }
    let head = ["TAKEN", "BYTES", "ROWS", "STATE", "FILE"].map(str::to_owned);
    let time = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Secs, true);
    let number = |value: Option<i64>| value.map_or("-".to_owned(), |value| value.to_string());
    let rows = found.into_iter().map(|backup| {
        let state = match (&backup.error, backup.verified_at) {
            (Some(error), _) => format!("bad: {error}"),
            (None, Some(at)) => format!("proven {}", time(at)),
            (None, None) => "not proven".to_owned(),
        };
        let file = backup
            .file
            .map_or("-".to_owned(), |file| file.display().to_string());
        [
            time(backup.taken_at),
            number(backup.bytes),
            number(backup.rows),
            state,
            file,
        ]
    });
    output::table(std::iter::once(head).chain(rows).collect());
    Ok(Exit::Done.into())
}

fn shown(platform: &Platform, backup: &BackupRecord) -> Backup {
    let file = backup.file.as_ref();
    Backup {
        id: backup.id,
        // Without a folder in the settings only the name is known.
        file: match &platform.vault {
            Some(vault) => vault.path(backup),
            None => file.map(|file| PathBuf::from(&file.name)),
        },
        taken_at: backup.taken_at,
        bytes: file.map(|file| file.bytes),
        rows: file.map(|file| file.rows),
        sha256: file.map(|file| hex(&file.sha256)),
        encrypted: backup.encrypted,
        verified_at: backup.verified_at,
        error: backup.error.clone(),
    }
}
