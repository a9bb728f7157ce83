//! Lanes: one login role of a shard with a small pool of its own, opened when first used.
//!
//! A tenant always uses the same lane, so its statements stay prepared on few connections, and no login holds more
//! memberships than a `set role` can afford (figures: docs/ARCHITECTURE.md).

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use deadpool::managed::{Object, Pool, Timeouts};

use super::batch::missing_answer;
use super::connection::ConnectionManager;
use super::query::Query;
use super::wire::How;
use crate::db::DbError;
use crate::db::connect::Connector;
use crate::domain::ids::{ShardId, TenantId};
use crate::domain::turns::{Busy, Guarded, GuardedShare};

/// Names a lane.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct LaneAddress {
    /// The shard.
    pub shard: ShardId,
    /// The login role.
    pub login: String,
}

/// How the pools of all lanes behave.
#[derive(Debug, Clone)]
pub struct LaneSettings {
    /// Connections of a lane, at most.
    pub connections: usize,
    /// Those of them that one tenant may have in use at once; where they are several, one is never a stranger's.
    pub of_one_tenant: usize,
    /// Prepared statements kept on a connection.
    pub statements: NonZeroUsize,
    /// A connection is retired after it has served this many tenants.
    pub tenants: usize,
    /// How long to wait for a connection, for its creation and for its check.
    pub wait: Duration,
    /// `statement_timeout` of a tenant's statements.
    pub statement_timeout: Duration,
}

/// Whom a pool is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum For {
    /// The lane's tenants.
    Tenants,
    /// The login itself: however many tenants wait for the lane, the process can say that it lives.
    Login,
}

impl For {
    const fn connections(self, settings: &LaneSettings) -> usize {
        match self {
            Self::Tenants => settings.connections,
            Self::Login => LOGIN_CONNECTIONS,
        }
    }
}

/// Connections of a shard's first login, besides those of its tenants.
const LOGIN_CONNECTIONS: usize = 2;

/// All lanes that this process has opened. Cheap to clone.
#[derive(Clone)]
pub struct Lanes {
    inner: Arc<Inner>,
    shares: Guarded<TenantId>,
    /// How long a tenant waits for its connection.
    wait: Duration,
}

struct Inner {
    settings: LaneSettings,
    statement_timeout: String,
    shards: RwLock<HashMap<ShardId, Connector>>,
    pools: RwLock<HashMap<(LaneAddress, For), Pool<ConnectionManager>>>,
}

impl Lanes {
    /// No lane yet.
    pub fn new(settings: LaneSettings) -> Self {
        let statement_timeout = settings.statement_timeout.as_millis().to_string();
        let wait = settings.wait;
        Self {
            shares: Guarded::new(settings.of_one_tenant, wait),
            wait,
            inner: Arc::new(Inner {
                settings,
                statement_timeout,
                shards: RwLock::default(),
                pools: RwLock::default(),
            }),
        }
    }

    /// The same lanes for work that nobody waits for: it waits for so long for a connection.
    #[must_use]
    pub fn waiting(&self, wait: Duration) -> Self {
        Self {
            shares: self.shares.waiting(wait),
            wait,
            inner: Arc::clone(&self.inner),
        }
    }

    /// Tells where a shard's database is. Its lanes can be used from now on; connections to where it was before are given
    /// up when their scopes end.
    pub fn set_shard(&self, shard: ShardId, connector: Connector) {
        let before = self
            .inner
            .shards
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .insert(shard, connector);
        if before.is_none() {
            return;
        }
        let mut pools = self
            .inner
            .pools
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        pools.retain(|(lane, _), pool| {
            let stays = lane.shard != shard;
            if !stays {
                pool.close();
            }
            stays
        });
    }

    pub(super) fn statement_timeout(&self) -> &str {
        &self.inner.statement_timeout
    }

    /// A connection for a tenant of the lane. Each waits for its own share first, so that those who queue for the lane are
    /// of different tenants. `is_known` when whoever asks has proven good before.
    pub(super) async fn connection(
        &self,
        tenant: TenantId,
        lane: &LaneAddress,
        is_known: bool,
    ) -> Result<(Object<ConnectionManager>, GuardedShare), DbError> {
        let share = self.shares.share(tenant, is_known).await;
        let share = share.map_err(|Busy| DbError::Crowded)?;
        let pool = self.pool(lane, For::Tenants)?;
        let timeouts = Timeouts {
            wait: Some(self.wait),
            ..pool.timeouts()
        };
        Ok((pool.timeout_get(&timeouts).await?, share))
    }

    /// Runs a statement as the lane's login itself, which has no right but to call what it was granted.
    pub(super) async fn run_as_login<T>(&self, lane: &LaneAddress, query: Query<T>) -> Result<T, DbError> {
        let mut connection = self.pool(lane, For::Login)?.get().await?;
        let landed = connection.wire.send(&[(&query.statement, How::Once)]).await?;
        if let Some((_, error)) = landed.failed {
            return Err(error.into());
        }
        let answer = landed.answers.into_iter().next().ok_or_else(missing_answer)?;
        (query.decode)(answer)
    }

    fn pool(&self, lane: &LaneAddress, whom: For) -> Result<Pool<ConnectionManager>, DbError> {
        let key = (lane.clone(), whom);
        let known = {
            let pools = self
                .inner
                .pools
                .read()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            pools.get(&key).cloned()
        };
        known.map_or_else(|| self.open(key), Ok)
    }

    fn open(&self, key: (LaneAddress, For)) -> Result<Pool<ConnectionManager>, DbError> {
        // Held while the shard is looked up: `set_shard` changes the shard first and then closes the pools that it finds.
        let mut pools = self
            .inner
            .pools
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(pool) = pools.get(&key) {
            return Ok(pool.clone());
        }
        let (lane, whom) = &key;
        let connector = {
            let shards = self
                .inner
                .shards
                .read()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            shards.get(&lane.shard).cloned()
        }
        .ok_or_else(|| DbError::Unavailable(format!("shard {} is not known to this process", lane.shard)))?;
        let settings = &self.inner.settings;
        let manager = ConnectionManager {
            connector,
            login: lane.login.clone(),
            max_statements: settings.statements,
            max_tenants: settings.tenants,
        };
        let pool = Pool::builder(manager)
            .max_size(whom.connections(settings))
            .timeouts(Timeouts {
                wait: Some(settings.wait),
                create: Some(settings.wait),
                recycle: Some(settings.wait),
            })
            .runtime(deadpool::Runtime::Tokio1)
            .build()
            .map_err(|error| DbError::Unavailable(error.to_string()))?;
        pools.insert(key, pool.clone());
        Ok(pool)
    }

    /// Connections in use and open, of every lane's tenants: `(login, open, idle)`.
    pub fn status(&self) -> Vec<(String, usize, usize)> {
        let pools = self
            .inner
            .pools
            .read()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        pools
            .iter()
            .filter(|((_, whom), _)| *whom == For::Tenants)
            .map(|((lane, _), pool)| {
                let status = pool.status();
                (lane.login.clone(), status.size, status.available)
            })
            .collect()
    }

    /// Closes all pools; scopes that are open go on.
    pub fn close(&self) {
        let pools = self
            .inner
            .pools
            .read()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        for pool in pools.values() {
            pool.close();
        }
    }
}
