//! `helixai tenant`: onboards tenants, shows them, changes their state, keeps and moves their data, from a shell on the server.
//!
//! What `--json` prints is what the API answers for the same thing, made by the same types. To add a subcommand: a
//! file here with its `Args` and `run`, a variant and an arm below, a row in `docs/CLI.md`.

mod archive;
mod backup;
mod backups;
mod clone;
mod create;
mod create_many;
mod export;
mod import;
mod list;
mod moving;
mod purge;
mod rename;
mod restore;
mod retry;
mod sessions;
mod show;
mod state;
mod verify;

use std::path::Path;
use std::process::ExitCode;

use crate::cli::exit;
use crate::db::master::audit::MasterActor;
use crate::tenancy::lifecycle::Origin;

/// The arguments of `helixai tenant`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Onboard a client: its schema, its first user and its first API key
    #[command(after_help = exit::HELP)]
    Create(create::Args),
    /// Onboard many numbered tenants, to try the platform with thousands of them
    #[command(after_help = exit::HELP)]
    CreateMany(create_many::Args),
    /// List tenants, newest first
    #[command(after_help = exit::HELP)]
    List(list::Args),
    /// Show one tenant and its subscription
    #[command(after_help = exit::HELP)]
    Show(show::Args),
    /// Stop serving a tenant; when this has ended, no request of the tenant is served any more
    #[command(after_help = exit::HELP)]
    Suspend(state::SuspendArgs),
    /// Serve a suspended tenant again
    #[command(after_help = exit::HELP)]
    Activate(state::ActivateArgs),
    /// Write a tenant's data to a file, as it is at one moment; the tenant is served meanwhile
    #[command(after_help = exit::HELP)]
    Backup(backup::Args),
    /// List the snapshots that the program has made of a tenant by itself
    #[command(after_help = exit::HELP)]
    Backups(backups::Args),
    /// Bring a tenant back from a file: under its key, over what it has, or as a copy under another key
    #[command(after_help = exit::HELP)]
    Restore(restore::Args),
    /// Copy a tenant to another key, to try things out: the copy sends nothing
    #[command(after_help = exit::HELP)]
    Clone(clone::Args),
    /// Write a tenant's data for the tenant itself: a zip with CSV, JSON and photos
    #[command(after_help = exit::HELP)]
    Export(export::Args),
    /// List the bots that are linked to telephones, and the session backups that there are of them
    #[command(after_help = exit::HELP)]
    Sessions(sessions::ListArgs),
    /// Back up the links of a tenant's bots to their telephones, or that of one bot; they go on meanwhile
    #[command(after_help = exit::HELP)]
    BackupSessions(sessions::BackupArgs),
    /// Put a session backup of a bot that is stopped back: started again, it needs no code
    #[command(after_help = exit::HELP)]
    RestoreSession(sessions::RestoreArgs),
    /// Restore a file into a scratch schema that nobody sees, and compare what is there with what is in the file
    #[command(after_help = exit::HELP)]
    Verify(verify::Args),
    /// Move a tenant to another shard while it is served and written to
    #[command(after_help = exit::HELP)]
    Move(moving::Args),
    /// Give a tenant another key and address; requests for the former one are led to it for a while
    #[command(after_help = exit::HELP)]
    Rename(rename::Args),
    /// Put a tenant away: its data goes into a snapshot and out of the database, until somebody brings it back
    #[command(after_help = exit::HELP)]
    Archive(archive::ArchiveArgs),
    /// Bring back a tenant that was archived or deleted
    #[command(after_help = exit::HELP)]
    RestoreArchived(archive::RestoreArgs),
    /// Delete a tenant: as archive, and after a grace all of it is removed for good
    #[command(after_help = exit::HELP)]
    Delete(archive::DeleteArgs),
    /// Remove all of a tenant that was archived or deleted, for good
    #[command(after_help = exit::HELP)]
    Purge(purge::Args),
    /// Take an onboarding up again that was given up
    #[command(after_help = exit::HELP)]
    Retry(retry::Args),
    /// Make a tenant's rows of an old database: a dump of MySQL, or files of comma-separated values
    #[command(after_help = exit::HELP)]
    Import(import::Args),
    /// Print the map of the garage's old database, to write one of your own from
    #[command(after_help = exit::HELP)]
    ImportMap,
}

/// Runs one of the subcommands.
pub async fn run(config: Option<&Path>, args: Args) -> anyhow::Result<ExitCode> {
    match args.command {
        Command::Create(args) => create::run(config, args).await,
        Command::CreateMany(args) => create_many::run(config, args).await,
        Command::List(args) => list::run(config, args).await,
        Command::Show(args) => show::run(config, args).await,
        Command::Suspend(args) => state::suspend(config, args).await,
        Command::Activate(args) => state::activate(config, args).await,
        Command::Backup(args) => backup::run(config, args).await,
        Command::Backups(args) => backups::run(config, args).await,
        Command::Restore(args) => restore::run(config, args).await,
        Command::Clone(args) => clone::run(config, args).await,
        Command::Export(args) => export::run(config, args).await,
        Command::Verify(args) => verify::run(config, args).await,
        Command::Sessions(args) => sessions::list(config, args).await,
        Command::BackupSessions(args) => sessions::back_up(config, args).await,
        Command::RestoreSession(args) => sessions::restore(config, args).await,
        Command::Import(args) => import::run(config, args).await,
        Command::ImportMap => Ok(import::print_map()),
        Command::Rename(args) => rename::run(config, args).await,
        Command::Archive(args) => archive::archive(config, args).await,
        Command::RestoreArchived(args) => archive::restore(config, args).await,
        Command::Delete(args) => archive::delete(config, args).await,
        Command::Purge(args) => purge::run(config, args).await,
        Command::Retry(args) => retry::run(config, args).await,
        Command::Move(args) => moving::run(config, args).await,
    }
}

/// Who asks, when a command does.
fn origin() -> Origin {
    Origin {
        actor: MasterActor::Cli,
        request_id: None,
    }
}
