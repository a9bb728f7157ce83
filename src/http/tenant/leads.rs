//! `/api/leads`: the shape that every resource's routes copy.

use actix_web::{HttpResponse, delete, get, patch, post, web};
use serde::Deserialize;

use crate::db::DbError;
use crate::db::tenant::leads::{self, LeadFilter};
use crate::db::tenant::{audit, contacts, lead_history};
use crate::domain::email::Email;
use crate::domain::ids::{ContactId, LeadId, UserId};
use crate::domain::invalid::{FieldErrors, Invalid};
use crate::domain::lead::{Lead, Source, Stage};
use crate::domain::page::{Cursor, Limit, Page};
use crate::domain::phone::Phone;
use crate::domain::text::{Name, text};
use crate::http::body::{Body, Params, paging, path_id, search_people};
use crate::http::create::Creation;
use crate::http::extract::{IdempotencyHeader, ReadData, TenantAccess, WriteData};
use crate::http::form::form;
use crate::http::problem::{Problem, ProblemBody};

const NOTES_MAX: usize = 10_000;

form! {
    /// A lead to be.
    CreateLead,
    /// Changes to a lead: what is left out stays, `null` empties.
    UpdateLead,
    required {
        /// Of the person.
        name: String as Name => Name::parse(&name),
    }
    default {
        /// `new` when left out.
        stage: String as Stage = Stage::FIRST => Stage::parse(&stage),
    }
    optional {
        /// Any usual spelling; Brazil is assumed without a country code.
        phone: String as Phone => Phone::parse(&phone),
        /// An address.
        email: String as Email => Email::parse(&email),
        /// Where it came from.
        source: String as Source => Source::parse(&source),
        /// At most 10,000 characters in any number of lines.
        notes: String as String => text(&notes, NOTES_MAX),
        /// The person. When left out, the contact of the telephone number, which is made if there is none.
        contact_id: String as ContactId => contact_id.parse::<ContactId>(),
        /// Who looks after it.
        assigned_to: String as UserId => assigned_to.parse::<UserId>(),
    }
}

/// Narrows the list.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListLeads {
    /// In this stage.
    stage: Option<String>,
    /// From this source.
    source: Option<String>,
    /// Looked after by this user.
    assigned_to: Option<String>,
    /// Of this person.
    contact_id: Option<String>,
    /// With these words in name, e-mail, phone or notes; the last word may be a beginning.
    q: Option<String>,
    /// 1 to 200; 50 when left out.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 200)]
    limit: Option<String>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

impl ListLeads {
    fn check(self) -> Result<(LeadFilter, Option<Cursor>, Limit), FieldErrors> {
        let mut errors = FieldErrors::new();
        let stage = errors.check_opt("stage", self.stage, |stage| Stage::parse(&stage));
        let source = errors.check_opt("source", self.source, |source| Source::parse(&source));
        let assigned_to = errors.check_opt("assigned_to", self.assigned_to, |id| id.parse());
        let contact = errors.check_opt("contact_id", self.contact_id, |id| id.parse());
        let q = errors.check_opt("q", self.q, |q| search_people(&q));
        let (limit, cursor) = paging(&mut errors, self.limit, self.cursor);
        errors.into_result()?;
        let filter = LeadFilter {
            stage: stage.map(Into::into),
            source: source.map(Into::into),
            assigned_to,
            contact,
            text: q,
        };
        Ok((filter, cursor, limit))
    }
}

/// What does not exist is a field error, not a failure.
fn refuse(error: &DbError) -> Option<Problem> {
    let field = match error {
        DbError::Constraint(name) if name == "leads_stage_fkey" => "stage",
        DbError::Constraint(name) if name == "leads_contact_id_fkey" => "contact_id",
        DbError::Constraint(name) if name == "leads_assigned_to_fkey" => "assigned_to",
        _ => return None,
    };
    Some(Problem::invalid_field(
        field,
        Invalid::new("unknown_value", "does not exist"),
    ))
}

/// List leads, newest first.
#[utoipa::path(
    tag = "leads", operation_id = "list_leads", params(ListLeads), security(("bearer" = [])),
    responses((status = 200, body = Page<Lead>), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[get("/api/leads")]
pub async fn list_leads(
    access: TenantAccess<ReadData>,
    params: Params<ListLeads>,
) -> Result<web::Json<Page<Lead>>, Problem> {
    let params = access.check(params.0).await?;
    let (filter, after, limit) = access.check(params.check()).await?;
    let rows = access.run(leads::list(filter, after, limit)).await?.output;
    Ok(web::Json(Page::from_rows(rows, limit, |row| {
        Cursor::new(row.created_at, row.id)
    })))
}

/// Add a lead.
#[utoipa::path(
    tag = "leads", operation_id = "create_lead", request_body = CreateLead, security(("bearer" = [])),
    params(("Idempotency-Key" = Option<String>, Header, description = "Repeats of a request with the same key are one request")),
    responses((status = 201, body = Lead), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[post("/api/leads")]
pub async fn create_lead(
    access: TenantAccess<WriteData>,
    key: IdempotencyHeader,
    body: Body<CreateLead>,
) -> Result<HttpResponse, Problem> {
    let lead = access.check(body.value).await?;
    let fields = access.check(lead.check()).await?;
    let id = LeadId::new();
    let batch = (
        contacts::ensure(id, &fields, access.now),
        leads::insert(id, fields.clone(), access.now),
        lead_history::record_made(id, &fields, &access.access),
        audit::insert(&access.access, "lead.create", "leads", id),
    );
    let creation = Creation {
        operation: "create_lead",
        key,
        hash: body.hash,
        row: Some(id.as_uuid()),
    };
    access
        .create(creation, batch, |(_, lead, _, _)| lead, refuse)
        .await
}

/// Read a lead.
#[utoipa::path(
    tag = "leads", operation_id = "get_lead", params(("id" = LeadId, Path)), security(("bearer" = [])),
    responses((status = 200, body = Lead), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[get("/api/leads/{id}")]
pub async fn get_lead(
    access: TenantAccess<ReadData>,
    id: web::Path<String>,
) -> Result<web::Json<Lead>, Problem> {
    let id = access.check(path_id(&id)).await?;
    let lead = access.run(leads::find(id)).await?.output;
    lead.map(web::Json).ok_or_else(Problem::not_found)
}

/// Change a lead.
#[utoipa::path(
    tag = "leads", operation_id = "update_lead", params(("id" = LeadId, Path)), request_body = UpdateLead,
    security(("bearer" = [])),
    responses((status = 200, body = Lead), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[patch("/api/leads/{id}")]
pub async fn update_lead(
    access: TenantAccess<WriteData>,
    id: web::Path<String>,
    body: Body<UpdateLead>,
) -> Result<web::Json<Lead>, Problem> {
    let id = access.check(path_id(&id)).await?;
    let update = access.check(body.value).await?;
    let (version, changes) = access.check(update.check()).await?;
    let batch = (
        leads::lock(id, version),
        contacts::ensure(id, &changes, access.now),
        lead_history::record_changes(id, &changes, &access.access),
        leads::update(id, changes, access.now),
        audit::insert(&access.access, "lead.update", "leads", id),
    );
    let (_, _, _, lead, _) = access.run_or(batch, refuse).await?.output;
    Ok(web::Json(lead))
}

/// Remove a lead.
#[utoipa::path(
    tag = "leads", operation_id = "delete_lead", params(("id" = LeadId, Path)), security(("bearer" = [])),
    responses((status = 204), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[delete("/api/leads/{id}")]
pub async fn delete_lead(
    access: TenantAccess<WriteData>,
    id: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let id = access.check(path_id(&id)).await?;
    let audit = audit::insert(&access.access, "lead.delete", "leads", id);
    access
        .run((leads::lock(id, None), leads::delete(id), audit))
        .await?;
    Ok(HttpResponse::NoContent().finish())
}
