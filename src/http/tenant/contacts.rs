//! `/api/contacts`: the people a tenant talks to. One person is one contact: both forms of a Brazilian number, and all
//! spellings, are one number, and a number belongs to one contact.

use actix_web::{HttpResponse, delete, get, patch, post, web};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::db::DbError;
use crate::db::tenant::{audit, contacts};
use crate::domain::contact::Contact;
use crate::domain::email::Email;
use crate::domain::ids::ContactId;
use crate::domain::invalid::FieldErrors;
use crate::domain::page::{Cursor, Limit, Page};
use crate::domain::phone::Phone;
use crate::domain::text::{Name, text};
use crate::http::body::{Body, Params, paging, path_id, search_people};
use crate::http::create::Creation;
use crate::http::extract::{IdempotencyHeader, ReadData, TenantAccess, WriteData};
use crate::http::form::form;
use crate::http::problem::{Problem, ProblemBody};

const NOTES_MAX: usize = 10_000;
const EXISTS: &str = "contact_exists";

form! {
    /// A contact to be.
    CreateContact,
    /// Changes to a contact: what is left out stays, `null` empties.
    UpdateContact,
    required {
        /// Of the person.
        name: String as Name => Name::parse(&name),
    }
    default {}
    optional {
        /// Any usual spelling; Brazil is assumed without a country code. It belongs to one contact only.
        phone: String as Phone => Phone::parse(&phone),
        /// An address.
        email: String as Email => Email::parse(&email),
        /// At most 10,000 characters in any number of lines.
        notes: String as String => text(&notes, NOTES_MAX),
    }
}

/// Narrows the list.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListContacts {
    /// With these words in name, e-mail, phone or notes; accents do not matter, the last word may be a beginning.
    q: Option<String>,
    /// 1 to 200; 50 when left out.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 200)]
    limit: Option<String>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

impl ListContacts {
    fn check(self) -> Result<(Option<String>, Option<Cursor>, Limit), FieldErrors> {
        let mut errors = FieldErrors::new();
        let text = errors.check_opt("q", self.q, |q| search_people(&q));
        let (limit, cursor) = paging(&mut errors, self.limit, self.cursor);
        errors.finish(|| Some((text, cursor, limit)))
    }
}

fn refuse(error: &DbError) -> Option<Problem> {
    match error {
        DbError::Constraint(name) if name == "contacts_phone_key" => Some(Problem::conflict(
            EXISTS,
            "This telephone number is of a contact that exists: see `existing_id`.",
        )),
        DbError::Constraint(name) if name == "conversations_contact_id_fkey" => Some(Problem::conflict(
            "contact_in_use",
            "There are conversations with this contact: remove them first.",
        )),
        DbError::Constraint(name) if name == "customers_contact_id_fkey" => Some(Problem::conflict(
            "contact_in_use",
            "This contact is a customer: remove the customer first.",
        )),
        _ => None,
    }
}

fn phone_of(fields: &Map<String, Value>) -> Option<String> {
    fields.get("phone")?.as_str().map(str::to_owned)
}

impl TenantAccess<WriteData> {
    /// Says whose number it is when that is why a request was refused.
    async fn name_existing(&self, problem: Problem, phone: Option<String>) -> Problem {
        let Some(phone) = phone.filter(|_| problem.code() == EXISTS) else {
            return problem;
        };
        match self.run(contacts::find_by_phone(phone)).await {
            Ok(reply) => match reply.output {
                Some(id) => problem.naming(id),
                // Removed a moment ago.
                None => problem,
            },
            Err(failure) => failure,
        }
    }
}

/// List contacts, newest first.
#[utoipa::path(
    tag = "contacts", operation_id = "list_contacts", params(ListContacts), security(("bearer" = [])),
    responses((status = 200, body = Page<Contact>), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[get("/api/contacts")]
pub async fn list_contacts(
    access: TenantAccess<ReadData>,
    params: Params<ListContacts>,
) -> Result<web::Json<Page<Contact>>, Problem> {
    let params = access.check(params.0).await?;
    let (text, after, limit) = access.check(params.check()).await?;
    let rows = access.run(contacts::list(text, after, limit)).await?.output;
    Ok(web::Json(Page::from_rows(rows, limit, |row| {
        Cursor::new(row.created_at, row.id)
    })))
}

/// Add a contact. A number that is somebody's is refused with 409 `contact_exists` and that contact's `existing_id`.
#[utoipa::path(
    tag = "contacts", operation_id = "create_contact", request_body = CreateContact, security(("bearer" = [])),
    params(("Idempotency-Key" = Option<String>, Header, description = "Repeats of a request with the same key are one request")),
    responses((status = 201, body = Contact), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[post("/api/contacts")]
pub async fn create_contact(
    access: TenantAccess<WriteData>,
    key: IdempotencyHeader,
    body: Body<CreateContact>,
) -> Result<HttpResponse, Problem> {
    let contact = access.check(body.value).await?;
    let fields = access.check(contact.check()).await?;
    let phone = phone_of(&fields);
    let id = ContactId::new();
    let batch = (
        contacts::insert(id, fields, access.now),
        audit::insert(&access.access, "contact.create", "contacts", id),
    );
    let creation = Creation {
        operation: "create_contact",
        key,
        hash: body.hash,
        row: Some(id.as_uuid()),
    };
    let answer = access
        .create(creation, batch, |(contact, _)| contact, refuse)
        .await;
    match answer {
        Ok(created) => Ok(created),
        Err(problem) => Err(access.name_existing(problem, phone).await),
    }
}

/// Read a contact.
#[utoipa::path(
    tag = "contacts", operation_id = "get_contact", params(("id" = ContactId, Path)), security(("bearer" = [])),
    responses((status = 200, body = Contact), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[get("/api/contacts/{id}")]
pub async fn get_contact(
    access: TenantAccess<ReadData>,
    id: web::Path<String>,
) -> Result<web::Json<Contact>, Problem> {
    let id = access.check(path_id(&id)).await?;
    let contact = access.run(contacts::find(id)).await?.output;
    contact.map(web::Json).ok_or_else(Problem::not_found)
}

/// Change a contact. A number that is somebody else's is refused as when adding one.
#[utoipa::path(
    tag = "contacts", operation_id = "update_contact", params(("id" = ContactId, Path)), request_body = UpdateContact,
    security(("bearer" = [])),
    responses((status = 200, body = Contact), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[patch("/api/contacts/{id}")]
pub async fn update_contact(
    access: TenantAccess<WriteData>,
    id: web::Path<String>,
    body: Body<UpdateContact>,
) -> Result<web::Json<Contact>, Problem> {
    let id = access.check(path_id(&id)).await?;
    let update = access.check(body.value).await?;
    let (version, changes) = access.check(update.check()).await?;
    let phone = phone_of(&changes);
    let batch = (
        contacts::lock(id, version),
        contacts::update(id, changes, access.now),
        audit::insert(&access.access, "contact.update", "contacts", id),
    );
    match access.run_or(batch, refuse).await {
        Ok(reply) => Ok(web::Json(reply.output.1)),
        Err(problem) => Err(access.name_existing(problem, phone).await),
    }
}

/// Remove a contact. One with conversations, or who is a customer, is refused with 409 `contact_in_use`.
#[utoipa::path(
    tag = "contacts", operation_id = "delete_contact", params(("id" = ContactId, Path)), security(("bearer" = [])),
    responses((status = 204), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[delete("/api/contacts/{id}")]
pub async fn delete_contact(
    access: TenantAccess<WriteData>,
    id: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let id = access.check(path_id(&id)).await?;
    let audit = audit::insert(&access.access, "contact.delete", "contacts", id);
    access
        .run_or((contacts::lock(id, None), contacts::delete(id), audit), refuse)
        .await?;
    Ok(HttpResponse::NoContent().finish())
}
