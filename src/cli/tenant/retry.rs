//! `helixai tenant retry`: an onboarding that was given up is taken up again.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;

use super::create;
use crate::cli::exit::Exit;
use crate::cli::{output, session};
use crate::domain::tenant_key::TenantKey;
use crate::http::admin::onboarding::NewTenantAnswer;

/// Which tenant.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The tenant's key
    #[arg(value_parser = TenantKey::parse)]
    key: TenantKey,

    /// Print what the API answers for a new tenant
    #[arg(long)]
    json: bool,
}

/// Finishes the onboarding and prints its secrets, this once.
pub async fn run(config: Option<&Path>, args: Args) -> anyhow::Result<ExitCode> {
    let platform = session::start(config).await?;
    let origin = super::origin();
    let tenant = platform
        .provisioner
        .retry(&args.key, origin.actor, origin.request_id)
        .await
        .with_context(|| args.key.to_string())?;
    platform.close().await;
    if args.json {
        output::json(&NewTenantAnswer::new(tenant, &platform));
    } else {
        create::show(&tenant, &platform);
    }
    Ok(Exit::Done.into())
}
