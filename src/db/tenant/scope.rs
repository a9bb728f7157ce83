//! A tenant's scope: the only way to run a [`super::Query`].
//!
//! `begin` · tenant lock · guard · credentials · statements · `commit`, all sent before the first answer is read.
//! Each of the first ones raises when it fails, so the server refuses everything after it and the commit rolls back.
//! A scope that is dropped half-way takes its connection with it: what the server made of it is unknown.

use std::sync::Arc;

use deadpool::managed::Object;
use tokio_postgres::error::SqlState;

use super::access::{Access, Identity};
use super::batch::{Answers, Batch, Statements};
use super::connection::{Connection, ConnectionManager, Known};
use super::lanes::{LaneAddress, Lanes};
use super::pipeline::{self, Done, Step, param};
use super::query::{Answer, Statement};
use crate::db::error::has_state;
use crate::db::{DbError, Refusal};
use crate::domain::ids::TenantId;
use crate::telemetry::metrics::{Plane, record_db_round_trip};

/// Where a tenant lives, as stored in the registry at its creation.
#[derive(Debug, Clone)]
pub struct TenantHome {
    /// The tenant.
    pub id: TenantId,
    /// The lane that serves it.
    pub lane: LaneAddress,
    /// Its schema.
    pub schema: String,
    /// The database role that its statements run as.
    pub role: String,
}

/// The database of one tenant.
#[derive(Clone)]
pub struct TenantDb {
    lanes: Lanes,
    home: Arc<TenantHome>,
}

/// What a scope yields: who asked, and the output of the batch.
#[derive(Debug)]
pub struct Reply<T> {
    /// Who was recognised.
    pub identity: Identity,
    /// What the batch yields.
    pub output: T,
}

const LOCK: &str = "\
select case when pg_catalog.pg_try_advisory_xact_lock_shared($1) then 0 else helixai.refuse('HX423') end";

// EXECUTE is checked when the statement starts, as the login; what follows it runs as the tenant's role. The schema is
// asked for by name: with it gone, `current_schema()` would try to make a temporary one.
const GUARD: &str = "\
select pg_catalog.set_config('search_path', $1, true),
       pg_catalog.set_config('role', $2, true),
       pg_catalog.set_config('statement_timeout', $3, true),
       case when pg_catalog.has_schema_privilege(pg_catalog.to_regnamespace($4)::oid, 'USAGE') then 0
            else helixai.refuse('HX503') end";

/// Statements that belong to the login, not to a tenant, are cached under the nil id.
const NO_TENANT: uuid::Uuid = uuid::Uuid::nil();

impl TenantDb {
    /// The database of the tenant that lives at `home`.
    pub fn new(lanes: Lanes, home: Arc<TenantHome>) -> Self {
        Self { lanes, home }
    }

    /// Runs a batch in one transaction and one round trip.
    ///
    /// # Errors
    /// [`Refusal::Credentials`] or [`Refusal::Rights`] when `access` is not proven; the refusals of the guard when the
    /// tenant is suspended, moved or locked; whatever a statement fails with. Nothing is written in any of them.
    pub async fn run<B: Batch>(&self, access: &Access, batch: B) -> Result<Reply<B::Output>, DbError> {
        let mut statements = Statements::default();
        let decode = batch.split(&mut statements);
        let mut tx = TenantTx::open(self).await?;
        let (identity, answers) = tx.first(access, &statements.0, Some("commit")).await?;
        let output = B::decode(decode, &mut Answers(answers.into_iter()))?;
        Ok(Reply { identity, output })
    }

    /// Opens a transaction that spans several round trips; the first one proves `access` and runs `batch`.
    ///
    /// # Errors
    /// As [`TenantDb::run`].
    pub async fn begin<B: Batch>(
        &self,
        access: &Access,
        batch: B,
    ) -> Result<(TenantTx, Reply<B::Output>), DbError> {
        let mut statements = Statements::default();
        let decode = batch.split(&mut statements);
        let mut tx = TenantTx::open(self).await?;
        let (identity, answers) = tx.first(access, &statements.0, None).await?;
        let output = B::decode(decode, &mut Answers(answers.into_iter()))?;
        Ok((tx, Reply { identity, output }))
    }
}

/// An open transaction in a tenant's schema. Dropping it rolls back.
pub struct TenantTx {
    /// There until the drop.
    connection: Option<Object<ConnectionManager>>,
    home: Arc<TenantHome>,
    statement_timeout: String,
    /// A statement has failed: nothing of this transaction can be committed any more.
    failed: bool,
}

impl Drop for TenantTx {
    fn drop(&mut self) {
        // Back in its pool it would hold its locks until somebody wants it; closed, the server rolls back now.
        if let Some(connection) = self.connection.take_if(|connection| !connection.clean) {
            drop(Object::take(connection));
        }
    }
}

impl TenantTx {
    async fn open(db: &TenantDb) -> Result<Self, DbError> {
        let mut connection = db.lanes.connection(&db.home.lane).await?;
        connection.serve(db.home.id.as_uuid());
        Ok(Self {
            connection: Some(connection),
            home: Arc::clone(&db.home),
            statement_timeout: db.lanes.statement_timeout().to_owned(),
            failed: false,
        })
    }

    /// The first round trip. When a table has changed under a prepared statement, which the pipeline forgets then, it
    /// is made once more: no result has been seen yet.
    async fn first(
        &mut self,
        access: &Access,
        statements: &[Statement],
        end: Option<&'static str>,
    ) -> Result<(Identity, Vec<Answer>), DbError> {
        match self.pipeline(Some(access), statements, end).await {
            Err(DbError::Other { code, .. }) if code == SqlState::FEATURE_NOT_SUPPORTED.code() => {
                if end.is_none() {
                    self.pipeline(None, &[], Some("rollback")).await?;
                }
                self.failed = false;
                self.pipeline(Some(access), statements, end).await
            }
            other => other,
        }
    }

    /// Runs a batch in one round trip.
    ///
    /// # Errors
    /// Whatever a statement fails with; the transaction is then over.
    pub async fn run<B: Batch>(&mut self, batch: B) -> Result<B::Output, DbError> {
        self.finish_with(batch, None).await
    }

    /// Runs a last batch and commits, in one round trip.
    ///
    /// # Errors
    /// Whatever a statement or the commit fails with, and always after a statement has failed: the server answers the
    /// commit of a failed transaction as if it were one. Nothing is written then.
    pub async fn commit<B: Batch>(mut self, batch: B) -> Result<B::Output, DbError> {
        if self.failed {
            self.pipeline(None, &[], Some("rollback")).await?;
            return Err(DbError::Other {
                code: SqlState::IN_FAILED_SQL_TRANSACTION.code().to_owned(),
                message: "a statement of this transaction has failed".to_owned(),
            });
        }
        self.finish_with(batch, Some("commit")).await
    }

    /// Gives everything up; the connection goes back to its pool.
    ///
    /// # Errors
    /// When the connection is lost; the server has rolled back then, too.
    pub async fn rollback(mut self) -> Result<(), DbError> {
        self.finish_with((), Some("rollback")).await
    }

    async fn finish_with<B: Batch>(
        &mut self,
        batch: B,
        end: Option<&'static str>,
    ) -> Result<B::Output, DbError> {
        let mut statements = Statements::default();
        let decode = batch.split(&mut statements);
        let (_, answers) = self.pipeline(None, &statements.0, end).await?;
        B::decode(decode, &mut Answers(answers.into_iter()))
    }

    /// Sends the opening (when `access` is given), the statements and the end as one pipeline, and reads all answers.
    async fn pipeline(
        &mut self,
        access: Option<&Access>,
        statements: &[Statement],
        end: Option<&'static str>,
    ) -> Result<(Identity, Vec<Answer>), DbError> {
        let Some(connection) = self.connection.as_mut() else {
            return Err(DbError::Unavailable("the connection is gone".to_owned()));
        };
        let mut own: Vec<Statement> = Vec::with_capacity(3);
        let mut identify = None;
        let mut identity = Identity {
            actor: super::Actor::System,
        };
        if let Some(access) = access {
            own.push(lock(&self.home));
            own.push(guard(&self.home, &self.statement_timeout));
            match access.query() {
                Ok(query) => {
                    identify = Some(query.decode);
                    own.push(query.statement);
                }
                Err(known) => identity = known,
            }
        }

        let tenant = self.home.id.as_uuid();
        let opening = usize::from(access.is_some());
        let guards = 2 * opening;
        let mut steps = Vec::with_capacity(opening + own.len() + statements.len() + 2);
        if access.is_some() {
            steps.push(Step::Control("begin"));
        }
        let mut to_prepare = Vec::new();
        for (index, statement) in own.iter().chain(statements).enumerate() {
            let scope = if index < guards { NO_TENANT } else { tenant };
            let key = Connection::key(scope, statement.text);
            match connection.statements.get(&key).cloned() {
                Some(Known::Prepared(prepared)) => steps.push(Step::Prepared(prepared, statement)),
                Some(Known::Seen) => {
                    steps.push(Step::Typed(statement));
                    if !to_prepare.iter().any(|(known, _)| *known == key) {
                        to_prepare.push((key, statement));
                    }
                }
                None => {
                    steps.push(Step::Typed(statement));
                    connection.statements.put(key, Known::Seen);
                }
            }
        }
        let ran = own.len() + statements.len();
        steps.extend(to_prepare.iter().map(|(_, statement)| Step::Prepare(statement)));
        steps.extend(end.map(Step::Control));

        connection.clean = false;
        let started = std::time::Instant::now();
        let done = pipeline::send(&connection.client, steps).await;
        record_db_round_trip(Plane::Tenant, started.elapsed());
        // Once the server has answered the end, no transaction is open, whatever failed before it; not even when it
        // refused to commit (a deferred constraint).
        connection.clean = end.is_some()
            && match done.last() {
                Some(Ok(_)) => true,
                Some(Err(error)) => error.as_db_error().is_some() && !connection.client.is_closed(),
                None => false,
            };

        let mut answers = Vec::with_capacity(ran);
        let mut prepared = to_prepare.into_iter();
        for (index, result) in done.into_iter().enumerate() {
            match result {
                Ok(Done::Nothing) => {}
                Ok(Done::Answer(answer)) => answers.push(answer),
                Ok(Done::Prepared(statement)) => {
                    if let Some((key, _)) = prepared.next() {
                        connection.statements.put(key, Known::Prepared(statement));
                    }
                }
                Err(error) => {
                    self.failed = true;
                    if has_state(&error, &SqlState::FEATURE_NOT_SUPPORTED) {
                        connection.forget(tenant);
                    }
                    let in_guard = index.checked_sub(opening).is_some_and(|step| step < guards);
                    return Err(cause(error, in_guard));
                }
            }
        }

        let rest = answers.split_off(own.len());
        if let (Some(decode), Some(answer)) = (identify, answers.pop()) {
            identity = decode(answer)?;
        }
        Ok((identity, rest))
    }
}

fn lock(home: &TenantHome) -> Statement {
    Statement {
        text: LOCK,
        params: vec![param(home.id.lock_key())],
    }
}

fn guard(home: &TenantHome, statement_timeout: &str) -> Statement {
    let schema = format!("\"{}\"", home.schema);
    Statement {
        text: GUARD,
        params: vec![
            param(format!("{schema}, pg_temp")),
            param(home.role.clone()),
            param(statement_timeout.to_owned()),
            param(schema),
        ],
    }
}

/// The first failed step is the cause: the server answers the rest with `25P02` and a queued commit rolls back.
fn cause(error: tokio_postgres::Error, in_guard: bool) -> DbError {
    let revoked = in_guard
        && (has_state(&error, &SqlState::INSUFFICIENT_PRIVILEGE)
            || has_state(&error, &SqlState::INVALID_PARAMETER_VALUE));
    if revoked {
        DbError::Refused(Refusal::RoleRevoked)
    } else {
        error.into()
    }
}
