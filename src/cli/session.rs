//! What a command needs to work on a platform: its settings, and the platform itself for as long as it runs.

use std::path::Path;

use crate::cli::exit::{Exit, Refused};
use crate::config::Settings;
use crate::domain::clock::Clock;
use crate::platform::Platform;

/// Connections to the registry of a command: it does one thing at a time, and asks once more while it writes.
const MASTER_POOL: u32 = 2;

/// The settings of this process; `config` is the file named on the command line.
pub fn settings(config: Option<&Path>) -> anyhow::Result<Settings> {
    Ok(Settings::load(config)?)
}

/// As [`start`], for commands that also read or write tenants' files.
pub async fn start_with_files(config: Option<&Path>) -> anyhow::Result<Platform> {
    let settings = settings(config)?;
    let folder = settings.storage.folder;
    if settings.lifecycle.archives(&folder).is_relative() && folder.is_absolute() {
        let message = "lifecycle.archive_folder is relative: name it absolutely, or leave it out";
        return Err(Refused::error(Exit::Settings, message));
    }
    if folder.is_relative() {
        // From here it may be another folder than the server's: a backup would be without photos, and say nothing.
        let message = format!(
            "storage.folder is relative ({}): name the folder in which `serve` keeps photos absolutely, for example \
             HELIXAI__STORAGE__FOLDER=/var/lib/helixai/storage",
            folder.display()
        );
        return Err(Refused::error(Exit::Settings, message));
    }
    start(config).await
}

/// Connects to the platform that the settings name. Nothing runs in the background.
pub async fn start(config: Option<&Path>) -> anyhow::Result<Platform> {
    let mut settings = settings(config)?;
    settings.database.master_pool = MASTER_POOL;
    Ok(Platform::start(settings, Clock::system()).await?)
}
