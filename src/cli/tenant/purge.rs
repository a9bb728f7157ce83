//! `helixai tenant purge`: a tenant and all it has, gone.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;

use crate::cli::exit::{Exit, Refused};
use crate::cli::{output, session};
use crate::domain::tenant_key::TenantKey;
use crate::platform::Platform;
pub(super) use crate::tenancy::keeper::Purge;

/// Which tenant.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The tenant's key
    #[arg(value_parser = TenantKey::parse)]
    key: TenantKey,

    /// Confirm that all of its data is to be removed, its archive included
    #[arg(long)]
    yes: bool,

    /// Print what was removed as JSON
    #[arg(long)]
    json: bool,
}

/// Removes a tenant that was archived or deleted.
pub async fn run(config: Option<&Path>, args: Args) -> anyhow::Result<ExitCode> {
    if !args.yes {
        let text = format!(
            "{} with all its data and its archive would be removed, and only a backup brings it back: say --yes to do it",
            args.key
        );
        return Err(Refused::error(Exit::Usage, text));
    }
    let platform = session::start_with_files(config).await?;
    purge(&platform, &args.key, Purge::Archived, args.json).await
}

/// Removes it and says so.
pub(super) async fn purge(
    platform: &Platform,
    key: &TenantKey,
    which: Purge,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let gone = platform.keeper.purge(key, which, super::origin()).await;
    let gone = gone.with_context(|| key.to_string())?;
    platform.close().await;
    if json {
        output::json(&serde_json::json!({ "tenant_key": gone.tenant_key, "id": gone.id }));
    } else {
        output::line(format_args!("{} ({}) is gone", gone.tenant_key, gone.id));
    }
    Ok(Exit::Done.into())
}
