//! API keys: how programs of the tenant log in. Their hash is kept, their prefix is shown.

use chrono::{DateTime, Utc};

use super::query::{Columns, Query};
use super::text::tell_access;
use crate::db::DbError;
use crate::domain::api_key::ApiKey;
use crate::domain::ids::ApiKeyId;
use crate::domain::page::{Cursor, Limit};
use crate::domain::token::TokenHash;

macro_rules! columns {
    () => {
        "id, name, prefix, scopes, created_at, last_used_at, revoked_at"
    };
}

fn read(mut row: Columns<'_>) -> Result<ApiKey, DbError> {
    Ok(ApiKey {
        id: ApiKeyId::from_uuid(row.next()?),
        name: row.next()?,
        prefix: row.next()?,
        scopes: row.next()?,
        created_at: row.next()?,
        last_used_at: row.next()?,
        revoked_at: row.next()?,
    })
}

/// Adds a key, made by the user of the session `creator`, if any.
pub fn insert(
    id: ApiKeyId,
    name: String,
    prefix: String,
    hash: &TokenHash,
    scopes: Vec<&'static str>,
    creator: Option<&TokenHash>,
    now: DateTime<Utc>,
) -> Query<ApiKey> {
    const INSERT: &str = concat!(
        "insert into api_keys (id, name, prefix, key_hash, scopes, created_by, created_at) ",
        "select $1, $2, $3, $4, $5, (select s.user_id from sessions s where s.token_hash = $6), $7 returning ",
        columns!()
    );
    Query::one(INSERT, read)
        .bind(id.as_uuid())
        .bind(name)
        .bind(prefix)
        .bind(hash.as_bytes().to_vec())
        .bind(scopes)
        .bind(creator.map(|hash| hash.as_bytes().to_vec()))
        .bind(now)
}

/// Keys, newest first; one more than the page holds.
pub fn list(after: Option<Cursor>, limit: Limit) -> Query<Vec<ApiKey>> {
    const LIST: &str = concat!(
        "select ",
        columns!(),
        " from api_keys where ($1::timestamptz is null or (created_at, id) < ($1, $2))",
        " order by created_at desc, id desc limit $3"
    );
    let (at, id) = after.map(|cursor| (cursor.at, cursor.id)).unzip();
    Query::narrowed(LIST, read).bind(at).bind(id).bind(limit.rows())
}

/// One key.
pub fn find(id: ApiKeyId) -> Query<Option<ApiKey>> {
    Query::optional(
        concat!("select ", columns!(), " from api_keys where id = $1"),
        read,
    )
    .bind(id.as_uuid())
}

/// Locks a key, refusing when there is none.
pub fn lock(id: ApiKeyId) -> Query<u64> {
    Query::execute(
        "select case when k.id is null then helixai.refuse('HX404') else 0 end
         from (values (true)) as request (one) left join (select id from api_keys where id = $1 for update) k on true",
    )
    .bind(id.as_uuid())
}

/// Revokes a key; one that is revoked stays as it is.
pub fn revoke(id: ApiKeyId, now: DateTime<Utc>) -> Query<u64> {
    const REVOKE: &str = concat!(
        "with gone as (update api_keys set revoked_at = $2 where id = $1 and revoked_at is null) ",
        tell_access!()
    );
    Query::execute(REVOKE).bind(id.as_uuid()).bind(now)
}

/// Notes that a key was used.
pub fn note_use(id: ApiKeyId, now: DateTime<Utc>) -> Query<u64> {
    Query::execute(
        "update api_keys set last_used_at = $2 where id = $1 and (last_used_at is null or last_used_at < $2)",
    )
    .bind(id.as_uuid())
    .bind(now)
}
