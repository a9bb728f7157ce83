//! `helixai migrate --status`: asks the registry, and nobody else.

use std::process::ExitCode;

use crate::cli::exit::Exit;
use crate::cli::output;
use crate::config::Settings;
use crate::domain::clock::Clock;
use crate::platform::Platform;
use crate::tenancy::migrator::{Status, VersionShare};

/// How many tenants that are behind a person is shown.
const SHOWN: usize = 20;

pub(super) async fn run(settings: &Settings, json: bool) -> anyhow::Result<ExitCode> {
    let migrator = Platform::migrator(settings, Clock::system(), 1).await?;
    let status = migrator.status().await?;
    migrator.master.close().await;
    if json {
        output::json(&status);
    } else {
        print(&status);
    }
    Ok(Exit::Done.into())
}

fn print(status: &Status) {
    let titles = ["LEDGER", "VERSION", "TENANTS", ""].map(str::to_owned);
    let rows = status.versions.iter().map(|share| {
        [
            share.ledger.clone(),
            share.version.to_string(),
            share.tenants.to_string(),
            judged(share),
        ]
    });
    output::table(std::iter::once(titles).chain(rows).collect());
    for failed in &status.failed {
        let (at, trouble) = (failed.at.format("%Y-%m-%d %H:%M"), &failed.trouble);
        output::line(format_args!(
            "failed: {} stays at {} {} since {at} UTC: {}",
            trouble.tenant_key, failed.ledger, failed.version, trouble.error
        ));
    }
    output::line(format_args!("{} behind", status.behind.len()));
    for key in status.behind.iter().take(SHOWN) {
        output::line(format_args!("  {key}"));
    }
    if status.behind.len() > SHOWN {
        output::line("  …: `--json` names all of them");
    }
}

fn judged(share: &VersionShare) -> String {
    match (share.newest, share.minimum) {
        (Some(newest), _) if share.version == newest => "newest".to_owned(),
        (Some(newest), _) if share.version > newest => format!("newer than this program's {newest}"),
        (Some(newest), Some(minimum)) if share.version < minimum => {
            format!("behind {newest}; too old for this program to serve")
        }
        (Some(newest), _) => format!("behind {newest}"),
        (None, _) => "not known to this program".to_owned(),
    }
}
