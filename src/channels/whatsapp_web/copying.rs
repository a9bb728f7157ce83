//! Copying the device of a bot that runs: by the clock, and once more when the bot is stopped.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use whatsapp_rust::Client;

use crate::channels::copies::CopyError;
use crate::channels::session::Running;

/// How often it is looked whether a copy is due.
const LOOK: Duration = Duration::from_secs(1);
/// When a copy that failed is tried again.
const AGAIN: Duration = Duration::from_secs(300);
/// What the last copy may take: others wait for the bot.
const LAST: Duration = Duration::from_secs(5);

/// Copies the device whenever that is due, for as long as this is polled.
pub(super) async fn by_the_clock(running: &Running, client: &Client) -> Infallible {
    let mut look = tokio::time::interval(LOOK);
    look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let (mut newest, mut left_alone) = (None, None::<Instant>);
    loop {
        look.tick().await;
        let waits = left_alone.is_some_and(|since| since.elapsed() < AGAIN);
        if waits || !client.is_connected() || !client.is_logged_in() {
            continue;
        }
        match copy_when_due(running, &mut newest).await {
            Ok(()) => left_alone = None,
            Err(error) => {
                left_alone = Some(Instant::now());
                tracing::warn!(tenant_id = %running.tenant, instance_id = %running.instance, %error,
                    "a bot's device is copied later: {}", running.instance);
            }
        }
    }
}

/// `newest`: when the last copy was made, once that is known.
async fn copy_when_due(
    running: &Running,
    newest: &mut Option<Option<DateTime<Utc>>>,
) -> Result<(), CopyError> {
    let (channels, of) = (&running.channels, (running.tenant, running.instance));
    let known = match *newest {
        Some(known) => known,
        None => {
            let listed = channels.list_copies(of).await?;
            *newest.insert(listed.first().and_then(|copy| copy.id.moment()))
        }
    };
    let now = channels.clock.now();
    if channels.copies.is_due(running.instance, known, now) {
        // What is not to be copied now, whatever it is, is looked at in the next period.
        Box::pin(channels.copy_device(&running.db, of)).await?;
        *newest = Some(Some(now));
    }
    Ok(())
}

/// Copies the device of a bot that was stopped, as it is now: from here on nothing of it changes.
pub(super) async fn at_the_end(running: &Running) {
    let (channels, of) = (&running.channels, (running.tenant, running.instance));
    if !channels.copies.are_made() {
        return;
    }
    let copied = tokio::time::timeout(LAST, channels.copy_device(&running.db, of)).await;
    if !matches!(copied, Ok(Ok(_))) {
        tracing::warn!(tenant_id = %of.0, instance_id = %of.1, "a bot that was stopped has no copy of its last moment: {}", of.1);
    }
}
