//! What requests, jobs and commands share: the two planes, the resolver, onboarding, the clock and the settings.

mod background;
mod channels;
mod examination;
mod gateways;
mod limits;
mod mail;

use std::num::NonZeroUsize;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tokio::sync::Semaphore;

use crate::billing::books::Books;
use crate::billing::metering::Metering;
use crate::billing::payments::Payments;
use crate::billing::payments::platform::Collector;
use crate::billing::plans::Plans;
use crate::channels::Channels;
use crate::config::{ConfigError, Settings};
use crate::db::DbError;
use crate::db::connect::Connector;
use crate::db::master::{MasterDb, lanes};
use crate::db::shard::inspect::versions::{Versions, versions};
use crate::db::shard::setup::{self, ShardRoles};
use crate::db::shard::template::Template;
use crate::db::tenant::Lanes;
use crate::domain::clock::Clock;
use crate::domain::host::BaseDomain;
use crate::domain::platform_key::PlatformKey;
use crate::domain::random;
use crate::domain::turns::Turns;
use crate::mail::transport::{Sender, Transport};
use crate::photos::Photos;
use crate::realtime::Realtime;
use crate::storage::{DeviceFolder, Folder, Store};
use crate::tenancy::fairness::Fairness;
use crate::tenancy::keeper::{self, ArchiveFolder, Keeper};
use crate::tenancy::lifecycle::Lifecycle;
use crate::tenancy::migrator::{Migrator, Patience};
use crate::tenancy::moving::Mover;
use crate::tenancy::provision::Provisioner;
use crate::tenancy::resolve::Resolver;
use crate::tenancy::shards::Shards;
use crate::tenancy::vault::Vault;
pub use examination::doctor;
use limits::{lane_settings, login_timeouts};

/// Tenants of the registry's own database, until an administrator says otherwise: what one PostgreSQL 15 carries
/// well. Further shards are added by `helixai shard add`.
const LOCAL_MAX_TENANTS: i32 = 10_000;
/// Exports that owners have sent at once; each holds a transaction and a thread.
const EXPORTS: usize = 2;

/// Why the platform does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A setting is missing or wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A setting is wrong in a way that only its use shows.
    #[error("{0}")]
    Setting(String),
    /// The database cannot be used.
    #[error("the database cannot be used: {0}")]
    Db(#[from] DbError),
    /// The database has no registry.
    #[error("the database has not been set up: run `helixai migrate`")]
    NotSetUp,
    /// The database was migrated by an older program only.
    #[error("the database lacks migrations that this program needs: run `helixai migrate`")]
    Behind,
    /// SQL of a tenant could leave its schema. The text names some of the rights by which.
    #[error(
        "PUBLIC, and so every tenant's role, has rights that no tenant may have: {0}. Run `helixai migrate`; what it may not \
         revoke, it prints as SQL for a superuser. Where a managed server refuses that too, \
         `database.allow_excess_privileges = true` serves all the same"
    )]
    ExcessPrivileges(String),
}

/// The running platform. Cheap to clone.
#[derive(Clone)]
pub struct Platform {
    /// The settings.
    pub settings: Arc<Settings>,
    /// The registry.
    pub master: MasterDb,
    /// The connections of the tenant plane.
    pub lanes: Lanes,
    /// The databases that tenants live in.
    pub shards: Shards,
    /// Finds the tenant of a request.
    pub resolver: Resolver,
    /// Keeps each tenant's requests to their share.
    pub fairness: Fairness,
    /// Tells sockets what happens.
    pub realtime: Realtime,
    /// Keeps photos.
    pub photos: Photos,
    /// Who may have all their data sent just now.
    pub exports: Turns,
    /// Onboards tenants.
    pub provisioner: Provisioner,
    /// Suspends and activates tenants.
    pub lifecycle: Lifecycle,
    /// What is for sale.
    pub plans: Plans,
    /// Invoices, payments, subscriptions.
    pub books: Books,
    /// Counts what tenants consume.
    pub metering: Metering,
    /// Collects through gateways.
    pub payments: Payments,
    /// Runs bots.
    pub channels: Channels,
    /// Backs up, restores, renames, archives and deletes tenants.
    pub keeper: Keeper,
    /// Backs tenants up by the clock; `None` when the settings name no folder.
    pub vault: Option<Vault>,
    /// Moves tenants to other shards.
    pub mover: Mover,
    /// How mails are sent, and from whom; `None`: they are not.
    pub mail_way: Option<(Transport, Sender)>,
    /// Seals secrets.
    pub key: PlatformKey,
    /// Tells the time.
    pub clock: Clock,
}

impl Platform {
    /// Brings the database up to date: schemas, roles, revokes, the first shard. Safe to repeat.
    ///
    /// # Errors
    /// When settings are missing or the administrator lacks a right.
    pub async fn migrate(settings: &Settings, clock: &Clock) -> Result<ShardRoles, StartError> {
        let connector = connector(settings)?;
        let prefix = format!(
            "hx{}",
            random::letters(6, b"abcdefghijklmnopqrstuvwxyz0123456789")
        );
        let roles = setup::set_up(&connector, true, &prefix, login_timeouts(settings)).await?;
        let (master, _, shards) = registry(settings, connector, &roles, 1)?;
        let mut tx = master.begin().await?;
        lanes::ensure_local_shard(&mut tx, &roles.prefix, LOCAL_MAX_TENANTS, clock.now()).await?;
        tx.commit().await?;
        let remote = shards.migrate_remote().await;
        master.close().await;
        remote?;
        Ok(roles)
    }

    /// Who migrates tenants, also beside a registry that an older program has migrated. Uses so many connections to it.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn migrator(
        settings: &Settings,
        clock: Clock,
        connections: u32,
    ) -> Result<Migrator, StartError> {
        let connector = connector(settings)?;
        let roles = setup::find_roles(&connector.administrator().await?).await?;
        let roles = roles.ok_or(StartError::NotSetUp)?;
        let (master, _, shards) = registry(settings, connector, &roles, connections)?;
        Ok(Migrator {
            master,
            shards,
            clock,
            template: Template::embedded()?,
            patience: Patience::default(),
        })
    }

    /// Connects to a database that has been set up. Nothing runs in the background before [`Platform::watch`].
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn start(settings: Settings, clock: Clock) -> Result<Self, StartError> {
        let connector = connector(&settings)?;
        let key = platform_key(&settings)?;
        let admin = connector.administrator().await?;
        let roles = setup::find_roles(&admin).await?.ok_or(StartError::NotSetUp)?;
        if versions(&admin).await?.is_behind(Versions::embedded()?) {
            return Err(StartError::Behind);
        }
        drop(admin);

        let tenancy = &settings.tenancy;
        let (master, lanes, shards) = registry(&settings, connector, &roles, settings.database.master_pool)?;
        shards.load().await?;
        let base = BaseDomain::parse(&settings.server.base_domain)
            .map_err(|invalid| StartError::Setting(format!("server.base_domain {invalid}")))?;
        let capacity = usize::try_from(tenancy.cache_capacity)
            .ok()
            .and_then(NonZeroUsize::new);
        let resolver = Resolver::new(
            master.clone(),
            shards.clone(),
            base,
            capacity.unwrap_or(NonZeroUsize::MIN),
            tenancy.negative_cache,
            clock.clone(),
        );
        let provisioner = Provisioner {
            master: master.clone(),
            shards: shards.clone(),
            platform_key: key.clone(),
            clock: clock.clone(),
            lease: chrono::Duration::from_std(tenancy.provisioning_lease)
                .unwrap_or(chrono::Duration::seconds(60)),
            lane_capacity: i32::try_from(tenancy.lane_capacity).unwrap_or(i32::MAX),
        };
        let lifecycle = Lifecycle {
            master: master.clone(),
            shards: shards.clone(),
            clock: clock.clone(),
        };
        let plans = Plans {
            master: master.clone(),
            clock: clock.clone(),
        };
        let books = Books::new(&master, &key, &clock, Some(Arc::new(Collector)));
        let metering = Metering::new(
            master.clone(),
            clock.clone(),
            // One connection hears notices.
            usize::try_from(settings.database.master_pool / 4).unwrap_or(1),
            settings.database.wait_timeout,
        );
        let gateways = gateways::of(&settings)?;
        let payments = gateways::payments(&settings, gateways, (&master, &lanes), &key, &clock);
        let store: Arc<dyn Store> = Arc::new(Folder::new(&settings.storage.folder));
        let devices = DeviceFolder::new(settings.channels.session_backups(&settings.storage.folder));
        let keeper = Keeper {
            master: master.clone(),
            shards: shards.clone(),
            provisioner: provisioner.clone(),
            platform_key: key.clone(),
            clock: clock.clone(),
            store: Arc::clone(&store),
            tenant_logs: settings
                .logging
                .tenant_files
                .then(|| settings.logging.dir.clone()),
            devices: devices.clone(),
            archives: ArchiveFolder::new(settings.lifecycle.archives(&settings.storage.folder)),
            delete_grace: settings.lifecycle.delete_grace(),
            rename_grace: settings.lifecycle.rename_grace(),
            at_once: Arc::new(Semaphore::new(keeper::AT_ONCE)),
        };
        let schedule = settings.backup.schedule();
        let vault = schedule.map(|schedule| Vault::new(keeper.clone(), schedule));
        let fairness = Fairness::new(
            settings.rate_limit.quota(),
            settings.tenancy.tenant_requests,
            settings.database.wait_timeout,
        );
        let photos = Photos::new(
            store,
            settings.storage.photo_workers,
            // The other half is for the work.
            settings.server.request_timeout / 2,
        );
        let exports = Turns::new(EXPORTS, 1, settings.database.wait_timeout);
        let mail_way = mail::way(&settings.mail)?;
        let channels = channels::of(
            &settings,
            &keeper.store,
            (&master, &lanes, &shards),
            &metering,
            (&key, &clock),
            &devices,
        )?;
        let realtime = Realtime::new(lanes.clone(), shards.clone(), resolver.clone(), clock.clone());
        Ok(Self {
            realtime,
            photos,
            exports,
            channels,
            settings: Arc::new(settings),
            master,
            lanes,
            shards,
            resolver,
            fairness,
            mover: Mover::new(&provisioner),
            provisioner,
            lifecycle,
            plans,
            books,
            metering,
            payments,
            vault,
            keeper,
            mail_way,
            key,
            clock,
        })
    }

    /// Closes all connections.
    pub async fn close(&self) {
        self.lanes.close();
        self.master.close().await;
    }
}

/// The registry, and the databases that it names.
fn registry(
    settings: &Settings,
    connector: Connector,
    roles: &ShardRoles,
    connections: u32,
) -> Result<(MasterDb, Lanes, Shards), StartError> {
    let database = &settings.database;
    let master = MasterDb::new(&connector, &roles.master(), connections, database.wait_timeout);
    let lanes = Lanes::new(lane_settings(settings));
    let shards = Shards::new(
        connector,
        lanes.clone(),
        master.clone(),
        platform_key(settings)?,
        database.connect_timeout,
        login_timeouts(settings),
    );
    Ok((master, lanes, shards))
}

/// The administrator's way to the database of the registry.
///
/// # Errors
/// When a setting is missing or wrong.
pub fn connector(settings: &Settings) -> Result<Connector, StartError> {
    let database = &settings.database;
    let roots = match &database.ca_file {
        None => Vec::new(),
        Some(file) => CertificateDer::pem_file_iter(file)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|error| StartError::Setting(format!("database.ca_file {}: {error}", file.display())))?,
    };
    let (url, key) = (database.url()?, platform_key(settings)?);
    Connector::new(url, database.connect_timeout, &roots, key)
        .map_err(|error| StartError::Setting(format!("`database.url` {error}")))
}

fn platform_key(settings: &Settings) -> Result<PlatformKey, ConfigError> {
    settings.platform.key().cloned()
}
