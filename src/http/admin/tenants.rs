//! `/api/admin/tenants`: the tenants as the platform's owner sees them.

use std::collections::HashMap;

use actix_web::{get, patch, post, web};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::lifecycle::TenantArchive;
use crate::db::master::archives::{self, ArchiveRecord};
use crate::db::master::tenants::{self, TenantFilter, TenantRecord};
use crate::db::{DbError, Refusal};
use crate::domain::document::Document;
use crate::domain::ids::TenantId;
use crate::domain::invalid::FieldErrors;
use crate::domain::page::{Cursor, Limit, Page};
use crate::domain::patch::Patch;
use crate::domain::tenant::TenantStatus;
use crate::domain::tenant_key::TenantKey;
use crate::domain::text::{Name, line};
use crate::http::body::{Body, OptionalBody, Params, paging, search_text};
use crate::http::extract::AdminAccess;
use crate::http::problem::{Problem, ProblemBody};
use crate::platform::Platform;
use crate::tenancy::details::{Details, DetailsError};
use crate::tenancy::lifecycle::LifecycleError;

/// A tenant as administrators see it.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Tenant {
    id: TenantId,
    tenant_key: String,
    name: String,
    niche: String,
    schema_name: String,
    status: TenantStatus,
    url: String,
    document: Option<String>,
    owner_email: String,
    suspended_reason: Option<String>,
    /// Why its onboarding has not succeeded so far; once it is `failed`, `POST …/retry` takes it up again.
    onboarding_error: Option<String>,
    /// What is known of it while it is not in the database: archived, deleted, or on the way there or back.
    archive: Option<TenantArchive>,
    /// Send it with a PATCH to be told when somebody else was faster.
    version: i32,
    created_at: DateTime<Utc>,
}

impl Tenant {
    /// What is shown of a tenant of this platform.
    pub fn new(tenant: TenantRecord, platform: &Platform) -> Self {
        Self {
            id: tenant.id,
            url: platform.settings.server.tenant_url(&tenant.key),
            tenant_key: tenant.key,
            name: tenant.name,
            niche: tenant.niche,
            schema_name: tenant.schema,
            status: tenant.status,
            document: tenant.document,
            owner_email: tenant.owner_email,
            suspended_reason: tenant.suspended_reason,
            onboarding_error: tenant.onboarding_error,
            archive: None,
            version: tenant.version,
            created_at: tenant.created_at,
        }
    }

    /// With what is known of its archive.
    pub fn with_archive(self, archive: Option<ArchiveRecord>) -> Self {
        let served = matches!(self.status, TenantStatus::Active | TenantStatus::Suspended);
        Self {
            archive: archive.filter(|_| !served).map(TenantArchive::from),
            ..self
        }
    }

    /// When all of it is removed for good, if it is.
    pub fn purge_at(&self) -> Option<DateTime<Utc>> {
        self.archive.as_ref()?.purge_at
    }

    /// Tenants with what is known of their archives.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn describe(tenants: Vec<TenantRecord>, platform: &Platform) -> Result<Vec<Self>, DbError> {
        let kept = |tenant: &&TenantRecord| {
            use TenantStatus::{Archived, Archiving, Deleting, Restoring};
            matches!(tenant.status, Archiving | Archived | Restoring | Deleting)
        };
        let ids: Vec<TenantId> = tenants.iter().filter(kept).map(|tenant| tenant.id).collect();
        let mut known: HashMap<TenantId, ArchiveRecord> = HashMap::new();
        if !ids.is_empty() {
            let found = archives::find_all(&platform.master, &ids).await?;
            known.extend(found.into_iter().map(|archive| (archive.tenant, archive)));
        }
        let shown = tenants.into_iter().map(|tenant| {
            let archive = known.remove(&tenant.id);
            Self::new(tenant, platform).with_archive(archive)
        });
        Ok(shown.collect())
    }
}

/// Narrows the list.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListTenants {
    /// In this state.
    #[param(value_type = Option<TenantStatus>)]
    status: Option<String>,
    /// Of this niche.
    niche: Option<String>,
    /// With this text in key, name or owner's address, accents ignored, or with this CPF or CNPJ.
    q: Option<String>,
    /// 1 to 200; 50 when left out.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 200)]
    limit: Option<String>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

impl ListTenants {
    fn check(self) -> Result<(TenantFilter, Option<Cursor>, Limit), FieldErrors> {
        let mut errors = FieldErrors::new();
        let status = errors.check_opt("status", self.status, |status| TenantStatus::parse(&status));
        let niche = errors.check_opt("niche", self.niche, |niche| line(&niche, 40));
        let text = errors.check_opt("q", self.q, |q| search_text(&q));
        let (limit, cursor) = paging(&mut errors, self.limit, self.cursor);
        errors.finish(|| Some((TenantFilter { status, niche, text }, cursor, limit)))
    }
}

/// Narrows a list to one tenant.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListOfTenant {
    /// Of the tenant that has this key.
    #[param(value_type = Option<TenantKey>)]
    tenant_key: Option<String>,
    /// 1 to 200; 50 when left out.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 200)]
    limit: Option<String>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

impl ListOfTenant {
    pub(super) fn check(self) -> Result<(Option<TenantKey>, Option<Cursor>, Limit), FieldErrors> {
        let mut errors = FieldErrors::new();
        let tenant = errors.check_opt("tenant_key", self.tenant_key, |key| TenantKey::parse(&key));
        let (limit, cursor) = paging(&mut errors, self.limit, self.cursor);
        errors.finish(|| Some((tenant, cursor, limit)))
    }
}

/// List tenants, newest first.
#[utoipa::path(
    tag = "admin tenants", operation_id = "list_tenants", params(ListTenants), security(("admin" = [])),
    responses((status = 200, body = Page<Tenant>), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[get("/api/admin/tenants")]
pub async fn list_tenants(
    access: AdminAccess,
    params: Params<ListTenants>,
) -> Result<web::Json<Page<Tenant>>, Problem> {
    let (filter, after, limit) = params.0?.check()?;
    let after = after.map(|cursor| (cursor.at, cursor.id));
    let rows = tenants::list(&access.platform.master, &filter, after, limit.rows()).await?;
    let page = Page::from_rows(rows, limit, |row| Cursor::new(row.created_at, row.id));
    Ok(web::Json(Page {
        items: Tenant::describe(page.items, &access.platform).await?,
        next_cursor: page.next_cursor,
    }))
}

/// Read a tenant.
#[utoipa::path(
    tag = "admin tenants", operation_id = "get_tenant", params(("tenant_key" = String, Path)), security(("admin" = [])),
    responses((status = 200, body = Tenant), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[get("/api/admin/tenants/{tenant_key}")]
pub async fn get_tenant(access: AdminAccess, key: web::Path<String>) -> Result<web::Json<Tenant>, Problem> {
    let key = path_key(&key)?;
    let tenant = tenants::find_record(&access.platform.master, &key).await?;
    let tenant = tenant.ok_or_else(Problem::not_found)?;
    let mut shown = Tenant::describe(vec![tenant], &access.platform).await?;
    Ok(web::Json(shown.pop().ok_or_else(Problem::not_found)?))
}

/// Corrections to a tenant: what is left out stays.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateTenant {
    /// Name of the business.
    #[serde(default)]
    #[schema(value_type = Option<Name>)]
    name: Patch<String>,
    /// CPF or CNPJ; `null` empties it.
    #[serde(default)]
    #[schema(value_type = Option<Document>)]
    document: Patch<String>,
    /// The version that was read; what has another one since is not changed.
    version: Option<i32>,
}

impl UpdateTenant {
    fn check(self) -> Result<Details, FieldErrors> {
        let mut errors = FieldErrors::new();
        let name = errors.check("name", self.name.parse_required(|name| Name::parse(&name)));
        let document = self.document.parse(|document| Document::parse(&document));
        let document = errors.check("document", document);
        errors.finish(|| {
            Some(Details {
                name: name?,
                document: document?,
                version: self.version,
            })
        })
    }
}

/// Correct a tenant.
#[utoipa::path(
    tag = "admin tenants", operation_id = "update_tenant", params(("tenant_key" = String, Path)),
    request_body = UpdateTenant, security(("admin" = [])),
    responses((status = 200, body = Tenant), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[patch("/api/admin/tenants/{tenant_key}")]
pub async fn update_tenant(
    access: AdminAccess,
    key: web::Path<String>,
    body: Body<UpdateTenant>,
) -> Result<web::Json<Tenant>, Problem> {
    let key = path_key(&key)?;
    let details = body.value?.check()?;
    let lifecycle = &access.platform.lifecycle;
    let tenant = lifecycle.correct(&key, details, access.origin()).await;
    let tenant = tenant.map_err(|error| match error {
        DetailsError::Unknown => Problem::not_found(),
        DetailsError::Stale => DbError::Refused(Refusal::Stale).into(),
        DetailsError::WrongState(status) => wrong_state(status),
        DetailsError::Db(error) => error.into(),
    })?;
    access.platform.resolver.changed(&tenant.key);
    Ok(web::Json(Tenant::new(tenant, &access.platform)))
}

/// Why a tenant is suspended.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SuspendTenant {
    /// For the administrators; the tenant is not told.
    #[schema(value_type = String)]
    reason: Option<String>,
}

/// Suspend a tenant: when this has answered, no request of the tenant is served any more.
#[utoipa::path(
    tag = "admin tenants", operation_id = "suspend_tenant", params(("tenant_key" = String, Path)),
    request_body = Option<SuspendTenant>, security(("admin" = [])),
    responses((status = 200, body = Tenant), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[post("/api/admin/tenants/{tenant_key}/suspend")]
pub async fn suspend_tenant(
    access: AdminAccess,
    key: web::Path<String>,
    body: OptionalBody<SuspendTenant>,
) -> Result<web::Json<Tenant>, Problem> {
    let key = path_key(&key)?;
    let reason = match body.0?.reason {
        None => "not given".to_owned(),
        Some(reason) => line(&reason, 500).map_err(|invalid| Problem::invalid_field("reason", invalid))?,
    };
    let (lifecycle, origin) = (access.platform.lifecycle.clone(), access.origin());
    // Spawned: a client that hangs up does not leave a suspension half-way.
    let work = tokio::spawn(async move { lifecycle.suspend(&key, &reason, origin).await });
    let tenant = work.await.map_err(|_| Problem::internal())?.map_err(unchanged)?;
    access.platform.resolver.changed(&tenant.key);
    Ok(web::Json(Tenant::new(tenant, &access.platform)))
}

/// Serve a suspended tenant again.
#[utoipa::path(
    tag = "admin tenants", operation_id = "activate_tenant", params(("tenant_key" = String, Path)), security(("admin" = [])),
    responses((status = 200, body = Tenant), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[post("/api/admin/tenants/{tenant_key}/activate")]
pub async fn activate_tenant(
    access: AdminAccess,
    key: web::Path<String>,
) -> Result<web::Json<Tenant>, Problem> {
    let key = path_key(&key)?;
    let (lifecycle, origin) = (access.platform.lifecycle.clone(), access.origin());
    let work = tokio::spawn(async move { lifecycle.activate(&key, origin).await });
    let tenant = work.await.map_err(|_| Problem::internal())?.map_err(unchanged)?;
    access.platform.resolver.changed(&tenant.key);
    Ok(web::Json(Tenant::new(tenant, &access.platform)))
}

fn unchanged(error: LifecycleError) -> Problem {
    match error {
        LifecycleError::Unknown => Problem::not_found(),
        LifecycleError::WrongState(status) => wrong_state(status),
        LifecycleError::Db(error) => error.into(),
    }
}

pub(super) fn wrong_state(status: TenantStatus) -> Problem {
    Problem::conflict(
        "wrong_state",
        format!("The tenant is {status}: this step does not apply to it."),
    )
}

pub(super) fn path_key(raw: &str) -> Result<TenantKey, Problem> {
    TenantKey::parse(raw).map_err(|_| Problem::not_found())
}
