//! `/api/message-templates`: words that the tenant uses again and again, with placeholders that are checked when they are written. The
//! plan says how many there may be.

use actix_web::{HttpResponse, delete, get, patch, post, web};
use serde::{Deserialize, Serialize};

use crate::db::DbError;
use crate::db::tenant::customers::templates;
use crate::db::tenant::{audit, settings};
use crate::domain::ids::{DueId, MessageTemplateId};
use crate::domain::message_template::{self, EXAMPLE_PIX, Filling, MessageTemplate, Placeholder, uses};
use crate::domain::page::{Cursor, Page};
use crate::domain::plan::PlanMeter;
use crate::domain::settings::Settings;
use crate::domain::text::Name;
use crate::http::body::{Body, ListSearched, Params, path_id};
use crate::http::create::Creation;
use crate::http::extract::{IdempotencyHeader, ReadData, TenantAccess, TradeData};
use crate::http::form::form;
use crate::http::problem::{Problem, ProblemBody};

/// What the plan calls them.
const METER: &str = PlanMeter::Templates.as_str();

form! {
    /// A template to be.
    CreateMessageTemplate,
    /// Changes to a template: what is left out stays, `null` empties.
    UpdateMessageTemplate,
    required {
        /// As the tenant calls it.
        name: String as Name => Name::parse(&name),
        /// The words, 1 to 4,096 characters. Placeholders: `{{nome}}`, `{{primeiro_nome}}`, `{{valor}}`, `{{vencimento}}`, `{{dias}}`,
        /// `{{descricao}}`, `{{plano}}`, `{{pix}}` (a code to be copied, made when it is sent), `{{empresa}}`, and the tenant's own,
        /// `{{var.<name>}}`, of which who sends it gives the value (a reminder has none). A line with one that has no value is left out.
        body: String as String => message_template::body(&body),
    }
    default {}
    optional {
        /// Of an e-mail: one line of at most 200 characters, with the same placeholders. Empty: the name of the business.
        subject: String as String => message_template::subject(&subject),
    }
}

/// What a preview is made of.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PreviewOf {
    /// Filled with this due; with an example when left out.
    due_id: Option<String>,
}

/// A template with its placeholders filled.
#[derive(Serialize, utoipa::ToSchema)]
pub struct MessagePreview {
    /// Of an e-mail.
    subject: String,
    /// The words.
    body: String,
    /// They ask for `{{pix}}`, and there is none: no account of the tenant takes PIX (`POST /api/payment-accounts`). Lines with it are
    /// left out.
    pix_missing: bool,
}

fn refuse(error: &DbError) -> Option<Problem> {
    error.is_constraint("reminder_rules_template_id_fkey").then(|| {
        Problem::conflict(
            "message_template_in_use",
            "Customers are reminded in these words: change the rule first.",
        )
    })
}

/// List message templates, newest first.
#[utoipa::path(
    tag = "customers", operation_id = "list_message_templates", params(ListSearched), security(("bearer" = [])),
    responses((status = 200, body = Page<MessageTemplate>), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[get("/api/message-templates")]
pub async fn list_message_templates(
    access: TenantAccess<ReadData>,
    params: Params<ListSearched>,
) -> Result<web::Json<Page<MessageTemplate>>, Problem> {
    let params = access.check(params.0).await?;
    let (text, after, limit) = access.check(params.check()).await?;
    let rows = access.run(templates::list(text, after, limit)).await?.output;
    Ok(web::Json(Page::from_rows(rows, limit, |row| {
        Cursor::new(row.created_at, row.id)
    })))
}

/// Add a message template. A placeholder that is not known is refused with `unknown_placeholder`.
#[utoipa::path(
    tag = "customers", operation_id = "create_message_template", request_body = CreateMessageTemplate, security(("bearer" = [])),
    params(("Idempotency-Key" = Option<String>, Header, description = "Repeats of a request with the same key are one request")),
    responses(
        (status = 201, body = MessageTemplate),
        (status = 402, body = ProblemBody, description = "`limit_exceeded`: the plan includes no more templates"),
        (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)
    )
)]
#[post("/api/message-templates")]
pub async fn create_message_template(
    access: TenantAccess<TradeData>,
    key: IdempotencyHeader,
    body: Body<CreateMessageTemplate>,
) -> Result<HttpResponse, Problem> {
    let template = access.check(body.value).await?;
    let fields = access.check(template.check()).await?;
    let id = MessageTemplateId::new();
    let limit = access.tenant.limit_of(METER);
    let batch = (
        templates::room(limit),
        templates::insert(id, fields, access.now),
        audit::insert(&access.access, "message_template.create", "message_templates", id),
    );
    let creation = Creation {
        operation: "create_message_template",
        key,
        hash: body.hash,
        row: Some(id.as_uuid()),
    };
    let show = |(_, template, _)| template;
    let outcome = access.create(creation, batch, show, |_| None).await;
    access.counting(outcome, METER, templates::count()).await
}

/// Read a message template.
#[utoipa::path(
    tag = "customers", operation_id = "get_message_template", params(("id" = MessageTemplateId, Path)), security(("bearer" = [])),
    responses((status = 200, body = MessageTemplate), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[get("/api/message-templates/{id}")]
pub async fn get_message_template(
    access: TenantAccess<ReadData>,
    id: web::Path<String>,
) -> Result<web::Json<MessageTemplate>, Problem> {
    let id = access.check(path_id(&id)).await?;
    let template = access.run(templates::find(id)).await?.output;
    template.map(web::Json).ok_or_else(Problem::not_found)
}

/// Show a message template with its placeholders filled, as a customer would read it today. Nothing is sent.
#[utoipa::path(
    tag = "customers", operation_id = "preview_message_template", params(("id" = MessageTemplateId, Path), PreviewOf),
    security(("bearer" = [])),
    responses((status = 200, body = MessagePreview), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[get("/api/message-templates/{id}/preview")]
pub async fn preview_message_template(
    access: TenantAccess<ReadData>,
    id: web::Path<String>,
    params: Params<PreviewOf>,
) -> Result<web::Json<MessagePreview>, Problem> {
    let id = access.check(path_id(&id)).await?;
    let params = access.check(params.0).await?;
    let due: Option<DueId> = match params.due_id {
        None => None,
        Some(due) => {
            let due = due
                .parse()
                .map_err(|invalid| Problem::invalid_field("due_id", invalid));
            Some(access.check(due).await?)
        }
    };
    let batch = (
        templates::find(id),
        due.map(templates::filling),
        settings::find_all(),
    );
    let (template, owed, stored) = access.run(batch).await?.output;
    let template = template.ok_or_else(Problem::not_found)?;
    let settings = Settings::of(&access.tenant.name, &stored.values);
    let today = settings.today(access.now);
    let company = settings.company_name;
    let mut filling = match owed {
        None => Filling::example(company, today),
        Some(owed) => owed
            .ok_or_else(|| super::unknown("due_id"))?
            .filling(company, today),
    };
    let mut pix_missing = false;
    if uses(&template.body, Placeholder::Pix) {
        let payments = &access.platform().payments;
        pix_missing = !payments.takes_pix(access.tenant.home.id).await?;
    }
    filling.pix = (!pix_missing).then(|| EXAMPLE_PIX.to_owned());
    Ok(web::Json(MessagePreview {
        pix_missing,
        subject: filling.subject(template.subject.as_deref()),
        body: filling.fill(&template.body),
    }))
}

/// Change a message template. Messages that are under way keep the former words.
#[utoipa::path(
    tag = "customers", operation_id = "update_message_template", params(("id" = MessageTemplateId, Path)),
    request_body = UpdateMessageTemplate, security(("bearer" = [])),
    responses((status = 200, body = MessageTemplate), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[patch("/api/message-templates/{id}")]
pub async fn update_message_template(
    access: TenantAccess<TradeData>,
    id: web::Path<String>,
    body: Body<UpdateMessageTemplate>,
) -> Result<web::Json<MessageTemplate>, Problem> {
    let id = access.check(path_id(&id)).await?;
    let update = access.check(body.value).await?;
    let (version, changes) = access.check(update.check()).await?;
    let batch = (
        templates::lock(id, version),
        templates::update(id, changes, access.now),
        audit::insert(&access.access, "message_template.update", "message_templates", id),
    );
    Ok(web::Json(access.run(batch).await?.output.1))
}

/// Remove a message template. One by which customers are reminded is refused with 409 `message_template_in_use`.
#[utoipa::path(
    tag = "customers", operation_id = "delete_message_template", params(("id" = MessageTemplateId, Path)), security(("bearer" = [])),
    responses((status = 204), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[delete("/api/message-templates/{id}")]
pub async fn delete_message_template(
    access: TenantAccess<TradeData>,
    id: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let id = access.check(path_id(&id)).await?;
    let audit = audit::insert(&access.access, "message_template.delete", "message_templates", id);
    access
        .run_or((templates::lock(id, None), templates::delete(id), audit), refuse)
        .await?;
    Ok(HttpResponse::NoContent().finish())
}
