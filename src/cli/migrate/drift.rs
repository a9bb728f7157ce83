//! `helixai migrate --drift`: what each tenant's schema has that a fresh one has not, and the other way round.

use std::process::ExitCode;

use crate::cli::exit::Exit;
use crate::cli::output;
use crate::config::Settings;
use crate::db::shard::inspect::catalog::{Difference, How};
use crate::domain::clock::Clock;
use crate::platform;
use crate::tenancy::doctor::drift::Unreachable;

pub(super) async fn run(settings: &Settings, json: bool) -> anyhow::Result<ExitCode> {
    let found = platform::doctor(settings, 1, &Clock::system())?.drift().await?;
    if json {
        output::json(&found);
    } else {
        for drift in &found.drift {
            output::line(format_args!(
                "{} (schema {}, shard {})",
                drift.tenant_key, drift.schema, drift.shard
            ));
            drift.differences.iter().for_each(print);
        }
        for Unreachable { shard, error } in &found.unreachable {
            output::note(format_args!("the shard {shard} cannot be looked at: {error}"));
        }
        let count = found.drift.len();
        output::line(format_args!("{count} tenants differ from their template"));
    }
    Ok(match (found.drift.is_empty(), found.unreachable.is_empty()) {
        (false, _) => Exit::Failed,
        (true, false) => Exit::Unavailable,
        (true, true) => Exit::Done,
    }
    .into())
}

fn print(difference: &Difference) {
    let how = match difference.how {
        How::Missing => "is missing",
        How::Unexpected => "should not be there",
        How::Different => "is different",
    };
    output::line(format_args!("  {} {how}", difference.object));
    for (side, text) in [("template", &difference.expected), ("here", &difference.found)] {
        if let Some(text) = text {
            output::line(format_args!("    {side}: {text}"));
        }
    }
}
