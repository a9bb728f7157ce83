//! `helixai serve`: the web server on a database of one's own.

use std::process::ExitCode;

use anyhow::Context as _;

use crate::app::App;
use crate::cli::output;
use crate::cli::stop_signal::StopSignals;
use crate::config::Settings;
use crate::domain::clock::Clock;
use crate::platform::Platform;
use crate::telemetry;

/// Serves until SIGINT, SIGTERM or SIGHUP, then finishes what is in flight.
pub async fn run(settings: Settings) -> anyhow::Result<ExitCode> {
    let mut signals = StopSignals::listen()?;
    let _logs = telemetry::init(&settings.logging).context("logs cannot be written")?;
    let platform = Platform::start(settings, Clock::system()).await?;
    platform.examine_before_serving().await?;
    let url = platform.settings.server.base_url();
    let app = App::build(platform).context("the server cannot listen")?;
    output::line(format_args!("listening on {} as {url}", app.address()));
    app.run(async {
        let signal = signals.next().await;
        tracing::info!(%signal, "stopping");
    })
    .await?;
    Ok(ExitCode::SUCCESS)
}
