//! `/api/message-templates/{id}/preview`, with values of one's own: a template as it is said in a conversation.

use std::collections::BTreeMap;

use actix_web::{post, web};
use serde::{Deserialize, Serialize};

use crate::db::tenant::customers::templates;
use crate::db::tenant::{contacts, settings};
use crate::domain::ids::{ContactId, MessageTemplateId};
use crate::domain::invalid::{FieldErrors, Invalid};
use crate::domain::message_variables::{Addressed, Variables};
use crate::domain::settings::Settings;
use crate::http::body::{Body, path_id};
use crate::http::extract::{TenantAccess, TradeData};
use crate::http::problem::{Problem, ProblemBody};

/// What a template is filled with.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FillMessageTemplate {
    /// To whom it is said; somebody called Maria da Silva when left out.
    #[schema(value_type = Option<ContactId>)]
    contact_id: Option<String>,
    /// A value for each name that the words leave open, besides `nome`, `primeiro_nome` and `empresa`; and no other.
    variables: Option<BTreeMap<String, String>>,
}

impl FillMessageTemplate {
    fn check(self) -> Result<(Option<ContactId>, Variables), FieldErrors> {
        let mut errors = FieldErrors::new();
        let contact = errors.check_opt("contact_id", self.contact_id, |id| id.parse());
        let variables = self.variables.map(Variables::parse).transpose();
        let variables = errors.merge(variables).flatten().unwrap_or_default();
        errors.finish(|| Some((contact, variables)))
    }
}

/// A template as it is said.
#[derive(Serialize, utoipa::ToSchema)]
pub struct FilledMessage {
    /// The words.
    body: String,
}

/// Show a message template as it would be said in a conversation. Nothing is sent. A value that is missing, or that the words do not ask
/// for, is refused with 422: `variables.<name>`, `required` or `unknown_variable`.
#[utoipa::path(
    tag = "customers", operation_id = "fill_message_template", params(("id" = MessageTemplateId, Path)),
    request_body = FillMessageTemplate, security(("bearer" = [])),
    responses((status = 200, body = FilledMessage), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[post("/api/message-templates/{id}/preview")]
pub async fn fill_message_template(
    access: TenantAccess<TradeData>,
    id: web::Path<String>,
    body: Body<FillMessageTemplate>,
) -> Result<web::Json<FilledMessage>, Problem> {
    let id = access.check(path_id(&id)).await?;
    let form = access.check(body.value).await?;
    let (contact, variables) = access.check(form.check()).await?;
    let batch = (
        templates::find(id),
        contact.map(contacts::find),
        settings::find_all(),
    );
    let (template, contact, stored) = access.run(batch).await?.output;
    let template = template.ok_or_else(Problem::not_found)?;
    variables.check_for(&template.body)?;
    let name = match contact {
        None => Some("Maria da Silva".to_owned()),
        Some(contact) => contact.ok_or_else(|| super::unknown("contact_id"))?.name,
    };
    let to = Addressed {
        name,
        company: Settings::of(&access.tenant.name, &stored.values).company_name,
    };
    let said = variables.fill(&template.body, &to);
    let body = said.ok_or_else(|| {
        let empty = Invalid::new("empty", "has no name, and the words say nothing without one");
        Problem::invalid_field("contact_id", empty)
    })?;
    Ok(web::Json(FilledMessage { body }))
}
