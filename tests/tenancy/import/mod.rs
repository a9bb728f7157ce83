//! An old database becomes a tenant: all of it or nothing, and never twice.

mod bad_rows;
pub mod garage;
#[cfg(feature = "kill_points")]
mod killed;
mod maps;
mod meanwhile;
mod sources;
mod whole;

use std::path::PathBuf;

use serde_json::Value;
use tempfile::TempDir;
use tokio_postgres::Client;

use crate::cli::program::{Program, Run};

/// A folder with files for one test.
pub struct Files(TempDir);

impl Files {
    pub fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    pub fn path(&self, name: &str) -> String {
        let path: PathBuf = self.0.path().join(name);
        path.to_str().expect("UTF-8").to_owned()
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.path(name);
        std::fs::write(&path, content).expect("own file");
        path
    }
}

/// What onboards a tenant on the way.
pub const ONBOARD: [&str; 6] = [
    "--name",
    "Feirão Alpha",
    "--owner-email",
    "dona@alpha.example",
    "--owner-name",
    "Dona Alpha",
];

/// `tenant import garage` with these arguments and `--json`.
pub fn import(program: &Program, arguments: &[&str]) -> Run {
    program.run(&[&["tenant", "import", "garage"], arguments, &["--json"]].concat())
}

pub async fn number(admin: &Client, query: &str) -> i64 {
    admin
        .query_one(query, &[])
        .await
        .unwrap_or_else(|error| panic!("{query}: {error}"))
        .get(0)
}

/// The rows of the tenant's tables that an import fills.
pub async fn rows(admin: &Client) -> [i64; 6] {
    let mut counts = [0; 6];
    for (count, table) in counts.iter_mut().zip([
        "vehicles",
        "contacts",
        "leads",
        "lead_history",
        "conversations",
        "messages",
    ]) {
        *count = number(admin, &format!("select count(*) from tenant_garage.{table}")).await;
    }
    counts
}

/// The first problem: level, column, code.
pub fn problem(report: &Value) -> (String, String, String) {
    let problem = &report["problems"][0];
    let text = |name: &str| problem[name].as_str().unwrap_or_default().to_owned();
    (text("level"), text("column"), text("code"))
}
