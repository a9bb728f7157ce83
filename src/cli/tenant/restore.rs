//! `helixai tenant restore`: a tenant comes back from a file.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;

use crate::cli::exit::Exit;
use crate::cli::progress::Progress;
use crate::cli::{output, session};
use crate::domain::tenant_key::TenantKey;
use crate::tenancy::keeper::RestoreRequest;

/// From where, and to where.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The snapshot
    file: PathBuf,

    /// The key to restore it under; without it the snapshot's own. Under another key it becomes a copy, which sends nothing
    #[arg(value_parser = TenantKey::parse)]
    key: Option<TenantKey>,

    /// Accept a snapshot that was made with another platform key
    #[arg(long)]
    other_platform: bool,

    /// Print what was restored as JSON
    #[arg(long)]
    json: bool,
}

/// Restores.
pub async fn run(config: Option<&Path>, args: Args) -> anyhow::Result<ExitCode> {
    let platform = session::start_with_files(config).await?;
    let progress = Progress::listener(args.json);
    let request = RestoreRequest {
        file: args.file.clone(),
        key: args.key,
        any_platform: args.other_platform,
    };
    let restored = platform
        .keeper
        .restore(request, super::origin(), &progress)
        .await
        .with_context(|| format!("{} is not restored", args.file.display()))?;
    let url = platform.settings.server.tenant_url(&restored.tenant_key);
    platform.close().await;
    if args.json {
        output::json(&serde_json::json!({
            "tenant_key": restored.tenant_key,
            "id": restored.id,
            "url": url,
            "copy": restored.is_copy,
            "over": restored.over,
            "made_at": restored.made_at,
            "rows": restored.rows,
            "photos_left_out": restored.photos_left_out,
            "suspended": restored.suspended,
            "lost_domains": restored.lost_domains,
        }));
        return Ok(Exit::Done.into());
    }
    let how = match (restored.is_copy, restored.over) {
        (true, _) => "a copy, which sends nothing",
        (false, true) => "in place of what it had",
        (false, false) => "come back",
    };
    output::line(format_args!("tenant    {} ({how})", restored.tenant_key));
    output::line(format_args!("address   {url}"));
    output::line(format_args!("as of     {}", restored.made_at.to_rfc3339()));
    output::line(format_args!("rows      {}", restored.rows));
    if restored.photos_left_out > 0 {
        let missing = restored.photos_left_out;
        output::line(format_args!(
            "warning   {missing} photos are left out: the snapshot has their rows, but not their files"
        ));
    }
    if restored.suspended {
        output::note("It was suspended, and is that again: helixai tenant activate serves it.");
    }
    for host in &restored.lost_domains {
        output::note(format_args!(
            "{host} was its own and is not any more: add it anew, if it still is."
        ));
    }
    Ok(Exit::Done.into())
}
