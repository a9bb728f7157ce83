//! Requests that change the registry: done once, and answered the same when they are repeated with their `Idempotency-Key`. What
//! changes a tenant's own schema is in [`super::create`].

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::CONTENT_TYPE;
use chrono::TimeDelta;
use serde::Serialize;
use uuid::Uuid;

use super::create::key_reused;
use super::extract::IdempotencyHeader;
use super::problem::Problem;
use crate::db::master::MasterTx;
use crate::db::master::audit::{MasterActor, Origin};
use crate::db::master::idempotency::{self, IdempotencyRecord};
use crate::db::tenant::{Actor, Identity};
use crate::platform::Platform;
use crate::telemetry::request_id;

/// How long an answer is kept.
const KEPT: TimeDelta = TimeDelta::hours(24);

/// A request as it may be repeated.
pub struct Repeatable {
    /// Who asks for what, as `tenant:<id>:cancel_subscription`: keys of two callers or operations do not meet.
    pub scope: String,
    /// The header.
    pub key: IdempotencyHeader,
    /// Of what was sent.
    pub hash: [u8; 32],
    /// How it is answered.
    pub status: StatusCode,
}

/// Who asks for a change, as the registry's audit names them, and in which request.
pub fn origin_of(identity: &Identity) -> Origin {
    let actor = match identity.actor {
        Actor::User { id, .. } | Actor::Linked { id } => MasterActor::User(id),
        Actor::ApiKey { .. } | Actor::Public | Actor::System => MasterActor::System,
    };
    Origin {
        actor,
        request_id: request_id::current().map(|id| id.to_string()),
    }
}

/// Does `work` in a transaction and answers what it shows; both are committed together, or neither is.
///
/// # Errors
/// What `work` refuses; 422 `idempotency_key_reused` for another request under the same key.
pub async fn answer_once<T: Serialize>(
    platform: &Platform,
    request: Repeatable,
    work: impl AsyncFnOnce(&mut MasterTx) -> Result<T, Problem>,
) -> Result<HttpResponse, Problem> {
    let key = request.key.clone().key()?;
    let (id, now) = (Uuid::now_v7(), platform.clock.now());
    let mut tx = platform.master.begin().await?;
    if let Some(key) = &key {
        let (scope, hash) = (&request.scope, &request.hash);
        if let Some(known) = idempotency::claim(&mut tx, scope, key, hash, id, now + KEPT, now).await? {
            return replay(platform, &request, known);
        }
    }
    let shown = work(&mut tx).await?;
    let body = serde_json::to_string(&shown).map_err(|error| {
        tracing::error!(%error, "an answer cannot be written as JSON");
        Problem::internal()
    })?;
    if key.is_some() {
        let sealed = platform.key.seal(&context(&request), body.as_bytes());
        let status = i16::try_from(request.status.as_u16()).unwrap_or(200);
        idempotency::answer(&mut tx, id, status, &sealed).await?;
    }
    tx.commit().await?;
    Ok(json(body, request.status))
}

fn replay(
    platform: &Platform,
    request: &Repeatable,
    known: IdempotencyRecord,
) -> Result<HttpResponse, Problem> {
    if known.request_hash != request.hash {
        return Err(key_reused());
    }
    let sealed = known.response_sealed.unwrap_or_default();
    let body = platform.key.open(&context(request), &sealed);
    match body.and_then(|body| String::from_utf8(body.to_vec()).ok()) {
        Some(body) => Ok(json(body, request.status)),
        None => {
            tracing::error!("a kept answer does not open: was platform.key changed?");
            Err(Problem::internal())
        }
    }
}

fn context(request: &Repeatable) -> String {
    format!("answer:{}", request.scope)
}

fn json(body: String, status: StatusCode) -> HttpResponse {
    HttpResponse::build(status)
        .insert_header((CONTENT_TYPE, "application/json"))
        .body(body)
}
