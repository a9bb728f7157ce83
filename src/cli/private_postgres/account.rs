//! Who runs the server: PostgreSQL refuses to run as root, so root lends it another user's identity.

use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};
use nix::unistd::{Gid, Uid, User};

/// The user that runs `initdb` and `postgres` and owns their files.
#[derive(Debug, Clone)]
pub(super) enum Account {
    /// The user of this program.
    Own { uid: u32 },
    /// Another one: this program is root.
    Other { name: String, uid: u32, gid: u32 },
}

impl Account {
    /// The owner of an existing cluster; for a new one this user or, for root, `postgres` or `nobody`.
    pub(super) fn choose(cluster: &Path) -> anyhow::Result<Self> {
        let own = Uid::effective();
        let owner = std::fs::metadata(cluster)
            .ok()
            .map(|found| Uid::from_raw(found.uid()));
        match owner {
            Some(owner) if !own.is_root() && owner != own => bail!(
                "{} belongs to {}: run as that user, as root, or choose another --data-dir",
                cluster.display(),
                describe(owner)
            ),
            Some(owner) if own.is_root() && !owner.is_root() => {
                let user = User::from_uid(owner)?;
                let gid = std::fs::metadata(cluster)?.gid();
                Ok(Self::Other {
                    name: user.map_or_else(|| owner.to_string(), |user| user.name),
                    uid: owner.as_raw(),
                    gid,
                })
            }
            _ if own.is_root() => Self::unprivileged(),
            _ => Ok(Self::Own { uid: own.as_raw() }),
        }
    }

    fn unprivileged() -> anyhow::Result<Self> {
        for name in ["postgres", "nobody"] {
            if let Some(user) = User::from_name(name).context("the list of users cannot be read")?
                && !user.uid.is_root()
            {
                return Ok(Self::Other {
                    name: user.name,
                    uid: user.uid.as_raw(),
                    gid: user.gid.as_raw(),
                });
            }
        }
        bail!("PostgreSQL does not run as root, and there is no user `postgres` or `nobody` to run it as")
    }

    /// The user's name, when it is not the user of this program.
    pub(super) fn name(&self) -> Option<&str> {
        match self {
            Self::Own { .. } => None,
            Self::Other { name, .. } => Some(name),
        }
    }

    pub(super) fn uid(&self) -> u32 {
        match self {
            Self::Own { uid } | Self::Other { uid, .. } => *uid,
        }
    }

    /// Makes the user the owner of a file or folder that this program made.
    pub(super) fn give(&self, path: &Path) -> anyhow::Result<()> {
        if let Self::Other { uid, gid, .. } = self {
            std::os::unix::fs::lchown(path, Some(*uid), Some(*gid))
                .with_context(|| format!("{} cannot be given to another user", path.display()))?;
        }
        Ok(())
    }

    /// A command that runs as the user, with nothing of this program's environment (it may hold secrets), and
    /// in a process group of its own, so that Ctrl-C in the terminal reaches this program alone.
    pub(super) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("LC_ALL", "C")
            .current_dir("/")
            .stdin(Stdio::null())
            .process_group(0);
        if let Self::Other { uid, gid, .. } = self {
            command.uid(*uid).gid(Gid::from_raw(*gid).as_raw());
        }
        command
    }

    /// Whether the user can enter a folder: asked of the system itself, which also knows of access lists.
    pub(super) fn can_enter(&self, dir: &Path) -> bool {
        let status = self
            .command(Path::new("/bin/sh"))
            .args(["-c", "cd \"$1\"", "sh"])
            .arg(dir)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        status.is_ok_and(|status| status.success())
    }

    /// Fails with advice when the user cannot enter the folder of PostgreSQL's programs.
    pub(super) fn check_can_enter(&self, bin_dir: &Path) -> anyhow::Result<()> {
        if self.can_enter(bin_dir) {
            return Ok(());
        }
        bail!(
            "the user `{}` that is to run PostgreSQL cannot enter {}: install it where others can read it",
            self.name().unwrap_or("of this program"),
            bin_dir.display()
        )
    }
}

fn describe(uid: Uid) -> String {
    match User::from_uid(uid) {
        Ok(Some(user)) => format!("the user `{}`", user.name),
        _ => format!("the user with the number {uid}"),
    }
}
