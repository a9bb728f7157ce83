//! `/api/api-keys`: how programs of the tenant log in. A key is shown once, when it is made.

use actix_web::{HttpResponse, delete, get, post, web};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};

use crate::db::tenant::{api_keys, audit};
use crate::domain::api_key::ApiKey;
use crate::domain::ids::ApiKeyId;
use crate::domain::invalid::{FieldErrors, Invalid};
use crate::domain::page::{Cursor, Page};
use crate::domain::role::Scope;
use crate::domain::text::line;
use crate::domain::token::{NewToken, TokenKind};
use crate::http::body::{Body, ListAll, Params, path_id};
use crate::http::create::Creation;
use crate::http::extract::{IdempotencyHeader, ManageTenant, SeeSettings, TenantAccess};
use crate::http::problem::{Problem, ProblemBody};

const NAME_MAX: usize = 100;

/// A key that has just been made.
#[derive(Serialize, utoipa::ToSchema)]
pub struct NewApiKey {
    /// What is shown from now on.
    #[serde(flatten)]
    shown: ApiKey,
    /// Send it as `Authorization: Bearer <key>`. It is shown this once.
    key: String,
}

/// A key to be.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateApiKey {
    /// What it is for: at most 100 characters.
    #[schema(value_type = String)]
    name: Option<String>,
    /// What it may be used for; both when left out.
    #[schema(value_type = Option<Vec<Scope>>)]
    scopes: Option<Vec<String>>,
}

impl CreateApiKey {
    fn check(self) -> Result<(String, Vec<&'static str>), FieldErrors> {
        let mut errors = FieldErrors::new();
        let name = errors.require("name", self.name, |name| line(&name, NAME_MAX));
        let scopes = match self.scopes {
            None => Some(Scope::WORDS.to_vec()),
            Some(scopes) => errors.check("scopes", parse_scopes(&scopes)),
        };
        errors.finish(|| Some((name?, scopes?)))
    }
}

fn parse_scopes(words: &[String]) -> Result<Vec<&'static str>, Invalid> {
    if words.is_empty() {
        return Err(Invalid::required());
    }
    let scopes = words
        .iter()
        .map(|word| Scope::parse(word))
        .collect::<Result<Vec<_>, _>>()?;
    let asked_for = |scope: &&Scope| scopes.contains(scope);
    Ok(Scope::ALL
        .iter()
        .filter(asked_for)
        .map(|scope| scope.as_str())
        .collect())
}

/// List API keys, newest first, revoked ones included.
#[utoipa::path(
    tag = "api keys", operation_id = "list_api_keys", params(ListAll), security(("bearer" = [])),
    responses((status = 200, body = Page<ApiKey>), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[get("/api/api-keys")]
pub async fn list_api_keys(
    access: TenantAccess<SeeSettings>,
    params: Params<ListAll>,
) -> Result<web::Json<Page<ApiKey>>, Problem> {
    let params = access.check(params.0).await?;
    let (after, limit) = access.check(params.check()).await?;
    let rows = access.run(api_keys::list(after, limit)).await?.output;
    Ok(web::Json(Page::from_rows(rows, limit, |row| {
        Cursor::new(row.created_at, row.id)
    })))
}

/// Make an API key.
#[utoipa::path(
    tag = "api keys", operation_id = "create_api_key", request_body = CreateApiKey, security(("bearer" = [])),
    params(("Idempotency-Key" = Option<String>, Header, description = "Repeats of a request with the same key are one request")),
    responses((status = 201, body = NewApiKey), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[post("/api/api-keys")]
pub async fn create_api_key(
    access: TenantAccess<ManageTenant>,
    repeat: IdempotencyHeader,
    body: Body<CreateApiKey>,
) -> Result<HttpResponse, Problem> {
    let new = access.check(body.value).await?;
    let (name, scopes) = access.check(new.check()).await?;
    let id = ApiKeyId::new();
    let token = NewToken::generate(TokenKind::ApiKey);
    let prefix = token.prefix.unwrap_or_default();
    let creator = access.access.session();
    let batch = (
        api_keys::insert(id, name, prefix, &token.hash, scopes, creator, access.now),
        audit::insert(&access.access, "api_key.create", "api_keys", id),
    );
    let creation = Creation {
        operation: "create_api_key",
        key: repeat,
        hash: body.hash,
        row: Some(id.as_uuid()),
    };
    let show = |(shown, _)| NewApiKey {
        shown,
        key: token.plain.expose_secret().to_owned(),
    };
    access.create(creation, batch, show, |_| None).await
}

/// Read an API key: what it is for, not the key itself.
#[utoipa::path(
    tag = "api keys", operation_id = "get_api_key", params(("id" = ApiKeyId, Path)), security(("bearer" = [])),
    responses((status = 200, body = ApiKey), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[get("/api/api-keys/{id}")]
pub async fn get_api_key(
    access: TenantAccess<SeeSettings>,
    id: web::Path<String>,
) -> Result<web::Json<ApiKey>, Problem> {
    let id = access.check(path_id(&id)).await?;
    let key = access.run(api_keys::find(id)).await?.output;
    key.map(web::Json).ok_or_else(Problem::not_found)
}

/// Revoke an API key: it is worth nothing from now on, and stays in the list.
#[utoipa::path(
    tag = "api keys", operation_id = "delete_api_key", params(("id" = ApiKeyId, Path)), security(("bearer" = [])),
    responses((status = 204), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[delete("/api/api-keys/{id}")]
pub async fn delete_api_key(
    access: TenantAccess<ManageTenant>,
    id: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let id = access.check(path_id(&id)).await?;
    let audit = audit::insert(&access.access, "api_key.revoke", "api_keys", id);
    access
        .run((api_keys::lock(id), api_keys::revoke(id, access.now), audit))
        .await?;
    Ok(HttpResponse::NoContent().finish())
}
