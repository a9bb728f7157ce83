//! `<data-dir>/dev.json`: how to reach the running instance, for scripts, tests and other programs.
//!
//! It is there exactly while the instance answers, unless the program was killed. Passwords and API keys
//! are kept nowhere else in the clear, so when the instance stops the file is moved to `dev.last.json`,
//! where the next start finds them again.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use crate::cli::private_postgres::create_private_file;

/// The content of the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DevJson {
    /// `http://localhost:8080`
    pub base_url: String,
    /// The administrator's address of the private server, as psql takes it.
    pub database_url: String,
    /// The platform's administrator.
    pub admin: Login,
    /// The demo tenants.
    pub tenants: Vec<DemoTenant>,
    /// The environment with which every command of `helixai` works on this instance.
    pub env: BTreeMap<String, String>,
}

/// Who may log in, and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Login {
    /// The name to log in with.
    pub email: String,
    /// The password, in the clear.
    pub password: String,
}

/// One demo tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DemoTenant {
    /// Its subdomain and `X-Tenant-Key`.
    pub tenant_key: String,
    /// `http://<tenant_key>.localhost:8080`
    pub url: String,
    /// Its niche, the name of a folder in `tenant_template/`.
    pub niche: String,
    /// The user that owns the account.
    pub owner: Login,
    /// A key with all scopes.
    pub api_key: String,
}

impl DevJson {
    /// Writes the file in one step, readable by this user only.
    pub fn publish(&self, data_dir: &Path) -> anyhow::Result<()> {
        let mut text = serde_json::to_vec_pretty(self)?;
        text.push(b'\n');
        create_private_file(&current(data_dir), &text)
    }

    /// What an earlier run wrote.
    pub fn previous(data_dir: &Path) -> anyhow::Result<Option<Self>> {
        match std::fs::read(last(data_dir)) {
            Ok(text) => serde_json::from_slice(&text)
                .map(Some)
                .with_context(|| format!("{} is not understood", last(data_dir).display())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("{} cannot be read", last(data_dir).display())),
        }
    }
}

/// Moves the file of this or a killed run away, as nothing answers at its address.
pub fn withdraw(data_dir: &Path) -> anyhow::Result<()> {
    match std::fs::rename(current(data_dir), last(data_dir)) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).context("dev.json cannot be moved away")
        }
        _ => Ok(()),
    }
}

fn current(data_dir: &Path) -> PathBuf {
    data_dir.join("dev.json")
}

fn last(data_dir: &Path) -> PathBuf {
    data_dir.join("dev.last.json")
}
