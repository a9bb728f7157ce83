//! `helixai migrate --drift`: what each tenant's schema has that a fresh one has not, and the other way round.

use std::process::ExitCode;

use crate::cli::exit::Exit;
use crate::cli::output;
use crate::config::Settings;
use crate::db::shard::inspect::catalog::{Difference, How};
use crate::domain::clock::Clock;
use crate::platform;

pub(super) async fn run(settings: &Settings, json: bool) -> anyhow::Result<ExitCode> {
    let found = platform::doctor(settings, 1, &Clock::system())?.drift().await?;
    if json {
        output::json(&serde_json::json!({ "drift": found }));
    } else {
        for drift in &found {
            output::line(format_args!(
                "{} (schema {}, shard {})",
                drift.tenant_key, drift.schema, drift.shard
            ));
            drift.differences.iter().for_each(print);
        }
        output::line(format_args!("{} tenants differ from their template", found.len()));
    }
    Ok(if found.is_empty() {
        Exit::Done
    } else {
        Exit::Failed
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
