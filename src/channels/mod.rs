//! Channels: the bots of all tenants, in any number of processes, and none able to see another's.
//!
//! - Which bots are to run is noted at the shard in the transaction that changes a bot; processes share them ([`supervisor`]), and
//!   each bot has exactly one owner at a time, which alone sends for it ([`session`]).
//! - What comes in is stored before the provider is told that it has arrived ([`inbound`]), in one transaction and once, however
//!   often it is delivered; then it is answered ([`answer`]), conversation by conversation, in order.
//! - What goes out waits in the tenant's outbox, in the transaction of what it is about, and is sent after it ([`outbound`]):
//!   paced, metered, tried again, and given up visibly.
//! - What people send along is fetched after that, and kept as a file of the tenant ([`media`]).
//! - Credentials are sealed for their tenant and bot, and one token is one bot on the whole platform ([`tokens`]).
//!
//! Whatever dies leaves rows: messages that wait to be answered, lines that wait to be sent, bots that are free after a lease. The
//! next owner begins by looking at them. What was handed to a provider by a process that died before it could say so is sent
//! again: better twice than never.
//!
//! - A bot of WhatsApp is linked to a telephone and is a device of its own there ([`whatsapp_web`]), of which copies are kept ([`copies`]).
//!
//! To add a channel: an [`outbound::Outlet`], something that hears, and an arm in [`session`].

pub mod answer;
pub mod assistant;
pub mod copies;
pub mod copy_sweep;
mod download;
mod greeting;
pub mod inbound;
pub mod link_codes;
mod meanwhile;
pub mod media;
mod opting;
pub mod outbound;
mod pacing;
pub mod served;
pub mod session;
mod standing;
pub mod supervisor;
pub mod telegram;
pub mod tokens;
pub mod whatsapp_cloud;
#[cfg(feature = "whatsapp_web")]
pub mod whatsapp_web;
#[cfg(not(feature = "whatsapp_web"))]
#[path = "whatsapp_web_off.rs"]
pub mod whatsapp_web;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

use crate::billing::metering::Metering;
use crate::db::DbError;
use crate::db::master::{MasterDb, homes};
use crate::db::tenant::{Lanes, TenantDb};
use crate::domain::clock::Clock;
use crate::domain::ids::{InstanceId, TenantId};
use crate::domain::platform_key::PlatformKey;
use crate::tenancy::shards::Shards;

/// What bots need. Cheap to clone.
#[derive(Clone)]
pub struct Channels {
    /// The registry.
    pub master: MasterDb,
    /// The tenants' databases.
    pub lanes: Lanes,
    /// The databases that tenants live in.
    pub shards: Shards,
    /// Counts messages.
    pub metering: Metering,
    /// Seals credentials.
    pub key: PlatformKey,
    /// Tells the time.
    pub clock: Clock,
    /// Telegram.
    pub telegram: telegram::Api,
    /// WhatsApp's Cloud API.
    pub whatsapp_cloud: whatsapp_cloud::Api,
    /// Keeps what people send along.
    pub media: media::Media,
    /// The address of the platform's own routes, without a final slash.
    pub base_url: String,
    /// WhatsApp, by the way that its own pages take.
    pub whatsapp: whatsapp_web::Api,
    /// Where webhooks of Telegram come in, without a final slash; `None`: its bots ask for what was said.
    pub hooks: Option<String>,
    /// Copies of linked devices.
    pub copies: copies::Copies,
    /// The platform's own bot, if it has one.
    pub assistant: Option<assistant::Assistant>,
    /// The bots that run in this process.
    pub here: Here,
    /// Tenants that were called lately.
    pub called: served::Called,
}

impl Channels {
    /// Webhooks come in at this address, if any do.
    pub fn served_at(&mut self, base_url: String) {
        if self.hooks.is_some() {
            self.hooks = Some(base_url.clone());
        }
        self.base_url = base_url;
    }

    /// The database of a tenant that is served; `None` when it is not.
    ///
    /// # Errors
    /// When the registry cannot be read.
    pub async fn db(&self, tenant: TenantId) -> Result<Option<TenantDb>, DbError> {
        let home = homes::list_served(&self.master, &[tenant]).await?.pop();
        let Some(home) = home else {
            return Ok(None);
        };
        self.shards.ensure(home.lane.shard).await?;
        Ok(Some(TenantDb::new(self.lanes.clone(), Arc::new(home))))
    }
}

/// The bots that run in this process, to be woken without asking the shard. Cheap to clone.
#[derive(Clone, Default)]
pub struct Here(Arc<Mutex<HashMap<InstanceId, Arc<Notify>>>>);

impl Here {
    /// Has a bot look at its rows at once; `false` when it does not run here: whoever runs it has to hear of it by the shard.
    pub fn wake(&self, instance: InstanceId) -> bool {
        let map = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        map.get(&instance).inspect(|wake| wake.notify_one()).is_some()
    }

    fn enter(&self, instance: InstanceId, wake: Arc<Notify>) {
        let mut map = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        map.insert(instance, wake);
    }

    fn leave(&self, instance: InstanceId, wake: &Arc<Notify>) {
        let mut map = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if map.get(&instance).is_some_and(|there| Arc::ptr_eq(there, wake)) {
            map.remove(&instance);
        }
    }
}
