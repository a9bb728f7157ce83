//! `idempotency_keys`: a repeated creating request gets the answer of the first, for 24 hours.

use chrono::{DateTime, Duration, Utc};
use uuid::Uuid;

use super::access::{Access, Proof};
use super::query::{Columns, Query};
use crate::db::DbError;

const KEPT: Duration = Duration::hours(24);
/// One claim of so many looks for answers that are kept no longer: it reads the whole table.
const SWEEPS: u8 = 16;

// A key belongs to who sent it: two callers' keys never meet. An expired key is claimed as if it were new.
macro_rules! claim {
    ($caller:literal, $from:literal) => {
        concat!(
            "insert into idempotency_keys as k (scope, key, request_hash, created_at, expires_at) select ",
            $caller,
            " || ':' || $1, $2, $3, $4, $5 from ",
            $from,
            " on conflict (scope, key) do update set request_hash = excluded.request_hash, status_code = null,",
            " response_sealed = null, created_at = excluded.created_at, expires_at = excluded.expires_at",
            " where k.expires_at <= excluded.created_at returning scope"
        )
    };
}

macro_rules! find {
    ($caller:literal, $from:literal) => {
        concat!(
            "select k.request_hash, k.status_code, k.response_sealed from idempotency_keys k, ",
            $from,
            " and k.scope = ",
            $caller,
            " || ':' || $1 and k.key = $2 and k.expires_at > $4"
        )
    };
}

const CLAIM_BY_USER: &str = claim!("'user:' || s.user_id", "sessions s where s.token_hash = $6");
const CLAIM_BY_KEY: &str = claim!("'api_key:' || a.id", "api_keys a where a.key_hash = $6");
const FIND_BY_USER: &str = find!("'user:' || s.user_id", "sessions s where s.token_hash = $3");
const FIND_BY_KEY: &str = find!("'api_key:' || a.id", "api_keys a where a.key_hash = $3");

/// What a key was used for.
#[derive(Debug)]
pub struct Used {
    /// SHA-256 of the first request.
    pub request_hash: Vec<u8>,
    /// Its answer's status, once it has one.
    pub status_code: Option<i16>,
    /// Its answer, sealed.
    pub response_sealed: Option<Vec<u8>>,
}

/// Claims `key` for `operation`; yields its scope, or `None` when it is in use. Waits for a claim that is under way.
pub fn claim(
    access: &Access,
    operation: &'static str,
    key: &str,
    request_hash: [u8; 32],
) -> Query<Option<String>> {
    let (text, hash) = by_caller(access, CLAIM_BY_USER, CLAIM_BY_KEY);
    let now = access.now();
    Query::optional(text, |mut row| row.next())
        .bind(operation)
        .bind(key.to_owned())
        .bind(request_hash.to_vec())
        .bind(now)
        .bind(now + KEPT)
        .bind(hash)
}

/// What `key` was used for.
pub fn find(access: &Access, operation: &'static str, key: &str) -> Query<Option<Used>> {
    let (text, hash) = by_caller(access, FIND_BY_USER, FIND_BY_KEY);
    Query::optional(text, read_used)
        .bind(operation)
        .bind(key.to_owned())
        .bind(hash)
        .bind(access.now())
}

/// Stores the answer under a claimed key, and of which row it speaks: with a person that is erased it is forgotten.
pub fn answer(
    scope: String,
    key: &str,
    status_code: i16,
    response_sealed: Vec<u8>,
    row: Option<Uuid>,
) -> Query<u64> {
    Query::execute(
        "update idempotency_keys set status_code = $3, response_sealed = $4, resource_id = $5
         where scope = $1 and key = $2",
    )
    .bind(scope)
    .bind(key.to_owned())
    .bind(status_code)
    .bind(response_sealed)
    .bind(row)
}

/// Forgets the answers that speak of a row, which is removed.
pub fn forget(row: Uuid) -> Query<u64> {
    Query::execute("delete from idempotency_keys where resource_id = $1").bind(row)
}

/// Removes answers that are kept no longer. What a claim is just taking is left alone.
pub fn forget_expired(now: DateTime<Utc>) -> Query<u64> {
    Query::execute(
        "delete from idempotency_keys where (scope, key) in (
             select scope, key from idempotency_keys where expires_at <= $1 limit 1000 for update skip locked)",
    )
    .bind(now)
}

/// As [`forget_expired`], beside some of the claims, told by the request's hash.
pub fn prune(request_hash: [u8; 32], now: DateTime<Utc>) -> Option<Query<u64>> {
    let [first, ..] = request_hash;
    first.is_multiple_of(SWEEPS).then(|| forget_expired(now))
}

fn by_caller(access: &Access, user: &'static str, key: &'static str) -> (&'static str, Vec<u8>) {
    match access.proof() {
        Proof::ApiKey(hash) => (key, hash.as_bytes().to_vec()),
        Proof::Session(hash) => (user, hash.as_bytes().to_vec()),
        // Nobody in particular has no session: nothing is claimed and nothing found.
        Proof::User(_) | Proof::Public | Proof::System => (user, Vec::new()),
    }
}

fn read_used(mut row: Columns<'_>) -> Result<Used, DbError> {
    Ok(Used {
        request_hash: row.next()?,
        status_code: row.next()?,
        response_sealed: row.next()?,
    })
}
