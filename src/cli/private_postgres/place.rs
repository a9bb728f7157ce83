//! Where a private server's files are: in the data folder, if the server can live there.
//!
//! It cannot when the program is root and the data folder is inside one that the server's user may not enter
//! (a checkout in `/root`). Then `pg/` and `run/` are in a folder in `/var/lib`, else `/var/tmp`, whose name is
//! made from the data folder's path and noted in `postgres.location`.

use std::fs::DirBuilder;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use sha2::{Digest as _, Sha256};

use super::account::Account;
use super::folder::{FolderLock, create_private_file, is_folder_of, private_folder};
use super::server;
use crate::domain::hex::hex;

/// A socket's path must be shorter than 104 bytes on some systems (108 on Linux).
const LONGEST_SOCKET_PATH: usize = 99;

/// The folders of one private server, locked for this program.
#[derive(Debug)]
pub(super) struct Place {
    /// Where the program keeps the password, the log and the note.
    pub(super) data_dir: PathBuf,
    /// Holds `pg/`; mostly the data folder itself.
    pub(super) home: PathBuf,
    pub(super) socket_dir: PathBuf,
    pub(super) account: Account,
    _locks: Vec<FolderLock>,
}

impl Place {
    /// Finds or makes the folders.
    pub(super) fn settle(data_dir: &Path) -> anyhow::Result<Self> {
        // Secrets in it are 0600; the server's user must get through to `pg/`.
        let open_to_pass = if nix::unistd::Uid::effective().is_root() {
            0o711
        } else {
            0o700
        };
        DirBuilder::new()
            .recursive(true)
            .mode(open_to_pass)
            .create(data_dir)
            .and_then(|()| data_dir.canonicalize())
            .with_context(|| format!("the data folder {} cannot be made", data_dir.display()))
            .and_then(Self::settle_in)
    }

    fn settle_in(data_dir: PathBuf) -> anyhow::Result<Self> {
        let mut locks = vec![FolderLock::take(&data_dir)?];
        let noted = noted_home(&data_dir)?;
        let cluster = noted.as_deref().unwrap_or(&data_dir).join("pg");
        let account = Account::choose(&cluster)?;
        let home = match noted {
            Some(home) => home,
            None if account.can_enter(&data_dir) => data_dir.clone(),
            None => home_elsewhere(&data_dir, &account)?,
        };
        if home != data_dir {
            if !is_folder_of(&home, &account) {
                bail!(
                    "{} says that the database is in {}, which is gone: remove that file to begin anew",
                    location_file(&data_dir).display(),
                    home.display()
                );
            }
            // A copy of the data folder notes the same place.
            locks.push(FolderLock::take(&home)?);
        }
        let socket_dir = socket_dir(&home);
        private_folder(&socket_dir, &account)?;
        Ok(Self {
            data_dir,
            home,
            socket_dir,
            account,
            _locks: locks,
        })
    }

    pub(super) fn cluster(&self) -> PathBuf {
        self.home.join("pg")
    }

    pub(super) fn password_file(&self) -> PathBuf {
        self.data_dir.join("postgres.password")
    }

    pub(super) fn log_file(&self) -> PathBuf {
        self.data_dir.join("postgres.log")
    }

    /// Removes what a stopped server needs no more.
    pub(super) fn tidy(&self) {
        // Left alone when something else is in it.
        let _ = std::fs::remove_dir(&self.socket_dir);
    }

    /// Removes all that the server kept, except the lock file and a data folder with other things in it.
    pub(super) fn remove(&self) -> std::io::Result<()> {
        self.tidy();
        if self.home != self.data_dir {
            std::fs::remove_dir_all(&self.home)?;
            std::fs::remove_file(location_file(&self.data_dir))?;
        }
        for file in [self.password_file(), self.log_file()] {
            let _ = std::fs::remove_file(file);
        }
        match std::fs::remove_dir_all(self.data_dir.join("pg")) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

fn location_file(data_dir: &Path) -> PathBuf {
    data_dir.join("postgres.location")
}

fn noted_home(data_dir: &Path) -> anyhow::Result<Option<PathBuf>> {
    match std::fs::read_to_string(location_file(data_dir)) {
        Ok(noted) => Ok(Some(PathBuf::from(noted.trim()))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).context("postgres.location cannot be read"),
    }
}

/// Makes a folder for the server outside of the data folder, and notes it there.
fn home_elsewhere(data_dir: &Path, account: &Account) -> anyhow::Result<PathBuf> {
    let name = format!("helixai-{}", short_hash(data_dir));
    let mut refused = None;
    for parent in ["/var/lib", "/var/tmp", "/tmp"] {
        let home = Path::new(parent).join(&name);
        // No note names it, so it is what remained of an earlier data folder at this path: begin anew.
        if is_folder_of(&home, account) {
            let _lock = FolderLock::take(&home)?;
            super::leftover::quit_processes_in(&home.join("pg"));
            std::fs::remove_dir_all(&home)?;
        }
        match private_folder(&home, account) {
            Ok(()) if account.can_enter(&home) => {
                create_private_file(&location_file(data_dir), home.as_os_str().as_bytes())?;
                return Ok(home);
            }
            Ok(()) => drop(std::fs::remove_dir(&home)),
            Err(error) => refused = Some(error),
        }
    }
    let refused =
        refused.unwrap_or_else(|| anyhow::anyhow!("its user can enter no folder in /var/lib or /tmp"));
    Err(refused).with_context(|| {
        format!(
            "the server's user cannot enter {}, and there is no other place",
            data_dir.display()
        )
    })
}

/// `run/` beside the cluster, or a folder in `/tmp` where that makes the socket's path too long.
fn socket_dir(home: &Path) -> PathBuf {
    let beside = home.join("run");
    let socket = beside.join(server::socket_name());
    // Only bytes that PostgreSQL, libpq and URLs all take as they are.
    let plain = beside
        .as_os_str()
        .as_bytes()
        .iter()
        .all(|byte| byte.is_ascii_graphic() && *byte != b',');
    if plain && socket.as_os_str().len() + ".lock".len() <= LONGEST_SOCKET_PATH {
        return beside;
    }
    Path::new("/tmp").join(format!("helixai-{}", short_hash(home)))
}

fn short_hash(path: &Path) -> String {
    let mut digest = hex(&Sha256::digest(path.as_os_str().as_bytes()));
    digest.truncate(16);
    digest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_path_gets_a_short_socket_folder() {
        let short = Path::new("/srv/project/.helixai");
        assert_eq!(socket_dir(short), short.join("run"));
        let long = Path::new("/home/somebody").join("deep/".repeat(20));
        let socket = socket_dir(&long).join(server::socket_name());
        assert!(socket.starts_with("/tmp"));
        assert!(socket.as_os_str().len() < 60);
        assert_ne!(socket_dir(&long), socket_dir(&long.join("er")));
        assert!(socket_dir(Path::new("/home/some body/.helixai")).starts_with("/tmp"));
    }
}
