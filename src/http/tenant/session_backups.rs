//! `/api/bots/{id}/session-backups`: copies of the device that a bot of WhatsApp is. What is in them is a secret: it never leaves the server,
//! and only owners see that there are any.

use std::cell::Cell;

use actix_web::{HttpResponse, get, post, web};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::channels::copies::CopyError;
use crate::db::tenant::whatsapp::copies::{self, Over};
use crate::db::tenant::{audit, instances, whatsapp};
use crate::db::{DbError, Refusal};
use crate::domain::ids::{DeviceCopyId, InstanceId};
use crate::domain::instance::Instance;
use crate::domain::page::Page;
use crate::http::body::{OptionalBody, path_id};
use crate::http::create::{Creation, hash_at};
use crate::http::extract::{IdempotencyHeader, OwnAccounts, OwnTenant, TenantAccess};
use crate::http::problem::{Problem, ProblemBody};
use crate::storage::KeptCopy;

/// A copy of a bot's device, without what is in it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct SessionBackup {
    /// Names it.
    pub id: DeviceCopyId,
    /// The moment whose keys these are.
    pub taken_at: Option<DateTime<Utc>>,
    /// Its size.
    pub bytes: u64,
}

impl From<KeptCopy> for SessionBackup {
    fn from(copy: KeptCopy) -> Self {
        Self {
            id: copy.id,
            taken_at: copy.id.moment(),
            bytes: copy.bytes,
        }
    }
}

impl From<CopyError> for Problem {
    fn from(error: CopyError) -> Self {
        match error {
            CopyError::Db(error) => error.into(),
            CopyError::Unreadable => Self::conflict(
                "session_backup_unreadable",
                "This session backup was altered, or made with another key of the platform: it is of no use.",
            ),
            CopyError::Io(error) => {
                tracing::error!(%error, "the folder of session backups cannot be used");
                Self::internal()
            }
        }
    }
}

fn not_linked() -> Problem {
    Problem::conflict(
        "not_linked",
        "The bot is linked to no telephone: there is nothing to back up.",
    )
}

fn refuse(error: &DbError) -> Option<Problem> {
    match error.refusal()? {
        Refusal::State => Some(Problem::conflict(
            "bot_active",
            "The bot runs: stop it first (PATCH /api/bots/{id}/status with is_active false), and try again a few seconds later.",
        )),
        Refusal::Stale => Some(device_linked()),
        _ => None,
    }
}

fn device_linked() -> Problem {
    Problem::conflict(
        "device_linked",
        "The bot is linked, with keys that are newer than the backup's: put back, it could not read what was sealed for these. Say \
         {\"replace\": true} to lose them.",
    )
}

/// List the backups of a bot's link to its telephone, newest first. They are few: there is one page.
#[utoipa::path(
    tag = "bots", operation_id = "list_session_backups", params(("id" = InstanceId, Path)), security(("bearer" = [])),
    responses((status = 200, body = Page<SessionBackup>), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[get("/api/bots/{id}/session-backups")]
pub async fn list_session_backups(
    access: TenantAccess<OwnAccounts>,
    id: web::Path<String>,
) -> Result<web::Json<Page<SessionBackup>>, Problem> {
    let id: InstanceId = access.check(path_id(&id)).await?;
    let find = instances::find(id, access.access.session());
    access.run(find).await?.output.ok_or_else(Problem::not_found)?;
    let of = (access.tenant.home.id, id);
    let copies = access.platform().channels.list_copies(of).await?;
    Ok(web::Json(Page {
        items: copies.into_iter().map(SessionBackup::from).collect(),
        next_cursor: None,
    }))
}

/// Back up a bot's link to its telephone now. The bot goes on meanwhile. 409 `not_linked` when there is none.
#[utoipa::path(
    tag = "bots", operation_id = "create_session_backup", security(("bearer" = [])),
    params(
        ("id" = InstanceId, Path),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeats of a request with the same key are one request")
    ),
    responses((status = 201, body = SessionBackup), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[post("/api/bots/{id}/session-backups")]
pub async fn create_session_backup(
    access: TenantAccess<OwnTenant>,
    id: web::Path<String>,
    key: IdempotencyHeader,
) -> Result<HttpResponse, Problem> {
    let id: InstanceId = access.check(path_id(&id)).await?;
    let (channels, of) = (&access.platform().channels, (access.tenant.home.id, id));
    let creation = Creation {
        operation: "create_session_backup",
        key,
        hash: hash_at(id, [0; 32]),
        row: Some(id.as_uuid()),
    };
    let read = (instances::find(id, access.access.session()), copies::read(id));
    let (answered, reply) = access.answered(&creation, read).await?;
    if let Some(answer) = answered {
        return Ok(answer);
    }
    let (bot, device) = reply.output;
    bot.ok_or_else(Problem::not_found)?;
    // The file first: an answer never speaks of one that is not there.
    let kept = channels.keep_copy(of, device, access.now).await?;
    let kept = kept.ok_or_else(not_linked)?;
    let details = json!({ "backup": kept.id });
    let batch = (
        instances::lock(id, None, access.access.session()),
        audit::insert_with(&access.access, "bot.session_backup", "instances", id, details),
    );
    let made = Cell::new(false);
    let show = |_| {
        made.set(true);
        SessionBackup::from(kept)
    };
    let outcome = access.answer_once(creation, batch, show, |_| None).await;
    if !made.get() {
        // Another request with the same key was quicker.
        let folder = &channels.copies.folder;
        folder
            .retain(of, move |_, copy| copy.id != kept.id)
            .await
            .map_err(CopyError::from)?;
    }
    outcome
}

/// How a backup is put back.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RestoreSession {
    /// Whether a device that is linked still may be lost to it.
    #[serde(default)]
    replace: bool,
}

/// Put a backup of a bot's link to its telephone back: started again, the bot needs no code. Only while it is stopped (409 `bot_active`);
/// what it is linked by now is lost, so that has to be said where there is a device (409 `device_linked`).
#[utoipa::path(
    tag = "bots", operation_id = "restore_session_backup", request_body = RestoreSession, security(("bearer" = [])),
    params(("id" = InstanceId, Path), ("backup" = DeviceCopyId, Path)),
    responses((status = 200, body = Instance), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[post("/api/bots/{id}/session-backups/{backup}/restore")]
pub async fn restore_session_backup(
    access: TenantAccess<OwnTenant>,
    path: web::Path<(String, String)>,
    body: OptionalBody<RestoreSession>,
) -> Result<web::Json<Instance>, Problem> {
    let (id, backup) = path.into_inner();
    let id: InstanceId = access.check(path_id(&id)).await?;
    let backup: DeviceCopyId = access.check(path_id(&backup)).await?;
    let body = access.check(body.0).await?;
    let session = access.access.session();
    let found = access.run((instances::find(id, session), whatsapp::find_device(id)));
    let (bot, device) = found.await?.output;
    bot.ok_or_else(Problem::not_found)?;
    let (channels, of) = (&access.platform().channels, (access.tenant.home.id, id));
    let copy = channels
        .open_copy(of, backup)
        .await?
        .ok_or_else(Problem::not_found)?;
    let over = match body.replace {
        true => Over::Any,
        false => channels.may_be_lost(of, device).ok_or_else(device_linked)?,
    };
    let details = json!({ "backup": backup, "replace": body.replace });
    let batch = (
        instances::lock(id, None, session),
        Vec::from(copies::put_back(id, copy, over, access.now)),
        instances::find(id, session),
        audit::insert_with(&access.access, "bot.session_restore", "instances", id, details),
    );
    let (_, _, bot, _) = access.run_or(batch, refuse).await?.output;
    bot.map(web::Json).ok_or_else(Problem::not_found)
}
