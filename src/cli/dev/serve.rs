//! The web server and the demo data of `helixai dev`, on a private PostgreSQL that already runs.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;

use super::dev_json::{self, DevJson};
use super::{demo, instance};
use crate::app::App;
use crate::cli::output;
use crate::cli::private_postgres::PrivatePostgres;
use crate::cli::stop_signal::StopSignals;
use crate::config::Loader;
use crate::domain::clock::Clock;
use crate::platform::Platform;
use crate::telemetry;
use crate::tenancy::reconcile;

/// What the command line says about the server.
#[derive(Debug)]
pub struct Settings {
    /// The port on 127.0.0.1.
    pub port: u16,
    /// The domain whose subdomains are the tenants'.
    pub base_domain: String,
    /// Where the instance keeps its files.
    pub data_dir: PathBuf,
    /// The configuration file that `--config` names.
    pub config: Option<PathBuf>,
}

/// An onboarding that a kill interrupted is finished at the next start, after this time at the most.
const LEASE: Duration = Duration::from_secs(5);

/// Serves until a signal, or until the database ends.
pub async fn run(
    settings: Settings,
    postgres: &mut PrivatePostgres,
    signals: &mut StopSignals,
) -> anyhow::Result<()> {
    let previous = DevJson::previous(&settings.data_dir)?;
    dev_json::withdraw(&settings.data_dir)?;
    let previous = previous.or(DevJson::previous(&settings.data_dir)?);
    let key = instance::platform_key(&settings.data_dir)?;
    let env = instance::environment(postgres.admin_url(), &key, &settings);
    let config = Loader::from_process(settings.config.as_deref())?
        .environment(env.clone())
        .set("tenancy.provisioning_lease_secs", LEASE.as_secs())
        .load()?;
    let _logs = telemetry::init(&config.logging).context("logs cannot be written")?;
    Platform::migrate(&config, &Clock::system())
        .await
        .context("the private database cannot be set up")?;
    let platform = Platform::start(config, Clock::system()).await?;
    finish_interrupted(&platform).await?;
    let (admin, tenants) = demo::ensure(&platform, previous.as_ref()).await?;
    let base_url = platform.settings.server.base_url();
    let app = App::build(platform).with_context(|| format!("port {} cannot be used", settings.port))?;
    let file = DevJson {
        base_url,
        database_url: postgres.admin_url().to_owned(),
        admin,
        tenants,
        env,
    };
    file.publish(&settings.data_dir)?;
    welcome(&file, &settings);
    let mut lost_database = None;
    let served = app.run(async {
        tokio::select! {
            error = postgres.ended() => lost_database = Some(error),
            signal = signals.next() => tracing::info!(%signal, "stopping"),
        }
    });
    let served = served.await.context("the server failed");
    dev_json::withdraw(&settings.data_dir)?;
    match lost_database {
        Some(error) => Err(error),
        None => served,
    }
}

/// Nobody else works on a private database, so what a kill left is finished before anything begins.
async fn finish_interrupted(platform: &Platform) -> anyhow::Result<()> {
    let mut rounds = LEASE.as_secs() * 2 + 2;
    while platform.provisioner.has_unfinished().await? && rounds > 0 {
        rounds -= 1;
        reconcile::finish_expired(&platform.provisioner).await?;
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    Ok(())
}

fn welcome(file: &DevJson, settings: &Settings) {
    output::line(format_args!(
        "HelixAI on {}   (API: {}/docs)",
        file.base_url, file.base_url
    ));
    output::line(format_args!(
        "  admin         {}  {}",
        file.admin.email, file.admin.password
    ));
    for tenant in &file.tenants {
        output::line(format_args!(
            "  {:<13} {}  ({})",
            tenant.tenant_key, tenant.url, tenant.niche
        ));
        output::line(format_args!(
            "    owner       {}  {}",
            tenant.owner.email, tenant.owner.password
        ));
        output::line(format_args!("    API key     {}", tenant.api_key));
    }
    let file = settings.data_dir.join("dev.json");
    output::line(format_args!(
        "All of it for programs: {}   Stop with Ctrl-C.",
        file.display()
    ));
}
