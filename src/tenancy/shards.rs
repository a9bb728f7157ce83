//! The databases that tenants live in, as this process knows them.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use crate::db::DbError;
use crate::db::connect::{AdminClient, Connector};
use crate::db::master::MasterDb;
use crate::db::master::lanes::{self, ShardRecord};
use crate::db::shard::lanes::{LoginTimeouts, ensure_lane_login};
use crate::db::shard::setup::{ShardRoles, set_up};
use crate::db::tenant::Lanes;
use crate::domain::ids::ShardId;
use crate::domain::platform_key::PlatformKey;

/// All shards. Cheap to clone. A shard that another process has added is learnt of when it is first needed.
#[derive(Clone)]
pub struct Shards {
    /// The database that holds the registry.
    pub(super) local: Connector,
    lanes: Lanes,
    pub(super) master: MasterDb,
    pub(super) key: PlatformKey,
    pub(super) connect_timeout: Duration,
    pub(super) timeouts: LoginTimeouts,
    known: Arc<RwLock<HashMap<ShardId, Known>>>,
}

#[derive(Clone)]
struct Known {
    connector: Connector,
    roles: ShardRoles,
    epoch: i64,
}

impl Shards {
    /// Knows no shard before [`Shards::load`].
    pub fn new(
        local: Connector,
        lanes: Lanes,
        master: MasterDb,
        key: PlatformKey,
        connect_timeout: Duration,
        timeouts: LoginTimeouts,
    ) -> Self {
        Self {
            local,
            lanes,
            master,
            key,
            connect_timeout,
            timeouts,
            known: Arc::default(),
        }
    }

    /// Reads the registry's shards. One that cannot be used does not keep the others from being known.
    ///
    /// # Errors
    /// When the registry cannot be read or an address does not open with the platform key.
    pub async fn load(&self) -> Result<(), DbError> {
        let mut outcome = Ok(());
        for shard in lanes::list_shards(&self.master).await? {
            if let Err(error) = self.learn(&shard) {
                outcome = Err(error);
            }
        }
        outcome
    }

    /// Makes sure that this process can reach a shard's lanes.
    ///
    /// # Errors
    /// When there is no such shard, or the registry cannot be read.
    pub async fn ensure(&self, shard: ShardId) -> Result<(), DbError> {
        self.find(shard).await.map(|_| ())
    }

    /// Takes in what the registry says of a shard. An older epoch's connections are not used any more.
    fn learn(&self, shard: &ShardRecord) -> Result<Known, DbError> {
        if let Some(known) = self.known(shard.id)
            && known.epoch >= shard.epoch
        {
            return Ok(known);
        }
        let known = Known {
            connector: connector_of(shard, &self.local, &self.key, self.connect_timeout)?,
            roles: shard.roles.clone(),
            epoch: shard.epoch,
        };
        let mut shards = self.known.write().unwrap_or_else(PoisonError::into_inner);
        // Another may have learnt of a newer epoch meanwhile.
        if let Some(newer) = shards.get(&shard.id).filter(|newer| newer.epoch >= known.epoch) {
            return Ok(newer.clone());
        }
        self.lanes.set_shard(shard.id, known.connector.clone());
        shards.insert(shard.id, known.clone());
        Ok(known)
    }

    fn known(&self, shard: ShardId) -> Option<Known> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.get(&shard).cloned()
    }

    async fn find(&self, shard: ShardId) -> Result<Known, DbError> {
        if let Some(known) = self.known(shard) {
            return Ok(known);
        }
        let outcome = self.load().await;
        let unknown = || DbError::Unavailable(format!("shard {shard} is not known to the registry"));
        self.known(shard)
            .ok_or_else(|| outcome.err().unwrap_or_else(unknown))
    }

    /// The names of a shard's roles.
    ///
    /// # Errors
    /// When the registry does not know the shard.
    pub async fn roles(&self, shard: ShardId) -> Result<ShardRoles, DbError> {
        Ok(self.find(shard).await?.roles)
    }

    /// Opens an administrator's connection to a shard, for one operation.
    ///
    /// # Errors
    /// When the shard is unknown or its server cannot be reached.
    pub async fn administrator(&self, shard: ShardId) -> Result<AdminClient, DbError> {
        self.find(shard).await?.connector.administrator().await
    }

    /// The administrator's way to a shard.
    ///
    /// # Errors
    /// When the shard is unknown.
    pub async fn connector(&self, shard: ShardId) -> Result<Connector, DbError> {
        Ok(self.find(shard).await?.connector)
    }

    /// Makes the login of a new lane.
    ///
    /// # Errors
    /// When the server refuses.
    pub async fn open_lane(&self, shard: &ShardRecord, login: &str) -> Result<(), DbError> {
        let connector = self.learn(shard)?.connector;
        let admin = connector.administrator().await?;
        ensure_lane_login(&admin, &connector, login, self.timeouts).await
    }

    /// Brings every database but the registry's own up to date: schema, roles, revokes, and the lanes' logins with
    /// their passwords and timeouts. One that fails does not keep the others from it.
    ///
    /// # Errors
    /// The first failure.
    pub async fn migrate_remote(&self) -> Result<(), DbError> {
        let mut outcome = Ok(());
        for shard in lanes::list_shards(&self.master).await? {
            if shard.database_url_sealed.is_none() {
                continue;
            }
            let logins = lanes::list_logins(&self.master, shard.id).await?;
            if let Err(error) = self.migrate_one(&shard, &logins).await {
                tracing::error!(shard = %shard.name, %error, "the shard {} was not brought up to date", shard.name);
                outcome = outcome.and(Err(error));
            }
        }
        outcome
    }

    async fn migrate_one(&self, shard: &ShardRecord, logins: &[String]) -> Result<(), DbError> {
        let connector = connector_of(shard, &self.local, &self.key, self.connect_timeout)?;
        let roles = set_up(&connector, false, &shard.roles.prefix, self.timeouts).await?;
        if roles != shard.roles {
            return Err(DbError::Other {
                code: "prefix".to_owned(),
                message: format!(
                    "the shard {} is another database than the one registered",
                    shard.name
                ),
            });
        }
        let admin = connector.administrator().await?;
        for login in logins {
            ensure_lane_login(&admin, &connector, login, self.timeouts).await?;
        }
        Ok(())
    }
}

/// What the address of a shard is sealed for.
pub(super) fn address_context(shard: ShardId) -> String {
    format!("shard:{shard}")
}

/// The administrator's way to a shard; `local` is the database of the registry.
pub(super) fn connector_of(
    shard: &ShardRecord,
    local: &Connector,
    key: &PlatformKey,
    connect_timeout: Duration,
) -> Result<Connector, DbError> {
    let Some(sealed) = &shard.database_url_sealed else {
        return Ok(local.clone());
    };
    let damaged = || DbError::Other {
        code: "sealed".to_owned(),
        message: format!(
            "the address of shard {} does not open: was platform.key changed?",
            shard.name
        ),
    };
    let url = key.open(&address_context(shard.id), sealed).ok_or_else(damaged)?;
    let url = String::from_utf8(url.to_vec()).map_err(|_| damaged())?;
    Ok(Connector::new(
        &url.into(),
        connect_timeout,
        local.roots(),
        key.clone(),
    )?)
}
