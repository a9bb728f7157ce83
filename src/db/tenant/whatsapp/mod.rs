//! What bots keep that are linked to a WhatsApp account: the device here, what it looks up by a name in [`keys`].
//!
//! Values come and go sealed; nothing here knows what is in them. Whoever runs a bot claims its device first, and each of its
//! statements comes after [`refuse_others`]: a worker that was taken for dead writes nothing over what its successor has written.

pub mod copies;
pub mod keys;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::query::Query;
use crate::domain::ids::InstanceId;

macro_rules! claim {
    ($which:literal) => {
        concat!(
            "insert into whatsapp_devices (instance_id, owner, updated_at) ",
            "select id, $2, $3 from instances where id = $1 and deleted_at is null",
            $which,
            " on conflict (instance_id) do update set owner = excluded.owner, updated_at = excluded.updated_at"
        )
    };
}

/// Makes this the only owner of a bot's device; 0 when there is no such bot.
pub fn claim(id: InstanceId, owner: Uuid, now: DateTime<Utc>) -> Query<u64> {
    let claim = Query::execute(claim!(""));
    claim.bind(id.as_uuid()).bind(owner).bind(now)
}

/// As [`claim`], of a bot that does not run; of one that does, nothing.
pub fn claim_idle(id: InstanceId, owner: Uuid, now: DateTime<Utc>) -> Query<u64> {
    let claim = Query::execute(claim!(" and not is_active"));
    claim.bind(id.as_uuid()).bind(owner).bind(now)
}

/// Has the device put aside before its bot runs again, whatever becomes of the bot until then.
pub fn want_unlinked(id: InstanceId) -> Query<u64> {
    const WANT: &str = "update whatsapp_devices set unlink_wanted = true where instance_id = $1 and state_sealed is not null";
    Query::execute(WANT).bind(id.as_uuid())
}

/// Refuses with [`crate::db::Refusal::State`] unless this is still the device's owner.
pub fn refuse_others(id: InstanceId, owner: Uuid) -> Query<u64> {
    Query::execute(
        "select case when exists (select from whatsapp_devices where instance_id = $1 and owner = $2) then 0 \
         else helixai.refuse('HX412') end",
    )
    .bind(id.as_uuid())
    .bind(owner)
}

/// The sealed device; `None` when there is none.
pub fn find_device(id: InstanceId) -> Query<Option<Vec<u8>>> {
    Query::optional(
        "select state_sealed from whatsapp_devices where instance_id = $1",
        |mut row| row.next::<Option<Vec<u8>>>(),
    )
    .bind(id.as_uuid())
    .map(Option::flatten)
}

/// Whether the bot has a device.
pub fn has_device(id: InstanceId) -> Query<bool> {
    Query::one(
        "select exists (select from whatsapp_devices where instance_id = $1 and state_sealed is not null)",
        |mut row| row.next(),
    )
    .bind(id.as_uuid())
}

/// Stores the device.
pub fn save_device(id: InstanceId, state_sealed: Vec<u8>, now: DateTime<Utc>) -> Query<u64> {
    const SAVE: &str =
        "update whatsapp_devices set state_sealed = $2, updated_at = $3 where instance_id = $1";
    Query::execute(SAVE)
        .bind(id.as_uuid())
        .bind(state_sealed)
        .bind(now)
}

/// Stores a device where there is none.
pub fn make_device(id: InstanceId, state_sealed: Vec<u8>, now: DateTime<Utc>) -> Query<u64> {
    Query::execute(
        "update whatsapp_devices set state_sealed = $2, updated_at = $3 where instance_id = $1 and state_sealed is null",
    )
    .bind(id.as_uuid())
    .bind(state_sealed)
    .bind(now)
}

/// Puts the device aside, which was logged out, and forgets its keys, if this is its owner. Two statements.
pub fn archive(id: InstanceId, owner: Uuid, now: DateTime<Utc>) -> (Query<u64>, Query<u64>) {
    let archive = Query::execute(
        "update whatsapp_devices set archived_sealed = state_sealed, archived_at = $3, state_sealed = null, unlink_wanted = false, \
         updated_at = $3 where instance_id = $1 and owner = $2 and state_sealed is not null",
    );
    (
        archive.bind(id.as_uuid()).bind(owner).bind(now),
        forget(id, owner),
    )
}

/// Forgets what a device looks up, if this is its owner.
fn forget(id: InstanceId, owner: Uuid) -> Query<u64> {
    Query::execute(
        "delete from whatsapp_keys where instance_id = (select instance_id from whatsapp_devices where instance_id = $1 and owner = $2)",
    )
    .bind(id.as_uuid())
    .bind(owner)
}

/// Forgets all that a bot has kept, which is removed.
pub fn remove(id: InstanceId) -> Query<u64> {
    Query::execute("delete from whatsapp_devices where instance_id = $1").bind(id.as_uuid())
}
