//! Stages of the sales funnel. They are few: whoever changes their order holds all of them.

use serde_json::{Map, Value};

use super::query::{Columns, Query};
use super::text::patched;
use crate::db::DbError;
use crate::domain::lead::Stage;
use crate::domain::lead_stage::{LeadStage, MOST_STAGES, StagePosition};

macro_rules! columns {
    () => {
        "code, name_pt, name_en, position"
    };
}

fn read(mut row: Columns<'_>) -> Result<LeadStage, DbError> {
    Ok(LeadStage {
        code: row.next()?,
        name_pt: row.next()?,
        name_en: row.next()?,
        position: row.next()?,
    })
}

/// All stages, in their order.
pub fn list() -> Query<Vec<LeadStage>> {
    Query::all(
        concat!("select ", columns!(), " from lead_stages order by position, code"),
        read,
    )
}

/// A stage that exists.
pub fn find(code: &Stage) -> Query<LeadStage> {
    Query::one(
        concat!("select ", columns!(), " from lead_stages where code = $1"),
        read,
    )
    .bind(code.to_string())
}

/// Locks the stages, and refuses with [`crate::db::Refusal::Stale`] when there are as many as there may be. Two
/// statements: one that waits for a lock counts what was there before it waited.
pub fn room() -> (Query<u64>, Query<u64>) {
    let lock = Query::execute("select code from lead_stages order by code for update");
    let count = Query::execute(
        "select case when count(*) >= $1 then helixai.refuse('HX409') else 0 end from lead_stages",
    );
    (lock, count.bind(MOST_STAGES))
}

const INSERT: &str = concat!(
    "insert into lead_stages (code, name_pt, name_en, position) ",
    "select $1, $2, $3, least(coalesce(max(position), 0) + 1, 32767) from lead_stages returning ",
    columns!()
);

/// Adds a stage behind the others. Constraint `lead_stages_pkey` refuses a code that is there.
pub fn insert(code: &Stage, name_pt: String, name_en: String) -> Query<LeadStage> {
    Query::one(INSERT, read)
        .bind(code.to_string())
        .bind(name_pt)
        .bind(name_en)
}

/// Locks all stages, refusing when this one is not among them.
pub fn lock(code: &Stage) -> Query<u64> {
    Query::execute(
        "select case when bool_or(code = $1) then 0 else helixai.refuse('HX404') end \
         from (select code from lead_stages order by code for update) s",
    )
    .bind(code.to_string())
}

const RENAME: &str = concat!(
    "update lead_stages set ",
    patched!("name_pt" as "text", "name_en" as "text"),
    "position = position where code = $1"
);

/// Gives a stage the names that are in `changes`. Runs after [`lock`].
pub fn rename(code: &Stage, changes: Map<String, Value>) -> Query<u64> {
    Query::execute(RENAME)
        .bind(code.to_string())
        .bind(Value::Object(changes))
}

/// Puts a stage at this place; the others make room. Runs after [`lock`].
pub fn place(code: &Stage, position: StagePosition) -> Query<u64> {
    Query::execute(
        "with others as (select code, row_number() over (order by position, code) as n from lead_stages where code <> $1), \
         placed as (select code, case when n >= $2 then n + 1 else n end as n from others \
         union all select $1, least($2, (select count(code) + 1 from others))) \
         update lead_stages s set position = placed.n from placed where s.code = placed.code and s.position <> placed.n",
    )
    .bind(code.to_string())
    .bind(i64::from(position.get()))
}

/// Removes a stage. Runs after [`lock`]. Constraint `leads_stage_fkey` refuses one in which leads are.
pub fn delete(code: &Stage) -> Query<u64> {
    Query::execute("delete from lead_stages where code = $1").bind(code.to_string())
}
