//! The built program with a data folder of its own.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

/// A data folder that is removed at the end.
pub struct DataDir {
    temp: TempDir,
}

impl DataDir {
    pub fn new() -> Self {
        let temp = tempfile::Builder::new()
            .prefix("hx")
            .tempdir()
            .expect("a temporary folder");
        // When root runs the tests, another user runs the server and must get through.
        std::fs::set_permissions(temp.path(), PermissionsExt::from_mode(0o711)).expect("own folder");
        Self { temp }
    }

    pub fn path(&self) -> PathBuf {
        self.temp.path().join("data")
    }

    /// `helixai dev --database-only --fast-unsafe` on this folder.
    pub fn database_only(&self) -> Command {
        database_only(&self.path())
    }

    /// Runs a shell command beside the database, to its end.
    pub fn run(&self, script: &str) -> Output {
        self.database_only()
            .args(["--", "sh", "-c", script])
            .output()
            .expect("the program runs")
    }

    /// Runs one SQL statement, with psql as an outsider would; answers what it prints.
    pub fn sql(&self, statement: &str) -> String {
        let output = self.run(&format!("psql \"$DATABASE_URL\" -XAtqc \"{statement}\""));
        assert!(output.status.success(), "{output:?}");
        stdout(&output)
    }

    /// Starts the database without a command, and waits until it prints its address.
    pub fn start(&self) -> Running {
        let mut child = self
            .database_only()
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program runs");
        let mut url = String::new();
        let out = child.stdout.take().expect("its output");
        BufReader::new(out).read_line(&mut url).expect("its first line");
        Running {
            child,
            url: url.trim().to_owned(),
        }
    }

    /// The process of the server that uses this folder.
    pub fn server(&self) -> Option<Pid> {
        let noted = std::fs::read_to_string(self.path().join("pg/postmaster.pid")).ok()?;
        Some(Pid::from_raw(noted.lines().next()?.parse().ok()?))
    }
}

impl Drop for DataDir {
    fn drop(&mut self) {
        // Only a failed test leaves a server.
        if let Some(server) = self.server() {
            let _ = kill(server, Signal::SIGQUIT);
        }
    }
}

pub fn database_only(data_dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_helixai"));
    command
        .args(["dev", "--database-only", "--fast-unsafe", "--data-dir"])
        .arg(data_dir);
    command.stdin(Stdio::null());
    command
}

/// The program, waiting with its database.
pub struct Running {
    child: Child,
    pub url: String,
}

impl Running {
    pub fn send(&self, signal: Signal) {
        kill(
            Pid::from_raw(self.child.id().try_into().expect("a process number")),
            signal,
        )
        .expect("it runs");
    }

    pub fn wait(&mut self) -> Option<i32> {
        self.child.wait().expect("its end").code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.send(Signal::SIGTERM);
            self.wait();
        }
    }
}

pub fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).trim().to_owned()
}
