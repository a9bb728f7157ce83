//! argon2id with the library's defaults (19 MiB, 2 passes: OWASP's first choice), away from the request threads.

use std::sync::LazyLock;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, PasswordHasher, PasswordVerifier};
use tokio::sync::Semaphore;

use crate::db::DbError;
use crate::domain::password::Password;

/// As many at once as there are cores: each takes a core and 19 MiB.
static PLACES: LazyLock<Semaphore> =
    LazyLock::new(|| Semaphore::new(std::thread::available_parallelism().map_or(2, usize::from)));

/// What an unknown user's password is compared with, so that the time tells nothing.
static NOBODY: LazyLock<String> = LazyLock::new(|| hash_now(&Password::generate()).unwrap_or_default());

fn failed(what: &str) -> DbError {
    DbError::Other {
        code: "argon2".to_owned(),
        message: format!("a password cannot be {what}"),
    }
}

fn hash_now(password: &Password) -> Result<String, DbError> {
    let hash = Argon2::default()
        .hash_password(password.expose().as_bytes())
        .map_err(|_| failed("hashed"))?;
    Ok(hash.to_string())
}

fn verify_now(password: &Password, hash: &str) -> bool {
    PasswordHash::new(hash).is_ok_and(|hash| {
        Argon2::default()
            .verify_password(password.expose().as_bytes(), &hash)
            .is_ok()
    })
}

async fn away<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, DbError> {
    let _place = PLACES.acquire().await.map_err(|_| failed("worked on"))?;
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| failed("worked on"))
}

/// Hashes a password to a PHC string.
///
/// # Errors
/// When the hasher fails, which only a shortage of memory can cause.
pub async fn hash(password: Password) -> Result<String, DbError> {
    away(move || hash_now(&password)).await?
}

/// Whether the password fits the hash. `None` takes as long and never fits.
///
/// # Errors
/// When the hasher's thread is lost.
pub async fn verify(password: Password, hash: Option<String>) -> Result<bool, DbError> {
    away(move || match hash {
        Some(hash) => verify_now(&password, &hash),
        None => {
            verify_now(&password, &NOBODY);
            false
        }
    })
    .await
}
