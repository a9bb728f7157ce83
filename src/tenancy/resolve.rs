//! Whose request is this? Resolving is not authorising: it names a tenant, it proves nothing.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use super::cache::{Cache, Outcome};
use super::shards::Shards;
use crate::db::DbError;
use crate::db::master::{MasterDb, tenants};
use crate::domain::host::{BaseDomain, HostKind, HostName, classify};
use crate::domain::tenant_key::TenantKey;
use crate::telemetry::metrics::{count_cache_invalidation, count_cache_lookup};

pub use crate::db::master::tenants::ResolvedTenant;

/// Why a request has no tenant.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ResolveError {
    /// Nobody has this address or key.
    #[error("unknown tenant")]
    Unknown,
    /// The header names another tenant than the host.
    #[error("the header and the host name different tenants")]
    Disagreement,
    /// Neither the host nor a header names a tenant.
    #[error("no tenant named")]
    NotNamed,
    /// The registry cannot be read.
    #[error("the registry cannot be read: {0}")]
    Unavailable(Arc<DbError>),
}

impl From<Arc<DbError>> for ResolveError {
    fn from(error: Arc<DbError>) -> Self {
        Self::Unavailable(error)
    }
}

/// Finds tenants by host or key and remembers them. Cheap to clone.
#[derive(Clone)]
pub struct Resolver {
    master: MasterDb,
    shards: Shards,
    base: Arc<BaseDomain>,
    unknown_for: Duration,
    tenants: Arc<Cache<Option<Arc<ResolvedTenant>>, Arc<DbError>>>,
    hosts: Arc<Cache<Option<TenantKey>, Arc<DbError>>>,
}

impl Resolver {
    /// A resolver that remembers `capacity` tenants, and for `unknown_for` that there is none of a name.
    pub fn new(
        master: MasterDb,
        shards: Shards,
        base: BaseDomain,
        capacity: NonZeroUsize,
        unknown_for: Duration,
    ) -> Self {
        Self {
            master,
            shards,
            base: Arc::new(base),
            unknown_for,
            tenants: Arc::new(Cache::new(capacity)),
            hosts: Arc::new(Cache::new(capacity)),
        }
    }

    /// The tenant that a request's `Host` and `X-Tenant-Key` name.
    ///
    /// # Errors
    /// See [`ResolveError`].
    pub async fn resolve(
        &self,
        host: Option<&str>,
        header: Option<&str>,
    ) -> Result<Arc<ResolvedTenant>, ResolveError> {
        let key = self.name(host, header).await?;
        self.find(&key).await
    }

    /// The tenant of a key.
    ///
    /// # Errors
    /// See [`ResolveError`].
    pub async fn find(&self, key: &TenantKey) -> Result<Arc<ResolvedTenant>, ResolveError> {
        let (master, shards, wanted) = (self.master.clone(), self.shards.clone(), key.clone());
        let unknown_for = self.unknown_for;
        let load = move || async move { read(&master, &shards, &wanted).await.map_err(Arc::new) };
        let (outcome, found) = self
            .tenants
            .get_or_load(key.as_str(), load, move |tenant| {
                tenant.is_none().then_some(unknown_for)
            })
            .await;
        count_cache_lookup(outcome == Outcome::Hit);
        found?.ok_or(ResolveError::Unknown)
    }

    /// The tenant of a key, read from the registry now: for when the database says that what is cached is wrong.
    ///
    /// # Errors
    /// See [`ResolveError`].
    pub async fn find_fresh(&self, key: &TenantKey) -> Result<Arc<ResolvedTenant>, ResolveError> {
        self.tenants.drop_name(key.as_str());
        let found = read(&self.master, &self.shards, key).await.map_err(Arc::new)?;
        found.ok_or(ResolveError::Unknown)
    }

    /// Forgets a tenant that this process has just changed: whoever was told of the change finds it made at once.
    /// Other processes hear of it by a notice, moments later.
    pub fn changed(&self, key: &str) {
        self.forget(key);
    }

    /// How many keys are remembered, with and without a tenant.
    pub fn cached(&self) -> usize {
        self.tenants.len()
    }

    async fn name(&self, host: Option<&str>, header: Option<&str>) -> Result<TenantKey, ResolveError> {
        let header = header
            .map(|raw| TenantKey::parse(raw).map_err(|_| ResolveError::Unknown))
            .transpose()?;
        let by_host = match host
            .and_then(|raw| HostName::parse(raw).ok())
            .map(|name| classify(&name, &self.base))
        {
            Some(HostKind::Base) => return header.ok_or(ResolveError::NotNamed),
            Some(HostKind::Tenant(key)) => key,
            Some(HostKind::Foreign(name)) => self.owner(&name).await?.ok_or(ResolveError::Unknown)?,
            Some(HostKind::Invalid) | None => return Err(ResolveError::Unknown),
        };
        match header {
            Some(header) if header != by_host => Err(ResolveError::Disagreement),
            _ => Ok(by_host),
        }
    }

    async fn owner(&self, host: &HostName) -> Result<Option<TenantKey>, Arc<DbError>> {
        let (master, wanted, unknown_for) = (self.master.clone(), host.clone(), self.unknown_for);
        let load = move || async move {
            tenants::find_key_by_host(&master, wanted.as_str())
                .await
                .map_err(Arc::new)
        };
        self.hosts
            .get_or_load(host.as_str(), load, move |key| {
                key.is_none().then_some(unknown_for)
            })
            .await
            .1
    }

    /// A change notice: a key, a host (it has a dot) or `*`. It only names what to drop.
    pub(super) fn forget(&self, name: &str) {
        count_cache_invalidation();
        if name == "*" {
            self.tenants.clear();
            self.hosts.clear();
        } else if name.contains('.') {
            self.hosts.drop_name(name);
        } else {
            self.tenants.drop_name(name);
            self.hosts
                .drop_where(|key| key.as_ref().is_some_and(|key| key.as_str() == name));
        }
    }

    pub(super) fn forget_everything(&self) {
        self.forget("*");
    }

    pub(super) fn believe(&self, time: Duration) {
        self.tenants.believe(time);
        self.hosts.believe(time);
    }

    pub(super) fn doubt(&self) {
        self.tenants.doubt();
        self.hosts.doubt();
    }
}

/// The tenant of a key. Its shard may be one that this process has not met.
async fn read(
    master: &MasterDb,
    shards: &Shards,
    key: &TenantKey,
) -> Result<Option<Arc<ResolvedTenant>>, DbError> {
    let tenant = tenants::find_by_key(master, key).await?;
    if let Some(tenant) = &tenant {
        shards.ensure(tenant.home.lane.shard).await?;
    }
    Ok(tenant.map(Arc::new))
}
