//! `helixai tenant export`: a tenant's data for the tenant itself.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;

use crate::cli::exit::Exit;
use crate::cli::progress::Progress;
use crate::cli::{output, session};
use crate::domain::hex::hex;
use crate::domain::tenant_key::TenantKey;

/// Which tenant, and where to.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The tenant's key
    #[arg(value_parser = TenantKey::parse)]
    key: TenantKey,

    /// The zip to write; one that exists is replaced when the new one is whole
    file: PathBuf,

    /// Print what was written as JSON
    #[arg(long)]
    json: bool,
}

/// Exports.
pub async fn run(config: Option<&Path>, args: Args) -> anyhow::Result<ExitCode> {
    let platform = session::start_with_files(config).await?;
    let progress = Progress::listener(args.json);
    let made = platform
        .keeper
        .export(&args.key, &args.file, super::origin(), &progress)
        .await
        .with_context(|| format!("{} is not exported to {}", args.key, args.file.display()))?;
    platform.close().await;
    let file = args.file.display();
    if args.json {
        output::json(&serde_json::json!({
            "tenant_key": made.tenant_key,
            "id": made.id,
            "file": args.file,
            "bytes": made.bytes,
            "tables": made.tables,
            "sha256": hex(&made.sha256),
        }));
    } else {
        let (key, tables, bytes) = (&made.tenant_key, made.tables, made.bytes);
        output::line(format_args!("{key} → {file}: {tables} tables, {bytes} bytes"));
    }
    Ok(Exit::Done.into())
}
