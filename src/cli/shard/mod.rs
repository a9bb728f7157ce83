//! `helixai shard`: the databases that tenants live in.

mod add;
mod list;
mod state;

use std::path::Path;
use std::process::ExitCode;

use crate::cli::exit;
use crate::db::master::audit::MasterActor;
use crate::tenancy::lifecycle::Origin;

/// The arguments of `helixai shard`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Make a database a shard: it is checked, set up and registered; safe to repeat
    #[command(after_help = exit::HELP)]
    Add(add::Args),
    /// List the shards with their tenants, sizes and load
    #[command(after_help = exit::HELP)]
    List(list::Args),
    /// Let a shard take no new tenants; those that it has stay
    #[command(after_help = exit::HELP)]
    Close(state::Args),
    /// Let a closed shard take new tenants again
    #[command(after_help = exit::HELP)]
    Open(state::Args),
}

/// Runs one of the subcommands.
pub async fn run(config: Option<&Path>, args: Args) -> anyhow::Result<ExitCode> {
    match args.command {
        Command::Add(args) => add::run(config, args).await,
        Command::List(args) => list::run(config, args).await,
        Command::Close(args) => state::set_open(config, args, false).await,
        Command::Open(args) => state::set_open(config, args, true).await,
    }
}

/// Who asks, when a command does.
fn origin() -> Origin {
    Origin {
        actor: MasterActor::Cli,
        request_id: None,
    }
}
