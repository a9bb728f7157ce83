//! A database with the program on it, and tenants in it.

use std::net::SocketAddr;
use std::str::FromStr as _;
use std::time::Instant;

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use helixai::app::App;
use helixai::config::{Loader, Settings};
use helixai::db::connect::Connector;
use helixai::db::master::audit::MasterActor;
use helixai::domain::clock::Clock;
use helixai::domain::email::Email;
use helixai::domain::ids::TenantId;
use helixai::domain::password::Password;
use helixai::domain::random;
use helixai::domain::tenant::Niche;
use helixai::domain::tenant_key::TenantKey;
use helixai::platform::{Platform, connector};
use helixai::telemetry;
use helixai::tenancy::provision::Onboarding;
use tokio::task::JoinHandle;
use tokio_postgres::{Client, Config, NoTls};
use tokio_util::sync::CancellationToken;

use crate::cpu;

pub const ONBOARDINGS_AT_ONCE: usize = 4;
/// Rows that each tenant has: as many as the list shows.
const LEADS: usize = 50;

/// Everything that is made before anything is measured.
pub struct Bench {
    pub platform: Platform,
    pub connector: Connector,
    pub postmaster: Option<u32>,
    pub workers: usize,
    settings: Settings,
    _logs: telemetry::Guard,
    _folder: tempfile::TempDir,
}

/// A tenant to be asked.
#[derive(Clone)]
pub struct TenantUnderTest {
    pub id: TenantId,
    pub key: String,
    pub schema: String,
    pub api_key: String,
}

/// What onboarding many at once yields.
pub struct Onboarded {
    pub tenants: Vec<TenantUnderTest>,
    pub per_second: f64,
}

/// The program's server, and how to stop it.
pub struct Served {
    pub address: SocketAddr,
    stop: CancellationToken,
    task: JoinHandle<std::io::Result<()>>,
}

impl Bench {
    /// Makes a database on the server and the platform in it. The settings are the program's defaults, but for those
    /// that name places, and for `overrides`.
    pub async fn prepare(server: &str, overrides: &[String]) -> anyhow::Result<Self> {
        let name = format!(
            "helixai_bench_{}",
            random::letters(8, b"abcdefghijklmnopqrstuvwxyz")
        );
        let admin = connect(server).await.context("the server does not answer")?;
        admin.batch_execute(&format!("create database {name}")).await?;
        let pid: i32 = admin.query_one("select pg_backend_pid()", &[]).await?.get(0);
        let postmaster = u32::try_from(pid).ok().and_then(cpu::parent_of);

        let folder = tempfile::tempdir()?;
        let mut loader = Loader::new()
            .set("database.url", with_database(server, &name)?)
            .set("platform.key", STANDARD.encode(random::bytes::<32>()))
            .set("logging.dir", folder.path().display())
            .set("server.port", 0)
            .set("metrics.bind", "");
        for setting in overrides {
            let (key, value) = setting.split_once('=').context("--set takes section.key=value")?;
            loader = loader.set(key, value);
        }
        let settings = loader.load()?;
        // Logs as the program writes them: a line per request, made and written to the tenant's file. Only what would
        // go to the terminal goes nowhere.
        let (subscriber, logs) = telemetry::subscriber(&settings.logging, std::io::sink())?;
        tracing::subscriber::set_global_default(subscriber)?;

        Platform::migrate(&settings, &Clock::system()).await?;
        let connector = connector(&settings)?;
        let platform = Platform::start(settings.clone(), Clock::system()).await?;
        Ok(Self {
            platform,
            connector,
            postmaster,
            workers: settings.server.worker_count(),
            settings,
            _logs: logs,
            _folder: folder,
        })
    }

    /// The platform's settings.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The administrator's address of the database.
    pub fn plain_url(&self) -> String {
        use secrecy::ExposeSecret as _;
        self.settings
            .database
            .url
            .as_ref()
            .map(|url| url.expose_secret().to_owned())
            .unwrap_or_default()
    }

    /// Onboards so many tenants, several at a time.
    pub async fn onboard_all(&self, name: &str, count: usize) -> anyhow::Result<Onboarded> {
        let started = Instant::now();
        let tenants = stream::iter(0..count)
            .map(|number| onboard(&self.platform, format!("{name}-{number:05}")))
            .buffer_unordered(ONBOARDINGS_AT_ONCE)
            .try_collect::<Vec<_>>()
            .await?;
        #[expect(clippy::cast_precision_loss, reason = "thousands")]
        let per_second = count as f64 / started.elapsed().as_secs_f64();
        Ok(Onboarded { tenants, per_second })
    }

    /// Gives each tenant its leads.
    pub async fn fill(&self, tenants: impl Iterator<Item = &TenantUnderTest>) -> anyhow::Result<()> {
        let admin = self.connector.administrator().await?;
        for tenant in tenants {
            let schema = &tenant.schema;
            admin
                .batch_execute(&format!(
                    "insert into \"{schema}\".leads (id, name, phone, email, source, stage, notes, created_at, updated_at)
                     select gen_random_uuid(), 'Maria da Silva ' || n, '+5511987650' || to_char(n, 'FM000'),
                            'maria' || n || '@example.com', 'whatsapp', 'new', 'Ligar depois das 18h', at, at
                     from generate_series(1, {LEADS}) n,
                          lateral (select timestamptz '2026-01-01 12:00:00Z' + n * interval '1 minute') t (at);
                     analyze \"{schema}\".leads, \"{schema}\".api_keys"
                ))
                .await?;
        }
        admin.batch_execute("checkpoint").await?;
        Ok(())
    }

    /// Kilobytes of each of the server's processes that serves a lane of the program.
    pub async fn memory_of_lanes(&self) -> anyhow::Result<Vec<u64>> {
        let admin = self.connector.administrator().await?;
        let rows = admin
            .query(
                "select pid from pg_stat_activity
                 where datname = current_database() and usename in (select login from master.lanes)",
                &[],
            )
            .await?;
        Ok(rows
            .iter()
            .filter_map(|row| u32::try_from(row.get::<_, i32>(0)).ok())
            .filter_map(cpu::private_memory)
            .collect())
    }

    /// Starts the program's server with pools and caches of its own, all empty.
    pub async fn serve(&self) -> anyhow::Result<Served> {
        serve(self.settings.clone()).await
    }

    /// As [`Bench::serve`]; each tenant may use as much as there is.
    pub async fn serve_without_shares(&self) -> anyhow::Result<Served> {
        let mut settings = self.settings.clone();
        settings.tenancy.tenant_requests = usize::MAX >> 4;
        settings.tenancy.tenant_connections = usize::MAX >> 4;
        serve(settings).await
    }
}

/// A server of these settings.
async fn serve(settings: Settings) -> anyhow::Result<Served> {
    let platform = Platform::start(settings, Clock::system()).await?;
    let app = App::build(platform.clone())?;
    let address = app.address();
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    let task = tokio::spawn(app.run(async move { stopped.cancelled().await }));
    // The cache is used once the listener listens.
    let nobody = TenantKey::parse("nobody-here")?;
    while platform.resolver.cached() == 0 {
        let _ = platform.resolver.find(&nobody).await;
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    Ok(Served { address, stop, task })
}

impl Served {
    pub async fn stop(self) -> anyhow::Result<()> {
        self.stop.cancel();
        Ok(self.task.await??)
    }
}

/// Onboards one tenant, as the API does.
pub async fn onboard(platform: &Platform, key: String) -> anyhow::Result<TenantUnderTest> {
    let onboarded = platform
        .provisioner
        .onboard(request(&key)?, None, MasterActor::Cli, None)
        .await?;
    Ok(TenantUnderTest {
        id: onboarded.id,
        key: onboarded.tenant_key,
        schema: onboarded.schema_name,
        api_key: onboarded.api_key,
    })
}

/// The password of every owner.
pub fn password() -> anyhow::Result<Password> {
    Ok(Password::parse("correct horse battery".to_owned())?)
}

fn request(key: &str) -> anyhow::Result<Onboarding> {
    Ok(Onboarding {
        key: TenantKey::parse(key)?,
        name: format!("Empresa {key}"),
        niche: Niche::parse(Niche::CARS)?,
        plan: None,
        document: None,
        owner_email: Email::parse(&format!("dono@{key}.example"))?,
        owner_name: "Dono da Silva".to_owned(),
        owner_password: Some(password()?),
    })
}

/// A connection of the administrator.
pub async fn connect(url: &str) -> anyhow::Result<Client> {
    let (client, connection) = Config::from_str(url)?.connect(NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

fn with_database(url: &str, database: &str) -> anyhow::Result<String> {
    let (address, parameters) = match url.split_once('?') {
        Some((address, parameters)) => (address, format!("?{parameters}")),
        None => (url, String::new()),
    };
    let (server, _) = address.rsplit_once('/').context("an address with a database")?;
    Ok(format!("{server}/{database}{parameters}"))
}
