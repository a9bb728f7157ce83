//! The databases that tenants live in, as this process knows them.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use crate::db::DbError;
use crate::db::connect::{AdminClient, Connector};
use crate::db::master::MasterDb;
use crate::db::master::lanes::{self, ShardRecord};
use crate::db::shard::lanes::{LoginTimeouts, ensure_lane_login};
use crate::db::shard::setup::ShardRoles;
use crate::db::tenant::Lanes;
use crate::domain::ids::ShardId;
use crate::domain::platform_key::PlatformKey;

/// All shards. Cheap to clone.
#[derive(Clone)]
pub struct Shards {
    /// The database that holds the registry.
    local: Connector,
    lanes: Lanes,
    key: PlatformKey,
    connect_timeout: Duration,
    timeouts: LoginTimeouts,
    known: Arc<RwLock<HashMap<ShardId, (Connector, ShardRoles)>>>,
}

impl Shards {
    /// Knows no shard before [`Shards::load`].
    pub fn new(
        local: Connector,
        lanes: Lanes,
        key: PlatformKey,
        connect_timeout: Duration,
        timeouts: LoginTimeouts,
    ) -> Self {
        Self {
            local,
            lanes,
            key,
            connect_timeout,
            timeouts,
            known: Arc::default(),
        }
    }

    /// Reads the registry's shards.
    ///
    /// # Errors
    /// When the registry cannot be read or an address does not open with the platform key.
    pub async fn load(&self, master: &MasterDb) -> Result<(), DbError> {
        for shard in lanes::list_shards(master).await? {
            let connector = connector_of(&shard, &self.local, &self.key, self.connect_timeout)?;
            self.lanes.add_shard(shard.id, connector.clone());
            self.known
                .write()
                .unwrap_or_else(PoisonError::into_inner)
                .insert(shard.id, (connector, shard.roles));
        }
        Ok(())
    }

    fn find(&self, shard: ShardId) -> Result<(Connector, ShardRoles), DbError> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known
            .get(&shard)
            .cloned()
            .ok_or_else(|| DbError::Unavailable(format!("shard {shard} is not known to this process")))
    }

    /// The names of a shard's roles.
    ///
    /// # Errors
    /// When this process does not know the shard.
    pub fn roles(&self, shard: ShardId) -> Result<ShardRoles, DbError> {
        Ok(self.find(shard)?.1)
    }

    /// Opens an administrator's connection to a shard, for one operation.
    ///
    /// # Errors
    /// When the shard is unknown or its server cannot be reached.
    pub async fn administrator(&self, shard: ShardId) -> Result<AdminClient, DbError> {
        self.find(shard)?.0.administrator().await
    }

    /// Makes the login of a new lane.
    ///
    /// # Errors
    /// When the server refuses.
    pub async fn open_lane(&self, shard: ShardId, login: &str) -> Result<(), DbError> {
        let connector = self.find(shard)?.0;
        let admin = connector.administrator().await?;
        ensure_lane_login(&admin, &connector, login, self.timeouts).await
    }
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
    let url = key
        .open(&format!("shard:{}", shard.id), sealed)
        .ok_or_else(damaged)?;
    let url = String::from_utf8(url.to_vec()).map_err(|_| damaged())?;
    Ok(Connector::new(&url.into(), connect_timeout, &[], key.clone())?)
}
