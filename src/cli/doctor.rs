//! `helixai doctor`: compares the platform with what it should be, and says what to do about every difference.

use std::path::Path;
use std::process::ExitCode;

use super::exit::Exit;
use super::{output, session};
use crate::domain::clock::Clock;
use crate::platform;
use crate::tenancy::doctor::report::Level;
use crate::tenancy::doctor::{Finding, PRIVILEGES};

/// The end of `helixai doctor --help`.
pub const HELP: &str = "\
Exit codes:
  0  nothing to do, or warnings only
  1  errors were found
  2  wrong arguments
  3  a setting is missing or wrong";

/// The arguments of `helixai doctor`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// How many processes serve the platform, for the count of connections
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    processes: u16,

    /// Print the findings as JSON
    #[arg(long)]
    json: bool,
}

/// Examines and prints what was found.
pub async fn run(config: Option<&Path>, args: Args) -> anyhow::Result<ExitCode> {
    let settings = session::settings(config)?;
    let findings = platform::doctor(&settings, args.processes, &Clock::system())?
        .examine()
        .await;
    let errors = count(&findings, Level::Error);
    let warnings = count(&findings, Level::Warning);
    if args.json {
        output::json(&serde_json::json!({ "errors": errors, "warnings": warnings, "findings": findings }));
    } else {
        for group in findings.chunk_by(|one, next| {
            one.check == PRIVILEGES && next.check == PRIVILEGES && one.shard == next.shard
        }) {
            print(group);
        }
        output::line(format_args!("{errors} errors, {warnings} warnings"));
    }
    Ok(if errors > 0 { Exit::Failed } else { Exit::Done }.into())
}

fn count(findings: &[Finding], level: Level) -> usize {
    findings.iter().filter(|finding| finding.level == level).count()
}

/// Prints findings that have one cure in common, which may be long: rights that the administrator may not revoke.
fn print(group: &[Finding]) {
    let Some(first) = group.first() else { return };
    let level = match first.level {
        Level::Error => "error",
        Level::Warning => "warning",
    };
    let shard = match &first.shard {
        Some(shard) => format!("shard {shard}: "),
        None => String::new(),
    };
    if first.check != PRIVILEGES {
        output::line(format_args!(
            "{level}: {shard}{}\n  cure: {}",
            first.what, first.cure
        ));
        return;
    }
    output::line(format_args!(
        "{level}: {shard}PUBLIC, and so every tenant's role, has {} rights that no tenant may have\n  \
         cure: `helixai migrate`, or as a superuser:",
        group.len()
    ));
    for finding in group {
        output::line(format_args!("    {};", finding.cure));
    }
}
