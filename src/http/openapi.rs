//! The API's own description, made from the handlers.

use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::{Modify, OpenApi};

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
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
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
