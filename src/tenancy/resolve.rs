//! Whose request is this? Resolving is not authorising: it names a tenant, it proves nothing.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::cache::{Cache, Outcome};
use super::shards::Shards;
use crate::db::DbError;
use crate::db::master::reserved_keys::{Renamed, find_renamed};
use crate::db::master::{MasterDb, domains, tenants};
use crate::domain::clock::Clock;
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
    /// The host is the former address of a tenant that has another key now.
    #[error("the tenant is {0} now")]
    Renamed(TenantKey),
    /// The registry cannot be read.
    #[error("the registry cannot be read: {0}")]
    Unavailable(Arc<DbError>),
}

impl From<Arc<DbError>> for ResolveError {
    fn from(error: Arc<DbError>) -> Self {
        Self::Unavailable(error)
    }
}

/// Whose request it is.
#[derive(Debug, Clone)]
pub struct Resolved {
    /// The tenant.
    pub tenant: Arc<ResolvedTenant>,
    /// Until when the key that the request names, a former one, is still served.
    pub former_until: Option<DateTime<Utc>>,
}

/// What a key stands for.
#[derive(Debug, Clone)]
enum Known {
    Tenant(Arc<ResolvedTenant>),
    Renamed(Renamed),
    Nobody,
}

/// Finds tenants by host or key and remembers them. Cheap to clone.
#[derive(Clone)]
pub struct Resolver {
    master: MasterDb,
    shards: Shards,
    base: Arc<BaseDomain>,
    unknown_for: Duration,
    clock: Clock,
    tenants: Arc<Cache<Known, Arc<DbError>>>,
    hosts: Arc<Cache<Option<TenantKey>, Arc<DbError>>>,
}

impl Resolver {
    /// A resolver that remembers `capacity` tenants, and for `unknown_for` that there is none of a name, or that it has
    /// another key now.
    pub fn new(
        master: MasterDb,
        shards: Shards,
        base: BaseDomain,
        capacity: NonZeroUsize,
        unknown_for: Duration,
        clock: Clock,
    ) -> Self {
        Self {
            master,
            shards,
            base: Arc::new(base),
            unknown_for,
            clock,
            tenants: Arc::new(Cache::new(capacity)),
            hosts: Arc::new(Cache::new(capacity)),
        }
    }

    /// The tenant that a request's `Host` and `X-Tenant-Key` name. A former key in the header is still served for a while,
    /// and [`Resolved::former_until`] says how long; at a former host nobody is, but it says who was.
    ///
    /// # Errors
    /// See [`ResolveError`].
    pub async fn resolve(&self, host: Option<&str>, header: Option<&str>) -> Result<Resolved, ResolveError> {
        let (key, by_host) = self.name(host, header).await?;
        match self.look_up(&key).await? {
            Known::Tenant(tenant) => Ok(Resolved {
                tenant,
                former_until: None,
            }),
            Known::Renamed(renamed) if by_host => Err(ResolveError::Renamed(renamed.to)),
            Known::Renamed(renamed) => Ok(Resolved {
                tenant: self.find(&renamed.to).await?,
                former_until: Some(renamed.until),
            }),
            Known::Nobody => Err(ResolveError::Unknown),
        }
    }

    /// The tenant of a key.
    ///
    /// # Errors
    /// See [`ResolveError`].
    pub async fn find(&self, key: &TenantKey) -> Result<Arc<ResolvedTenant>, ResolveError> {
        match self.look_up(key).await? {
            Known::Tenant(tenant) => Ok(tenant),
            Known::Renamed(_) | Known::Nobody => Err(ResolveError::Unknown),
        }
    }

    async fn look_up(&self, key: &TenantKey) -> Result<Known, ResolveError> {
        let (master, shards, wanted) = (self.master.clone(), self.shards.clone(), key.clone());
        let (unknown_for, clock) = (self.unknown_for, self.clock.clone());
        let load = move || async move {
            match read(&master, &shards, &wanted).await.map_err(Arc::new)? {
                Some(tenant) => Ok(Known::Tenant(tenant)),
                None => {
                    let renamed = find_renamed(&master, &wanted, clock.now()).await;
                    Ok(renamed.map_err(Arc::new)?.map_or(Known::Nobody, Known::Renamed))
                }
            }
        };
        let (outcome, found) = self
            .tenants
            .get_or_load(key.as_str(), load, move |known| match known {
                Known::Tenant(_) => None,
                Known::Renamed(_) | Known::Nobody => Some(unknown_for),
            })
            .await;
        count_cache_lookup(outcome == Outcome::Hit);
        Ok(found?)
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

    /// The key, and whether the host says so.
    async fn name(
        &self,
        host: Option<&str>,
        header: Option<&str>,
    ) -> Result<(TenantKey, bool), ResolveError> {
        let header = header
            .map(|raw| TenantKey::parse(raw).map_err(|_| ResolveError::Unknown))
            .transpose()?;
        let by_host = match host
            .and_then(|raw| HostName::parse(raw).ok())
            .map(|name| classify(&name, &self.base))
        {
            Some(HostKind::Base) => return Ok((header.ok_or(ResolveError::NotNamed)?, false)),
            Some(HostKind::Tenant(key)) => key,
            Some(HostKind::Foreign(name)) => self.owner(&name).await?.ok_or(ResolveError::Unknown)?,
            Some(HostKind::Invalid) | None => return Err(ResolveError::Unknown),
        };
        match header {
            Some(header) if header != by_host => Err(ResolveError::Disagreement),
            _ => Ok((by_host, true)),
        }
    }

    async fn owner(&self, host: &HostName) -> Result<Option<TenantKey>, Arc<DbError>> {
        let (master, wanted, unknown_for) = (self.master.clone(), host.clone(), self.unknown_for);
        let load = move || async move {
            domains::find_key_by_host(&master, wanted.as_str())
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
