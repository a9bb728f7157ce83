//! What has become of a lead, written in the transaction that changed it.

use serde_json::{Map, Value};
use uuid::Uuid;

use super::access::{Access, Proof};
use super::query::{Columns, Query};
use crate::db::DbError;
use crate::domain::ids::{LeadChangeId, LeadId};
use crate::domain::lead_history::{ChangedBy, LeadChange};
use crate::domain::page::{Cursor, Limit};

// What is there and what `$2` says, field by field; `$3`: the lead was made at this moment, so that nothing was there.
// Who did it is read from the session or key that the request proved.
const RECORD: &str = "\
insert into lead_history (lead_id, id, at, actor_kind, actor_id, field, from_value, to_value)
select l.id, c.id, $6, case when $7::bytea is not null then 'user' when $8::bytea is not null then 'api_key' else 'system' end,
       coalesce((select s.user_id from sessions s where s.token_hash = $7), (select k.id from api_keys k where k.key_hash = $8)),
       c.field, c.before, c.after
from leads l
cross join lateral (values
    ($4, 'stage', case when not $3 then l.stage end, case when $2 ? 'stage' then $2 ->> 'stage' else l.stage end),
    ($5, 'assigned_to', case when not $3 then l.assigned_to::text end,
     case when $2 ? 'assigned_to' then $2 ->> 'assigned_to' else l.assigned_to::text end)
) as c (id, field, before, after)
where l.id = $1 and before is distinct from after";

fn record(lead: LeadId, fields: &Map<String, Value>, made: bool, access: &Access) -> Query<u64> {
    let (session, key) = match access.proof() {
        Proof::Session(hash) => (Some(hash.as_bytes().to_vec()), None),
        Proof::ApiKey(hash) => (None, Some(hash.as_bytes().to_vec())),
        Proof::User(_) | Proof::Public | Proof::System => (None, None),
    };
    Query::execute(RECORD)
        .bind(lead.as_uuid())
        .bind(Value::Object(fields.clone()))
        .bind(made)
        .bind(LeadChangeId::new().as_uuid())
        .bind(LeadChangeId::new().as_uuid())
        .bind(access.now())
        .bind(session)
        .bind(key)
}

/// Notes where a lead begins. Runs after [`super::leads::insert`].
pub fn record_made(lead: LeadId, fields: &Map<String, Value>, access: &Access) -> Query<u64> {
    record(lead, fields, true, access)
}

/// Notes what `changes` will change of a lead. Runs after [`super::leads::lock`] and before [`super::leads::update`].
pub fn record_changes(lead: LeadId, changes: &Map<String, Value>, access: &Access) -> Query<u64> {
    record(lead, changes, false, access)
}

/// Refuses when there is no such lead.
pub fn require_lead(lead: LeadId) -> Query<u64> {
    Query::execute(
        "select case when exists (select from leads where id = $1) then 0 else helixai.refuse('HX404') end",
    )
    .bind(lead.as_uuid())
}

const LIST: &str = "\
select h.id, h.at, h.actor_kind, h.actor_id, u.name, h.field, h.from_value, h.to_value
from lead_history h left join users u on h.actor_kind = 'user' and u.id = h.actor_id
where h.lead_id = $1 and ($2::uuid is null or h.id < $2) order by h.id desc limit $3";

/// The changes of a lead, newest first; one more than the page holds, to know whether there is another.
pub fn list(lead: LeadId, after: Option<Cursor>, limit: Limit) -> Query<Vec<LeadChange>> {
    Query::all(LIST, read)
        .bind(lead.as_uuid())
        .bind(after.map(|cursor| cursor.id))
        .bind(limit.rows())
}

fn read(mut row: Columns<'_>) -> Result<LeadChange, DbError> {
    Ok(LeadChange {
        id: LeadChangeId::from_uuid(row.next()?),
        at: row.next()?,
        by: ChangedBy {
            kind: row.next()?,
            id: row.next::<Option<Uuid>>()?,
            name: row.next()?,
        },
        field: row.next()?,
        from: row.next()?,
        to: row.next()?,
    })
}
