//! The running server: its settings, its start and its end.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::{Child, Command};

use super::leftover::STOPPING;
use super::place::Place;
use super::{Binaries, Options};

/// Names the socket; nothing listens on the network.
pub(super) const PORT: u16 = 5432;

/// Replaying what a killed server had not yet written can take a while.
const START_TIMEOUT: Duration = Duration::from_secs(300);

const LARGEST_LOG: u64 = 16 * 1024 * 1024;

/// The name of the socket in its folder.
pub(super) fn socket_name() -> String {
    format!(".s.PGSQL.{PORT}")
}

/// A server that this program started.
#[derive(Debug)]
pub(super) struct Server {
    child: Child,
}

impl Server {
    /// Starts the server and waits until it takes connections.
    pub(super) async fn start(place: &Place, binaries: &Binaries, options: &Options) -> anyhow::Result<Self> {
        let log_file = place.log_file();
        remove_socket_of(&place.socket_dir);
        let (log, log_start) = open_log(place)?;
        let mut command = place.account.command(&binaries.program("postgres"));
        command
            .arg("-D")
            .arg(place.cluster())
            .stdout(log.try_clone()?)
            .stderr(log);
        for (name, value) in settings(place, options) {
            command.arg("-c").arg(format!("{name}={value}"));
        }
        let child = Command::from(command)
            .spawn()
            .context("PostgreSQL does not run")?;
        let mut server = Self { child };
        let pid_file = place.cluster().join("postmaster.pid");
        let deadline = Instant::now() + START_TIMEOUT;
        while !server.is_ready(&pid_file) {
            if let Some(status) = server.child.try_wait()? {
                bail!(
                    "PostgreSQL did not start ({status}); {}",
                    log_since(&log_file, log_start)
                );
            }
            if Instant::now() > deadline {
                bail!(
                    "PostgreSQL is not ready after {START_TIMEOUT:?}; {}",
                    log_since(&log_file, log_start)
                );
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(server)
    }

    /// Waits until the server ends.
    pub(super) async fn ended(&mut self) -> String {
        match self.child.wait().await {
            Ok(status) => status.to_string(),
            Err(error) => error.to_string(),
        }
    }

    /// Stops the server, cleanly if it can be, and waits for its end.
    pub(super) async fn stop(&mut self) -> anyhow::Result<ExitStatus> {
        for (signal, patience) in STOPPING {
            self.send(*signal);
            if let Ok(status) = tokio::time::timeout(*patience, self.child.wait()).await {
                return status.context("the end of PostgreSQL was not seen");
            }
        }
        bail!("PostgreSQL does not stop")
    }

    /// The server's own word: the eighth line of its `postmaster.pid`, for which `pg_ctl` waits too.
    fn is_ready(&self, pid_file: &Path) -> bool {
        let Ok(text) = std::fs::read_to_string(pid_file) else {
            return false;
        };
        let mut lines = text.lines().map(str::trim);
        let pid = lines.next().and_then(|pid| pid.parse().ok());
        pid.is_some() && pid == self.child.id() && lines.nth(6) == Some("ready")
    }

    fn send(&self, signal: Signal) {
        // `None` once it was waited for: then the number may be another process's.
        if let Some(pid) = self.child.id().and_then(|pid| i32::try_from(pid).ok()) {
            let _ = kill(Pid::from_raw(pid), signal);
        }
    }
}

impl Drop for Server {
    /// The last resort, when a future was dropped or a thread panicked: blocks until the server is gone.
    fn drop(&mut self) {
        for (signal, patience) in STOPPING {
            self.send(*signal);
            let deadline = Instant::now() + *patience;
            while Instant::now() < deadline {
                if !matches!(self.child.try_wait(), Ok(None)) {
                    return;
                }
                std::thread::sleep(Duration::from_millis(10));
            }
        }
    }
}

/// The settings, all on the command line: an older cluster gets today's settings too.
fn settings(place: &Place, options: &Options) -> Vec<(String, String)> {
    let mut settings: Vec<(String, String)> = [
        ("listen_addresses", String::new()),
        ("port", PORT.to_string()),
        (
            "unix_socket_directories",
            place.socket_dir.to_string_lossy().into_owned(),
        ),
        ("unix_socket_permissions", "0700".to_owned()),
        ("password_encryption", "scram-sha-256".to_owned()),
        ("max_connections", options.max_connections.to_string()),
        // One statement over a thousand schemas locks thousands of tables.
        ("max_locks_per_transaction", "1024".to_owned()),
        // A lane's connection reads the tables of 250 tenants; opening files anew costs a tenth of a request.
        ("max_files_per_process", "8000".to_owned()),
        // Moving a tenant to another server reads its changes from the log.
        ("wal_level", "logical".to_owned()),
        // Several such moves at once, each of which takes a slot, and two more while tables are copied.
        ("max_replication_slots", "48".to_owned()),
        ("max_wal_senders", "48".to_owned()),
        ("max_logical_replication_workers", "24".to_owned()),
        ("max_worker_processes", "32".to_owned()),
        // The server starts one worker in this time; its own default is five seconds.
        ("wal_retrieve_retry_interval", "250ms".to_owned()),
        // `drop database` waits for whoever is about to log in and has stopped: a minute, if the server had its way.
        ("authentication_timeout", "5s".to_owned()),
        ("timezone", "UTC".to_owned()),
        ("log_timezone", "UTC".to_owned()),
        ("logging_collector", "off".to_owned()),
        ("log_destination", "stderr".to_owned()),
        ("log_line_prefix", "%m [%p] %q%u@%d ".to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .to_vec();
    if cfg!(target_os = "linux") {
        // With many schemas, syncing file by file after a kill -9 takes most of a minute.
        settings.push(("recovery_init_sync_method".to_owned(), "syncfs".to_owned()));
    }
    if !options.durable {
        let unsafe_but_fast = ["fsync", "synchronous_commit", "full_page_writes"];
        settings.extend(unsafe_but_fast.map(|name| (name.to_owned(), "off".to_owned())));
    }
    settings.extend(options.settings.iter().cloned());
    settings
}

/// A killed server's socket and its lock file; the latter may hold a number that is another process's by now.
fn remove_socket_of(socket_dir: &Path) {
    let socket = socket_dir.join(socket_name());
    let _ = std::fs::remove_file(&socket);
    drop(std::fs::remove_file(
        socket_dir.join(format!("{}.lock", socket_name())),
    ));
}

fn open_log(place: &Place) -> anyhow::Result<(std::fs::File, u64)> {
    let path = place.log_file();
    if std::fs::metadata(&path).is_ok_and(|log| log.len() > LARGEST_LOG) {
        let mut older: PathBuf = path.clone();
        older.set_extension("log.1");
        std::fs::rename(&path, older)?;
    }
    let log = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(&path)
        .with_context(|| format!("{} cannot be written", path.display()))?;
    // So that an ordinary user can go on with what root started for that user.
    place.account.give(&path)?;
    let length = log.metadata()?.len();
    Ok((log, length))
}

/// What the server logged since its start, its last lines.
fn log_since(log_file: &Path, start: u64) -> String {
    let log = std::fs::read(log_file).unwrap_or_default();
    let start = usize::try_from(start).unwrap_or(0);
    let text = String::from_utf8_lossy(log.get(start..).unwrap_or_default()).into_owned();
    let lines: Vec<&str> = text.lines().collect();
    let last = lines
        .get(lines.len().saturating_sub(20)..)
        .unwrap_or_default()
        .join("\n");
    format!("the end of {}:\n{last}", log_file.display())
}
