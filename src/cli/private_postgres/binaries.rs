//! Where PostgreSQL's programs are: distributions keep several versions, mostly outside `PATH`.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};

/// The oldest PostgreSQL that the program works with.
const OLDEST: u32 = 15;

/// Folders that hold one folder per version, each with the programs in a folder inside.
const VERSIONED: &[(&str, &str)] = &[
    ("/usr/lib/postgresql", "bin"),
    ("/usr/local/lib/postgresql", "bin"),
    ("/opt/homebrew/opt", "bin"),
    ("/usr/local/opt", "bin"),
    ("/home/linuxbrew/.linuxbrew/opt", "bin"),
    ("/usr", "bin"),
];

/// The folder with `initdb` and `postgres`, all of one version.
#[derive(Debug, Clone)]
pub(super) struct Binaries {
    pub(super) dir: PathBuf,
    pub(super) major: u32,
}

impl Binaries {
    /// The programs in `given`, else the newest found; of the version of an existing cluster when there is one.
    pub(super) fn find(given: Option<&Path>, cluster: Option<u32>) -> anyhow::Result<Self> {
        let found = match given {
            Some(dir) => vec![Self::inspect(dir).with_context(|| {
                format!(
                    "{} (from --pg-bin or HELIXAI_PG_BIN) holds no PostgreSQL server",
                    dir.display()
                )
            })?],
            None => candidates().iter().filter_map(|dir| Self::inspect(dir)).collect(),
        };
        let newest = found.iter().map(|found| found.major).max();
        let wanted = found
            .into_iter()
            .filter(|found| found.major >= OLDEST && cluster.is_none_or(|cluster| cluster == found.major))
            .max_by_key(|found| found.major);
        match (wanted, cluster, newest) {
            (Some(wanted), _, _) => Ok(wanted),
            (None, Some(cluster), _) => bail!(
                "the data folder was made by PostgreSQL {cluster}, which is not installed any more: install it, \
                 name it with HELIXAI_PG_BIN, or choose another --data-dir"
            ),
            (None, None, Some(newest)) => {
                bail!("the newest PostgreSQL found is {newest}, but {OLDEST} or newer is needed")
            }
            (None, None, None) => bail!(
                "no PostgreSQL server found: install PostgreSQL {OLDEST} or newer, or name the folder of its \
                 programs with HELIXAI_PG_BIN"
            ),
        }
    }

    /// One of the programs.
    pub(super) fn program(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    fn inspect(dir: &Path) -> Option<Self> {
        let dir = dir
            .canonicalize()
            .ok()
            .filter(|dir| dir.join("initdb").is_file())?;
        let version = printed(Command::new(dir.join("postgres")).arg("--version"))?;
        Some(Self {
            major: major_version(&version)?,
            dir,
        })
    }
}

fn candidates() -> Vec<PathBuf> {
    let mut dirs: Vec<PathBuf> = Vec::new();
    dirs.extend(printed(Command::new("pg_config").arg("--bindir")).map(PathBuf::from));
    for (root, inside) in VERSIONED {
        let Ok(entries) = std::fs::read_dir(root) else {
            continue;
        };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if name.starts_with(|first: char| first.is_ascii_digit()) || name.starts_with("p") {
                dirs.push(entry.path().join(inside));
            }
        }
    }
    // The shell knows PATH, also where a folder in it is a link to the programs of one version.
    let on_path = printed(Command::new("/bin/sh").args(["-c", "command -v postgres"]));
    if let Some(postgres) = on_path.and_then(|path| PathBuf::from(path).canonicalize().ok()) {
        dirs.extend(postgres.parent().map(Path::to_path_buf));
    }
    dirs.sort();
    dirs.dedup();
    dirs
}

/// What a command prints, trimmed; `None` when it does not run or fails.
fn printed(command: &mut Command) -> Option<String> {
    let output = command.stdin(std::process::Stdio::null()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let text = text.trim();
    (output.status.success() && !text.is_empty()).then(|| text.to_owned())
}

/// `postgres (PostgreSQL) 15.18 (Debian …)` → 15; also `17beta1`.
fn major_version(printed: &str) -> Option<u32> {
    let number = printed.split_once("(PostgreSQL) ")?.1;
    let digits: String = number.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::major_version;

    #[test]
    fn reads_the_major_version() {
        assert_eq!(
            major_version("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)"),
            Some(15)
        );
        assert_eq!(major_version("postgres (PostgreSQL) 19beta1"), Some(19));
        assert_eq!(major_version("postgres (EnterpriseDB) 15"), None);
    }
}
