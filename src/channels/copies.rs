//! A device and its keys as one sealed text, for as long as somebody keeps it; and back again, never over one that runs: a device that
//! goes back to keys of yesterday cannot read what was sealed for it since.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::db::tenant::whatsapp::copies::{self, DeviceCopy};
use crate::db::tenant::whatsapp::keys::Key;
use crate::db::tenant::{Access, TenantDb};
use crate::db::{DbError, Refusal};
use crate::domain::ids::{InstanceId, TenantId};
use crate::domain::platform_key::PlatformKey;
use crate::domain::whatsapp_key::KeyKind;

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

fn context(tenant: TenantId, instance: InstanceId) -> String {
    format!("whatsapp_backup:{tenant}:{instance}")
}

/// All that a bot keeps, of one moment, sealed for this bot; `None` when it is linked to no account. Whoever runs the bot goes on.
///
/// # Errors
/// When the tenant's schema cannot be asked.
pub async fn make(
    db: &TenantDb,
    key: &PlatformKey,
    (tenant, instance): (TenantId, InstanceId),
    now: DateTime<Utc>,
) -> Result<Option<Vec<u8>>, DbError> {
    let copy = db.run(&Access::system(now), copies::read(instance)).await?.output;
    let Some(copy) = copy else {
        return Ok(None);
    };
    let written = serde_json::to_vec(&Written::of(copy)).map_err(|_| unreadable())?;
    Ok(Some(key.seal(&context(tenant, instance), &written)))
}

/// Puts what [`make`] made into the place of what the bot keeps now. Whoever still has the bot's store loses it.
///
/// # Errors
/// [`Refusal::State`] when the bot is active, [`Refusal::NotFound`] when there is none; [`Refusal::Stale`] when this was not made of this
/// bot, or was altered; when the tenant's schema cannot be asked. Nothing is changed then.
pub async fn put_back(
    db: &TenantDb,
    key: &PlatformKey,
    (tenant, instance): (TenantId, InstanceId),
    sealed: &[u8],
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    let opened = key.open(&context(tenant, instance), sealed);
    let opened = opened.ok_or(DbError::Refused(Refusal::Stale))?;
    let written: Written = serde_json::from_slice(&opened).map_err(|_| unreadable())?;
    let copy = written.read().map_err(|_| unreadable())?;
    let statements = Vec::from(copies::put_back(instance, copy, now));
    db.run(&Access::system(now), statements).await?;
    Ok(())
}

/// A defect: it was made by another version of this program, or cannot be.
fn unreadable() -> DbError {
    DbError::Other {
        code: "driver".to_owned(),
        message: "a backup of a device has another shape".to_owned(),
    }
}
