//! `helixai tenant backup`: a tenant's data in a file.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;

use crate::cli::exit::Exit;
use crate::cli::progress::Progress;
use crate::cli::{output, session};
use crate::domain::hex::hex;
use crate::domain::tenant_key::TenantKey;
use crate::tenancy::keeper::Target;

/// Which tenant, and where to.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The tenant's key
    #[arg(value_parser = TenantKey::parse)]
    key: TenantKey,

    /// The file to write; one that exists is replaced when the new one is whole
    file: PathBuf,

    /// Encrypt the file with the platform's key, which alone opens it
    #[arg(long)]
    encrypt: bool,

    /// Print what was written as JSON
    #[arg(long)]
    json: bool,
}

/// Writes the snapshot.
pub async fn run(config: Option<&Path>, args: Args) -> anyhow::Result<ExitCode> {
    let platform = session::start_with_files(config).await?;
    let progress = Progress::listener(args.json);
    let made = platform
        .keeper
        .backup(
            &args.key,
            Target {
                file: args.file.clone(),
                encrypted: args.encrypt,
            },
            super::origin(),
            &progress,
        )
        .await
        .with_context(|| format!("{} is not backed up to {}", args.key, args.file.display()))?;
    platform.close().await;
    if args.json {
        output::json(&serde_json::json!({
            "tenant_key": made.tenant_key,
            "id": made.id,
            "file": args.file,
            "bytes": made.bytes,
            "tables": made.tables,
            "rows": made.rows,
            "files": made.files,
            "photos_without_files": made.photos_without_files,
            "encrypted": made.encrypted,
            "sha256": hex(&made.sha256),
        }));
    } else {
        let file = args.file.display();
        output::line(format_args!(
            "{} → {file}: {} rows of {} tables, {} files, {} bytes",
            made.tenant_key, made.rows, made.tables, made.files, made.bytes
        ));
        if made.photos_without_files > 0 {
            let missing = made.photos_without_files;
            output::line(format_args!(
                "warning: {missing} photos have rows and no files: a restore will leave them out"
            ));
        }
    }
    Ok(Exit::Done.into())
}
