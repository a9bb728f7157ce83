//! `helixai tenant suspend` and `activate`: the states in which a tenant is served, or is not.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;

use super::show;
use crate::cli::exit::Exit;
use crate::cli::{output, session};
use crate::db::master::tenants::TenantRecord;
use crate::domain::tenant_key::TenantKey;
use crate::domain::text::line;
use crate::http::admin::tenants::Tenant;
use crate::platform::Platform;

/// Longest reason, as in the API.
const REASON_MAX: usize = 500;

/// Which tenant, and why.
#[derive(Debug, clap::Args)]
pub struct SuspendArgs {
    /// The tenant's key
    #[arg(value_parser = TenantKey::parse)]
    key: TenantKey,

    /// Why, for the administrators; the tenant is not told
    #[arg(long, default_value = "not given", value_parser = |reason: &str| line(reason, REASON_MAX))]
    reason: String,

    /// Print the tenant as the API answers it
    #[arg(long)]
    json: bool,
}

/// Which tenant.
#[derive(Debug, clap::Args)]
pub struct ActivateArgs {
    /// The tenant's key
    #[arg(value_parser = TenantKey::parse)]
    key: TenantKey,

    /// Print the tenant as the API answers it
    #[arg(long)]
    json: bool,
}

/// Suspends; suspending a suspended tenant is done at once.
pub async fn suspend(config: Option<&Path>, args: SuspendArgs) -> anyhow::Result<ExitCode> {
    let platform = session::start(config).await?;
    let tenant = platform
        .lifecycle
        .suspend(&args.key, &args.reason, super::origin())
        .await
        .with_context(|| args.key.to_string())?;
    print(tenant, args.json, &platform).await
}

/// Activates; activating an active tenant is done at once.
pub async fn activate(config: Option<&Path>, args: ActivateArgs) -> anyhow::Result<ExitCode> {
    let platform = session::start(config).await?;
    let tenant = platform
        .lifecycle
        .activate(&args.key, super::origin())
        .await
        .with_context(|| args.key.to_string())?;
    print(tenant, args.json, &platform).await
}

async fn print(tenant: TenantRecord, json: bool, platform: &Platform) -> anyhow::Result<ExitCode> {
    platform.close().await;
    if json {
        output::json(&Tenant::new(tenant, platform));
    } else {
        show::show(&tenant, None, platform);
    }
    Ok(Exit::Done.into())
}
