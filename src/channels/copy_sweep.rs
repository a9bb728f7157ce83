//! Removes copies of devices that are of no use any more and that whoever made them so has left: it died, or the folder was away.
//!
//! What a tenant's own schema, asked as that tenant, calls removed or logged out goes. A bot that the schema does not know may come back
//! with a restore: its copies stay for a week. A tenant that cannot be asked is left alone; one that is gone for good leaves none.

use std::collections::HashMap;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::Channels;
use super::copies::CopyError;
use crate::db::master::duties::{self, Turn};
use crate::db::master::{backups, homes};
use crate::db::tenant::whatsapp::copies;
use crate::db::tenant::{Access, TenantDb, TenantHome};
use crate::domain::ids::{InstanceId, TenantId};
use crate::storage::KeptCopy;

const EVERY: Duration = Duration::from_secs(3600);
const DUTY: &str = "device_copies";
const LEASE: TimeDelta = TimeDelta::minutes(10);
/// How long copies of a bot stay that its tenant does not know.
const UNKNOWN: TimeDelta = TimeDelta::days(7);

impl Channels {
    /// Looks through all copies, in one process of all, once an hour; `None` when it is not this one's turn.
    ///
    /// # Errors
    /// When the registry fails, or the folder cannot be read.
    pub async fn sweep_copies_in_turn(&self) -> Result<Option<usize>, CopyError> {
        let now = self.clock.now();
        let every = i64::try_from(EVERY.as_secs()).unwrap_or(i64::MAX);
        let turn =
            DateTime::from_timestamp(now.timestamp() - now.timestamp().rem_euclid(every), 0).unwrap_or(now);
        if duties::take(&self.master, DUTY, turn, LEASE, now).await? != Turn::Mine {
            return Ok(None);
        }
        let swept = self.sweep_copies().await?;
        let result = i64::try_from(swept).unwrap_or(i64::MAX);
        duties::finish(&self.master, DUTY, turn, result, self.clock.now()).await?;
        Ok(Some(swept))
    }

    /// Removes what is of no use; answers of how many bots. A tenant that cannot be asked is left for the next time.
    ///
    /// # Errors
    /// When the registry fails, or the folder cannot be read.
    pub async fn sweep_copies(&self) -> Result<usize, CopyError> {
        let folder = &self.copies.folder;
        let found = folder.tenants().await?;
        if found.is_empty() {
            return Ok(0);
        }
        for gone in backups::list_gone(&self.master, &found).await? {
            folder.forget(gone).await?;
        }
        let mut swept = 0;
        for home in homes::list_served(&self.master, &found).await? {
            let tenant = home.id;
            match self.sweep_copies_of(tenant, home).await {
                Ok(bots) => swept += bots,
                Err(error) => {
                    tracing::warn!(tenant_id = %tenant, %error, "copies of devices of tenant {tenant} are looked through another time");
                }
            }
        }
        Ok(swept)
    }

    async fn sweep_copies_of(&self, tenant: TenantId, home: TenantHome) -> Result<usize, CopyError> {
        let folder = &self.copies.folder;
        let bots = folder.bots(tenant).await?;
        self.shards.ensure(home.lane.shard).await?;
        let (db, now) = (TenantDb::new(self.lanes.clone(), home.into()), self.clock.now());
        let asked = copies::list_useless_until(&bots, now);
        let known = db.run(&Access::system(now), asked).await?.output;
        let known: HashMap<InstanceId, Option<DateTime<Utc>>> = known.into_iter().collect();
        let mut swept = 0;
        for bot in bots {
            let until = known.get(&bot).copied().unwrap_or(Some(now - UNKNOWN));
            let Some(until) = until else { continue };
            let is_useful = move |_, copy: &KeptCopy| copy.id.moment().is_some_and(|at| at > until);
            let removed = folder.retain((tenant, bot), is_useful).await?;
            swept += usize::from(removed > 0);
        }
        Ok(swept)
    }
}

/// Looks through copies every hour, until `stop`. Any number of processes may.
pub fn spawn(channels: Channels, stop: CancellationToken) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut tick = tokio::time::interval(EVERY);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = tick.tick() => {}
            }
            if let Err(error) = channels.sweep_copies_in_turn().await {
                tracing::warn!(%error, "copies of devices cannot be looked through");
            }
        }
    })
}
