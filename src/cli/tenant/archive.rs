//! `helixai tenant archive`, `delete` and `restore-archived`: out of the database into a snapshot, and back.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;

use super::purge;
use crate::cli::exit::{Exit, Refused};
use crate::cli::progress::Progress;
use crate::cli::{output, session};
use crate::db::master::tenants;
use crate::domain::tenant_key::TenantKey;
use crate::http::admin::tenants::Tenant;
use crate::platform::Platform;
use crate::tenancy::keeper::{Decided, Fate, KeeperError};

/// Which tenant.
#[derive(Debug, clap::Args)]
pub struct ArchiveArgs {
    /// The tenant's key
    #[arg(value_parser = TenantKey::parse)]
    key: TenantKey,

    /// Print the tenant as the API answers it
    #[arg(long)]
    json: bool,
}

/// Which tenant.
#[derive(Debug, clap::Args)]
pub struct RestoreArgs {
    /// The tenant's key
    #[arg(value_parser = TenantKey::parse)]
    key: TenantKey,

    /// Print the tenant as the API answers it
    #[arg(long)]
    json: bool,
}

/// Which tenant.
#[derive(Debug, clap::Args)]
pub struct DeleteArgs {
    /// The tenant's key
    #[arg(value_parser = TenantKey::parse)]
    key: TenantKey,

    /// Confirm that nobody is to be served any more
    #[arg(long)]
    yes: bool,

    /// Remove all of it at once, without a grace and without a snapshot
    #[arg(long)]
    now: bool,

    /// Print the tenant as the API answers it; with --now, which one is gone
    #[arg(long)]
    json: bool,
}

/// Puts away; what is put away already is done at once.
pub async fn archive(config: Option<&Path>, args: ArchiveArgs) -> anyhow::Result<ExitCode> {
    let platform = session::start_with_files(config).await?;
    put_away(&platform, &args.key, Fate::Kept, args.json).await
}

/// Deletes, with a grace; without one, removes all of it.
pub async fn delete(config: Option<&Path>, args: DeleteArgs) -> anyhow::Result<ExitCode> {
    if !args.yes {
        let text = match args.now {
            true => "would be removed with all its data, and only a backup brings it back",
            false => "would not be served any more, and be removed with all its data when the grace is over",
        };
        let text = format!("{} {text}: say --yes to do it", args.key);
        return Err(Refused::error(Exit::Usage, text));
    }
    let platform = session::start_with_files(config).await?;
    if args.now {
        return purge::purge(&platform, &args.key, purge::Purge::Anything, args.json).await;
    }
    put_away(&platform, &args.key, Fate::Deleted, args.json).await
}

/// Brings back; what is served is done at once.
pub async fn restore(config: Option<&Path>, args: RestoreArgs) -> anyhow::Result<ExitCode> {
    let platform = session::start_with_files(config).await?;
    let work = async {
        let decided = platform
            .keeper
            .decide_bring_back(&args.key, super::origin())
            .await?;
        carry_out(&platform, &decided, args.json).await
    };
    work.await.with_context(|| args.key.to_string())?;
    print(&platform, &args.key, args.json).await
}

async fn put_away(platform: &Platform, key: &TenantKey, fate: Fate, json: bool) -> anyhow::Result<ExitCode> {
    let work = async {
        let decided = platform.keeper.decide_archive(key, fate, super::origin()).await?;
        carry_out(platform, &decided, json).await
    };
    work.await.with_context(|| key.to_string())?;
    print(platform, key, json).await
}

async fn carry_out(platform: &Platform, decided: &Decided, quiet: bool) -> Result<(), KeeperError> {
    let progress = Progress::listener(quiet);
    platform
        .keeper
        .carry_out(decided, super::origin(), &progress)
        .await
}

/// The tenant as it is now.
async fn print(platform: &Platform, key: &TenantKey, json: bool) -> anyhow::Result<ExitCode> {
    let found = tenants::find_record(&platform.master, key).await?;
    let found = found.ok_or(KeeperError::Unknown)?;
    let status = found.status;
    let mut shown = Tenant::describe(vec![found], platform).await?;
    platform.close().await;
    if json {
        output::json(&shown.pop());
        return Ok(Exit::Done.into());
    }
    let purge_at = shown.pop().and_then(|tenant| tenant.purge_at());
    match purge_at {
        Some(until) => output::line(format_args!(
            "{key} is deleted; helixai tenant restore-archived brings it back until {}",
            until.to_rfc3339()
        )),
        None => output::line(format_args!("{key} is {status}")),
    }
    Ok(Exit::Done.into())
}
