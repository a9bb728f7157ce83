//! A PostgreSQL server that the program runs for itself: for `helixai dev` and for the tests.
//!
//! It listens on a Unix socket only, in a folder that one user can enter, and asks for a password. Everything
//! it keeps is found from one data folder:
//!
//! | file | what |
//! |---|---|
//! | `pg/` | the cluster (PostgreSQL's own data folder) |
//! | `run/` | the socket, when its path is short enough; else a folder in `/tmp` |
//! | `postgres.password` | the superuser's password, 0600 |
//! | `postgres.log` | what the server logs |
//! | `postgres.lock` | held while a program uses the folder |
//! | `postgres.location` | where `pg/` and `run/` are, when they cannot be here |
//!
//! The server outlives a kill -9 of the program; the next start on the same folder stops it first
//! (`leftover`). A new server setting goes to `server`, a new place to look for binaries to `binaries`.

mod account;
mod binaries;
mod cluster;
mod folder;
mod leftover;
mod place;
mod server;

use std::path::{Path, PathBuf};

use anyhow::Context as _;

use self::binaries::Binaries;
use self::place::Place;
use self::server::Server;

pub use self::folder::{create_private_file, random_token};

/// The superuser that every private server has.
const SUPERUSER: &str = "postgres";

/// How to run a private server.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where it keeps its files; made when missing.
    pub data_dir: PathBuf,
    /// The folder of the server's programs; searched for when `None`.
    pub bin_dir: Option<PathBuf>,
    /// PostgreSQL's `max_connections`.
    pub max_connections: u16,
    /// `false` gives up safety against a crash of the machine for speed: for tests only.
    pub durable: bool,
    /// Further server settings; they win over the ones made here.
    pub settings: Vec<(String, String)>,
}

impl Options {
    /// A durable server for development.
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            bin_dir: None,
            max_connections: 300,
            durable: true,
            settings: Vec::new(),
        }
    }
}

/// A running private server. Stop it with [`stop`](Self::stop); dropping it stops it too, but blocks.
#[derive(Debug)]
pub struct PrivatePostgres {
    // Declared before `place`: the server is down before the folder's lock is free.
    server: Server,
    place: Place,
    admin_url: String,
}

impl PrivatePostgres {
    /// Starts the server of a data folder, making its cluster the first time.
    ///
    /// Fails when another program uses the folder, when no PostgreSQL ≥ 15 is found, and when the server does
    /// not start (then with the end of its log).
    pub async fn start(options: Options) -> anyhow::Result<Self> {
        let place = Place::settle(&options.data_dir)?;
        let account = &place.account;
        leftover::stop_server_of(&place.cluster()).await?;
        let binaries = Binaries::find(options.bin_dir.as_deref(), cluster::version(&place.cluster())?)?;
        account.check_can_enter(&binaries.dir)?;
        let password = cluster::password(&place)?;
        cluster::create_if_missing(&place, &binaries, &password).await?;
        let server = Server::start(&place, &binaries, &options).await?;
        let admin_url = admin_url(&place.socket_dir, &password)?;
        Ok(Self {
            server,
            place,
            admin_url,
        })
    }

    /// The superuser's address, in the form that psql, tokio-postgres and sqlx all take. It holds the password.
    pub fn admin_url(&self) -> &str {
        &self.admin_url
    }

    /// The user that runs the server, when it is not the user of this program.
    pub fn account_name(&self) -> Option<&str> {
        self.place.account.name()
    }

    /// The server's log file.
    pub fn log_file(&self) -> PathBuf {
        self.place.log_file()
    }

    /// Waits until the server ends by itself, which it should not.
    pub async fn ended(&mut self) -> anyhow::Error {
        let status = self.server.ended().await;
        anyhow::anyhow!(
            "PostgreSQL ended by itself ({status}); its log is {}",
            self.log_file().display()
        )
    }

    /// Stops the server cleanly (its clients are disconnected) and waits until it is gone.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        self.server.stop().await?;
        self.place.tidy();
        Ok(())
    }

    /// Stops the server and deletes all that it kept.
    pub async fn remove(mut self) -> anyhow::Result<()> {
        self.server.stop().await?;
        self.place
            .remove()
            .context("the private PostgreSQL's files cannot be removed")
    }
}

/// Stops the server and deletes the data folder of a program that was killed. A folder in use is left alone, and
/// so is one whose program is just starting.
pub async fn discard_if_abandoned(data_dir: &Path) -> anyhow::Result<()> {
    if !folder::FolderLock::is_abandoned(data_dir) {
        return Ok(());
    }
    let place = Place::settle(data_dir)?;
    leftover::stop_server_of(&place.cluster()).await?;
    place.remove()?;
    std::fs::remove_dir_all(data_dir).context("the folder cannot be removed")
}

/// `postgres://user:password@%2Fsocket%2Ffolder:port/postgres`.
///
/// The port is written down because clients otherwise take it from `PGPORT`.
fn admin_url(socket_dir: &Path, password: &str) -> anyhow::Result<String> {
    let dir = socket_dir
        .to_str()
        .context("the path of the socket is not UTF-8")?;
    let host: String = dir.bytes().map(percent_encoded).collect();
    Ok(format!(
        "postgres://{SUPERUSER}:{password}@{host}:{}/postgres",
        server::PORT
    ))
}

fn percent_encoded(byte: u8) -> String {
    match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    }
}
