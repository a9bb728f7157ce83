//! What a command needs to work on a platform: its settings, and the platform itself for as long as it runs.

use std::path::Path;

use crate::config::Settings;
use crate::domain::clock::Clock;
use crate::platform::Platform;

/// Connections to the registry of a command: it does one thing at a time, and asks once more while it writes.
const MASTER_POOL: u32 = 2;

/// The settings of this process; `config` is the file named on the command line.
pub fn settings(config: Option<&Path>) -> anyhow::Result<Settings> {
    Ok(Settings::load(config)?)
}

/// Connects to the platform that the settings name. Nothing runs in the background.
pub async fn start(config: Option<&Path>) -> anyhow::Result<Platform> {
    let mut settings = settings(config)?;
    settings.database.master_pool = MASTER_POOL;
    Ok(Platform::start(settings, Clock::system()).await?)
}
