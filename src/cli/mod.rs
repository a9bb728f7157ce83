//! The command line: `helixai <command>`, one file or folder per command.
//!
//! To add a command: write `src/cli/<name>.rs` with a `clap::Args` struct and a `run` that answers an exit
//! code, then add one variant to [`Command`] and one arm to [`run`]. Commands print through [`output`] and
//! wait for Ctrl-C through [`stop_signal`]; `anyhow` is used here and nowhere below.

pub mod dev;
pub mod output;
pub mod private_postgres;
pub mod serve;
pub mod stop_signal;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Parser, Subcommand};

use crate::config::Settings;

/// What a person types after `helixai`.
#[derive(Debug, Parser)]
#[command(name = "helixai", version, about, disable_help_subcommand = true)]
pub struct Cli {
    /// A configuration file; without it HELIXAI_CONFIG names one
    #[arg(long, global = true)]
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
    Serve,
}

/// Runs the program: 0 done, 1 failed (the reason is on stderr), 2 wrong arguments.
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    let outcome = match cli.command {
        Command::Dev(args) => block_on(dev::run(args, cli.config)),
        Command::Serve => block_on(async { serve::run(Settings::load(cli.config.as_deref())?).await }),
    };
    outcome.unwrap_or_else(|error| {
        output::problem(&error);
        ExitCode::FAILURE
    })
}

/// Runs one command's future on the program's own runtime.
fn block_on(command: impl Future<Output = anyhow::Result<ExitCode>>) -> anyhow::Result<ExitCode> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("the asynchronous runtime did not start")?
        .block_on(command)
}
