//! `/api/admin/tenants/{tenant_key}`: another key, put away, brought back, deleted.
//!
//! What takes longer than a request is decided in one transaction and answered 202; it is then carried out beside the
//! request, or by the reconciler when this process ends before it has.

use actix_web::{HttpResponse, delete, post, web};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::tenants::{Tenant, path_key, wrong_state};
use crate::db::master::archives::ArchiveRecord;
use crate::domain::hex::hex;
use crate::domain::invalid::FieldErrors;
use crate::domain::tenant_key::TenantKey;
use crate::http::body::Body;
use crate::http::extract::AdminAccess;
use crate::http::problem::{Problem, ProblemBody};
use crate::tenancy::keeper::{Decided, Fate, KeeperError, OnProgress};

/// What is known of a tenant that is put away, is being put away, or is being brought back.
#[derive(Serialize, utoipa::ToSchema)]
pub struct TenantArchive {
    /// When all of it is removed for good; `null`: it is kept.
    pub(super) purge_at: Option<DateTime<Utc>>,
    /// The moment whose rows were kept; `null` while they are being written.
    made_at: Option<DateTime<Utc>>,
    /// How many rows.
    rows: Option<i64>,
    /// Length of the snapshot.
    bytes: Option<i64>,
    /// SHA-256 of the snapshot.
    sha256: Option<String>,
    /// Why the last attempt to put it away, or to bring it back, did not succeed.
    error: Option<String>,
}

impl From<ArchiveRecord> for TenantArchive {
    fn from(archive: ArchiveRecord) -> Self {
        let kept = archive.snapshot;
        Self {
            purge_at: archive.purge_at,
            made_at: kept.as_ref().map(|kept| kept.made_at),
            rows: kept.as_ref().map(|kept| kept.rows),
            bytes: kept.as_ref().map(|kept| kept.bytes),
            sha256: kept.map(|kept| hex(&kept.sha256)),
            error: archive.error,
        }
    }
}

/// Another key for a tenant.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RenameTenant {
    /// The new key: its subdomain and `X-Tenant-Key`.
    #[schema(value_type = TenantKey)]
    tenant_key: Option<String>,
}

impl RenameTenant {
    fn check(self) -> Result<TenantKey, FieldErrors> {
        let mut errors = FieldErrors::new();
        let key = errors.check(
            "tenant_key",
            TenantKey::parse(&self.tenant_key.unwrap_or_default()),
        );
        errors.finish(|| key)
    }
}

/// Give a tenant another key and address. The names of its schema and role stay; requests for the former key are led to it
/// for a while, and nobody else ever gets that key. Repeating it is no error.
#[utoipa::path(
    tag = "admin tenants", operation_id = "rename_tenant", params(("tenant_key" = String, Path)),
    request_body = RenameTenant, security(("admin" = [])),
    responses((status = 200, body = Tenant), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[post("/api/admin/tenants/{tenant_key}/rename")]
pub async fn rename_tenant(
    access: AdminAccess,
    key: web::Path<String>,
    body: Body<RenameTenant>,
) -> Result<web::Json<Tenant>, Problem> {
    let key = path_key(&key)?;
    let new = body.value?.check()?;
    let (keeper, origin, former) = (access.platform.keeper.clone(), access.origin(), key.clone());
    let work = tokio::spawn(async move { keeper.rename(&key, &new, origin).await });
    let tenant = work.await.map_err(|_| Problem::internal())?.map_err(refused)?;
    access.platform.resolver.changed(former.as_str());
    access.platform.resolver.changed(&tenant.key);
    Ok(web::Json(Tenant::new(tenant, &access.platform)))
}

/// Put a tenant away: nobody is served any more when this has answered. Its data goes into a snapshot, is removed from the
/// database, and is kept until somebody brings it back. Of a deleted tenant this lifts the date on which it is removed.
#[utoipa::path(
    tag = "admin tenants", operation_id = "archive_tenant", params(("tenant_key" = String, Path)), security(("admin" = [])),
    responses((status = 202, body = Tenant), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[post("/api/admin/tenants/{tenant_key}/archive")]
pub async fn archive_tenant(access: AdminAccess, key: web::Path<String>) -> Result<HttpResponse, Problem> {
    put_away(access, &key, Fate::Kept).await
}

/// Delete a tenant: as `archive`, and after a grace all of it is removed for good, its archive included; backups that were
/// made by the clock go when they are kept no longer. Until then `restore` brings it back.
#[utoipa::path(
    tag = "admin tenants", operation_id = "delete_tenant", params(("tenant_key" = String, Path)), security(("admin" = [])),
    responses((status = 202, body = Tenant), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[delete("/api/admin/tenants/{tenant_key}")]
pub async fn delete_tenant(access: AdminAccess, key: web::Path<String>) -> Result<HttpResponse, Problem> {
    put_away(access, &key, Fate::Deleted).await
}

/// Bring back a tenant that was archived or deleted. Of one that is served there is nothing to do.
#[utoipa::path(
    tag = "admin tenants", operation_id = "restore_tenant", params(("tenant_key" = String, Path)), security(("admin" = [])),
    responses((status = 202, body = Tenant), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[post("/api/admin/tenants/{tenant_key}/restore")]
pub async fn restore_tenant(access: AdminAccess, key: web::Path<String>) -> Result<HttpResponse, Problem> {
    let key = path_key(&key)?;
    let (keeper, origin) = (access.platform.keeper.clone(), access.origin());
    let work = tokio::spawn(async move { keeper.decide_bring_back(&key, origin).await });
    let decided = work.await.map_err(|_| Problem::internal())?.map_err(refused)?;
    Ok(accepted(&access, decided))
}

async fn put_away(access: AdminAccess, key: &str, fate: Fate) -> Result<HttpResponse, Problem> {
    let key = path_key(key)?;
    let (keeper, origin) = (access.platform.keeper.clone(), access.origin());
    let work = tokio::spawn(async move { keeper.decide_archive(&key, fate, origin).await });
    let decided = work.await.map_err(|_| Problem::internal())?.map_err(refused)?;
    Ok(accepted(&access, decided))
}

/// Answers what was decided and carries it out beside the request.
fn accepted(access: &AdminAccess, decided: Decided) -> HttpResponse {
    access.platform.resolver.changed(&decided.tenant.key);
    if decided.unfinished {
        let (keeper, resolver) = (access.platform.keeper.clone(), access.platform.resolver.clone());
        let (decided, origin) = (decided.clone(), access.origin());
        tokio::spawn(async move {
            let silent: OnProgress = std::sync::Arc::new(|_, _, _| {});
            let outcome = keeper.carry_out(&decided, origin, &silent).await;
            resolver.changed(&decided.tenant.key);
            match outcome {
                Ok(()) | Err(KeeperError::Busy) => {}
                Err(error) => {
                    let id = decided.tenant.id;
                    tracing::error!(tenant_id = %id, %error, "what was decided about {id} is not done: {error}");
                }
            }
        });
    }
    let tenant = Tenant::new(decided.tenant, &access.platform).with_archive(decided.archive);
    HttpResponse::Accepted().json(tenant)
}

fn refused(error: KeeperError) -> Problem {
    match error {
        KeeperError::Unknown => Problem::not_found(),
        KeeperError::WrongState(status) => wrong_state(status),
        KeeperError::Busy => Problem::conflict(
            "tenant_busy",
            "Another operation on the tenant is at work: try again in a moment.",
        ),
        KeeperError::NewKeyTaken => Problem::conflict(
            "tenant_key_taken",
            "Another client has or had this key: choose another.",
        ),
        KeeperError::Db(error) => error.into(),
        other => {
            tracing::error!(error = %other, "a tenant's state cannot be changed");
            Problem::internal()
        }
    }
}
