//! Users: the people who work for the tenant.
//!
//! Every change begins with [`lock`] and [`guard`]: who may change whom, the last owner and the seats of the plan are
//! decided by the database, after everybody else who changes users has finished.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::query::{Columns, Query};
use super::text::{fold, patched, tell_access};
use crate::db::DbError;
use crate::domain::ids::UserId;
use crate::domain::page::{Cursor, Limit};
use crate::domain::role::Role;
use crate::domain::token::TokenHash;
use crate::domain::user::{User, UserStatus};

/// What a list is narrowed to; all parts must hold.
#[derive(Debug, Clone, Copy, Default)]
pub struct UserFilter {
    /// With this role.
    pub role: Option<Role>,
    /// In this state.
    pub status: Option<UserStatus>,
}

/// What is about to be done to a user, as far as [`guard`] has to know.
#[derive(Debug, Clone, Copy)]
pub enum UserChange {
    /// One more, with this role.
    Add(Role),
    /// The version that was read, and the new role and state, where they are named.
    Update(UserId, Option<i32>, Option<Role>, Option<UserStatus>),
    /// Goes away.
    Remove(UserId),
}

/// A user to be.
pub struct NewUser {
    /// Its id.
    pub id: UserId,
    /// Lower-cased.
    pub email: String,
    /// As shown.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// argon2id, PHC string; `None` for one who is only invited.
    pub password_hash: Option<String>,
}

macro_rules! columns {
    () => {
        "id, email, name, role, status, version, created_at, updated_at"
    };
}

fn read(mut row: Columns<'_>) -> Result<User, DbError> {
    Ok(User {
        id: UserId::from_uuid(row.next()?),
        email: row.next()?,
        name: row.next()?,
        role: row.parse()?,
        status: row.parse()?,
        version: row.next()?,
        created_at: row.next()?,
        updated_at: row.next()?,
    })
}

/// Locks the user, if one is named, and all active owners, in one order for everybody. There always is an owner, so
/// two requests that change users run one after the other.
pub fn lock(id: Option<UserId>) -> Query<u64> {
    Query::execute(
        "select id from users where id = $1 or (role = 'owner' and status = 'active') order by id for no key update",
    )
    .bind(id.map(UserId::as_uuid))
}

const GUARD: &str = "\
select case
    when a.id is null then helixai.refuse('HX401')
    when $3::uuid is not null and t.id is null then helixai.refuse('HX404')
    when a.role <> 'owner' and (coalesce(t.role, 'agent') <> 'agent' or coalesce($5, 'agent') <> 'agent')
        then helixai.refuse('HX403')
    when $4 <> t.version then helixai.refuse('HX409')
    when t.role = 'owner' and t.status = 'active' and (coalesce($5, 'owner') <> 'owner' or coalesce($6, 'active') <> 'active')
         and not exists (select from users o where o.role = 'owner' and o.status = 'active' and o.id <> t.id)
        then helixai.refuse('HX410')
    when ($3 is null or (t.status = 'disabled' and $6 = 'active'))
         and (select count(*) from users u where u.status <> 'disabled') >= $7
        then helixai.refuse('HX402')
    else 0 end
from (values (true)) as request (one)
left join (sessions s join users a on a.id = s.user_id and a.status = 'active')
       on s.token_hash = $1 and s.expires_at > $2
left join users t on t.id = $3";

/// Refuses what the user of the session `by` may not do: a manager manages agents only, the last active owner stays one,
/// and no more than `seats` users are active or invited (`None`: as many as one likes). Runs after [`lock`].
pub fn guard(by: &TokenHash, change: UserChange, seats: Option<i64>, now: DateTime<Utc>) -> Query<u64> {
    let (id, version, role, status) = match change {
        UserChange::Add(role) => (None, None, Some(role), None),
        UserChange::Update(id, version, role, status) => {
            (Some(id), version, role, status.map(UserStatus::as_str))
        }
        UserChange::Remove(id) => (Some(id), None, None, Some("removed")),
    };
    Query::execute(GUARD)
        .bind(by.as_bytes().to_vec())
        .bind(now)
        .bind(id.map(UserId::as_uuid))
        .bind(version)
        .bind(role.map(Role::as_str))
        .bind(status)
        .bind(seats)
}

/// How many users take a seat.
pub fn count_seats() -> Query<i64> {
    Query::one(
        "select count(*) from users where status <> 'disabled'",
        |mut row| row.next(),
    )
}

/// Adds a user. Constraint `users_email_key` refuses an address that somebody has.
pub fn insert(new: NewUser, now: DateTime<Utc>) -> Query<User> {
    const INSERT: &str = concat!(
        "insert into users (id, email, name, password_hash, role, status, created_at, updated_at) ",
        "values ($1, $2, $3, $4, $5, case when $4::text is null then 'invited' else 'active' end, $6, $6) returning ",
        columns!()
    );
    Query::one(INSERT, read)
        .bind(new.id.as_uuid())
        .bind(new.email)
        .bind(new.name)
        .bind(new.password_hash)
        .bind(new.role.as_str())
        .bind(now)
}

/// One user.
pub fn find(id: UserId) -> Query<Option<User>> {
    Query::optional(concat!("select ", columns!(), " from users where id = $1"), read).bind(id.as_uuid())
}

/// Users, newest first; one more than the page holds. `text` is looked for in name and address, without accents.
pub fn list(
    filter: UserFilter,
    text: Option<String>,
    after: Option<Cursor>,
    limit: Limit,
) -> Query<Vec<User>> {
    const LIST: &str = concat!(
        "select ",
        columns!(),
        " from users where ($1::text is null or role = $1) and ($2::text is null or status = $2)",
        " and ($3::text is null or position(",
        fold!("$3"),
        " in ",
        fold!("name || ' ' || email"),
        ") > 0)",
        " and ($4::timestamptz is null or (created_at, id) < ($4, $5))",
        " order by created_at desc, id desc limit $6"
    );
    let (at, id): (_, Option<Uuid>) = after.map(|cursor| (cursor.at, cursor.id)).unzip();
    Query::narrowed(LIST, read)
        .bind(filter.role.map(Role::as_str))
        .bind(filter.status.map(UserStatus::as_str))
        .bind(text)
        .bind(at)
        .bind(id)
        .bind(limit.rows())
}

/// Changes the fields named in `changes`, and the state: one without a password is invited, not active. Runs after
/// [`guard`].
pub fn update(
    id: UserId,
    changes: Map<String, Value>,
    status: Option<UserStatus>,
    now: DateTime<Utc>,
) -> Query<User> {
    const UPDATE: &str = concat!(
        "update users set ",
        patched!("name" as "text", "role" as "text"),
        "status = case when $4::text is null then status",
        " when $4 = 'active' and password_hash is null then 'invited' else $4 end, ",
        "version = version + 1, updated_at = $3 where id = $1 returning ",
        columns!()
    );
    Query::one(UPDATE, read)
        .bind(id.as_uuid())
        .bind(Value::Object(changes))
        .bind(now)
        .bind(status.map(UserStatus::as_str))
}

/// Gives a user a new password; who was invited is active now. Runs after [`guard`].
pub fn set_password(id: UserId, password_hash: String, now: DateTime<Utc>) -> Query<User> {
    const UPDATE: &str = concat!(
        "update users set password_hash = $2, status = case when status = 'invited' then 'active' else status end, ",
        "version = version + 1, updated_at = $3 where id = $1 returning ",
        columns!()
    );
    Query::one(UPDATE, read)
        .bind(id.as_uuid())
        .bind(password_hash)
        .bind(now)
}

/// Ends the sessions of a user, and the links by which they could choose a password. It comes after the audit, whose actor may be
/// that user.
pub fn end_sessions(id: UserId) -> Query<u64> {
    const END: &str = concat!(
        "with links as (delete from password_links where user_id = $1), ",
        "gone as (delete from sessions where user_id = $1) ",
        tell_access!()
    );
    Query::execute(END).bind(id.as_uuid())
}

/// Ends the sessions of a user who may not come in; whoever has other rights now has them at their sockets, too.
pub fn end_sessions_unless_active(id: UserId) -> Query<u64> {
    const END: &str = concat!(
        "with links as (delete from password_links l using users u ",
        "where u.id = $1 and l.user_id = u.id and u.status = 'disabled'), ",
        "gone as (delete from sessions s using users u where u.id = $1 and s.user_id = u.id and u.status <> 'active') ",
        tell_access!()
    );
    Query::execute(END).bind(id.as_uuid())
}

/// Removes a user, and with them their sessions. Runs after [`guard`] and the audit.
pub fn delete(id: UserId) -> Query<u64> {
    const DELETE: &str = concat!("with gone as (delete from users where id = $1) ", tell_access!());
    Query::execute(DELETE).bind(id.as_uuid())
}
