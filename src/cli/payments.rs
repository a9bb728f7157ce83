//! `helixai payments`: what gateways told is looked into again, and what is open is asked about now.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use chrono::TimeDelta;
use clap::Subcommand;

use crate::cli::exit::{Exit, Refused};
use crate::cli::{exit, output, session};
use crate::db::master::payments::events::Replay;
use crate::db::master::tenants;
use crate::domain::ids::{GatewayAccountId, TenantId};
use crate::domain::payment::GatewayKind;
use crate::domain::tenant_key::TenantKey;
use crate::platform::Platform;

/// What to do.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Look into what gateways told once more: each payment is asked about again, and nothing is booked twice
    #[command(after_help = exit::HELP)]
    Replay(ReplayArgs),
    /// Ask the gateways about everything that is open, or was paid lately, whether a webhook came or not
    #[command(after_help = exit::HELP)]
    Reconcile(ReconcileArgs),
}

/// Which events.
#[derive(Debug, clap::Args)]
struct ReplayArgs {
    /// Only events of this account
    #[arg(long, value_name = "ID")]
    account: Option<GatewayAccountId>,

    /// Only events of this tenant's own accounts
    #[arg(long, value_name = "KEY", value_parser = TenantKey::parse)]
    tenant: Option<TenantKey>,

    /// Only this event, by the gateway's name for it
    #[arg(long, value_name = "ID")]
    event: Option<String>,

    /// Only what came within so many hours
    #[arg(long, value_name = "HOURS", value_parser = clap::value_parser!(u32).range(1..=24 * 60))]
    hours: Option<u32>,

    /// Only what was given up
    #[arg(long)]
    dead: bool,

    /// Print what was done as JSON
    #[arg(long)]
    json: bool,
}

/// Which charges.
#[derive(Debug, clap::Args)]
struct ReconcileArgs {
    /// Only charges about this tenant
    #[arg(long, value_name = "KEY", value_parser = TenantKey::parse)]
    tenant: Option<TenantKey>,

    /// What expired or was paid within so many days
    #[arg(long, value_name = "DAYS", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=400))]
    days: u32,

    /// Print what was done as JSON
    #[arg(long)]
    json: bool,
}

/// Does it, and all that is due besides, before it ends.
pub async fn run(config: Option<&Path>, args: Args) -> anyhow::Result<ExitCode> {
    let platform = session::start(config).await?;
    let (made_due, json) = match args.command {
        Command::Replay(args) => {
            let which = Replay {
                account: args.account,
                tenant: tenant(&platform, args.tenant.as_ref()).await?,
                event_id: args.event,
                since: args
                    .hours
                    .map(|hours| platform.clock.now() - TimeDelta::hours(hours.into())),
                only_dead: args.dead,
            };
            (platform.payments.replay(&which).await?, args.json)
        }
        Command::Reconcile(args) => {
            let of = tenant(&platform, args.tenant.as_ref()).await?;
            let back = TimeDelta::days(args.days.into());
            (platform.payments.reconcile(of, back).await?, args.json)
        }
    };
    let mut worked = 0;
    for gateway in GatewayKind::ALL {
        let done = platform.payments.work(*gateway).await;
        worked += done.with_context(|| gateway.to_string())?;
    }
    platform.close().await;
    if json {
        output::json(&serde_json::json!({ "made_due": made_due, "worked_on": worked }));
    } else {
        output::line(format_args!(
            "{made_due} made due, {worked} worked on; `helixai doctor` says what is left"
        ));
    }
    Ok(Exit::Done.into())
}

async fn tenant(platform: &Platform, key: Option<&TenantKey>) -> anyhow::Result<Option<TenantId>> {
    let Some(key) = key else { return Ok(None) };
    let found = tenants::find_record(&platform.master, key).await?;
    let unknown = || Refused::error(Exit::Unknown, format!("there is no tenant {key}"));
    Ok(Some(found.ok_or_else(unknown)?.id))
}
