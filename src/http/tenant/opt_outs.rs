//! `/api/contacts/{id}/opt-out`: who wants no broadcasts. What people say in conversations, and reminders of what is owed, go on.
//!
//! Whoever writes SAIR, PARAR, STOP or CANCELAR to a bot, and nothing else, is out; VOLTAR or START leads back.

use actix_web::{delete, put, web};

use crate::db::tenant::{audit, contacts};
use crate::domain::contact::Contact;
use crate::domain::ids::ContactId;
use crate::http::body::path_id;
use crate::http::extract::{TenantAccess, WriteData};
use crate::http::problem::{Problem, ProblemBody};

async fn set(
    access: TenantAccess<WriteData>,
    id: web::Path<String>,
    (action, out): (&'static str, bool),
) -> Result<web::Json<Contact>, Problem> {
    let id: ContactId = access.check(path_id(&id)).await?;
    let batch = (
        contacts::lock(id, None),
        contacts::set_opted_out(id, out, access.now),
        audit::insert(&access.access, action, "contacts", id),
    );
    let (_, contact, _) = access.run(batch).await?.output;
    contact.map(web::Json).ok_or_else(Problem::not_found)
}

/// Note that a contact wants no broadcasts. Repeated, `opted_out_at` stays what it was.
#[utoipa::path(
    tag = "contacts", operation_id = "opt_contact_out", params(("id" = ContactId, Path)), security(("bearer" = [])),
    responses((status = 200, body = Contact), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[put("/api/contacts/{id}/opt-out")]
pub async fn opt_contact_out(
    access: TenantAccess<WriteData>,
    id: web::Path<String>,
) -> Result<web::Json<Contact>, Problem> {
    set(access, id, ("contact.opt_out", true)).await
}

/// Note that a contact wants broadcasts again. It may be repeated.
#[utoipa::path(
    tag = "contacts", operation_id = "opt_contact_in", params(("id" = ContactId, Path)), security(("bearer" = [])),
    responses((status = 200, body = Contact), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[delete("/api/contacts/{id}/opt-out")]
pub async fn opt_contact_in(
    access: TenantAccess<WriteData>,
    id: web::Path<String>,
) -> Result<web::Json<Contact>, Problem> {
    set(access, id, ("contact.opt_in", false)).await
}
