//! The built program beside a database of the test's own.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tokio_postgres::{Client, NoTls};

use crate::helpers::{TestDb, random_key};

/// `helixai` with the environment of one platform, and nothing else of ours.
pub struct Program {
    db: TestDb,
    key: String,
    storage: tempfile::TempDir,
    variables: Vec<(String, String)>,
}

/// How a run ended.
#[derive(Debug)]
pub struct Run {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Program {
    /// On an empty database: nothing has been migrated, no role made.
    pub async fn on_empty_database() -> Self {
        Self {
            db: TestDb::create_empty().await,
            key: random_key(),
            storage: tempfile::tempdir().expect("a folder"),
            variables: Vec::new(),
        }
    }

    /// On a database that `helixai migrate` has set up.
    pub async fn set_up() -> Self {
        let program = Self {
            db: TestDb::create().await,
            key: random_key(),
            storage: tempfile::tempdir().expect("a folder"),
            variables: Vec::new(),
        };
        program.run(&["migrate"]).expect(0);
        program
    }

    /// With one more variable of the environment, or another value of one.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The administrator's address of the database.
    pub fn url(&self) -> String {
        self.db.url()
    }

    /// The address of an administrator who is no superuser.
    pub async fn owner_url(&self) -> String {
        self.db.owner_url().await
    }

    /// The database's name.
    pub fn database(&self) -> &str {
        self.db.name()
    }

    /// Uses another platform key from here on.
    pub fn change_key(&mut self) {
        self.key = random_key();
    }

    /// The program, to be started otherwise than to its end.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = bare(arguments);
        command
            .env("HELIXAI__DATABASE__URL", self.db.url())
            .env("HELIXAI__PLATFORM__KEY", &self.key)
            .env("HELIXAI__STORAGE__FOLDER", self.storage.path())
            .envs(self.variables.iter().cloned());
        command
    }

    /// Runs it to its end.
    pub fn run(&self, arguments: &[&str]) -> Run {
        Run::of(&self.command(arguments).output().expect("the program runs"))
    }

    /// Runs it to its end with this on standard input.
    pub fn run_with_input(&self, arguments: &[&str], input: &str) -> Run {
        let mut child = self
            .command(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program runs");
        let mut stdin = child.stdin.take().expect("a pipe");
        // A program that refuses its arguments ends without reading.
        let _ = stdin.write_all(input.as_bytes());
        drop(stdin);
        Run::of(&child.wait_with_output().expect("its end"))
    }

    /// Runs it with `--json`; it must succeed.
    pub fn json(&self, arguments: &[&str]) -> Value {
        let arguments = [arguments, &["--json"]].concat();
        self.run(&arguments).expect(0).json()
    }

    /// Onboards a tenant with made-up secrets; what `tenant create --json` prints.
    pub fn onboard(&self, key: &str, niche: &str) -> Value {
        let email = format!("dono@{key}.example");
        self.json(&[
            "tenant",
            "create",
            key,
            "--name",
            "Empresa",
            "--niche",
            niche,
            "--owner-email",
            &email,
            "--owner-name",
            "Dono",
        ])
    }

    /// A connection of the administrator.
    pub async fn admin(&self) -> Client {
        let (client, connection) = tokio_postgres::connect(&self.db.url(), NoTls)
            .await
            .expect("the administrator connects");
        tokio::spawn(connection);
        client
    }
}

impl Run {
    fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("UTF-8");
        Self {
            code: output.status.code().expect("no signal ended it"),
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
        }
    }

    /// Itself, if it ended with this code.
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:?}");
        self
    }

    /// Itself, if the reason that it gave contains this.
    #[track_caller]
    pub fn says(self, text: &str) -> Self {
        assert!(self.stderr.contains(text), "{text:?} is not in {self:?}");
        self
    }

    /// What it printed.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// `helixai` without any setting.
pub fn bare(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_helixai"));
    command.args(arguments).stdin(Stdio::null()).env_clear();
    command
}

/// Runs `helixai` with these variables only.
pub fn run_bare(arguments: &[&str], variables: &[(&str, &str)]) -> Run {
    let mut command = bare(arguments);
    command.envs(variables.iter().copied());
    Run::of(&command.output().expect("the program runs"))
}

/// A configuration file with this content.
pub fn config_file(text: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    std::fs::write(file.path(), text).expect("own file");
    file
}

/// A path as an argument.
pub fn argument(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}
