//! `helixai tenant verify`: whether a snapshot could be restored.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;

use crate::cli::exit::Exit;
use crate::cli::progress::Progress;
use crate::cli::{output, session};

/// Which file.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The snapshot
    file: PathBuf,

    /// Accept a snapshot that was made with another platform key
    #[arg(long)]
    other_platform: bool,

    /// Print what was compared as JSON
    #[arg(long)]
    json: bool,
}

/// Restores it into a scratch schema that nobody sees, and compares.
pub async fn run(config: Option<&Path>, args: Args) -> anyhow::Result<ExitCode> {
    let platform = session::start(config).await?;
    let progress = Progress::listener(args.json);
    let found = platform
        .keeper
        .rehearse(&args.file, args.other_platform, &progress)
        .await
        .with_context(|| format!("{} cannot be trusted", args.file.display()))?;
    platform.close().await;
    if args.json {
        output::json(&serde_json::json!({
            "tenant_key": found.tenant_key,
            "id": found.id,
            "made_at": found.made_at,
            "encrypted": found.encrypted,
            "tables": found.tables,
            "rows": found.rows,
            "files": found.files,
        }));
    } else {
        output::line(format_args!(
            "{} is good: {} as of {}, {} rows of {} tables, {} files",
            args.file.display(),
            found.tenant_key,
            found.made_at.to_rfc3339(),
            found.rows,
            found.tables,
            found.files
        ));
    }
    Ok(Exit::Done.into())
}
