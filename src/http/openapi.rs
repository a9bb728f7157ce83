//! The API's own description, made from the handlers.

use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{ContentBuilder, OpenApi as OpenApiDocument, Ref, RefOr, Response, ResponseBuilder};
use utoipa::{Modify, OpenApi};

use super::problem::PROBLEM_JSON;

/// What the document holds besides the routes.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "HelixAI",
        description = "Conversational sales robots for many small businesses. Routes of a tenant are served at its own \
                       address (`<key>.<base domain>`) or on the base domain with the header `X-Tenant-Key`; routes of \
                       the administration on the base domain only. A tenant that was renamed is answered 308 at its former \
                       address for a while; its former `X-Tenant-Key` is served as long, and the answer's headers \
                       `X-Tenant-Key` and `Sunset` say by what and until when. Errors are `application/problem+json`."
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

/// Tags of what is served at any host; those of administrators begin with `admin`.
const OF_THE_PLATFORM: [&str; 2] = ["health", "plans"];

/// Refusals are problem documents: says so of every answer that begins with 4 or 5. And every route of a tenant leads from
/// a former address to the present one.
pub fn name_problems(document: &mut OpenApiDocument) {
    for operation in operations(document) {
        let responses = &mut operation.responses.responses;
        for (status, response) in responses.iter_mut() {
            if status.starts_with(['4', '5'])
                && let RefOr::T(response) = response
                && let Some(body) = response.content.shift_remove("application/json")
            {
                response.content.insert(PROBLEM_JSON.to_owned(), body);
            }
        }
        let tag = operation.tags.iter().flatten().next();
        let of_a_tenant =
            tag.is_some_and(|tag| !tag.starts_with("admin") && !OF_THE_PLATFORM.contains(&tag.as_str()));
        if of_a_tenant && let Some(RefOr::T(refused)) = responses.get("4XX") {
            let mut moved = refused.clone();
            moved.description = "The tenant has another address now: see the header `Location`".to_owned();
            responses.insert("308".to_owned(), RefOr::T(moved));
        }
    }
}

/// Says of every operation that needs a database how it answers while that is away, or while the tenant is worked on.
pub fn name_outages(document: &mut OpenApiDocument) {
    for operation in operations(document) {
        let tag = operation.tags.iter().flatten().next().map_or("", String::as_str);
        if tag == "health" {
            continue;
        }
        let outage = unavailable(!tag.starts_with("admin"));
        let responses = &mut operation.responses.responses;
        responses.entry("503".to_owned()).or_insert(RefOr::T(outage));
    }
}

fn operations(document: &mut OpenApiDocument) -> impl Iterator<Item = &mut Operation> {
    document.paths.paths.values_mut().flat_map(|item| {
        [
            &mut item.get,
            &mut item.post,
            &mut item.put,
            &mut item.patch,
            &mut item.delete,
        ]
        .into_iter()
        .flatten()
    })
}

fn unavailable(of_tenant: bool) -> Response {
    let mut codes = "`database_unavailable`: the service is busy or restarting".to_owned();
    if of_tenant {
        codes.push_str(
            "; `tenant_busy`: what the account may use at once is in use; `tenant_unavailable`: it is being worked on; \
             `tenant_upgrading`: it is being brought to a new version",
        );
    }
    let body = ContentBuilder::new().schema(Some(Ref::from_schema_name("ProblemBody")));
    ResponseBuilder::new()
        .description(format!("{codes}. Try again after the seconds of `Retry-After`"))
        .content("application/json", body.build())
        .build()
}
