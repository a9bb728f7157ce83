//! `helixai migrate`: brings the databases and every tenant's schema to the state that this program needs. Safe to repeat.
//!
//! [`schemas`] does the registry and the shards, [`tenants`] the tenants; [`status`] and [`drift`] only look.

mod drift;
mod schemas;
mod status;
mod tenants;

use std::num::NonZeroUsize;
use std::path::Path;
use std::process::ExitCode;

use super::{output, session};
use crate::domain::tenant_key::TenantKey;

/// The arguments of `helixai migrate`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only show which versions the tenants have, who is behind and what has failed
    #[arg(long, conflicts_with_all = ["drift", "canary", "jobs", "max_failures", "all"])]
    status: bool,

    /// Only compare each tenant's schema with a fresh one, object by object; exit code 1 when any differs
    #[arg(long, conflicts_with_all = ["canary", "jobs", "max_failures", "all"])]
    drift: bool,

    /// Migrate these tenants first, and the others only when all of these are done
    #[arg(long, value_name = "KEY", num_args = 1.., value_parser = TenantKey::parse)]
    canary: Vec<TenantKey>,

    /// How many tenants are migrated at a time, each on a connection of its own
    #[arg(long, value_name = "N", default_value = "4", value_parser = jobs)]
    jobs: NonZeroUsize,

    /// Begin no other tenant when more than N have failed
    #[arg(long, value_name = "N", default_value_t = 10)]
    max_failures: usize,

    /// Look at every tenant's schema, not only at those that the registry says are behind
    #[arg(long)]
    all: bool,

    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

fn jobs(text: &str) -> Result<NonZeroUsize, String> {
    let number = text.parse().ok().filter(|number| *number <= 64);
    number
        .and_then(NonZeroUsize::new)
        .ok_or_else(|| "a number from 1 to 64".to_owned())
}

/// Applies what is missing and says what that was.
pub async fn run(config: Option<&Path>, args: Args) -> anyhow::Result<ExitCode> {
    let settings = session::settings(config)?;
    if args.status {
        return status::run(&settings, args.json).await;
    }
    if args.drift {
        return drift::run(&settings, args.json).await;
    }
    let schemas = schemas::bring_up_to_date(&settings).await?;
    if !args.json {
        schemas.print();
    }
    let outcome = tenants::migrate(&settings, &args).await?;
    if args.json {
        output::json(&schemas.json(&outcome));
    } else {
        tenants::print(&outcome);
    }
    schemas.warn();
    schemas.outcome?;
    Ok(tenants::exit(&outcome).into())
}
