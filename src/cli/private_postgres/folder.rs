//! Folders and files that only one user may read, and the lock that keeps two programs out of one folder.

use std::ffi::OsString;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use anyhow::{Context as _, bail};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use nix::fcntl::OFlag;

use super::account::Account;

/// 32 random bytes, as text that needs no escaping in a URL, a shell or SQL.
pub fn random_token() -> String {
    URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>())
}

/// Writes a file that only this user can read, replacing an older one in one step.
pub fn create_private_file(path: &Path, content: &[u8]) -> anyhow::Result<()> {
    let mut name = OsString::from(path);
    name.push(format!(".{}.new", std::process::id()));
    let new = Path::new(&name);
    let write = || -> std::io::Result<()> {
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(new)?;
        file.write_all(content)?;
        file.sync_all()?;
        std::fs::rename(new, path)
    };
    // One that a killed program with this process number left behind.
    let _ = std::fs::remove_file(new);
    write().with_context(|| format!("{} cannot be written", path.display()))
}

/// Makes a folder that only the server's user can enter, or checks that an existing one is such a folder: its
/// path may be in a place where anybody can put folders and links.
pub(super) fn private_folder(path: &Path, account: &Account) -> anyhow::Result<()> {
    match DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => return account.give(path),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error).with_context(|| format!("{} cannot be made", path.display())),
    }
    let found = std::fs::symlink_metadata(path)?;
    let own = nix::unistd::Uid::effective().as_raw();
    let owned = found.uid() == account.uid() || found.uid() == own;
    if !found.is_dir() || !owned || found.mode() & 0o077 != 0 {
        bail!(
            "{} is not a private folder of the server's user: remove it",
            path.display()
        );
    }
    account.give(path)
}

/// Whether a folder (not a link to one) is there and belongs to the server's user.
pub(super) fn is_folder_of(path: &Path, account: &Account) -> bool {
    std::fs::symlink_metadata(path).is_ok_and(|found| found.is_dir() && found.uid() == account.uid())
}

/// A lock on a folder, free again when dropped and when the program dies in any way.
#[derive(Debug)]
pub(super) struct FolderLock {
    _file: File,
}

impl FolderLock {
    /// Takes the lock, or says who has it.
    pub(super) fn take(dir: &Path) -> anyhow::Result<Self> {
        let path = dir.join("postgres.lock");
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            // The folder may belong to the server's user, who must not lead root to another file.
            .custom_flags(OFlag::O_NOFOLLOW.bits())
            .open(&path)
            .with_context(|| format!("{} cannot be opened", path.display()))?;
        match file.try_lock() {
            Ok(()) => {
                file.set_len(0)?;
                write!(file, "{}", std::process::id())?;
                Ok(Self { _file: file })
            }
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                let _ = file.read_to_string(&mut holder);
                bail!(
                    "{} is in use by another helixai program (process {holder})",
                    dir.display()
                )
            }
            Err(TryLockError::Error(error)) => {
                Err(error).with_context(|| format!("{} cannot be locked", path.display()))
            }
        }
    }

    /// Whether a folder has a lock file that nobody holds.
    pub(super) fn is_abandoned(dir: &Path) -> bool {
        File::open(dir.join("postgres.lock")).is_ok_and(|file| file.try_lock().is_ok())
    }
}
