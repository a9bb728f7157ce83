//! `helixai tenant delete`: a tenant and all it has, gone.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;

use crate::cli::exit::{Exit, Refused};
use crate::cli::{output, session};
use crate::domain::tenant_key::TenantKey;

/// Which tenant.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The tenant's key
    #[arg(value_parser = TenantKey::parse)]
    key: TenantKey,

    /// Confirm that all of its data is to be removed
    #[arg(long)]
    yes: bool,

    /// Print what was deleted as JSON
    #[arg(long)]
    json: bool,
}

/// Deletes.
pub async fn run(config: Option<&Path>, args: Args) -> anyhow::Result<ExitCode> {
    if !args.yes {
        let text = format!(
            "{} with all its data would be removed, and only a backup brings it back: say --yes to do it",
            args.key
        );
        return Err(Refused::error(Exit::Usage, text));
    }
    let platform = session::start_with_files(config).await?;
    let deleted = platform
        .keeper
        .delete(&args.key, super::origin())
        .await
        .with_context(|| args.key.to_string())?;
    platform.close().await;
    if args.json {
        output::json(&serde_json::json!({ "tenant_key": deleted.tenant_key, "id": deleted.id }));
    } else {
        output::line(format_args!("{} ({}) is deleted", deleted.tenant_key, deleted.id));
    }
    Ok(Exit::Done.into())
}
