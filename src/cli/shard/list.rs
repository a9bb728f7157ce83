//! `helixai shard list`: how many tenants each shard has, how much they take, and how busy it is.

use std::path::Path;
use std::process::ExitCode;

use serde::Serialize;

use crate::cli::exit::Exit;
use crate::cli::{output, session};
use crate::http::admin::shards::Shard;

/// How to print them.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print the shards as the API answers them, with sizes and load
    #[arg(long)]
    json: bool,
}

/// A shard as the API shows it, and what its server says; all null when it says nothing.
#[derive(Serialize)]
struct Loaded {
    #[serde(flatten)]
    shard: Shard,
    reachable: bool,
    size_bytes: Option<i64>,
    connections: Option<i64>,
    busy: Option<i64>,
    max_connections: Option<i64>,
}

/// Prints all of them.
pub async fn run(config: Option<&Path>, args: Args) -> anyhow::Result<ExitCode> {
    let platform = session::start(config).await?;
    let shards = platform.shards.with_load().await?;
    platform.close().await;
    let mut rows = vec![
        [
            "NAME",
            "KIND",
            "STATUS",
            "TENANTS",
            "LANES",
            "SIZE",
            "CONNECTIONS",
        ]
        .map(str::to_owned),
    ];
    let mut items = Vec::with_capacity(shards.len());
    for (state, load) in shards {
        if let Err(error) = &load {
            output::note(format_args!("warning: {} does not answer: {error}", state.name));
        }
        let load = load.ok();
        let tenants: i64 = state.lanes.iter().map(|lane| i64::from(lane.tenants)).sum();
        rows.push([
            state.name.clone(),
            state.kind.clone(),
            state.status.clone(),
            format!("{tenants} of {}", state.max_tenants),
            state.lanes.len().to_string(),
            load.map_or_else(|| "?".to_owned(), |load| output::bytes(load.bytes)),
            load.map_or_else(
                || "?".to_owned(),
                |load| {
                    format!(
                        "{} ({} busy) of {}",
                        load.connections, load.busy, load.max_connections
                    )
                },
            ),
        ]);
        items.push(Loaded {
            shard: Shard::from(state),
            reachable: load.is_some(),
            size_bytes: load.map(|load| load.bytes),
            connections: load.map(|load| load.connections),
            busy: load.map(|load| load.busy),
            max_connections: load.map(|load| load.max_connections),
        });
    }
    if args.json {
        output::json(&serde_json::json!({ "items": items, "next_cursor": null }));
    } else {
        output::table(rows);
    }
    Ok(Exit::Done.into())
}
