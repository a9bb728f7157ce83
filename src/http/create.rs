//! Answering a creating request: 201, and the same 201 again when it is repeated with its `Idempotency-Key`.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::CONTENT_TYPE;
use serde::Serialize;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::extract::{IdempotencyHeader, Permission, TenantAccess};
use super::problem::Problem;
use crate::db::DbError;
use crate::db::tenant::{Batch, Reply, idempotency};
use crate::domain::metering::Exhausted;
use crate::domain::usage::STORAGE;

/// A creating request as it may be repeated.
pub struct Creation {
    /// Name of the operation: keys of two operations do not meet.
    pub operation: &'static str,
    /// The header.
    pub key: IdempotencyHeader,
    /// SHA-256 of the body, and [of the address](hash_at) when it names a row.
    pub hash: [u8; 32],
    /// The row that the answer speaks of, when it is one.
    pub row: Option<Uuid>,
}

/// What tells a request for this row from one of the same body for another.
pub fn hash_at(row: impl Into<Uuid>, body: [u8; 32]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(row.into());
    hash.update(body);
    hash.finalize().into()
}

impl<P: Permission> TenantAccess<P> {
    /// Creates something: as [`TenantAccess::answer_once`], while there is storage left for it.
    ///
    /// # Errors
    /// As there; 402 `limit_exceeded` when the plan's storage is used up.
    pub async fn create<B: Batch, T: Serialize>(
        &self,
        creation: Creation,
        batch: B,
        show: impl FnOnce(B::Output) -> T,
        refuse: impl Fn(&DbError) -> Option<Problem>,
    ) -> Result<HttpResponse, Problem> {
        let full = self.storage_left().err();
        let outcome = self.once(creation, full, batch, show, refuse).await;
        self.naming_plan(outcome).await
    }

    /// Says how much of `meter` the plan includes and how much of it there is, when the database's refusal was that there is
    /// no more: of what is counted where it is held, by `count`.
    ///
    /// # Errors
    /// The refusal.
    pub async fn counting<T>(
        &self,
        outcome: Result<T, Problem>,
        meter: &'static str,
        count: impl Batch<Output = i64>,
    ) -> Result<T, Problem> {
        match outcome {
            Err(problem) if problem.code() == Problem::LIMIT_EXCEEDED && problem.exhaustion().is_none() => {
                let used = self.run(count).await?.output;
                let limit = self.tenant.limit_of(meter).unwrap_or(used);
                let exhausted = Exhausted {
                    limit,
                    used,
                    reserved: 0,
                };
                self.naming_plan(Err(Problem::limit_exceeded(meter, exhausted)))
                    .await
            }
            other => other,
        }
    }

    /// Names the plan that includes more, when the refusal is that this one includes no more.
    ///
    /// # Errors
    /// The refusal.
    pub async fn naming_plan<T>(&self, outcome: Result<T, Problem>) -> Result<T, Problem> {
        let mut problem = match outcome {
            Ok(output) => return Ok(output),
            Err(problem) => problem,
        };
        if let Some(of) = problem.exhaustion_mut() {
            let more = of.exhausted.limit.max(of.exhausted.used);
            of.plan = self.platform().plans.cheapest_above(of.meter, more).await?;
        }
        Err(problem)
    }

    /// 402 when the plan's storage is used up.
    ///
    /// # Errors
    /// That.
    pub fn storage_left(&self) -> Result<(), Problem> {
        match self.tenant.storage_exhausted() {
            Some(exhausted) => Err(Problem::limit_exceeded(STORAGE, exhausted)),
            None => Ok(()),
        }
    }

    /// Runs `batch` and answers 201 with what `show` makes of its output. With an `Idempotency-Key` the answer is
    /// kept, sealed, in the same transaction; without one it is one round trip. `refuse` explains the constraints
    /// that the request can violate.
    ///
    /// # Errors
    /// As [`TenantAccess::run`]; 422 `idempotency_key_reused` for another body under the same key.
    pub async fn answer_once<B: Batch, T: Serialize>(
        &self,
        creation: Creation,
        batch: B,
        show: impl FnOnce(B::Output) -> T,
        refuse: impl Fn(&DbError) -> Option<Problem>,
    ) -> Result<HttpResponse, Problem> {
        self.once(creation, None, batch, show, refuse).await
    }

    /// What a repeated request was answered, if it was, and what `batch` yields, in one round trip: for a request that has to ask
    /// the outside before it is [answered](TenantAccess::answer_once).
    ///
    /// # Errors
    /// As [`TenantAccess::run`]; 422 `idempotency_key_reused` for another body under the same key.
    pub async fn answered<B: Batch>(
        &self,
        creation: &Creation,
        batch: B,
    ) -> Result<(Option<HttpResponse>, Reply<B::Output>), Problem> {
        let key = self.check(creation.key.clone().key()).await?;
        let find = key.map(|key| idempotency::find(&self.access, creation.operation, &key));
        let Reply { identity, output } = self.run((find, batch)).await?;
        let (used, output) = output;
        let answer = match used.flatten() {
            Some(used) => Some(self.replay(Some(used), creation.hash)?),
            None => None,
        };
        Ok((answer, Reply { identity, output }))
    }

    /// With `full`, only what has been answered before is answered.
    async fn once<B: Batch, T: Serialize>(
        &self,
        creation: Creation,
        full: Option<Problem>,
        batch: B,
        show: impl FnOnce(B::Output) -> T,
        refuse: impl Fn(&DbError) -> Option<Problem>,
    ) -> Result<HttpResponse, Problem> {
        let operation = creation.operation;
        let Some(key) = self.check(creation.key.key()).await? else {
            self.check(full.map_or(Ok(()), Err)).await?;
            let reply = self.run_or(batch, refuse).await?;
            return created(to_json(&show(reply.output))?, StatusCode::CREATED);
        };
        let claim = idempotency::claim(&self.access, operation, &key, creation.hash);
        let pruned = idempotency::prune(creation.hash, self.now);
        let (mut tx, reply) = self.begin((claim, pruned)).await?;
        let (Some(scope), _) = reply.output else {
            let used = tx
                .commit(idempotency::find(&self.access, operation, &key))
                .await?;
            return self.replay(used, creation.hash);
        };
        if let Some(full) = full {
            tx.rollback().await?;
            return Err(full);
        }
        let output = match tx.run(batch).await {
            Ok(output) => output,
            Err(error) => {
                tx.rollback().await?;
                return Err(refuse(&error).unwrap_or_else(|| error.into()));
            }
        };
        let body = to_json(&show(output))?;
        let sealed = self.platform().key.seal(&self.context(), body.as_bytes());
        tx.commit(idempotency::answer(scope, &key, 201, sealed, creation.row))
            .await?;
        created(body, StatusCode::CREATED)
    }

    fn replay(&self, used: Option<idempotency::Used>, hash: [u8; 32]) -> Result<HttpResponse, Problem> {
        let in_progress = || {
            Problem::conflict(
                "request_in_progress",
                "The first request with this Idempotency-Key is still at work.",
            )
        };
        let used = used.ok_or_else(in_progress)?;
        if used.request_hash != hash {
            return Err(key_reused());
        }
        let sealed = used.response_sealed.ok_or_else(in_progress)?;
        let status = used
            .status_code
            .and_then(|code| StatusCode::from_u16(code.unsigned_abs()).ok());
        let body = self
            .platform()
            .key
            .open(&self.context(), &sealed)
            .and_then(|body| String::from_utf8(body.to_vec()).ok());
        match (body, status) {
            (Some(body), Some(status)) => created(body, status),
            _ => {
                tracing::error!("a kept answer does not open: was platform.key changed?");
                Err(Problem::internal())
            }
        }
    }

    fn context(&self) -> String {
        format!("answer:{}", self.tenant.home.id)
    }
}

/// 422: the key belongs to another body.
pub fn key_reused() -> Problem {
    Problem::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "idempotency_key_reused",
        "This Idempotency-Key was used for another request: use a new key for each new request.",
    )
}

fn to_json(body: &impl Serialize) -> Result<String, Problem> {
    serde_json::to_string(body).map_err(|error| {
        tracing::error!(%error, "an answer cannot be written as JSON");
        Problem::internal()
    })
}

fn created(body: String, status: StatusCode) -> Result<HttpResponse, Problem> {
    Ok(HttpResponse::build(status)
        .insert_header((CONTENT_TYPE, "application/json"))
        .body(body))
}
