//! A device and all that it looks up, out of its tables and into them again.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::keys::Key;
use super::{claim, forget};
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

/// Which device may be lost when a copy is put back.
pub enum Over {
    /// Whatever there is.
    Any,
    /// This one, as it is stored; or none.
    This(Option<Vec<u8>>),
}

/// Puts a device and its keys into the place of what the bot has: five statements. Refuses with [`crate::db::Refusal::NotFound`] when there
/// is no such bot, with [`crate::db::Refusal::State`] when it is active or some process has it still, with [`crate::db::Refusal::Stale`] when
/// it has another device than may be lost.
pub fn put_back(id: InstanceId, copy: DeviceCopy, over: Over, now: DateTime<Utc>) -> [Query<u64>; 5] {
    let owner = Uuid::now_v7();
    // Activating it waits for this lock; while it is not active, nobody begins to run it.
    let refuse = Query::execute(
        "select case when i.id is null then helixai.refuse('HX404') \
         when i.is_active or helixai.channel_runs(i.id) then helixai.refuse('HX412') \
         when not $2 and d.state_sealed is distinct from $3 then helixai.refuse('HX409') else 0 end \
         from (values (true)) as request (one) left join \
         (select id, is_active from instances where id = $1 and deleted_at is null for update) i on true \
         left join whatsapp_devices d on d.instance_id = i.id",
    );
    let (any, this) = match over {
        Over::Any => (true, None),
        Over::This(device) => (false, device),
    };
    let refuse = refuse.bind(id.as_uuid()).bind(any).bind(this);
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
    // Whoever puts it back wants it, also if it was to be given up.
    let save = Query::execute(
        "update whatsapp_devices set state_sealed = $2, unlink_wanted = false, updated_at = $3 where instance_id = $1",
    );
    let save = save.bind(id.as_uuid()).bind(copy.device).bind(now);
    [refuse, claim(id, owner, now), save, forget(id, owner), insert]
}

/// A bot that may be linked to a telephone.
#[derive(Debug, Clone)]
pub struct Linkable {
    /// The bot.
    pub id: InstanceId,
    /// What the tenant calls it.
    pub name: String,
    /// Whether it is to run.
    pub is_active: bool,
    /// What has become of it.
    pub state: String,
}

/// All bots that may be linked, oldest first.
pub fn list_linkable() -> Query<Vec<Linkable>> {
    Query::all(
        "select id, name, is_active, state from instances where channel = 'whatsapp_web' and deleted_at is null order by created_at, id",
        |mut row| {
            Ok(Linkable {
                id: InstanceId::from_uuid(row.next()?),
                name: row.next()?,
                is_active: row.next()?,
                state: row.next()?,
            })
        },
    )
}

/// Of those of these bots that are known: until when copies are of no use, if any are. Those of a bot that was removed, or gave up its
/// telephone, until now; others' until the last time that a device of theirs was logged out.
pub fn list_useless_until(
    bots: &[InstanceId],
    now: DateTime<Utc>,
) -> Query<Vec<(InstanceId, Option<DateTime<Utc>>)>> {
    let bots: Vec<Uuid> = bots.iter().map(|bot| bot.as_uuid()).collect();
    Query::all(
        "select i.id, case when i.deleted_at is not null or i.state = 'logged_out' then $2 else d.archived_at end \
         from instances i left join whatsapp_devices d on d.instance_id = i.id where i.id = any ($1)",
        |mut row| Ok((InstanceId::from_uuid(row.next()?), row.next()?)),
    )
    .bind(bots)
    .bind(now)
}
