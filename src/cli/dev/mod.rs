//! `helixai dev`: the whole program on this machine, with a private PostgreSQL and nothing to set up.
//!
//! [`database_only`] runs a command (the tests, say) beside such a database; [`serve`] is everything else.
//! [`dev_json`] tells other programs on the machine how to reach the running instance.

pub mod database_only;
mod demo;
mod demo_data;
pub mod dev_json;
pub mod instance;
pub mod serve;
mod temporary;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use crate::cli::private_postgres::{Options, PrivatePostgres};
use crate::cli::stop_signal::StopSignals;

/// The arguments of `helixai dev`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The port of the web server, on 127.0.0.1
    #[arg(long, default_value_t = 8080, conflicts_with = "database_only")]
    port: u16,

    /// The domain whose subdomains are the tenants' addresses
    #[arg(long, default_value = "localhost", conflicts_with = "database_only")]
    base_domain: String,

    /// Where everything is kept; made when missing
    #[arg(long, default_value = ".helixai")]
    data_dir: PathBuf,

    /// The folder of PostgreSQL's programs; searched for when not given
    #[arg(long, env = "HELIXAI_PG_BIN", hide_env_values = true)]
    pg_bin: Option<PathBuf>,

    /// Start the database only, and run COMMAND with its address in DATABASE_URL
    ///
    /// Without a COMMAND the address is printed and the database runs until Ctrl-C.
    #[arg(long)]
    database_only: bool,

    /// Give up the database's safety against a crash of the machine, for speed
    #[arg(long, requires = "database_only")]
    fast_unsafe: bool,

    /// Use a data folder that is deleted at the end; implies --fast-unsafe
    #[arg(long, requires = "database_only", conflicts_with = "data_dir")]
    temporary: bool,

    /// The command to run and its arguments, after `--`; its exit code becomes this program's
    #[arg(last = true, requires = "database_only", value_name = "COMMAND")]
    command: Vec<OsString>,
}

/// Runs until Ctrl-C, SIGTERM, SIGHUP, or the end of COMMAND; stops the database in every case.
pub async fn run(args: Args, config: Option<PathBuf>) -> anyhow::Result<ExitCode> {
    let mut signals = StopSignals::listen()?;
    let data_dir = if args.temporary {
        temporary::create().await?
    } else {
        args.data_dir.clone()
    };
    let options = Options {
        bin_dir: args.pg_bin.clone(),
        durable: !(args.fast_unsafe || args.temporary),
        ..Options::new(&data_dir)
    };
    let started = tokio::select! {
        started = PrivatePostgres::start(options) => started,
        // Dropping the start stops what it had started.
        signal = signals.next() => Err(anyhow::anyhow!("stopped by {signal} while PostgreSQL started")),
    };
    let mut postgres = match started {
        Ok(postgres) => postgres,
        Err(error) => {
            if args.temporary {
                temporary::remove(&data_dir);
            }
            return Err(error);
        }
    };
    let outcome = if args.database_only {
        database_only::run(&mut postgres, &mut signals, &args.command).await
    } else {
        let settings = serve::Settings {
            port: args.port,
            base_domain: args.base_domain,
            data_dir: data_dir.clone(),
            config,
        };
        serve::run(settings, &mut postgres, &mut signals)
            .await
            .map(|()| ExitCode::SUCCESS)
    };
    let stopped = if args.temporary {
        postgres.remove().await
    } else {
        postgres.stop().await
    };
    if args.temporary {
        temporary::remove(&data_dir);
    }
    // What the command did matters more than how the database ended.
    let code = outcome?;
    stopped.map(|()| code)
}
