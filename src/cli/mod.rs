//! The command line: `helixai <command>`, one file or folder per command.
//!
//! To add a command: write `src/cli/<name>.rs` with a `clap::Args` struct and a `run` that answers an exit
//! code, then add one variant to [`Command`] and one arm to [`run`]. Commands print through [`output`] and
//! wait for Ctrl-C through [`stop_signal`]; `anyhow` is used here and nowhere below.

pub mod admin;
pub mod backup;
pub mod dev;
pub mod doctor;
pub mod exit;
pub mod migrate;
pub mod openapi;
pub mod output;
pub mod payments;
pub mod private_postgres;
mod progress;
mod secret_input;
pub mod serve;
mod session;
pub mod shard;
pub mod stop_signal;
pub mod tenant;
pub mod worker;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Parser, Subcommand};

use crate::config::Settings;

/// What a person types after `helixai`.
#[derive(Debug, Parser)]
#[command(name = "helixai", version, about, disable_help_subcommand = true)]
pub struct Cli {
    /// Read the settings that differ from the defaults from FILE; the environment (HELIXAI__SECTION__KEY) wins
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,

    #[command(subcommand)]
    command: Command,
}

/// The commands of the program.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run everything on this machine with a private PostgreSQL, for development and tests
    Dev(dev::Args),
    /// Serve the API on the database of HELIXAI__DATABASE__URL
    #[command(after_help = exit::HELP)]
    Serve,
    /// Do the background work alone, beside servers that leave it to others
    #[command(after_help = exit::HELP)]
    Worker,
    /// Bring the database up to date: schemas, roles, revokes; safe to repeat
    #[command(after_help = exit::HELP)]
    Migrate(migrate::Args),
    /// Compare the platform with what it should be, and say what to do about every difference
    #[command(after_help = doctor::HELP)]
    Doctor(doctor::Args),
    /// Manage the platform's administrators
    Admin(admin::Args),
    /// Onboard tenants, show them, change their state
    Tenant(tenant::Args),
    /// Make the backups that are due
    Backup(backup::Args),
    /// Look into payments again that gateways told of, or did not
    Payments(payments::Args),
    /// Add databases that tenants live in, close them, look at them
    Shard(shard::Args),
    /// Print the description of the API (OpenAPI, JSON)
    #[command(after_help = exit::HELP)]
    Openapi,
    /// Print the tables of docs/CONFIGURATION.md
    #[command(hide = true)]
    ConfigReference,
}

/// Runs the program; [`exit`] says what the codes mean.
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    let config = cli.config.as_deref();
    let outcome = match cli.command {
        Command::Dev(args) => block_on(dev::run(args, cli.config)),
        Command::Serve => block_on(async { serve::run(Settings::load(config)?).await }),
        Command::Worker => block_on(async { worker::run(Settings::load(config)?).await }),
        Command::Migrate(args) => block_on(migrate::run(config, args)),
        Command::Doctor(args) => block_on(doctor::run(config, args)),
        Command::Admin(args) => block_on(admin::run(config, args)),
        Command::Tenant(args) => block_on(tenant::run(config, args)),
        Command::Backup(args) => block_on(backup::run(config, args)),
        Command::Payments(args) => block_on(payments::run(config, args)),
        Command::Shard(args) => block_on(shard::run(config, args)),
        Command::Openapi => openapi::run(),
        Command::ConfigReference => config_reference(),
    };
    outcome.unwrap_or_else(|error| {
        output::problem(&error);
        exit::of(&error).into()
    })
}

fn config_reference() -> anyhow::Result<ExitCode> {
    output::line(crate::config::reference()?.trim_end());
    Ok(ExitCode::SUCCESS)
}

/// Runs one command's future on the program's own runtime.
fn block_on(command: impl Future<Output = anyhow::Result<ExitCode>>) -> anyhow::Result<ExitCode> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("the asynchronous runtime did not start")?
        .block_on(command)
}
