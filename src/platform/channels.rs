//! Channels as the settings name them.

use std::sync::Arc;
use std::time::Duration;

use secrecy::ExposeSecret as _;

use super::StartError;
use crate::billing::metering::Metering;
use crate::channels::assistant::Assistant;
use crate::channels::copies::Copies;
use crate::channels::media::Media;
use crate::channels::served::Called;
use crate::channels::telegram::Api;
use crate::channels::{Channels, Here, whatsapp_cloud, whatsapp_web};
use crate::config::{Settings, TelegramUpdates};
use crate::db::master::MasterDb;
use crate::db::tenant::Lanes;
use crate::domain::clock::Clock;
use crate::domain::instance::BotToken;
use crate::domain::platform_key::PlatformKey;
use crate::storage::{DeviceFolder, Store};
use crate::tenancy::shards::Shards;

/// How long bots wait for a connection, and for their turn at the counters. Nobody waits for them, and what they are at has been done in
/// part: given up, it is done again, and there is more to wait for.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) fn of(
    settings: &Settings,
    store: &Arc<dyn Store>,
    (master, lanes, shards): (&MasterDb, &Lanes, &Shards),
    metering: &Metering,
    (key, clock): (&PlatformKey, &Clock),
    devices: &DeviceFolder,
) -> Result<Channels, StartError> {
    let telegram = Api::new(&settings.channels.telegram_url, settings.channels.telegram_poll)
        .map_err(|error| StartError::Setting(format!("channels.telegram_url: {error}")))?;
    let (graph, version) = (
        &settings.channels.whatsapp_cloud_url,
        &settings.channels.whatsapp_cloud_version,
    );
    let whatsapp_cloud = whatsapp_cloud::Api::new(graph, version)
        .map_err(|error| StartError::Setting(format!("channels.whatsapp_cloud_url: {error}")))?;
    let whatsapp = whatsapp_web::Api::new(
        &settings.channels.whatsapp_url,
        &settings.channels.whatsapp_version,
    )
    .map_err(|error| StartError::Setting(format!("channels.{error}")))?;
    let hears_by_webhook = settings.channels.telegram_updates == TelegramUpdates::Webhook;
    let assistant = settings.channels.assistant_token.as_ref().map(|token| {
        let token = BotToken::parse(token.expose_secret())
            .map_err(|error| StartError::Setting(format!("channels.assistant_token: {error}")))?;
        Ok::<_, StartError>(Assistant::new(token, settings.channels.assistant_admin_chat))
    });
    Ok(Channels {
        assistant: assistant.transpose()?,
        master: master.clone(),
        lanes: lanes.waiting(PATIENCE),
        shards: shards.clone(),
        metering: metering.waiting(PATIENCE),
        key: key.clone(),
        clock: clock.clone(),
        telegram,
        whatsapp_cloud,
        media: Media::new(Arc::clone(store), settings.channels.media_max_bytes),
        base_url: settings.server.base_url(),
        whatsapp,
        copies: Copies::new(
            devices.clone(),
            settings.channels.session_backups_every(),
            settings.channels.session_backups_keep,
        ),
        hooks: hears_by_webhook.then(|| settings.server.base_url()),
        here: Here::default(),
        called: Called::default(),
    })
}
