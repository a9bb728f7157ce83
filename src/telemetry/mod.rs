//! What the program tells about itself: logs, one log file per tenant, metrics, request ids and panics.
//!
//! [`init`] is called once, by `cli`, and its [`Guard`] is kept until the program ends. Everything else logs with the
//! `tracing` macros; what a line shows of the work it belongs to comes from the fields of the spans around it.
//! A span that serves a tenant carries [`TENANT_FIELD`] with the tenant key, written `tenant = %key`: its events also
//! go to that tenant's file. Fields with a sensitive name (see `fields`) are hidden everywhere.
//!
//! To add a sink: give `log_layer` a further destination for the finished line. To add a metric: a
//! constant and its description in [`metrics`]. To quieten a crate: a row in `filter`.

pub mod channel_metrics;
mod console;
mod fields;
mod filter;
mod line;
mod log_layer;
mod metric_descriptions;
pub mod metrics;
mod panics;
pub mod payment_metrics;
pub mod request_id;
pub mod socket_metrics;
mod tenant_log;
#[cfg(test)]
mod tests;
pub mod work_metrics;

use std::io::Write;

use tracing::Subscriber;
use tracing_appender::non_blocking::WorkerGuard;
use tracing_subscriber::Layer;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::LoggingSettings;

use console::Console;
use log_layer::LogLayer;
use tenant_log::TenantLog;

pub use tenant_log::{remove_tenant_files, rename_tenant_files};

/// The span field that holds the tenant key of the work being done.
pub const TENANT_FIELD: &str = "tenant";
/// The span field that holds the id of the request being served.
pub const REQUEST_ID_FIELD: &str = "request_id";

/// Why logging could not be started.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// The filter cannot be read; settings that were loaded never cause this.
    #[error("`logging.level` cannot be read: {0}")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    /// The folder of the tenants' files cannot be made, or its writer cannot be started.
    #[error(
        "cannot write tenant logs below {dir}: {source}; make the folder writable, set `logging.dir`, \
         or set `logging.tenant_files` to false",
        dir = dir.display()
    )]
    TenantFiles {
        /// The folder wanted.
        dir: std::path::PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Another subscriber is already installed in this process.
    #[error("logging is already started in this process")]
    AlreadyStarted(#[from] tracing_subscriber::util::TryInitError),
}

/// Keeps the log writers alive; dropping it writes what is still waiting. Hold it until the program ends.
#[must_use = "logs stop when the guard is dropped"]
#[derive(Debug)]
pub struct Guard {
    _tenants: Option<tenant_log::WriterGuard>,
    _console: WorkerGuard,
}

/// Starts logging for the whole process: lines on standard error, files per tenant, `log` records included, panics
/// logged.
///
/// # Errors
/// See [`InitError`].
pub fn init(settings: &LoggingSettings) -> Result<Guard, InitError> {
    let ansi = std::io::IsTerminal::is_terminal(&std::io::stderr());
    let (subscriber, guard) = assemble(settings, std::io::stderr(), ansi)?;
    subscriber.try_init()?;
    panics::log_panics();
    Ok(guard)
}

/// What [`init`] installs, with lines written to `console`, for a test that wants its own
/// (`tracing::subscriber::with_default`).
///
/// # Errors
/// See [`InitError`].
pub fn subscriber<W>(
    settings: &LoggingSettings,
    console: W,
) -> Result<(impl Subscriber + Send + Sync + use<W>, Guard), InitError>
where
    W: Write + Send + 'static,
{
    assemble(settings, console, false)
}

fn assemble<W>(
    settings: &LoggingSettings,
    console: W,
    ansi: bool,
) -> Result<(impl Subscriber + Send + Sync + use<W>, Guard), InitError>
where
    W: Write + Send + 'static,
{
    let filter = filter::events(&settings.level)?;
    let (tenants, tenants_guard) = if settings.tenant_files {
        let dir = settings.dir.join(tenant_log::FOLDER);
        let (log, guard) =
            TenantLog::start(settings, &dir).map_err(|source| InitError::TenantFiles { dir, source })?;
        (Some(log), Some(guard))
    } else {
        (None, None)
    };
    let (console, console_guard) = Console::start(settings.format, console, ansi);
    let layer = LogLayer::new(console, tenants).with_filter(filter);
    let guard = Guard {
        _tenants: tenants_guard,
        _console: console_guard,
    };
    Ok((tracing_subscriber::registry().with(layer), guard))
}
