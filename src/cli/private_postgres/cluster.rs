//! The cluster on disk: made once by `initdb`, with a password from the first moment.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

use anyhow::{Context as _, bail};

use super::SUPERUSER;
use super::binaries::Binaries;
use super::folder::{create_private_file, random_token};
use super::place::Place;

/// Orders and lower-cases accented letters; the first one that the system has is taken.
const LOCALES: &[&str] = &["C.UTF-8", "en_US.UTF-8", "C"];

/// How the folders of clusters in the making begin.
const UNFINISHED: &str = "pg.new-";

/// The major version that made a cluster; `None` when there is no cluster.
pub(super) fn version(cluster: &Path) -> anyhow::Result<Option<u32>> {
    let file = cluster.join("PG_VERSION");
    match std::fs::read_to_string(&file) {
        Ok(text) => text
            .trim()
            .parse()
            .map(Some)
            .with_context(|| format!("{} is not a number", file.display())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("{} cannot be read", file.display())),
    }
}

/// The superuser's password, made up and kept before the cluster is made.
pub(super) fn password(place: &Place) -> anyhow::Result<String> {
    let file = place.password_file();
    match std::fs::read_to_string(&file) {
        Ok(password) => Ok(password.trim().to_owned()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            if place.cluster().exists() {
                bail!(
                    "{} is gone, and with it the password of the database: to begin anew, remove {}",
                    file.display(),
                    place.cluster().display()
                );
            }
            let password = random_token();
            create_private_file(&file, password.as_bytes())?;
            Ok(password)
        }
        Err(error) => Err(error).with_context(|| format!("{} cannot be read", file.display())),
    }
}

/// Makes the cluster beside its final place and moves it there when it is complete.
pub(super) async fn create_if_missing(
    place: &Place,
    binaries: &Binaries,
    password: &str,
) -> anyhow::Result<()> {
    if place.cluster().exists() {
        return Ok(());
    }
    remove_unfinished(&place.home);
    // A new name each time: an `initdb` of a killed program may still be writing to the last one.
    let unfinished = place.home.join(format!("{UNFINISHED}{}", random_token()));
    // In the socket's folder: nobody but the server's user can read it there.
    let password_file = place.socket_dir.join("initdb.password");
    create_private_file(&password_file, password.as_bytes())?;
    place.account.give(&password_file)?;
    let outcome = initdb_in_any_locale(place, binaries, &unfinished, &password_file).await;
    std::fs::remove_file(&password_file)?;
    outcome?;
    std::fs::rename(&unfinished, place.cluster()).context("the new cluster cannot be moved to its place")
}

/// Removes what killed programs left half made; what is still being written goes at the next start.
fn remove_unfinished(home: &Path) {
    let Ok(entries) = std::fs::read_dir(home) else {
        return;
    };
    for entry in entries.flatten() {
        if entry.file_name().to_string_lossy().starts_with(UNFINISHED) {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

async fn initdb_in_any_locale(
    place: &Place,
    binaries: &Binaries,
    dir: &Path,
    password_file: &Path,
) -> anyhow::Result<()> {
    let mut last = String::new();
    for locale in LOCALES {
        if dir.exists() {
            std::fs::remove_dir_all(dir).with_context(|| format!("{} cannot be removed", dir.display()))?;
        }
        DirBuilder::new()
            .mode(0o700)
            .create(dir)
            .with_context(|| format!("{} cannot be made", dir.display()))?;
        place.account.give(dir)?;
        let mut initdb = place.account.command(&binaries.program("initdb"));
        initdb
            .arg("--pgdata")
            .arg(dir)
            .arg("--pwfile")
            .arg(password_file)
            .args(["--username", SUPERUSER, "--auth", "scram-sha-256"])
            .args(["--encoding", "UTF8", "--locale", locale, "--lc-messages", "C"])
            .args(["--no-instructions", "--no-sync"]);
        let output = tokio::process::Command::from(initdb)
            .kill_on_drop(true)
            .output()
            .await
            .context("initdb does not run")?;
        if output.status.success() {
            return Ok(());
        }
        last = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        if !last.contains("locale") {
            break;
        }
    }
    bail!("initdb of PostgreSQL {} failed:\n{last}", binaries.major)
}
