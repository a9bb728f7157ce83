//! A database, and tenants in it.

use std::str::FromStr as _;

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use helixai::config::Loader;
use helixai::db::master::audit::MasterActor;
use helixai::domain::clock::Clock;
use helixai::domain::email::Email;
use helixai::domain::ids::TenantId;
use helixai::domain::random;
use helixai::domain::tenant::Niche;
use helixai::domain::tenant_key::TenantKey;
use helixai::platform::Platform;
use helixai::tenancy::provision::Onboarding;
use tokio_postgres::{Client, Config, NoTls};

const ONBOARDINGS_AT_ONCE: usize = 4;

/// What the program is pointed at.
pub struct Place {
    /// The platform, as far as this process needs it: it runs no bots.
    pub platform: Platform,
    /// The administrator's connection.
    pub admin: Client,
    /// Settings of the program, by their keys.
    pub settings: Vec<(String, String)>,
    /// Logs.
    pub folder: tempfile::TempDir,
}

/// A tenant with room for bots.
#[derive(Clone)]
pub struct Tenant {
    pub id: TenantId,
    pub key: String,
    pub schema: String,
    pub api_key: String,
}

impl Place {
    /// Makes a database on the server and the platform in it. The settings are the program's defaults, but for those that name
    /// places, for `given`, and for `overrides`.
    pub async fn prepare(
        server: &str,
        given: Vec<(String, String)>,
        overrides: &[String],
    ) -> anyhow::Result<Self> {
        let name = format!(
            "helixai_load_{}",
            random::letters(8, b"abcdefghijklmnopqrstuvwxyz")
        );
        let first = connect(server).await.context("the server does not answer")?;
        first.batch_execute(&format!("create database {name}")).await?;
        let url = with_database(server, &name)?;
        let folder = tempfile::tempdir()?;
        let within = |name: &str| folder.path().join(name).display().to_string();
        let mut settings = vec![
            ("database.url".to_owned(), url.clone()),
            ("platform.key".to_owned(), STANDARD.encode(random::bytes::<32>())),
            ("logging.dir".to_owned(), within("logs")),
            ("storage.folder".to_owned(), within("storage")),
            ("server.port".to_owned(), "0".to_owned()),
            ("metrics.bind".to_owned(), String::new()),
        ];
        settings.extend(given);
        for setting in overrides {
            let (key, value) = setting.split_once('=').context("--set takes section.key=value")?;
            settings.push((key.to_owned(), value.to_owned()));
        }
        let loader = settings
            .iter()
            .fold(Loader::new(), |loader, (key, value)| loader.set(key, value));
        let loaded = loader.load()?;
        Platform::migrate(&loaded, &Clock::system()).await?;
        Ok(Self {
            platform: Platform::start(loaded, Clock::system()).await?,
            admin: connect(&url).await?,
            settings,
            folder,
        })
    }

    /// Onboards so many tenants, several at a time.
    pub async fn onboard_all(&self, count: usize) -> anyhow::Result<Vec<Tenant>> {
        stream::iter(0..count)
            .map(|number| self.onboard(format!("tenant-{number:05}")))
            .buffer_unordered(ONBOARDINGS_AT_ONCE)
            .try_collect()
            .await
    }

    async fn onboard(&self, key: String) -> anyhow::Result<Tenant> {
        let onboarding = Onboarding {
            key: TenantKey::parse(&key)?,
            name: format!("Empresa {key}"),
            niche: Niche::parse(Niche::CARS)?,
            plan: Some("business".to_owned()),
            document: None,
            owner_email: Email::parse(&format!("dono@{key}.example"))?,
            owner_name: "Dono da Silva".to_owned(),
            owner_password: None,
        };
        let provisioner = &self.platform.provisioner;
        let onboarded = provisioner
            .onboard(onboarding, None, MasterActor::Cli, None)
            .await?;
        Ok(Tenant {
            id: onboarded.id,
            key: onboarded.tenant_key,
            schema: onboarded.schema_name,
            api_key: onboarded.api_key,
        })
    }

    /// A connection of the administrator that sees a tenant's tables.
    pub async fn inside(&self, tenant: &Tenant) -> anyhow::Result<Client> {
        let url = self.settings.iter().find(|(key, _)| key == "database.url");
        let client = connect(url.map_or("", |(_, url)| url)).await?;
        let path = format!("set search_path = \"{}\"", tenant.schema);
        client.batch_execute(&path).await?;
        Ok(client)
    }

    /// Transactions that were made in the database so far.
    pub async fn transactions(&self) -> anyhow::Result<i64> {
        let count =
            "select xact_commit + xact_rollback from pg_stat_database where datname = current_database()";
        Ok(self.admin.query_one(count, &[]).await?.get(0))
    }
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
