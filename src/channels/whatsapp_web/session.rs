//! One run of a bot: its client is started, watched and stopped in order, so that there are never two of one device.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::sync::Notify;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use whatsapp_rust::TokioRuntime;
use whatsapp_rust::bot::{Bot, BotBuilderError, BotHandle, EventDelivery};
use whatsapp_rust::wacore::store::error::StoreError;

use super::copying;
use super::events::{self, KINDS, News, Over};
use super::files::Files;
use super::heard::Hearing;
use super::sending::WhatsApp;
use super::store::Store;
use super::watching::Watch;
use crate::channels::session::{End, Running};
use crate::db::tenant::{instances, whatsapp_codes};
use crate::domain::instance::InstanceState;

/// Who has run for so long was well; the next failure is a first one.
const LIVED: Duration = Duration::from_secs(60);
/// What a client may take to stop: less than passes between losing a bot and somebody else's having it.
const STOPPING: Duration = Duration::from_millis(2500);
/// What the row of a bot that was told to end may take to say why: somebody else may have the bot soon.
const ASKED: Duration = Duration::from_millis(300);
/// What it may take to unlink itself.
const UNLINKING: Duration = Duration::from_secs(10);
/// Keys for first messages that are kept ready at WhatsApp.
const PRE_KEYS: usize = 100;
/// Events that may wait for their bot.
const EVENTS: usize = 1000;
/// How often a state that must not be lost is noted, once a second, until it is.
const NOTED: usize = 5;

/// What has become of a bot that only a person starts again.
pub(in crate::channels) async fn park(running: &Running) -> End {
    if running.runnable.unlinked
        && let Ok(store) = open(running).await
        && let Err(error) = store.archive().await
    {
        tracing::warn!(instance_id = %running.instance, %error, "a device that was unlinked is put aside later: {}", running.instance);
        return End::Retry("store_away");
    }
    if running.runnable.unlinked {
        running
            .channels
            .forget_copies((running.tenant, running.instance))
            .await;
    }
    End::Parked
}

/// Runs a bot; why it is over, and whether it has lived for a while.
pub(in crate::channels) async fn run(running: &Running, wake: &Notify) -> (End, bool) {
    let begun = Instant::now();
    let (news, mut told) = unbounded_channel();
    let (store, mut handle) = match start(running, news).await {
        Ok(started) => started,
        Err(end) => return (end, false),
    };
    let client = handle.client();
    let outlet = WhatsApp {
        client: Arc::clone(&client),
        files: Files::of(running),
    };
    let mut over = None;
    let watched = Arc::clone(&store);
    let end = running
        .live(&outlet, wake, async |heard| {
            let mut watch = Watch::new(running, Arc::clone(&client), watched, heard);
            let end = tokio::select! {
                end = watch.run(&mut handle, &mut told) => end,
                never = copying::by_the_clock(running, &client) => match never {},
            };
            over = watch.over.take();
            end
        })
        .await;
    let end = stop(running, &store, handle, end, over).await;
    (end, begun.elapsed() >= LIVED)
}

async fn open(running: &Running) -> Result<Arc<Store>, End> {
    let channels = &running.channels;
    let open = Store::open(
        running.db.clone(),
        channels.key.clone(),
        running.tenant,
        running.instance,
        channels.clock.clone(),
    );
    open.await.map(Arc::new).map_err(|error| {
        tracing::warn!(instance_id = %running.instance, %error, "a bot's device cannot be reached: {}", running.instance);
        End::Retry("store_away")
    })
}

async fn start(running: &Running, news: UnboundedSender<News>) -> Result<(Arc<Store>, BotHandle), End> {
    running.set_state(InstanceState::Starting, json!({}), None).await;
    let store = open(running).await?;
    // It was started again before the telephone that it gives up was heard of.
    if running.runnable.unlinked && store.archive().await.is_err() {
        return Err(End::Retry("store_away"));
    }
    if running
        .run(whatsapp_codes::delete_shown(running.instance))
        .await
        .is_err()
    {
        return Err(End::Retry("store_away"));
    }
    // The error may name people.
    let bot = build(running, Arc::clone(&store), news).await.map_err(|_| {
        tracing::warn!(instance_id = %running.instance, "a bot's device cannot be read: {}", running.instance);
        End::Retry("store_away")
    })?;
    Ok((store, bot.spawn()))
}

async fn build(
    running: &Running,
    store: Arc<Store>,
    news: UnboundedSender<News>,
) -> Result<Bot, BotBuilderError> {
    let api = &running.channels.whatsapp;
    let clock = running.channels.clock.clone();
    let mut builder = Bot::builder()
        .with_backend_arc(store)
        .with_transport_factory(api.transport.clone())
        .with_http_client(api.http.clone())
        .with_runtime(TokioRuntime)
        .with_inbound_durability_hook(Hearing::of(running, news.clone()))
        .skip_history_sync()
        .with_wanted_pre_key_count(PRE_KEYS)
        .with_event_delivery(EventDelivery::Ordered { capacity: EVENTS })
        .on_event_for(&KINDS, move |event, _| {
            events::tell(&news, &event, clock.now());
            std::future::ready(())
        });
    if let Some(version) = api.version {
        builder = builder.with_version(version);
    }
    builder.build().await
}

/// Stops the client, and then notes what only a person can mend.
async fn stop(running: &Running, store: &Store, handle: BotHandle, end: End, over: Option<Over>) -> End {
    let client = handle.client();
    let row = async {
        let why = (
            instances::is_unlinked(running.instance),
            instances::find_runnable(running.instance),
        );
        running.run(why).await.ok()
    };
    let row = match end {
        End::Changed => row.await,
        // Who was stopped or removed by another process is told no more than to end.
        End::Stopped => tokio::time::timeout(ASKED, row).await.unwrap_or_default(),
        _ => None,
    };
    let (unlinked, stopped) = row.map_or((false, false), |(unlinked, runnable)| {
        (unlinked, runnable.is_none())
    });
    if unlinked {
        let _ = tokio::time::timeout(UNLINKING, client.logout()).await;
    }
    if tokio::time::timeout(STOPPING, handle.shutdown()).await.is_err() {
        // Its store is another's as soon as there is another client: it spoils nothing.
        tracing::warn!(instance_id = %running.instance, "a bot's client was stopped by force: {}", running.instance);
    }
    let Some(over) = over else {
        if stopped && !unlinked {
            copying::at_the_end(running).await;
        }
        return end;
    };
    tracing::info!(tenant_id = %running.tenant, instance_id = %running.instance, state = %over.state,
        "a bot waits for a person: {}", running.instance);
    // Of a bot that was lost meanwhile its new owner speaks: the store refuses.
    let _ = store.run(whatsapp_codes::delete_all(running.instance)).await;
    if over.state == InstanceState::LoggedOut {
        if let Err(error) = store.archive().await {
            // It is found unlinked once more.
            tracing::warn!(instance_id = %running.instance, %error, "a device that was unlinked is put aside later: {}", running.instance);
        }
        running
            .channels
            .forget_copies((running.tenant, running.instance))
            .await;
    }
    for _ in 0..NOTED {
        let now = running.channels.clock.now();
        let set = instances::set_state(running.instance, over.state, over.detail.clone(), None, now);
        if !matches!(store.run(set).await, Err(StoreError::Connection(_))) {
            break;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    End::Parked
}

/// What is left to be heard of a client that has ended.
pub(super) async fn last_words(told: &mut UnboundedReceiver<News>) -> Option<News> {
    tokio::time::timeout(Duration::from_secs(1), told.recv())
        .await
        .ok()?
}
