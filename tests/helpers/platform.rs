//! The platform on a database of the test's own.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use helixai::config::{Loader, Settings};
use helixai::db::connect::Connector;
use helixai::db::master::audit::MasterActor;
use helixai::db::tenant::{Access, TenantDb};
use helixai::domain::clock::Clock;
use helixai::domain::email::Email;
use helixai::domain::password::Password;
use helixai::domain::tenant::Niche;
use helixai::domain::tenant_key::TenantKey;
use helixai::platform::{Platform, connector};
use helixai::tenancy::lifecycle::Origin;
use helixai::tenancy::provision::{Onboarded, Onboarding};
use helixai::tenancy::resolve::ResolvedTenant;
use std::sync::Arc;
use tokio_postgres::Client;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{Proxy, TestDb};

/// The password of every owner that the tests onboard.
pub const OWNER_PASSWORD: &str = "correct horse battery";

/// What differs from the defaults; [`Builder::start`] makes it so.
pub struct Builder {
    clock: Clock,
    values: Vec<(String, String)>,
    proxied: bool,
}

impl Builder {
    /// Puts a proxy between platform and server that counts round trips.
    pub fn proxied(mut self) -> Self {
        self.proxied = true;
        self
    }

    /// Connections per lane.
    pub fn lane_pool(self, connections: usize) -> Self {
        self.set("tenancy.lane_pool", connections)
    }

    /// Tenants per lane.
    pub fn lane_capacity(self, tenants: u32) -> Self {
        self.set("tenancy.lane_capacity", tenants)
    }

    /// After how many tenants a connection is retired.
    pub fn tenants_per_connection(self, tenants: usize) -> Self {
        self.set("tenancy.tenants_per_connection", tenants)
    }

    /// How many statements a connection keeps prepared.
    pub fn statements_per_connection(self, statements: usize) -> Self {
        self.set("tenancy.statements_per_connection", statements)
    }

    /// Any other setting.
    pub fn set(mut self, key: &str, value: impl ToString) -> Self {
        self.values.push((key.to_owned(), value.to_string()));
        self
    }

    /// Another clock than the machine's.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Makes a database and the platform on it.
    pub async fn start(self) -> TestPlatform {
        let db = TestDb::create().await;
        let mut loader = Loader::new()
            .set("platform.key", random_key())
            .set("server.base_domain", "helixai.test")
            .set("database.wait_timeout_secs", 5);
        for (key, value) in self.values {
            loader = loader.set(key, value);
        }
        let storage = tempfile::tempdir().expect("a temporary folder");
        let settings = loader
            .set("storage.folder", storage.path().display())
            .set("database.url", db.url())
            .load()
            .expect("the settings are right");
        Platform::migrate(&settings, &self.clock)
            .await
            .expect("the database is set up");
        let connector = connector(&settings).expect("the address is right");
        let mut settings = settings;
        let mut proxy = None;
        if self.proxied {
            let between = Proxy::start(&db.url()).await;
            settings.database.url = Some(between.url(&db.url()).into());
            proxy = Some(between);
        }
        let platform = Platform::start(settings.clone(), self.clock.clone())
            .await
            .expect("the platform starts");
        TestPlatform {
            platform,
            settings,
            proxy,
            clock: self.clock,
            connector,
            watching: Vec::new(),
            _storage: storage,
            db,
        }
    }
}

/// A running platform whose database is dropped with it.
pub struct TestPlatform {
    /// The platform, as the program starts it.
    pub platform: Platform,
    /// Its settings; a second platform on the same database takes them, too.
    pub settings: Settings,
    /// Its clock.
    pub clock: Clock,
    connector: Connector,
    proxy: Option<Proxy>,
    watching: Vec<DropGuard>,
    _storage: tempfile::TempDir,
    /// Last, so that it is dropped after everything that uses it.
    db: TestDb,
}

impl TestPlatform {
    /// With the defaults.
    pub async fn start() -> Self {
        Self::builder().start().await
    }

    /// To change something first.
    pub fn builder() -> Builder {
        Builder {
            clock: Clock::system(),
            values: Vec::new(),
            proxied: false,
        }
    }

    /// The proxy, when there is one.
    pub fn proxy(&self) -> &Proxy {
        self.proxy.as_ref().expect("Builder::proxied was called")
    }

    /// Its database.
    pub fn db(&self) -> &TestDb {
        &self.db
    }

    /// Hears change notices from here on, and waits until the resolver's cache is in use.
    pub async fn watch(&mut self) {
        let platform = self.platform.clone();
        self.watch_other(&platform).await;
    }

    /// As [`TestPlatform::watch`], for another platform on the same database.
    pub async fn watch_other(&mut self, platform: &Platform) {
        let stop = CancellationToken::new();
        platform.watch(&stop);
        self.watching.push(stop.drop_guard());
        let nobody = TenantKey::parse("nobody-here").expect("a key");
        for _ in 0..500 {
            let _ = platform.resolver.find(&nobody).await;
            if platform.resolver.cached() > 0 {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        panic!("the resolver's cache is never used");
    }

    /// A second process, as far as the database can tell: the same settings, nothing shared.
    pub async fn second(&self) -> Platform {
        Platform::start(self.settings.clone(), self.clock.clone())
            .await
            .expect("a second platform starts")
    }

    /// Onboards a tenant.
    pub async fn onboard(&self, key: &str, niche: &str) -> Onboarded {
        self.platform
            .provisioner
            .onboard(onboarding(key, niche), None, MasterActor::Cli, None)
            .await
            .expect("the tenant is onboarded")
    }

    /// What the resolver knows of a tenant.
    pub async fn resolved(&self, tenant: &Onboarded) -> Arc<ResolvedTenant> {
        resolved_by(&self.platform, &tenant.tenant_key).await
    }

    /// The tenant's database, found as a request finds it.
    pub async fn tenant_db(&self, tenant: &Onboarded) -> TenantDb {
        tenant_db_of(&self.platform, &tenant.tenant_key).await
    }

    /// The program's own access.
    pub fn system(&self) -> Access {
        Access::system(self.clock.now())
    }

    /// A connection of the administrator.
    pub async fn admin(&self) -> Client {
        self.connector
            .administrator()
            .await
            .expect("the administrator connects")
    }

    /// A connection of one of the program's logins, outside of any pool.
    pub async fn as_login(&self, login: &str) -> Client {
        self.connector.single(login).await.expect("the login connects")
    }
}

/// A request to onboard a tenant of this key and niche.
pub fn onboarding(key: &str, niche: &str) -> Onboarding {
    let key = TenantKey::parse(key).expect("a key");
    Onboarding {
        owner_email: Email::parse(&format!("dono@{key}.example")).expect("an address"),
        name: format!("Empresa {key}"),
        key,
        niche: Niche::parse(niche).expect("a niche"),
        plan: None,
        document: None,
        owner_name: "Dono da Silva".to_owned(),
        owner_password: Some(Password::parse(OWNER_PASSWORD.to_owned()).expect("a password")),
    }
}

/// What this platform's resolver knows of a tenant.
pub async fn resolved_by(platform: &Platform, key: &str) -> Arc<ResolvedTenant> {
    let key = TenantKey::parse(key).expect("a key");
    platform.resolver.find(&key).await.expect("the tenant is found")
}

/// The tenant's database as this platform reaches it.
pub async fn tenant_db_of(platform: &Platform, key: &str) -> TenantDb {
    let tenant = resolved_by(platform, key).await;
    TenantDb::new(platform.lanes.clone(), Arc::clone(&tenant.home))
}

/// Somebody at a shell.
pub fn cli_origin() -> Origin {
    Origin {
        actor: MasterActor::Cli,
        request_id: None,
    }
}

/// A platform key that nobody else has.
pub fn random_key() -> String {
    STANDARD.encode(helixai::domain::random::bytes::<32>())
}
