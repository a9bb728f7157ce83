//! `helixai tenant move`: a tenant goes to another shard while it is served; or a move that nobody can end is given up.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;

use crate::cli::exit::Exit;
use crate::cli::progress::Progress;
use crate::cli::{output, session};
use crate::domain::tenant_key::TenantKey;
use crate::tenancy::moving::{Abandoned, Moved};
use crate::tenancy::shard_book::check_name;

/// Which tenant, and where to.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The tenant's key
    #[arg(value_parser = TenantKey::parse)]
    key: TenantKey,

    /// The name of the shard that it shall live on
    #[arg(value_parser = check_name, required_unless_present = "abandon")]
    shard: Option<String>,

    /// Declare a move ended one of whose shards is lost for good, without touching that shard
    #[arg(long, conflicts_with = "shard")]
    abandon: bool,

    /// Print what was done as JSON
    #[arg(long)]
    json: bool,
}

/// Moves it.
pub async fn run(config: Option<&Path>, args: Args) -> anyhow::Result<ExitCode> {
    let platform = session::start(config).await?;
    let Some(shard) = &args.shard else {
        let abandoned = platform.mover.abandon(&args.key, super::origin()).await;
        let abandoned = abandoned.with_context(|| args.key.to_string())?;
        platform.close().await;
        tell(&abandoned, args.json);
        return Ok(Exit::Done.into());
    };
    let progress = Progress::listener(args.json);
    let moved = platform
        .mover
        .move_tenant(&args.key, shard, super::origin(), &progress)
        .await
        .with_context(|| format!("{} to {shard}", args.key))?;
    platform.close().await;
    if args.json {
        output::json(&as_json(&moved));
    } else {
        print(&moved);
    }
    Ok(Exit::Done.into())
}

fn as_json(moved: &Moved) -> serde_json::Value {
    let phases: serde_json::Map<String, serde_json::Value> = moved
        .phases
        .iter()
        .map(|(phase, took)| (phase.to_string(), took.as_secs_f64().into()))
        .collect();
    serde_json::json!({
        "tenant_key": moved.tenant_key,
        "id": moved.id,
        "from": moved.from,
        "to": moved.to,
        "already_there": moved.from == moved.to,
        "tables": moved.amount.map(|amount| amount.tables),
        "rows_before": moved.amount.map(|amount| amount.rows),
        "rows_after": moved.amount.map(|amount| amount.rows),
        "rows_compared": moved.compared,
        "bytes": moved.amount.map(|amount| amount.bytes),
        "longest_pause_ms": moved.pause_ms,
        "seconds": moved.phases.iter().map(|(_, took)| took.as_secs_f64()).sum::<f64>(),
        "phases": phases,
    })
}

fn tell(abandoned: &Abandoned, json: bool) {
    let Abandoned {
        tenant_key,
        phase,
        lives_on,
        lost,
        rows_left_on,
        ..
    } = abandoned;
    if json {
        output::json(&serde_json::json!({
            "tenant_key": tenant_key, "id": abandoned.id, "phase": phase, "lives_on": lives_on, "lost": lost,
            "rows_left_on": rows_left_on,
        }));
        return;
    }
    output::line(format_args!("tenant    {tenant_key}"));
    output::line(format_args!(
        "move      given up in phase {phase}, without {lost}"
    ));
    output::line(format_args!("lives on  {lives_on}"));
    if let Some(left) = rows_left_on {
        output::line(format_args!(
            "rows      what had been copied, or was left behind, is still on {left}: `helixai doctor` names it"
        ));
    }
}

fn print(moved: &Moved) {
    if moved.from == moved.to {
        output::line(format_args!("{} lives on {} already", moved.tenant_key, moved.to));
        return;
    }
    output::line(format_args!("tenant    {}", moved.tenant_key));
    output::line(format_args!("shard     {} → {}", moved.from, moved.to));
    if let Some(amount) = moved.amount {
        let how = if moved.compared { "compared" } else { "counted" };
        output::line(format_args!(
            "rows      {} before, {} after, in {} tables ({how})",
            amount.rows, amount.rows, amount.tables
        ));
        output::line(format_args!("size      {}", output::bytes(amount.bytes)));
    }
    if let Some(pause) = moved.pause_ms {
        output::line(format_args!("pause     {pause:.1} ms without writes, at most"));
    }
    for (phase, took) in &moved.phases {
        output::line(format_args!("  {:<12} {:>8.3} s", phase, took.as_secs_f64()));
    }
    output::line("photos    stay where they are: all shards share the folder");
}
