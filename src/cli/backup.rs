//! `helixai backup`: the snapshots that the program makes by itself, for cron where `serve` shall not make them.

use std::path::Path;
use std::process::ExitCode;

use tokio_util::sync::CancellationToken;

use super::exit::{self, Exit, Refused};
use super::stop_signal::StopSignals;
use super::{output, session};

/// The arguments of `helixai backup`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Back up every tenant that is due into `backup.folder`, prove the snapshots, let go of old ones
    #[command(after_help = exit::HELP)]
    Run(RunArgs),
}

/// Which tenants.
#[derive(Debug, clap::Args)]
struct RunArgs {
    /// Every tenant, due or not
    #[arg(long)]
    all: bool,

    /// Tenants at once, in place of `backup.jobs`
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    jobs: Option<u16>,

    /// Print what was done as JSON
    #[arg(long)]
    json: bool,
}

/// Runs one of the subcommands.
pub async fn run(config: Option<&Path>, args: Args) -> anyhow::Result<ExitCode> {
    let Command::Run(args) = args.command;
    let platform = session::start_with_files(config).await?;
    let Some(mut vault) = platform.vault.clone() else {
        let message = "backup.folder is not set: name the folder of backups absolutely, for example \
                       HELIXAI__BACKUP__FOLDER=/var/lib/helixai/backups";
        return Err(Refused::error(Exit::Settings, message));
    };
    if let Some(jobs) = args.jobs {
        vault.schedule.jobs = jobs.into();
    }
    let stop = CancellationToken::new();
    let (signalled, mut signals) = (stop.clone(), StopSignals::listen()?);
    tokio::spawn(async move {
        signals.next().await;
        signalled.cancel();
    });
    let round = vault.run(args.all, &stop).await?;
    let forgotten = vault.forget_the_gone().await?;
    platform.close().await;
    if args.json {
        output::json(&serde_json::json!({
            "written": round.written, "verified": round.verified, "failed": round.failed, "forgotten": forgotten,
        }));
    } else {
        output::line(format_args!(
            "{} snapshots written, {} of them proven; {} failed",
            round.written, round.verified, round.failed
        ));
    }
    Ok(if round.failed > 0 {
        Exit::Failed
    } else {
        Exit::Done
    }
    .into())
}
