//! The API's own description, made from the handlers.

use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{OpenApi as OpenApiDocument, RefOr};
use utoipa::{Modify, OpenApi};

use super::problem::PROBLEM_JSON;

/// What the document holds besides the routes.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "HelixAI",
        description = "Conversational sales robots for many small businesses. Routes of a tenant are served at its own \
                       address (`<key>.<base domain>`) or on the base domain with the header `X-Tenant-Key`; routes of \
                       the administration on the base domain only. Errors are `application/problem+json`."
    ),
    modifiers(&Schemes)
)]
pub struct Document;

struct Schemes;

impl Modify for Schemes {
    fn modify(&self, document: &mut OpenApiDocument) {
        let bearer = |description: &str| {
            let mut http = Http::new(HttpAuthScheme::Bearer);
            http.description = Some(description.to_owned());
            SecurityScheme::Http(http)
        };
        let components = document.components.get_or_insert_default();
        for (name, description) in [
            (
                "bearer",
                "A user's token from POST /api/sessions, or an API key of the tenant",
            ),
            ("admin", "An administrator's token from POST /api/admin/sessions"),
            ("metrics_token", "The configured metrics.token"),
        ] {
            components.add_security_scheme(name, bearer(description));
        }
    }
}

/// Refusals are problem documents: says so of every answer that begins with 4 or 5.
pub fn name_problems(document: &mut OpenApiDocument) {
    for item in document.paths.paths.values_mut() {
        let operations = [
            &mut item.get,
            &mut item.post,
            &mut item.put,
            &mut item.patch,
            &mut item.delete,
        ];
        let responses = operations
            .into_iter()
            .flatten()
            .flat_map(|operation| &mut operation.responses.responses);
        for (status, response) in responses {
            if !status.starts_with(['4', '5']) {
                continue;
            }
            if let RefOr::T(response) = response
                && let Some(body) = response.content.shift_remove("application/json")
            {
                response.content.insert(PROBLEM_JSON.to_owned(), body);
            }
        }
    }
}
