//! `helixai tenant rename`: another key for a tenant.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;

use super::show;
use crate::cli::exit::Exit;
use crate::cli::{output, session};
use crate::domain::tenant_key::TenantKey;
use crate::http::admin::tenants::Tenant;

/// Which tenant, and its new key.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The tenant's key
    #[arg(value_parser = TenantKey::parse)]
    key: TenantKey,

    /// Its new key
    #[arg(value_parser = TenantKey::parse)]
    new: TenantKey,

    /// Print the tenant as the API answers it
    #[arg(long)]
    json: bool,
}

/// Renames; repeating it is done at once.
pub async fn run(config: Option<&Path>, args: Args) -> anyhow::Result<ExitCode> {
    let platform = session::start(config).await?;
    let tenant = platform
        .keeper
        .rename(&args.key, &args.new, super::origin())
        .await
        .with_context(|| format!("{} → {}", args.key, args.new))?;
    platform.close().await;
    if args.json {
        output::json(&Tenant::new(tenant, &platform));
    } else {
        show::show(&tenant, None, &platform);
    }
    Ok(Exit::Done.into())
}
