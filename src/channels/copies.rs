//! Copies of linked devices, for when a tenant's schema has lost them: a device and its keys at one moment, sealed for this bot, in a
//! folder beside the tenants' files ([`DeviceFolder`]). Nothing of them is in any database: what loses a schema loses none of them.
//!
//! Whoever runs a bot copies its device whenever it is due; so each is copied by one process, and a tenant without linked devices costs
//! nothing. A copy goes back by hand, and never over a device that lives: one that goes back to keys of yesterday cannot read what was
//! sealed for it since.
//!
//! A copy has its name when it is whole; whoever dies before leaves a part that nobody reads. Copies that are of no use any more are
//! removed at once by whoever makes them so, and, if that one has died, by [`super::copy_sweep`].

use std::io;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use super::Channels;
use super::whatsapp_web::store::is_linked;
use crate::db::DbError;
use crate::db::tenant::whatsapp::copies::{self, DeviceCopy, Over};
use crate::db::tenant::whatsapp::keys::Key;
use crate::db::tenant::{Access, TenantDb};
use crate::domain::ids::{DeviceCopyId, InstanceId, TenantId};
use crate::domain::whatsapp_key::KeyKind;
use crate::storage::{DeviceFolder, KeptCopy};
use crate::telemetry::channel_metrics::count_copied;

/// Copies that this process makes at once; each is some hundred kilobytes.
const AT_ONCE: usize = 2;

/// Whose a copy is.
pub type Of = (TenantId, InstanceId);

/// Where copies are, when they are made, and how many are kept. Cheap to clone.
#[derive(Clone)]
pub struct Copies {
    /// Where they are.
    pub folder: DeviceFolder,
    every: Option<TimeDelta>,
    keep: usize,
    at_once: Arc<Semaphore>,
}

/// Why there is no copy, or none was put back.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// The folder cannot be used.
    #[error("the folder of session backups cannot be used: {0}")]
    Io(#[from] io::Error),
    /// The tenant's schema cannot be asked, or refuses.
    #[error(transparent)]
    Db(#[from] DbError),
    /// It was altered, was made of another bot, or with another `platform.key`.
    #[error("the session backup was altered, or is another bot's")]
    Unreadable,
}

impl Copies {
    /// Copies in this folder, made so often (never, or zero: when somebody asks for one), of which so many of each bot are kept.
    pub fn new(folder: DeviceFolder, every: Option<TimeDelta>, keep: usize) -> Self {
        Self {
            folder,
            every: every.filter(|every| every.num_seconds() > 0),
            keep,
            at_once: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }

    /// Whether any are made without anybody's asking.
    pub fn are_made(&self) -> bool {
        self.every.is_some()
    }

    /// Whether a bot is to be copied whose newest copy was made then. Bots are spread over the period, and keep their places in it.
    pub fn is_due(&self, bot: InstanceId, newest: Option<DateTime<Utc>>, now: DateTime<Utc>) -> bool {
        let Some(every) = self.every.map(|every| every.num_seconds()) else {
            return false;
        };
        let random = i64::from(u32::try_from(bot.as_uuid().as_u128() & 0xffff_ffff).unwrap_or_default());
        let turn = |at: DateTime<Utc>| (at.timestamp() - random % every).div_euclid(every);
        newest.is_none_or(|newest| turn(newest) < turn(now))
    }
}

/// A copy as it is written, values in base64.
#[derive(Serialize, Deserialize)]
struct Written {
    device: String,
    keys: Vec<WrittenKey>,
}

/// Kind, name, value, other name, and the two numbers.
type WrittenKey = (
    KeyKind,
    String,
    Option<String>,
    Option<String>,
    Option<i64>,
    Option<i64>,
);

impl Written {
    fn of(copy: DeviceCopy) -> Self {
        let keys = copy.keys.into_iter().map(|(kind, key)| {
            let value = key.value.map(|value| STANDARD_NO_PAD.encode(value));
            (kind, key.name, value, key.other, key.at, key.also_at)
        });
        Self {
            device: STANDARD_NO_PAD.encode(copy.device),
            keys: keys.collect(),
        }
    }

    fn read(self) -> Result<DeviceCopy, base64::DecodeError> {
        let keys = self
            .keys
            .into_iter()
            .map(|(kind, name, value, other, at, also_at)| {
                let value = value.map(|value| STANDARD_NO_PAD.decode(value)).transpose()?;
                let key = Key {
                    name,
                    value,
                    other,
                    at,
                    also_at,
                };
                Ok((kind, key))
            });
        Ok(DeviceCopy {
            device: STANDARD_NO_PAD.decode(self.device)?,
            keys: keys.collect::<Result<_, _>>()?,
        })
    }
}

/// What a copy is sealed for: itself.
fn context((tenant, instance): Of, copy: DeviceCopyId) -> String {
    format!("device_copy:{tenant}:{instance}:{copy}")
}

impl Channels {
    /// Copies a bot's device; `None` when it is linked to no account. Whoever runs the bot goes on.
    ///
    /// # Errors
    /// When the tenant's schema cannot be asked, or the folder not be used.
    pub async fn copy_device(&self, db: &TenantDb, of: Of) -> Result<Option<KeptCopy>, CopyError> {
        let _turn = self.copies.at_once.acquire().await;
        let now = self.clock.now();
        let read = db.run(&Access::system(now), copies::read(of.1)).await;
        let kept = match read {
            Ok(reply) => self.keep_copy(of, reply.output, now).await,
            Err(error) => Err(error.into()),
        };
        match &kept {
            Ok(Some(_)) => count_copied("written"),
            Ok(None) => {}
            Err(_) => count_copied("failed"),
        }
        kept
    }

    /// Keeps what was read of a bot, if that is a linked device, and lets go of the oldest copies.
    ///
    /// # Errors
    /// When the folder cannot be used.
    pub async fn keep_copy(
        &self,
        of: Of,
        read: Option<DeviceCopy>,
        now: DateTime<Utc>,
    ) -> Result<Option<KeptCopy>, CopyError> {
        let linked = read.filter(|copy| is_linked(&self.key, of, &copy.device));
        let Some(copy) = linked else {
            return Ok(None);
        };
        let id = DeviceCopyId::at(now);
        let written = serde_json::to_vec(&Written::of(copy)).map_err(|_| CopyError::Unreadable)?;
        let sealed = self.key.seal(&context(of, id), &written);
        let bytes = u64::try_from(sealed.len()).unwrap_or(u64::MAX);
        crate::kill_point!("copies.sealed");
        self.copies.folder.put(of, id, sealed).await?;
        crate::kill_point!("copies.kept");
        let keep = self.copies.keep;
        self.copies
            .folder
            .retain(of, move |place, _| place < keep)
            .await?;
        crate::kill_point!("copies.let_go");
        Ok(Some(KeptCopy { id, bytes }))
    }

    /// A bot's copies, newest first.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub async fn list_copies(&self, of: Of) -> Result<Vec<KeptCopy>, CopyError> {
        Ok(self.copies.folder.list(of).await?)
    }

    /// What is in a copy of this bot; `None` when there is no such one.
    ///
    /// # Errors
    /// When it does not open, or the folder cannot be read.
    pub async fn open_copy(&self, of: Of, copy: DeviceCopyId) -> Result<Option<DeviceCopy>, CopyError> {
        let Some(sealed) = self.copies.folder.open(of, copy).await? else {
            return Ok(None);
        };
        let opened = self.key.open(&context(of, copy), &sealed);
        let opened = opened.ok_or(CopyError::Unreadable)?;
        let written: Written = serde_json::from_slice(&opened).map_err(|_| CopyError::Unreadable)?;
        written.read().map(Some).map_err(|_| CopyError::Unreadable)
    }

    /// What of a bot's device, as it is stored now, may be lost to a copy without anybody's saying so; `None`: it is linked.
    pub fn may_be_lost(&self, of: Of, device: Option<Vec<u8>>) -> Option<Over> {
        let linked = device
            .as_deref()
            .is_some_and(|sealed| is_linked(&self.key, of, sealed));
        (!linked).then_some(Over::This(device))
    }

    /// Removes a bot's copies, which are of no use any more: it was removed, or its device was logged out.
    pub async fn forget_copies(&self, of: Of) {
        if let Err(error) = self.copies.folder.forget_bot(of).await {
            tracing::warn!(tenant_id = %of.0, instance_id = %of.1, %error, "copies of a device are removed later: {}", of.1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_bot_is_due_once_in_a_period_and_not_all_at_once() {
        let (every, noon) = (
            TimeDelta::hours(6),
            DateTime::from_timestamp(1_800_000_000, 0).unwrap(),
        );
        let copies = Copies::new(DeviceFolder::new("/nowhere"), Some(every), 4);
        let off = Copies::new(DeviceFolder::new("/nowhere"), None, 4);
        let mut places = std::collections::HashSet::new();
        for _ in 0..20 {
            let bot = InstanceId::new();
            assert!(copies.is_due(bot, None, noon) && !off.is_due(bot, None, noon));
            let is_due = |minute: i64| copies.is_due(bot, Some(noon), noon + TimeDelta::minutes(minute));
            let due: Vec<i64> = (0..360)
                .filter(|minute| !is_due(*minute) && is_due(minute + 1))
                .collect();
            assert_eq!(due.len(), 1, "once in a period");
            places.extend(due);
        }
        assert!(places.len() > 10, "{places:?}");
    }
}
