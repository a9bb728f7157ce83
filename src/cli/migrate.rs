//! `helixai migrate`: brings the database of the registry to the state that this program needs. Safe to repeat.

use std::path::Path;
use std::process::ExitCode;

use super::{output, session};
use crate::db::shard::inspect::versions::versions;
use crate::db::shard::privileges;
use crate::domain::clock::Clock;
use crate::platform::{Platform, connector};

/// The arguments of `helixai migrate`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

/// Applies what is missing and says what that was.
pub async fn run(config: Option<&Path>, args: Args) -> anyhow::Result<ExitCode> {
    let settings = session::settings(config)?;
    let connector = connector(&settings)?;
    let admin = connector.administrator().await?;
    let before = versions(&admin).await?;
    let roles = Platform::migrate(&settings, &Clock::system()).await?;
    let after = versions(&admin).await?;
    let excess = privileges::check(&admin, connector.database()).await?;

    if args.json {
        let excess: Vec<_> = excess
            .iter()
            .map(|excess| serde_json::json!({ "object": excess.object, "cure": excess.cure }))
            .collect();
        output::json(&serde_json::json!({
            "database": connector.database(),
            "role_prefix": roles.prefix,
            "master": { "from": before.master, "to": after.master },
            "shard": { "from": before.shard, "to": after.shard },
            "excess_privileges": excess,
        }));
    } else {
        output::line(format_args!("database {}", connector.database()));
        output::line(format_args!(
            "  schema master   {}",
            change(before.master, after.master)
        ));
        output::line(format_args!(
            "  schema helixai  {}",
            change(before.shard, after.shard)
        ));
        output::line(format_args!("  roles           {}_*", roles.prefix));
    }
    if !excess.is_empty() {
        output::note(
            "warning: PUBLIC keeps rights that the administrator may not revoke; as a superuser, here, run:",
        );
    }
    for excess in &excess {
        output::note(format_args!("{};", excess.cure));
    }
    Ok(ExitCode::SUCCESS)
}

fn change(from: Option<i32>, to: Option<i32>) -> String {
    let to = to.unwrap_or_default();
    match from {
        None => format!("made, version {to}"),
        Some(from) if from == to => format!("version {to}, nothing to do"),
        Some(from) => format!("version {from} → {to}"),
    }
}
