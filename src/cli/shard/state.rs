//! `helixai shard close` and `open`: whether a shard takes new tenants.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;

use crate::cli::exit::Exit;
use crate::cli::{output, session};
use crate::tenancy::shard_book::check_name;

/// Which shard.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The shard's name
    #[arg(value_parser = check_name)]
    name: String,

    /// Print the outcome as JSON
    #[arg(long)]
    json: bool,
}

/// Closes or opens it; to repeat it is no error.
pub async fn set_open(config: Option<&Path>, args: Args, open: bool) -> anyhow::Result<ExitCode> {
    let platform = session::start(config).await?;
    platform
        .shards
        .set_open(&args.name, open, super::origin(), &platform.clock)
        .await
        .with_context(|| args.name.clone())?;
    platform.close().await;
    let status = if open { "open" } else { "closed" };
    if args.json {
        output::json(&serde_json::json!({ "name": args.name, "status": status }));
    } else {
        output::line(format_args!("{} is {status}", args.name));
    }
    Ok(Exit::Done.into())
}
