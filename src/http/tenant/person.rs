//! `/api/contacts/{id}/export` and `/erase`: what one person may ask of a tenant (LGPD), done by its owner or a manager.

use actix_web::http::header::CONTENT_DISPOSITION;
use actix_web::{HttpResponse, get, post, web};
use serde::Serialize;
use utoipa::ToSchema;

use crate::db::tenant::{audit, contacts, message_files, person};
use crate::domain::ids::ContactId;
use crate::http::body::path_id;
use crate::http::extract::{ManageTenant, SeeSettings, TenantAccess};
use crate::http::problem::{Problem, ProblemBody};

/// What was forgotten of a person: rows stay, so that counts and reports stay true, and say nothing of them any more.
#[derive(Debug, Serialize, ToSchema)]
pub struct Erased {
    /// The contact.
    id: ContactId,
    /// Leads of the contact or of its number.
    leads: u64,
    /// Conversations with the contact.
    conversations: u64,
    /// Messages in them.
    messages: u64,
}

/// All that is known of a person, as one JSON document: the contact, its leads with their history, its conversations with their
/// messages and what is to be said in them later, and as a customer its orders, dues and payments. Owners and managers only; noted in the audit.
#[utoipa::path(
    tag = "contacts", operation_id = "export_contact", params(("id" = ContactId, Path)), security(("bearer" = [])),
    responses(
        (status = 200, body = Object, description = "`{contact, leads: [{…, history}], conversations: [{…, notes, messages}], customer}`"),
        (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)
    )
)]
#[get("/api/contacts/{id}/export")]
pub async fn export_contact(
    access: TenantAccess<SeeSettings>,
    id: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let id = access.check(path_id(&id)).await?;
    let batch = (
        contacts::lock(id, None),
        person::export(id),
        audit::insert(&access.access, "contact.export", "contacts", id),
    );
    let (_, document, _) = access.run(batch).await?.output;
    let name = format!("attachment; filename=\"contact-{id}.json\"");
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_DISPOSITION, name))
        .json(document))
}

/// Forget a person: name, number, address, notes, all that was said and all files that were sent are gone for good, what waited to be sent to them is
/// canceled; rows and audit stay without them. A customer is canceled; what was owed and paid stays in the books. Repeating it is no error. Owners and managers only.
#[utoipa::path(
    tag = "contacts", operation_id = "erase_contact", params(("id" = ContactId, Path)), security(("bearer" = [])),
    responses((status = 200, body = Erased), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[post("/api/contacts/{id}/erase")]
pub async fn erase_contact(
    access: TenantAccess<ManageTenant>,
    id: web::Path<String>,
) -> Result<web::Json<Erased>, Problem> {
    let id = access.check(path_id(&id)).await?;
    let batch = (
        contacts::lock(id, None),
        message_files::lock_of_contact(id),
        person::erase(id, access.now),
        audit::insert(&access.access, "contact.erase", "contacts", id),
    );
    let (_, files, changed, _) = access.run(batch).await?.output;
    let tenant = access.tenant.home.id;
    access.platform().channels.media.remove(tenant, &files).await;
    let of = |number: usize| changed.get(number).copied().unwrap_or_default();
    Ok(web::Json(Erased {
        id,
        leads: of(1),
        messages: of(3),
        conversations: of(4),
    }))
}
