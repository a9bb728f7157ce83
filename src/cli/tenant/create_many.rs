//! `helixai tenant create-many`: onboards numbered tenants, to see how the platform behaves with thousands of them.

use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Context as _;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde::Serialize;

use crate::cli::exit::Exit;
use crate::cli::progress::Progress;
use crate::cli::{output, session};
use crate::domain::email::Email;
use crate::domain::invalid::Invalid;
use crate::domain::tenant::Niche;
use crate::domain::tenant_key::TenantKey;
use crate::platform::Platform;
use crate::tenancy::onboarding_form::find_niche;
use crate::tenancy::provision::{OnboardError, Onboarding};

/// How many, and of what kind.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// How many tenants
    #[arg(value_parser = clap::value_parser!(u64).range(1..=100_000))]
    count: u64,

    /// What their keys begin with: load-00001, load-00002, …
    #[arg(long, default_value = "load", value_parser = prefix)]
    prefix: String,

    /// Their niche
    #[arg(long, default_value = "cars", value_parser = find_niche)]
    niche: Niche,

    /// How many are onboarded at a time
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=64))]
    jobs: u8,

    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

fn prefix(text: &str) -> Result<String, Invalid> {
    TenantKey::parse(&format!("{text}-00001")).map(|_| text.to_owned())
}

/// What became of them.
#[derive(Serialize)]
struct Summary {
    created: u64,
    /// Keys that are taken, most likely by an earlier run: repeating the command goes on where it stopped.
    already_there: u64,
    seconds: f64,
    created_per_second: f64,
}

/// Onboards them. Their passwords and API keys are shown nowhere.
pub async fn run(config: Option<&Path>, args: Args) -> anyhow::Result<ExitCode> {
    let keys = (1..=args.count)
        .map(|number| TenantKey::parse(&format!("{}-{number:05}", args.prefix)))
        .collect::<Result<Vec<_>, _>>()?;
    let platform = session::start(config).await?;
    let progress = Progress::start(args.json);
    progress.show("onboarding", 0, args.count);
    let started = Instant::now();
    let mut done = stream::iter(keys)
        .map(|key| onboard(&platform, key, args.niche.clone()))
        .buffer_unordered(usize::from(args.jobs));
    let mut created = 0;
    let mut already_there = 0;
    while let Some(is_new) = done.try_next().await? {
        *(if is_new { &mut created } else { &mut already_there }) += 1;
        progress.show("onboarding", created + already_there, args.count);
    }
    drop(done);
    drop(progress);
    platform.close().await;

    let seconds = started.elapsed().as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "thousands")]
    let created_per_second = created as f64 / seconds;
    let summary = Summary {
        created,
        already_there,
        seconds,
        created_per_second,
    };
    if args.json {
        output::json(&summary);
    } else {
        output::line(format_args!(
            "{created} tenants onboarded in {seconds:.1} s ({created_per_second:.1} a second), {already_there} were \
             there already"
        ));
    }
    Ok(Exit::Done.into())
}

/// Whether it is new.
async fn onboard(platform: &Platform, key: TenantKey, niche: Niche) -> anyhow::Result<bool> {
    let request = Onboarding {
        name: format!("Empresa {key}"),
        niche,
        plan: None,
        document: None,
        owner_email: Email::parse(&format!("dono@{key}.example"))?,
        owner_name: "Dono".to_owned(),
        owner_password: None,
        key: key.clone(),
    };
    let origin = super::origin();
    let made = platform
        .provisioner
        .onboard(request, None, origin.actor, origin.request_id);
    match made.await {
        Ok(_) => Ok(true),
        Err(OnboardError::KeyTaken) => Ok(false),
        Err(error) => Err(error).with_context(|| format!("{key} is not onboarded")),
    }
}
