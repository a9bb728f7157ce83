//! `POST /criar-cliente`: onboarding under the address and in the words of the platform's Portuguese-speaking clients.
//! It is the same use case as `POST /api/admin/tenants`.

use actix_web::{HttpResponse, post};
use serde::{Deserialize, Serialize};

use super::onboarding::{NewOwnerAnswer, NewTenantAnswer, onboard};
use crate::domain::document::Document;
use crate::domain::ids::TenantId;
use crate::domain::tenant_key::TenantKey;
use crate::domain::text::Name;
use crate::http::body::Body;
use crate::http::extract::{AdminAccess, IdempotencyHeader};
use crate::http::problem::{Problem, ProblemBody};
use crate::tenancy::onboarding_form::{OnboardingForm, OwnerForm};

/// A client to be.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CriarCliente {
    /// Subdomain and `X-Tenant-Key`.
    #[schema(value_type = TenantKey)]
    tenant_key: Option<String>,
    /// Name of the business.
    #[schema(value_type = Name)]
    nome: Option<String>,
    /// Niche: `carros`, `imoveis`, `geral`, or the name of a template.
    #[schema(value_type = String, example = "carros")]
    robo_tipo: Option<String>,
    /// Code of a plan; the smallest when absent.
    plano: Option<String>,
    /// CPF or CNPJ.
    #[schema(value_type = Option<Document>)]
    documento: Option<String>,
    /// The first user. Without one it is the administrator who asks; without a name, it has that of the business.
    #[schema(value_type = Option<OwnerForm>)]
    owner: Option<OwnerForm>,
}

impl CriarCliente {
    /// The same request in the words of `POST /api/admin/tenants`.
    fn translate(self, access: &AdminAccess) -> OnboardingForm {
        let owner = match self.owner {
            Some(owner) => OwnerForm {
                name: owner.name.or_else(|| self.nome.clone()),
                ..owner
            },
            None => OwnerForm {
                email: Some(access.admin.email.clone()),
                name: Some(access.admin.name.clone()),
                password: None,
            },
        };
        OnboardingForm {
            tenant_key: self.tenant_key,
            name: self.nome,
            niche: self.robo_tipo,
            plan: self.plano,
            document: self.documento,
            owner: Some(owner),
        }
    }
}

/// What a field of `POST /api/admin/tenants` is called here.
fn translate_back(field: &str) -> &str {
    match field {
        "name" => "nome",
        "niche" => "robo_tipo",
        "plan" => "plano",
        "document" => "documento",
        other => other,
    }
}

/// A client that has just come to be. Its secrets are shown this once.
#[derive(Serialize, utoipa::ToSchema)]
pub struct ClienteCriado {
    /// Always `true`.
    success: bool,
    tenant_id: TenantId,
    tenant_key: String,
    schema_name: String,
    /// Where to pay, also before the trial has ended; none when the platform collects nowhere.
    checkout_url: Option<String>,
    /// The client's own address.
    url: String,
    /// The first API key, with all scopes.
    api_key: String,
    owner: NewOwnerAnswer,
}

impl From<NewTenantAnswer> for ClienteCriado {
    fn from(tenant: NewTenantAnswer) -> Self {
        Self {
            success: true,
            tenant_id: tenant.id,
            tenant_key: tenant.tenant_key,
            schema_name: tenant.schema_name,
            checkout_url: tenant.checkout_url,
            url: tenant.url,
            api_key: tenant.api_key,
            owner: tenant.owner,
        }
    }
}

/// Onboard a client.
#[utoipa::path(
    tag = "admin tenants", operation_id = "criar_cliente", request_body = CriarCliente, security(("admin" = [])),
    params(("Idempotency-Key" = Option<String>, Header, description = "Repeats of a request with the same key are one request")),
    responses(
        (status = 201, body = ClienteCriado), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)
    )
)]
#[post("/criar-cliente")]
pub async fn criar_cliente(
    access: AdminAccess,
    key: IdempotencyHeader,
    body: Body<CriarCliente>,
) -> Result<HttpResponse, Problem> {
    let form = body.value?.translate(&access);
    let tenant = onboard(&access, key, form, translate_back).await?;
    Ok(HttpResponse::Created().json(ClienteCriado::from(tenant)))
}
