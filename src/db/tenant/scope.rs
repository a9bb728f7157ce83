//! A tenant's scope: the only way to run a [`super::Query`].
//!
//! Guard · credentials · statements, sent together as one transaction that ends with them. The first two raise when
//! they fail, so the server skips everything after them and rolls back. A scope that is dropped half-way takes its
//! connection with it: what the server made of it is unknown.

use std::sync::Arc;

use deadpool::managed::Object;
use tokio_postgres::error::SqlState;
use uuid::Uuid;

use super::access::{Access, Identity};
use super::answer::Answer;
use super::batch::{Answers, Batch, Statements, missing_answer};
use super::connection::ConnectionManager;
use super::lanes::{LaneAddress, Lanes};
use super::query::{Statement, typed as param};
use super::wire::How;
use crate::db::{DbError, Refusal};
use crate::domain::ids::{ShardId, TenantId};
use crate::domain::turns::GuardedShare;
use crate::telemetry::metrics::{
    Plane, count_db_error, count_prepared, record_db_round_trip, record_pool_wait,
};

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

// Left to right: the tenant's lock, which suspension and moving take exclusively; the path, the role and the time limit
// of this transaction; and whether the schema is there. EXECUTE is checked when the statement starts, as the login; what
// follows it runs as the tenant's role. The schema is asked for by name: with it gone, `current_schema()` would try to
// make a temporary one.
macro_rules! guard {
    ($($more:literal)?) => {
        concat!(
            "select case when pg_catalog.pg_try_advisory_xact_lock_shared($1) then 0 else helixai.refuse('HX423') end, ",
            "pg_catalog.set_config('search_path', $2, true), ",
            "pg_catalog.set_config('role', $3, true), ",
            "pg_catalog.set_config('statement_timeout', $4, true), ",
            $($more,)?
            "case when pg_catalog.has_schema_privilege(pg_catalog.to_regnamespace($5)::oid, 'USAGE') then 0 ",
            "else helixai.refuse('HX503') end"
        )
    };
}

const GUARD: &str = guard!();
/// Connections of lanes plan a statement once for all values; this transaction plans each for its own.
const GUARD_WITH_OWN_PLANS: &str =
    guard!("pg_catalog.set_config('plan_cache_mode', 'force_custom_plan', true), ");

impl TenantDb {
    /// The database of the tenant that lives at `home`.
    pub fn new(lanes: Lanes, home: Arc<TenantHome>) -> Self {
        Self { lanes, home }
    }

    /// Where the tenant lives, as far as this knows.
    pub fn shard(&self) -> ShardId {
        self.home.lane.shard
    }

    /// Runs a batch in one transaction and one round trip.
    ///
    /// # Errors
    /// [`Refusal::Credentials`] or [`Refusal::Rights`] when `access` is not proven; the refusals of the guard when the
    /// tenant is suspended, moved or locked; whatever a statement fails with. Nothing is written in any of them, unless an
    /// answer cannot be read, a defect of the query.
    pub async fn run<B: Batch>(&self, access: &Access, batch: B) -> Result<Reply<B::Output>, DbError> {
        self.run_following(access, batch, async |_| None).await
    }

    /// As [`TenantDb::run`] for a tenant that may be on its way to another place. When the database says that it is not
    /// here (any more, or just now), `elsewhere` is asked for the home to try next; `None` lets the refusal stand.
    ///
    /// # Errors
    /// As [`TenantDb::run`].
    pub async fn run_following<B: Batch>(
        &self,
        access: &Access,
        batch: B,
        elsewhere: impl AsyncFnMut(Refusal) -> Option<Arc<TenantHome>>,
    ) -> Result<Reply<B::Output>, DbError> {
        let mut statements = Statements::default();
        let decode = batch.split(&mut statements);
        let (_, identity, answers) = self.first(access, &statements.0, None, elsewhere).await?;
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
        self.begin_following(access, batch, async |_| None).await
    }

    /// As [`TenantDb::begin`], following the tenant as [`TenantDb::run_following`] does; later round trips stay where the
    /// first one was.
    ///
    /// # Errors
    /// As [`TenantDb::run`].
    pub async fn begin_following<B: Batch>(
        &self,
        access: &Access,
        batch: B,
        elsewhere: impl AsyncFnMut(Refusal) -> Option<Arc<TenantHome>>,
    ) -> Result<(TenantTx, Reply<B::Output>), DbError> {
        let mut statements = Statements::default();
        let decode = batch.split(&mut statements);
        let (tx, identity, answers) = self.first(access, &statements.0, Some(&BEGIN), elsewhere).await?;
        let output = B::decode(decode, &mut Answers(answers.into_iter()))?;
        Ok((tx, Reply { identity, output }))
    }

    /// The first round trip, wherever the tenant is: a guard that refuses has let nothing run, so it is made again.
    async fn first(
        &self,
        access: &Access,
        statements: &[Statement],
        begin: Option<&'static Statement>,
        mut elsewhere: impl AsyncFnMut(Refusal) -> Option<Arc<TenantHome>>,
    ) -> Result<(TenantTx, Identity, Vec<Answer>), DbError> {
        let mut home = Arc::clone(&self.home);
        loop {
            let mut tx = TenantTx::open(&self.lanes, home, access.is_known()).await?;
            let error = match tx.first(access, statements, begin).await {
                Ok((identity, answers)) => return Ok((tx, identity, answers)),
                Err(error) => error,
            };
            // Its connection is free while this waits.
            drop(tx);
            let Some(refusal) = error.refusal().filter(|refusal| refusal.is_about_the_tenant()) else {
                return Err(error);
            };
            home = elsewhere(refusal).await.ok_or(error)?;
        }
    }
}

/// An open transaction in a tenant's schema. Dropping it rolls back.
pub struct TenantTx {
    /// There until the drop.
    connection: Option<Object<ConnectionManager>>,
    /// Of the lane, given back after the connection.
    _share: GuardedShare,
    home: Arc<TenantHome>,
    statement_timeout: String,
    /// A statement has failed: nothing of this transaction can be committed any more.
    failed: bool,
}

static BEGIN: Statement = Statement::bare("begin");
static COMMIT: Statement = Statement::bare("commit");
static ROLLBACK: Statement = Statement::bare("rollback");

impl Drop for TenantTx {
    fn drop(&mut self) {
        // Back in its pool it would hold its locks until somebody wants it; closed, the server rolls back now.
        if let Some(connection) = self.connection.take_if(|connection| !connection.wire.is_idle()) {
            drop(Object::take(connection));
        }
    }
}

impl TenantTx {
    async fn open(lanes: &Lanes, home: Arc<TenantHome>, is_known: bool) -> Result<Self, DbError> {
        let asked = std::time::Instant::now();
        let connection = lanes.connection(home.id, &home.lane, is_known).await;
        record_pool_wait(Plane::Tenant, asked.elapsed());
        let (mut connection, share) = connection.map_err(counted)?;
        connection.serve(home.id.as_uuid());
        Ok(Self {
            connection: Some(connection),
            _share: share,
            home,
            statement_timeout: lanes.statement_timeout().to_owned(),
            failed: false,
        })
    }

    /// The first round trip. When a table has changed under a prepared statement, which is forgotten then, it is made
    /// once more: no result has been seen yet.
    async fn first(
        &mut self,
        access: &Access,
        statements: &[Statement],
        begin: Option<&'static Statement>,
    ) -> Result<(Identity, Vec<Answer>), DbError> {
        let opened = match self.opening(access, statements, begin).await {
            Err(DbError::Other { code, .. }) if code == TABLE_HAS_CHANGED => {
                self.failed = false;
                self.opening(access, statements, begin).await
            }
            other => other,
        };
        opened.map_err(counted)
    }

    /// Guard, credentials and the first statements.
    async fn opening(
        &mut self,
        access: &Access,
        statements: &[Statement],
        begin: Option<&'static Statement>,
    ) -> Result<(Identity, Vec<Answer>), DbError> {
        let own_plans = statements.iter().any(Statement::wants_own_plan);
        let guard = guard(&self.home, &self.statement_timeout, own_plans);
        let (proof, known) = match access.query() {
            Ok(query) => (Some(query), None),
            Err(identity) => (None, Some(identity)),
        };
        let tenant = Some(self.home.id.as_uuid());
        let mut flight = Vec::with_capacity(statements.len() + 3);
        flight.extend(begin.map(|begin| (None, begin)));
        let guard_at = flight.len();
        flight.push((None, &guard));
        flight.extend(proof.iter().map(|query| (tenant, &query.statement)));
        let own = flight.len();
        flight.extend(statements.iter().map(|statement| (tenant, statement)));

        let mut answers = self.fly(&flight).await.map_err(|(position, error)| match error {
            DbError::Other { code, .. } if position == guard_at && ROLE_REVOKED.contains(&code.as_str()) => {
                DbError::Refused(Refusal::RoleRevoked)
            }
            other => other,
        })?;
        drop(flight);
        let rest = answers.split_off(own.min(answers.len()));
        match (known, proof, answers.pop()) {
            (Some(identity), ..) => Ok((identity, rest)),
            (None, Some(query), Some(answer)) => Ok(((query.decode)(answer)?, rest)),
            _ => Err(missing_answer()),
        }
    }

    /// Runs a batch in one round trip.
    ///
    /// # Errors
    /// Whatever a statement fails with; the transaction is then over.
    pub async fn run<B: Batch>(&mut self, batch: B) -> Result<B::Output, DbError> {
        self.go_on(batch, None).await
    }

    /// Runs a last batch and commits, in one round trip.
    ///
    /// # Errors
    /// Whatever a statement or the commit fails with, and always after a statement has failed. Nothing is written then.
    pub async fn commit<B: Batch>(mut self, batch: B) -> Result<B::Output, DbError> {
        self.go_on(batch, Some(&COMMIT)).await
    }

    /// Gives everything up; the connection goes back to its pool.
    ///
    /// # Errors
    /// When the connection is lost; the server has rolled back then, too.
    pub async fn rollback(mut self) -> Result<(), DbError> {
        if !self.failed {
            self.fly(&[(None, &ROLLBACK)]).await.map_err(|(_, error)| error)?;
        }
        Ok(())
    }

    async fn go_on<B: Batch>(
        &mut self,
        batch: B,
        end: Option<&'static Statement>,
    ) -> Result<B::Output, DbError> {
        let mut statements = Statements::default();
        let decode = batch.split(&mut statements);
        let tenant = Some(self.home.id.as_uuid());
        let mut flight: Vec<_> = statements.0.iter().map(|statement| (tenant, statement)).collect();
        flight.extend(end.map(|end| (None, end)));
        let answers = self.fly(&flight).await.map_err(|(_, error)| {
            counted(match error {
                // Earlier answers have been seen, so it is for the caller to begin again.
                DbError::Other { code, .. } if code == TABLE_HAS_CHANGED => DbError::Conflict(code),
                other => other,
            })
        })?;
        B::decode(decode, &mut Answers(answers.into_iter()))
    }

    /// Sends statements, each with the tenant that it is prepared for, and reads all answers. An error comes with the
    /// position of the statement that failed; the transaction is over then, and nothing more can be sent: it would run
    /// outside of it.
    async fn fly(&mut self, flight: &[(Option<Uuid>, &Statement)]) -> Result<Vec<Answer>, (usize, DbError)> {
        let connection = match self.connection.as_mut() {
            Some(connection) if !self.failed => connection,
            _ => return Err((0, over())),
        };
        let sent: Vec<_> = flight
            .iter()
            .map(|(tenant, statement)| (*statement, connection.how(*tenant, statement)))
            .collect();
        let started = std::time::Instant::now();
        // Until it has landed well: it may be dropped while it flies.
        self.failed = true;
        let landed = connection.wire.send(&sent).await;
        record_db_round_trip(Plane::Tenant, started.elapsed());
        let landed = landed.map_err(|error| (0, error))?;

        count_prepared(landed.prepared.len());
        for (position, prepared) in landed.prepared {
            if let Some((tenant, statement)) = flight.get(position) {
                connection.prepared(*tenant, statement, prepared);
            }
        }
        let Some((position, error)) = landed.failed else {
            self.failed = false;
            return Ok(landed.answers);
        };
        if error.state == TABLE_HAS_CHANGED {
            connection.forget(self.home.id.as_uuid());
        }
        if connection.wire.is_in_transaction() {
            // Should it not arrive, the connection is not idle and will be closed.
            let _ = connection.wire.send(&[(&ROLLBACK, How::Once)]).await;
        }
        Err((position, error.into()))
    }
}

fn counted(error: DbError) -> DbError {
    count_db_error(Plane::Tenant, error.kind());
    error
}

fn over() -> DbError {
    DbError::Other {
        code: SqlState::IN_FAILED_SQL_TRANSACTION.code().to_owned(),
        message: "this transaction is over".to_owned(),
    }
}

/// A prepared statement no longer fits its table: `cached plan must not change result type`.
const TABLE_HAS_CHANGED: &str = "0A000";
/// `set role` is not permitted, or there is no such role.
const ROLE_REVOKED: [&str; 2] = ["42501", "22023"];

fn guard(home: &TenantHome, statement_timeout: &str, own_plans: bool) -> Statement {
    let schema = format!("\"{}\"", home.schema);
    let params = vec![
        param(home.id.lock_key()),
        param(format!("{schema}, pg_temp")),
        param(home.role.clone()),
        param(statement_timeout.to_owned()),
        param(schema),
    ];
    Statement::new(if own_plans { GUARD_WITH_OWN_PLANS } else { GUARD }, params)
}
