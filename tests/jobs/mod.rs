//! The work of tenants: done by whoever knows its kind, once, whatever becomes of the worker or the tenant.

mod tenants;
mod turns;

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use helixai::db::tenant::Query;
use helixai::jobs::{Handled, Handler, Jobs, Work};
use helixai::platform::Platform;
use helixai::tenancy::provision::Onboarded;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::helpers::{TestPlatform, tenant_db_of};

/// Knows one kind, remembers what it was given, and answers as it is told.
#[derive(Clone)]
pub struct Recorder {
    kind: &'static str,
    seen: Arc<Mutex<Vec<(String, Value)>>>,
    answers: Arc<Mutex<Vec<Handled>>>,
}

impl Recorder {
    pub fn of(kind: &'static str) -> Self {
        Self {
            kind,
            seen: Arc::default(),
            answers: Arc::default(),
        }
    }

    /// Another kind, remembered in the same place.
    pub fn as_kind(&self, kind: &'static str) -> Self {
        Self { kind, ..self.clone() }
    }

    /// What it answers next; afterwards it is done with everything.
    pub fn answer(&self, answers: &[Handled]) {
        let mut known = self.answers.lock().unwrap();
        known.extend(answers.iter().rev().cloned());
    }

    /// The payloads that it was given, with the tenants' ids.
    pub fn seen(&self) -> Vec<(String, Value)> {
        self.seen.lock().unwrap().clone()
    }

    /// A worker that knows this kind alone.
    pub fn jobs(&self, platform: &Platform) -> Jobs {
        Jobs::new(platform.clone(), vec![Box::new(self.clone())])
    }
}

#[async_trait]
impl Handler for Recorder {
    fn kind(&self) -> &'static str {
        self.kind
    }

    async fn handle(&self, work: &Work) -> Handled {
        let seen = (work.tenant.to_string(), work.payload.clone());
        self.seen.lock().unwrap().push(seen);
        self.answers.lock().unwrap().pop().unwrap_or(Handled::Done)
    }
}

/// Adds work to the outbox, as whatever causes it does.
pub fn message(kind: &'static str, payload: Value, due_at: DateTime<Utc>) -> Query<u64> {
    Query::execute(
        "insert into outbox (id, kind, payload, state, due_at, max_attempts, created_at, updated_at)
         select $1, $2, $3, 'pending', $4, 3, $4, $4 from helixai.note_due($4)",
    )
    .bind(Uuid::now_v7())
    .bind(kind)
    .bind(payload)
    .bind(due_at)
}

/// Adds work to the jobs.
pub fn job(kind: &'static str, payload: Value, run_at: DateTime<Utc>) -> Query<u64> {
    Query::execute(
        "insert into jobs (id, kind, payload, state, run_at, max_attempts, created_at, updated_at)
         select $1, $2, $3, 'queued', $4, 3, $4, $4 from helixai.note_due($4)",
    )
    .bind(Uuid::now_v7())
    .bind(kind)
    .bind(payload)
    .bind(run_at)
}

pub async fn add(test: &TestPlatform, tenant: &Onboarded, work: Query<u64>) {
    let db = tenant_db_of(&test.platform, &tenant.tenant_key).await;
    db.run(&test.system(), work).await.expect("work is added");
}

/// `[queue, state, attempts, last_error]` of all work of a tenant.
pub async fn states(test: &TestPlatform, tenant: &Onboarded) -> Vec<Value> {
    let schema = &tenant.schema_name;
    let select = format!(
        "select jsonb_build_array('outbox', state, attempts, last_error) from {schema}.outbox
         union all select jsonb_build_array('jobs', state, attempts, last_error) from {schema}.jobs"
    );
    let rows = test.admin().await.query(&select, &[]).await.expect("rows");
    rows.iter().map(|row| row.get(0)).collect()
}

pub fn numbered(number: usize) -> Value {
    json!({ "number": number })
}
