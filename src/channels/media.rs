//! What people send along with what they say: pictures, sounds, films, papers. The message is stored first and says that its file is
//! awaited; whoever runs the bot fetches it then, keeps it, and says so. Who dies in between leaves a message that awaits its file, which
//! the next owner of the bot fetches; a file that was kept and not noted is written again.
//!
//! What is too large is not fetched, whatever its sender says of its size; what cannot be fetched for now is tried again, later and later,
//! and given up visibly. While a tenant's storage is used up nothing is fetched for it.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use serde_json::Value;

use super::meanwhile::meanwhile;
use super::outbound::Outlet;
use super::session::{End, Running};
use crate::db::DbError;
use crate::db::tenant::inbound::Heard;
use crate::db::tenant::message_files::{self, Pending};
use crate::domain::ids::{MessageId, TenantId};
use crate::domain::media_type::MediaType;
use crate::domain::message::{FileState, MessageKind};
use crate::domain::turns::{Turn, Turns};
use crate::storage::{Store, TenantFile};
use crate::telemetry::channel_metrics::count_file;

/// Files that this process fetches at once: each is in memory until it is kept.
const FETCHED: usize = 8;
/// Of them, those of one tenant.
const FETCHED_PER_TENANT: usize = 2;
/// How long a file waits for its turn, before it is looked at again.
const TURN: Duration = Duration::from_secs(20);
/// Files that a bot looks at together: more than it fetches at once.
const TOGETHER: usize = 8;
/// How often fetching a file is tried: for some hours.
const TRIES: i32 = 16;
/// The first wait after a failure; each is twice the one before, up to the longest.
const FIRST_WAIT: TimeDelta = TimeDelta::seconds(2);
const LONGEST_WAIT: TimeDelta = TimeDelta::minutes(30);
/// When what is nobody's fault is tried again.
const SOON: TimeDelta = TimeDelta::seconds(5);
/// The pause after a failure of the tenant's database.
const FAILED: Duration = Duration::from_secs(1);
/// The longest sleep between two looks.
const LOOK: Duration = Duration::from_secs(30 * 60);

/// Why a provider has not given a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unfetched {
    /// It is larger than what is kept.
    TooLarge,
    /// It never will. The word is shown.
    Never(&'static str),
    /// It cannot be reached, or does not give it now. The word is shown when it is given up.
    Away(&'static str),
}

/// Where files are kept, and how much of this process they may use. Cheap to clone.
#[derive(Clone)]
pub struct Media {
    store: Arc<dyn Store>,
    turns: Turns,
    /// The longest file that is kept.
    most: u64,
}

impl Media {
    /// Keeps files of at most `most` bytes in `store`.
    pub fn new(store: Arc<dyn Store>, most: u64) -> Self {
        Self {
            store,
            turns: Turns::new(FETCHED, FETCHED_PER_TENANT, TURN),
            most,
        }
    }

    /// Whether the file that came along with something is awaited; `None` when nothing came along that can be fetched.
    pub(super) fn awaited(&self, heard: &Heard) -> Option<FileState> {
        let has_file = matches!(
            heard.kind,
            MessageKind::Image
                | MessageKind::Audio
                | MessageKind::Video
                | MessageKind::Document
                | MessageKind::Sticker
        );
        let is_named = heard.file_sealed.is_some() || named(&heard.payload).is_some();
        (has_file && is_named).then_some(())?;
        let size = heard.payload.get("size").and_then(Value::as_u64);
        Some(match size {
            Some(size) if size > self.most => FileState::TooLarge,
            _ => FileState::Pending,
        })
    }

    /// Removes the files of messages that are no more, or say nothing any more. What fails is left to the sweeper.
    pub async fn remove(&self, tenant: TenantId, messages: &[MessageId]) {
        for message in messages {
            if let Err(error) = self.store.remove(tenant, TenantFile::Message(*message)).await {
                tracing::warn!(%error, message_id = %message, "the file of message {message} is left to the sweeper");
            }
        }
    }
}

/// What the provider calls a file.
pub(super) fn named(payload: &Value) -> Option<&str> {
    let names = ["file_id", "media_id"].into_iter();
    let mut found = names.filter_map(|name| payload.get(name)?.as_str());
    found.next()
}

/// Fetches what is awaited, until the session stops: a few files at once, so that none that is slow keeps all others waiting.
pub(super) async fn run(running: &Running, outlet: &dyn Outlet) -> End {
    let mut fetching = FuturesUnordered::new();
    let mut under_way: Vec<MessageId> = Vec::new();
    let mut looks = running.runnable.files_wait;
    let end = 'running: loop {
        let (mut wait, mut ended) = (LOOK, Vec::new());
        if looks && under_way.len() < FETCHED_PER_TENANT {
            let found = find_due(running, &under_way);
            match meanwhile(&mut fetching, &mut ended, found).await {
                Ok((due, next)) => {
                    under_way.extend(due.iter().map(|file| file.id));
                    fetching.extend(due.into_iter().map(|file| fetch_one(running, outlet, file)));
                    wait = next.map_or(LOOK, |next| next.min(LOOK));
                }
                Err(error) => match running.retried(&error) {
                    Some(end) => break end,
                    None => wait = FAILED,
                },
            }
        }
        if ended.is_empty() {
            tokio::select! {
                () = running.stop.cancelled() => break End::Stopped,
                Some(one) = fetching.next() => ended.push(one),
                () = running.files.notified() => {}
                // Also when nobody has said anything: whoever should have may have died.
                () = tokio::time::sleep(wait) => {}
            }
        }
        let mut failed = false;
        for (id, fetched) in ended {
            under_way.retain(|other| *other != id);
            if let Err(error) = fetched {
                failed = true;
                if let Some(end) = running.retried(&error) {
                    break 'running end;
                }
            }
        }
        if failed {
            tokio::time::sleep(FAILED).await;
        }
        looks = true;
    };
    // What is being fetched stops by itself; what is being noted is finished.
    running.stop.cancel();
    while fetching.next().await.is_some() {}
    end
}

/// What is due and not under way, as much as there is room for; and how long to wait for what is due next.
async fn find_due(
    running: &Running,
    under_way: &[MessageId],
) -> Result<(Vec<Pending>, Option<Duration>), DbError> {
    let most = i64::try_from(TOGETHER).unwrap_or(i64::MAX);
    let mut pending = running
        .run(message_files::list_pending(running.instance, most))
        .await?;
    pending.retain(|file| !under_way.contains(&file.id));
    let now = running.channels.clock.now();
    let next = pending.iter().find(|file| file.due_at > now);
    let next = next.and_then(|next| (next.due_at - now).to_std().ok());
    pending.retain(|file| file.due_at <= now);
    pending.truncate(FETCHED_PER_TENANT - under_way.len());
    Ok((pending, next))
}

async fn fetch_one(
    running: &Running,
    outlet: &dyn Outlet,
    file: Pending,
) -> (MessageId, Result<(), DbError>) {
    (file.id, try_fetch(running, outlet, file).await)
}

async fn try_fetch(running: &Running, outlet: &dyn Outlet, file: Pending) -> Result<(), DbError> {
    let (clock, id) = (&running.channels.clock, file.id);
    let put_off = |wait, is_try| message_files::put_off(id, clock.now() + wait, is_try);
    let fetched = tokio::select! {
        () = running.stop.cancelled() => return Ok(()),
        fetched = fetch(running, outlet, &file) => fetched,
    };
    crate::kill_point!("channels.file_fetched");
    let kept = match fetched {
        Some(Ok((_turn, bytes))) => keep(running, id, bytes).await?,
        Some(Err(unfetched)) => Err(unfetched),
        None => return running.run(put_off(SOON, false)).await.map(drop),
    };
    let (outcome, change) = match kept {
        Ok(()) => ("stored", None),
        Err(Unfetched::TooLarge) => ("too_large", Some(message_files::set_refused(id, None))),
        Err(Unfetched::Away(_)) if file.attempts + 1 < TRIES => {
            ("retried", Some(put_off(backoff(file.attempts), true)))
        }
        Err(Unfetched::Away(why) | Unfetched::Never(why)) => {
            tracing::info!(tenant_id = %running.tenant, message_id = %id, why, "the file of message {id} will not come");
            ("failed", Some(message_files::set_refused(id, Some(why))))
        }
    };
    count_file(running.runnable.channel, outcome);
    if let Some(change) = change {
        running.run(change).await?;
    }
    Ok(())
}

/// A file, and the turn in which it is in memory; `None` when it is nobody's fault that there is none yet.
type Fetched = Option<Result<(Turn, Vec<u8>), Unfetched>>;

async fn fetch(running: &Running, outlet: &dyn Outlet, file: &Pending) -> Fetched {
    let (channels, media) = (&running.channels, &running.channels.media);
    let turn = media.turns.turn(running.tenant).await.ok()?;
    if !running.standing.has_room(channels).await.ok()? {
        return Some(Err(Unfetched::Away("storage_full")));
    }
    let bytes = outlet.fetch(file, media.most).await;
    Some(bytes.map(|bytes| (turn, bytes)))
}

/// Keeps a file and notes it; whoever finds that nobody awaits it any more removes it again.
async fn keep(running: &Running, id: MessageId, bytes: Vec<u8>) -> Result<Result<(), Unfetched>, DbError> {
    let media = &running.channels.media;
    let kind = MediaType::sniff(&bytes);
    let length = i64::try_from(bytes.len()).unwrap_or(i64::MAX);
    let file = TenantFile::Message(id);
    if let Err(error) = media.store.put(running.tenant, file, bytes).await {
        tracing::error!(%error, message_id = %id, "the file of message {id} cannot be written");
        return Ok(Err(Unfetched::Away("storage_away")));
    }
    crate::kill_point!("channels.file_kept");
    let stored = message_files::set_stored(id, kind.name, length);
    // Another owner of the bot may have kept the same one.
    if running.run(stored).await? == 0 && !running.run(message_files::is_stored(id)).await? {
        media.remove(running.tenant, &[id]).await;
    }
    Ok(Ok(()))
}

/// How long to wait after so many tries.
fn backoff(tries: i32) -> TimeDelta {
    let doubled = FIRST_WAIT * 2_i32.saturating_pow(tries.clamp(0, 16).unsigned_abs());
    doubled.min(LONGEST_WAIT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::Folder;
    use serde_json::json;

    fn heard(kind: MessageKind, payload: Value) -> Heard {
        Heard {
            chat: "1".to_owned(),
            hidden: None,
            provider_message_id: "1".to_owned(),
            name: None,
            phone: None,
            kind,
            body: None,
            payload,
            file_sealed: None,
        }
    }

    #[test]
    fn what_is_named_is_awaited() {
        let media = Media::new(Arc::new(Folder::new("unused")), 100);
        let awaited = |kind, payload| media.awaited(&heard(kind, payload));
        let size = |size: u64| json!({"file_id": "x", "size": size});
        assert_eq!(awaited(MessageKind::Image, size(100)), Some(FileState::Pending));
        assert_eq!(awaited(MessageKind::Image, size(101)), Some(FileState::TooLarge));
        let unsized_one = json!({"media_id": "x"});
        assert_eq!(
            awaited(MessageKind::Sticker, unsized_one.clone()),
            Some(FileState::Pending)
        );
        assert_eq!(awaited(MessageKind::Other, unsized_one), None);
        assert_eq!(awaited(MessageKind::Image, json!({"size": 9})), None);
        assert_eq!(awaited(MessageKind::Image, json!({"file_id": 9})), None);
    }

    #[test]
    fn waits_grow_up_to_half_an_hour() {
        let waits: Vec<i64> = (0..12).map(|tries| backoff(tries).num_seconds()).collect();
        assert_eq!(waits, [2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 1800, 1800]);
    }
}
