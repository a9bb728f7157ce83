//! The tenant's audit log: what was done, by whom, in the transaction that did it.
//!
//! The actor is read from the session or key that the request proved, not taken from the program's word. A session may end
//! between its proof and this line, which see two moments: then nothing is done, rather than something without its line. (A lock
//! on the session would keep it, and cost a write in every request.)

use serde_json::{Value, json};

use super::access::{Access, Proof};
use super::query::Query;
use crate::domain::ids::AuditId;
use crate::telemetry::request_id;

const BY_SESSION: &str = "\
insert into audit_log (id, at, actor_kind, actor_id, action, entity, entity_id, request_id, details)
select $1, $2, 'user', case when s.id is null then helixai.refuse('HX401')::text::uuid else s.user_id end, $3, $4, $5, $6, $7
from (values (true)) as request (one) left join sessions s on s.token_hash = $8";

const BY_API_KEY: &str = "\
insert into audit_log (id, at, actor_kind, actor_id, action, entity, entity_id, request_id, details)
select $1, $2, 'api_key', k.id, $3, $4, $5, $6, $7 from api_keys k where k.key_hash = $8";

const BY_USER: &str = "\
insert into audit_log (id, at, actor_kind, actor_id, action, entity, entity_id, request_id, details)
values ($1, $2, 'user', $8, $3, $4, $5, $6, $7)";

const BY_PROGRAM: &str = "\
insert into audit_log (id, at, actor_kind, action, entity, entity_id, request_id, details)
values ($1, $2, 'system', $3, $4, $5, $6, $7)";

/// Adds a line: `action` (e.g. `lead.create`), `entity` (the table) and the row's id.
pub fn insert(access: &Access, action: &'static str, entity: &'static str, id: impl ToString) -> Query<u64> {
    insert_with(access, action, entity, id, json!({}))
}

/// As [`insert`], with details: never secrets, never personal data.
pub fn insert_with(
    access: &Access,
    action: &'static str,
    entity: &'static str,
    id: impl ToString,
    details: Value,
) -> Query<u64> {
    let text = match access.proof() {
        Proof::Session(_) => BY_SESSION,
        Proof::ApiKey(_) => BY_API_KEY,
        Proof::User(_) => BY_USER,
        Proof::Public | Proof::System => BY_PROGRAM,
    };
    let query = Query::execute(text)
        .bind(AuditId::new().as_uuid())
        .bind(access.now())
        .bind(action)
        .bind(entity)
        .bind(id.to_string())
        .bind(request_id::current().map(|id| id.to_string()))
        .bind(details);
    match access.proof() {
        Proof::Session(hash) | Proof::ApiKey(hash) => query.bind(hash.as_bytes().to_vec()),
        Proof::User(id) => query.bind(id.as_uuid()),
        Proof::Public | Proof::System => query,
    }
}
