//! `/api/leads/{id}/history`: through which stages a lead went and who looked after it.

use actix_web::{get, web};

use crate::db::tenant::lead_history;
use crate::domain::ids::LeadId;
use crate::domain::lead_history::LeadChange;
use crate::domain::page::{Cursor, Page};
use crate::http::body::{ListAll, Params, path_id};
use crate::http::extract::{ReadData, TenantAccess};
use crate::http::problem::{Problem, ProblemBody};

/// List the changes of a lead's stage and of who looks after it, newest first.
#[utoipa::path(
    tag = "leads", operation_id = "list_lead_history", params(("id" = LeadId, Path), ListAll), security(("bearer" = [])),
    responses((status = 200, body = Page<LeadChange>), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[get("/api/leads/{id}/history")]
pub async fn list_lead_history(
    access: TenantAccess<ReadData>,
    id: web::Path<String>,
    params: Params<ListAll>,
) -> Result<web::Json<Page<LeadChange>>, Problem> {
    let id = access.check(path_id(&id)).await?;
    let params = access.check(params.0).await?;
    let (after, limit) = access.check(params.check()).await?;
    let batch = (
        lead_history::require_lead(id),
        lead_history::list(id, after, limit),
    );
    let (_, rows) = access.run(batch).await?.output;
    Ok(web::Json(Page::from_rows(rows, limit, |row| {
        Cursor::new(row.at, row.id)
    })))
}
