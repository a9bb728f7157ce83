//! A device and all that it looks up, out of its tables and into them again.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::keys::Key;
use super::{claim, forget, save_device};
use crate::db::DbError;
use crate::db::tenant::query::Query;
use crate::domain::ids::InstanceId;
use crate::domain::whatsapp_key::KeyKind;

/// All rows of a device at one moment; values are sealed as they were. It has no `Debug`: names are numbers of people.
pub struct DeviceCopy {
    /// The device.
    pub device: Vec<u8>,
    /// What it looks up.
    pub keys: Vec<(KeyKind, Key)>,
}

/// Reads a device and its keys in one statement, so of one moment; `None` when there is no device.
pub fn read(id: InstanceId) -> Query<Option<DeviceCopy>> {
    let rows = Query::all(
        "select null::text as kind, '' as name, state_sealed, null::text as other, null::bigint as at, null::bigint as also_at \
         from whatsapp_devices where instance_id = $1 and state_sealed is not null \
         union all select kind, name, value_sealed, other, at, also_at from whatsapp_keys where instance_id = $1",
        |mut row| {
            let kind: Option<String> = row.next()?;
            let kind = kind.map(|kind| KeyKind::parse(&kind)).transpose();
            let kind = kind.map_err(|_| unknown_kind())?;
            let key = Key {
                name: row.next()?,
                value: row.next()?,
                other: row.next()?,
                at: row.next()?,
                also_at: row.next()?,
            };
            Ok((kind, key))
        },
    );
    rows.bind(id.as_uuid()).map(|rows| {
        let (mut device, mut keys) = (None, Vec::with_capacity(rows.len()));
        for (kind, key) in rows {
            match kind {
                Some(kind) => keys.push((kind, key)),
                None => device = key.value,
            }
        }
        device.map(|device| DeviceCopy { device, keys })
    })
}

/// A defect: constraints keep others out.
fn unknown_kind() -> DbError {
    DbError::Other {
        code: "driver".to_owned(),
        message: "a key is of an unknown kind".to_owned(),
    }
}

/// Puts a device and its keys into the place of what the bot has, whose `owner` has to claim it again: five statements. Refuses with
/// [`crate::db::Refusal::NotFound`] when there is no such bot, with [`crate::db::Refusal::State`] when it is active.
pub fn put_back(id: InstanceId, copy: DeviceCopy, now: DateTime<Utc>) -> [Query<u64>; 5] {
    let owner = Uuid::now_v7();
    let refuse = Query::execute(
        "select case when i.id is null then helixai.refuse('HX404') when i.is_active then helixai.refuse('HX412') else 0 end \
         from (values (true)) as request (one) left join \
         (select id, is_active from instances where id = $1 and deleted_at is null for update) i on true",
    );
    let mut columns = (
        Vec::new(),
        Vec::new(),
        Vec::new(),
        Vec::new(),
        Vec::new(),
        Vec::new(),
    );
    for (kind, key) in copy.keys {
        columns.0.push(kind.as_str());
        columns.1.push(key.name);
        columns.2.push(key.value);
        columns.3.push(key.other);
        columns.4.push(key.at);
        columns.5.push(key.also_at);
    }
    let insert = Query::execute(
        "insert into whatsapp_keys (instance_id, kind, name, value_sealed, other, at, also_at) \
         select $1, k.* from unnest($2, $3, $4, $5, $6, $7) as k (kind, name, value, other, at, also_at)",
    );
    let insert = insert
        .bind(id.as_uuid())
        .bind(columns.0)
        .bind(columns.1)
        .bind(columns.2)
        .bind(columns.3)
        .bind(columns.4)
        .bind(columns.5);
    [
        refuse.bind(id.as_uuid()),
        claim(id, owner, now),
        save_device(id, copy.device, now),
        forget(id, owner),
        insert,
    ]
}
