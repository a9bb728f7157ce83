//! The web server and the demo data of `helixai dev`, on a private PostgreSQL that already runs.

use std::path::PathBuf;

use crate::cli::output;
use crate::cli::private_postgres::PrivatePostgres;
use crate::cli::stop_signal::StopSignals;

use super::{dev_json, instance};

/// What the command line says about the server.
#[derive(Debug)]
pub struct Settings {
    /// The port on 127.0.0.1.
    pub port: u16,
    /// The domain whose subdomains are the tenants'.
    pub base_domain: String,
    /// Where the instance keeps its files.
    pub data_dir: PathBuf,
}

/// Serves until a signal, or until the database ends.
pub async fn run(
    settings: Settings,
    postgres: &mut PrivatePostgres,
    signals: &mut StopSignals,
) -> anyhow::Result<()> {
    dev_json::withdraw(&settings.data_dir)?;
    let key = instance::platform_key(&settings.data_dir)?;
    for (name, value) in instance::environment(postgres.admin_url(), &key) {
        output::line(format_args!("{name}={value}"));
    }
    let outcome = tokio::select! {
        error = postgres.ended() => Err(error),
        _ = signals.next() => Ok(()),
    };
    dev_json::withdraw(&settings.data_dir)?;
    outcome
}
