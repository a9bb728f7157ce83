//! `/api/admin/tenants/{tenant_key}/domains`: hosts of a tenant outside of the platform's own domain.

use actix_web::{HttpResponse, delete, get, post, web};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::tenants::path_key;
use crate::db::master::domains::DomainRecord;
use crate::domain::host::{BaseDomain, HostName};
use crate::domain::ids::DomainId;
use crate::domain::invalid::{FieldErrors, Invalid};
use crate::domain::page::Page;
use crate::http::body::Body;
use crate::http::extract::AdminAccess;
use crate::http::problem::{Problem, ProblemBody};
use crate::tenancy::domains::DomainError;

/// A host of a tenant.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Domain {
    id: DomainId,
    #[schema(value_type = HostName)]
    host: String,
    /// The TXT record by which its owner shows that it is theirs.
    txt_name: String,
    /// What that record says.
    txt_value: String,
    /// Since when requests for it are the tenant's; until then they are nobody's.
    verified_at: Option<DateTime<Utc>>,
    created_at: DateTime<Utc>,
}

impl From<DomainRecord> for Domain {
    fn from(record: DomainRecord) -> Self {
        Self {
            id: record.id,
            txt_name: format!("_helixai.{}", record.host),
            txt_value: format!("helixai-verification={}", record.verification_token),
            host: record.host,
            verified_at: record.verified_at,
            created_at: record.created_at,
        }
    }
}

/// A host to be.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateDomain {
    /// A full name outside of the platform's domain.
    #[schema(value_type = HostName)]
    host: Option<String>,
}

impl CreateDomain {
    fn check(self, base: &str) -> Result<HostName, FieldErrors> {
        let mut errors = FieldErrors::new();
        let base = errors.check("host", BaseDomain::parse(base));
        let host = errors.require("host", self.host, |host| match &base {
            Some(base) => HostName::parse_custom_domain(&host, base),
            None => Err(Invalid::required()),
        });
        errors.finish(|| host)
    }
}

/// List a tenant's own hosts. They are few: there is one page.
#[utoipa::path(
    tag = "admin tenants", operation_id = "list_domains", params(("tenant_key" = String, Path)), security(("admin" = [])),
    responses((status = 200, body = Page<Domain>), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[get("/api/admin/tenants/{tenant_key}/domains")]
pub async fn list_domains(
    access: AdminAccess,
    key: web::Path<String>,
) -> Result<web::Json<Page<Domain>>, Problem> {
    let domains = access.platform.lifecycle.list_domains(&path_key(&key)?).await;
    let domains = domains.map_err(refused)?;
    Ok(web::Json(Page {
        items: domains.into_iter().map(Domain::from).collect(),
        next_cursor: None,
    }))
}

/// Add a host to a tenant; adding it again answers the same. It counts once it is verified.
#[utoipa::path(
    tag = "admin tenants", operation_id = "create_domain", params(("tenant_key" = String, Path)),
    request_body = CreateDomain, security(("admin" = [])),
    responses((status = 201, body = Domain), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[post("/api/admin/tenants/{tenant_key}/domains")]
pub async fn create_domain(
    access: AdminAccess,
    key: web::Path<String>,
    body: Body<CreateDomain>,
) -> Result<HttpResponse, Problem> {
    let key = path_key(&key)?;
    let host = body.value?.check(&access.platform.settings.server.base_domain)?;
    let lifecycle = &access.platform.lifecycle;
    let domain = lifecycle.add_domain(&key, &host, access.origin()).await;
    let domain = domain.map_err(refused)?;
    Ok(HttpResponse::Created().json(Domain::from(domain)))
}

/// Say that a host is the tenant's, after a look at its TXT record. The program does not look itself: the word of the
/// administrator counts, and is in the audit.
#[utoipa::path(
    tag = "admin tenants", operation_id = "verify_domain", params(("tenant_key" = String, Path), ("host" = String, Path)),
    security(("admin" = [])),
    responses((status = 200, body = Domain), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[post("/api/admin/tenants/{tenant_key}/domains/{host}/verify")]
pub async fn verify_domain(
    access: AdminAccess,
    path: web::Path<(String, String)>,
) -> Result<web::Json<Domain>, Problem> {
    let (key, host) = (path_key(&path.0)?, path_host(&path.1)?);
    let lifecycle = &access.platform.lifecycle;
    let domain = lifecycle.verify_domain(&key, &host, access.origin()).await;
    let domain = domain.map_err(refused)?;
    access.platform.resolver.changed(host.as_str());
    Ok(web::Json(Domain::from(domain)))
}

/// Remove a host of a tenant.
#[utoipa::path(
    tag = "admin tenants", operation_id = "delete_domain", params(("tenant_key" = String, Path), ("host" = String, Path)),
    security(("admin" = [])),
    responses((status = 204), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[delete("/api/admin/tenants/{tenant_key}/domains/{host}")]
pub async fn delete_domain(
    access: AdminAccess,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse, Problem> {
    let (key, host) = (path_key(&path.0)?, path_host(&path.1)?);
    let lifecycle = &access.platform.lifecycle;
    let removed = lifecycle.remove_domain(&key, &host, access.origin()).await;
    removed.map_err(refused)?;
    access.platform.resolver.changed(host.as_str());
    Ok(HttpResponse::NoContent().finish())
}

fn path_host(raw: &str) -> Result<HostName, Problem> {
    HostName::parse(raw).map_err(|_| Problem::not_found())
}

fn refused(error: DomainError) -> Problem {
    match error {
        DomainError::Unknown => Problem::not_found(),
        DomainError::Taken => Problem::conflict(
            "domain_taken",
            "Another tenant has this host: remove it there first.",
        ),
        DomainError::Db(error) => error.into(),
    }
}
