//! `helixai shard add`: a database becomes one that tenants live in.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use secrecy::SecretString;

use crate::cli::exit::Exit;
use crate::cli::{output, secret_input, session};
use crate::tenancy::shard_book::{NewShard, check_name};

/// Which database, and under which name.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The shard's name: 2 to 40 of a-z, 0-9 and -
    #[arg(value_parser = check_name)]
    name: String,

    /// The administrator's address, postgres://user:password@host:port/database; without it the first line of standard input,
    /// which other users of the machine do not see. Other servers must reach it by the same address
    url: Option<SecretString>,

    /// How many tenants it may have (10000; of a shard that is known: as it was)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..=1_000_000))]
    max_tenants: Option<i32>,

    /// Print the shard as JSON
    #[arg(long)]
    json: bool,
}

/// Adds it.
pub async fn run(config: Option<&Path>, args: Args) -> anyhow::Result<ExitCode> {
    let platform = session::start(config).await?;
    let url = match args.url {
        Some(url) => url,
        None => secret_input::read("address")?.as_str().into(),
    };
    let new = NewShard {
        name: args.name.clone(),
        url,
        max_tenants: args.max_tenants,
    };
    let added = platform
        .shards
        .add(new, super::origin(), &platform.clock)
        .await
        .with_context(|| args.name.clone())?;
    platform.close().await;
    for warning in &added.warnings {
        output::note(format_args!("warning: {warning}"));
    }
    if args.json {
        output::json(&serde_json::json!({
            "id": added.id,
            "name": added.name,
            "known": added.known,
            "role_prefix": added.role_prefix,
            "warnings": added.warnings,
        }));
    } else {
        let what = if added.known {
            "has the new address"
        } else {
            "takes tenants from now on"
        };
        output::line(format_args!(
            "{} {what} (roles {}_*)",
            added.name, added.role_prefix
        ));
    }
    Ok(Exit::Done.into())
}
