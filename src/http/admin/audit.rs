//! `/api/admin/audit`: what was done to the platform, and by whom.

use actix_web::{get, web};

use super::tenants::ListOfTenant;
use crate::db::master::audit;
use crate::domain::audit::AuditLine;
use crate::domain::page::{Cursor, Page};
use crate::http::body::Params;
use crate::http::extract::AdminAccess;
use crate::http::problem::{Problem, ProblemBody};

/// List lines of the audit, newest first.
#[utoipa::path(
    tag = "admin audit", operation_id = "list_audit", params(ListOfTenant), security(("admin" = [])),
    responses((status = 200, body = Page<AuditLine>), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[get("/api/admin/audit")]
pub async fn list_audit(
    access: AdminAccess,
    params: Params<ListOfTenant>,
) -> Result<web::Json<Page<AuditLine>>, Problem> {
    let (tenant, after, limit) = params.0?.check()?;
    let rows = audit::list_audit(&access.platform.master, tenant.as_ref(), after, limit).await?;
    Ok(web::Json(Page::from_rows(rows, limit, |row| {
        Cursor::new(row.at, row.id)
    })))
}
