//! `helixai worker`: the background work in a process of its own.

use std::process::ExitCode;

use anyhow::Context as _;

use crate::app;
use crate::cli::output;
use crate::cli::stop_signal::StopSignals;
use crate::config::Settings;
use crate::domain::clock::Clock;
use crate::platform::Platform;
use crate::telemetry;

/// Works until SIGINT, SIGTERM or SIGHUP, then finishes what is under way.
pub async fn run(settings: Settings) -> anyhow::Result<ExitCode> {
    let mut signals = StopSignals::listen()?;
    let _logs = telemetry::init(&settings.logging).context("logs cannot be written")?;
    let platform = Platform::start(settings, Clock::system()).await?;
    platform.examine_before_serving().await?;
    output::line("working");
    app::work(platform, async {
        let signal = signals.next().await;
        tracing::info!(%signal, "stopping");
    })
    .await?;
    Ok(ExitCode::SUCCESS)
}
