//! What is looked up by a name: `whatsapp_keys`. What the columns of each kind mean: [`KeyKind`].

use crate::db::DbError;
use crate::db::tenant::query::{Columns, Query};
use crate::domain::ids::InstanceId;
use crate::domain::whatsapp_key::KeyKind;

/// A row. It has no `Debug`: names are numbers of people.
#[derive(Clone, Default)]
pub struct Key {
    /// What it is looked up by.
    pub name: String,
    /// Sealed.
    pub value: Option<Vec<u8>>,
    /// What else it is called.
    pub other: Option<String>,
    /// The kind's first number.
    pub at: Option<i64>,
    /// Its second.
    pub also_at: Option<i64>,
}

/// What becomes of a row that is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meeting {
    /// It is replaced.
    Replaced,
    /// It is replaced unless it has a later `at`.
    ReplacedByLater,
    /// It gets the value; of two `at` the later counts, of two `also_at` the later or 0.
    Prolonged,
    /// It keeps all but the later `also_at`.
    Touched,
    /// It gets value and `at`, unless it has a value and a later `at`.
    Received,
}

macro_rules! columns {
    () => {
        "name, value_sealed, other, at, also_at"
    };
}

macro_rules! put {
    ($met:literal) => {
        concat!(
            "insert into whatsapp_keys as k (instance_id, kind, name, value_sealed, other, at, also_at) ",
            "select $1, $2, name, value, other, at, also_at from unnest($3, $4, $5, $6, $7) as v (name, value, other, at, also_at) ",
            "on conflict (instance_id, kind, name) do update set ",
            $met
        )
    };
}

impl Meeting {
    fn put(self) -> &'static str {
        match self {
            Self::Replaced => put!(
                "value_sealed = excluded.value_sealed, other = excluded.other, at = excluded.at, also_at = excluded.also_at"
            ),
            Self::ReplacedByLater => put!(
                "value_sealed = excluded.value_sealed, other = excluded.other, at = excluded.at, also_at = excluded.also_at \
                 where excluded.at >= k.at"
            ),
            Self::Prolonged => put!(
                "value_sealed = excluded.value_sealed, at = greatest(k.at, excluded.at), \
                 also_at = case when 0 in (k.also_at, excluded.also_at) then 0 else greatest(k.also_at, excluded.also_at) end"
            ),
            Self::Touched => put!("also_at = greatest(k.also_at, excluded.also_at)"),
            Self::Received => put!(
                "value_sealed = excluded.value_sealed, at = excluded.at where k.value_sealed is null or excluded.at >= k.at"
            ),
        }
    }
}

fn read(mut row: Columns<'_>) -> Result<Key, DbError> {
    Ok(Key {
        name: row.next()?,
        value: row.next()?,
        other: row.next()?,
        at: row.next()?,
        also_at: row.next()?,
    })
}

/// Of a bot and a kind: the first two parameters.
fn of<T: 'static>(query: Query<T>, id: InstanceId, kind: KeyKind) -> Query<T> {
    query.bind(id.as_uuid()).bind(kind.as_str())
}

/// Stores rows. No name may come twice.
pub fn put(id: InstanceId, kind: KeyKind, keys: Vec<Key>, meeting: Meeting) -> Query<u64> {
    let mut columns = (Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for key in keys {
        columns.0.push(key.name);
        columns.1.push(key.value);
        columns.2.push(key.other);
        columns.3.push(key.at);
        columns.4.push(key.also_at);
    }
    of(Query::execute(meeting.put()), id, kind)
        .bind(columns.0)
        .bind(columns.1)
        .bind(columns.2)
        .bind(columns.3)
        .bind(columns.4)
}

/// One row.
pub fn find(id: InstanceId, kind: KeyKind, name: String) -> Query<Option<Key>> {
    const FIND: &str = concat!(
        "select ",
        columns!(),
        " from whatsapp_keys where instance_id = $1 and kind = $2 and name = $3"
    );
    of(Query::optional(FIND, read), id, kind).bind(name)
}

/// Takes one row away.
pub fn take(id: InstanceId, kind: KeyKind, name: String) -> Query<Option<Key>> {
    const TAKE: &str = concat!(
        "delete from whatsapp_keys where instance_id = $1 and kind = $2 and name = $3 returning ",
        columns!()
    );
    of(Query::optional(TAKE, read), id, kind).bind(name)
}

/// Whether there is one.
pub fn exists(id: InstanceId, kind: KeyKind, name: String) -> Query<bool> {
    const EXISTS: &str =
        "select exists (select from whatsapp_keys where instance_id = $1 and kind = $2 and name = $3)";
    of(Query::one(EXISTS, |mut row| row.next()), id, kind).bind(name)
}

/// Those of these names that are there, in any order.
pub fn find_many(id: InstanceId, kind: KeyKind, names: Vec<String>) -> Query<Vec<Key>> {
    const FIND: &str = concat!(
        "select ",
        columns!(),
        " from whatsapp_keys where instance_id = $1 and kind = $2 and name = any ($3)"
    );
    of(Query::all(FIND, read), id, kind).bind(names)
}

/// Those whose names begin with `beginning`, which may be empty, in order.
pub fn list(id: InstanceId, kind: KeyKind, beginning: &str) -> Query<Vec<Key>> {
    const LIST: &str = concat!(
        "select ",
        columns!(),
        " from whatsapp_keys where instance_id = $1 and kind = $2 and name >= $3 and name < $4 order by name"
    );
    of(Query::all(LIST, read), id, kind)
        .bind(beginning.to_owned())
        .bind(end_of(beginning))
}

/// The first text, byte by byte, after all that begin with this one.
fn end_of(beginning: &str) -> String {
    format!("{beginning}{}", char::MAX)
}

/// The last name of a kind.
pub fn last_name(id: InstanceId, kind: KeyKind) -> Query<Option<String>> {
    const LAST: &str = "select max(name) from whatsapp_keys where instance_id = $1 and kind = $2";
    of(Query::one(LAST, |mut row| row.next()), id, kind)
}

/// The name with the greatest `at`.
pub fn latest_name(id: InstanceId, kind: KeyKind) -> Query<Option<String>> {
    let latest = Query::optional(
        "select name from whatsapp_keys where instance_id = $1 and kind = $2 order by at desc limit 1",
        |mut row| row.next(),
    );
    of(latest, id, kind)
}

/// Forgets these names.
pub fn delete(id: InstanceId, kind: KeyKind, names: Vec<String>) -> Query<u64> {
    const DELETE: &str = "delete from whatsapp_keys where instance_id = $1 and kind = $2 and name = any ($3)";
    of(Query::execute(DELETE), id, kind).bind(names)
}

/// Forgets what begins with `beginning`, which may be empty.
pub fn delete_beginning(id: InstanceId, kind: KeyKind, beginning: &str) -> Query<u64> {
    const DELETE: &str =
        "delete from whatsapp_keys where instance_id = $1 and kind = $2 and name >= $3 and name < $4";
    of(Query::execute(DELETE), id, kind)
        .bind(beginning.to_owned())
        .bind(end_of(beginning))
}

/// Forgets what ends, after a space, with one of these.
pub fn delete_ending(id: InstanceId, kind: KeyKind, ends: Vec<String>) -> Query<u64> {
    const DELETE: &str = "delete from whatsapp_keys where instance_id = $1 and kind = $2 and split_part(name, ' ', 2) = any ($3)";
    of(Query::execute(DELETE), id, kind).bind(ends)
}

/// Forgets what is older than `cutoff`.
pub fn delete_before(id: InstanceId, kind: KeyKind, cutoff: i64) -> Query<u64> {
    const DELETE: &str = "delete from whatsapp_keys where instance_id = $1 and kind = $2 and at < $3";
    of(Query::execute(DELETE), id, kind).bind(cutoff)
}

/// Forgets secrets whose time was over at `cutoff`.
pub fn delete_expired_secrets(id: InstanceId, cutoff: i64) -> Query<u64> {
    const DELETE: &str =
        "delete from whatsapp_keys where instance_id = $1 and kind = $2 and also_at <> 0 and also_at <= $3";
    of(Query::execute(DELETE), id, KeyKind::Secret).bind(cutoff)
}

/// Forgets tokens that came before `received`, or never, when none was given before `given`, or ever.
pub fn delete_expired_tokens(id: InstanceId, received: i64, given: i64) -> Query<u64> {
    const DELETE: &str = "delete from whatsapp_keys where instance_id = $1 and kind = $2 \
         and (value_sealed is null or at < $3) and (also_at is null or also_at < $4)";
    of(Query::execute(DELETE), id, KeyKind::TcToken)
        .bind(received)
        .bind(given)
}

/// Whether anything is known of a device of this user: names are `user@server` and `user:device@server`.
pub fn knows_user(id: InstanceId, user: &str) -> Query<bool> {
    // `:` and `@` are followed by `;` and `A`.
    Query::one(
        "select exists (select from whatsapp_keys where instance_id = $1 and kind in ('identity', 'session') \
         and ((name >= $2 || ':' and name < $2 || ';') or (name >= $2 || '@' and name < $2 || 'A')))",
        |mut row| row.next(),
    )
    .bind(id.as_uuid())
    .bind(user.to_owned())
}

/// Stores a sync key, as the one that came last.
pub fn put_latest_sync_key(id: InstanceId, name: String, value: Vec<u8>) -> Query<u64> {
    let put = Query::execute(
        "insert into whatsapp_keys (instance_id, kind, name, value_sealed, at) \
         select $1, $2, $3, $4, coalesce(max(at), 0) + 1 from whatsapp_keys where instance_id = $1 and kind = $2 \
         on conflict (instance_id, kind, name) do update set value_sealed = excluded.value_sealed, at = excluded.at",
    );
    of(put, id, KeyKind::SyncKey).bind(name).bind(value)
}

/// What is known of the hidden name behind a number.
pub fn find_by_number(id: InstanceId, number: String) -> Query<Option<Key>> {
    Query::optional(
        "select l.name, l.value_sealed, l.other, l.at, l.also_at from whatsapp_keys p \
         join whatsapp_keys l on l.instance_id = p.instance_id and l.kind = 'lid' and l.name = p.other \
         where p.instance_id = $1 and p.kind = 'pn' and p.name = $2",
        read,
    )
    .bind(id.as_uuid())
    .bind(number)
}

/// Has numbers forget these hidden names where they are to have other numbers. Runs before they are stored.
pub fn part_from_numbers(id: InstanceId, lids: Vec<String>, numbers: Vec<String>) -> Query<u64> {
    Query::execute(
        "delete from whatsapp_keys p using whatsapp_keys l, unnest($2, $3) as v (lid, number) \
         where l.instance_id = $1 and l.kind = 'lid' and l.name = v.lid and l.other <> v.number \
         and p.instance_id = $1 and p.kind = 'pn' and p.name = l.other and p.other = l.name",
    )
    .bind(id.as_uuid())
    .bind(lids)
    .bind(numbers)
}
