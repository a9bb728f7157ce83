//! The page that mailed links lead to: somebody chooses a password. It is one fixed text; the token stands behind the `#` of its
//! address, which no browser sends, and goes to the API from there.

use std::sync::OnceLock;

use actix_web::dev::Payload;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_FRAME_OPTIONS};
use actix_web::{FromRequest as _, HttpRequest, HttpResponse, web};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

use crate::http::extract::{LogIn, PublicTenant, on_base_domain};
use crate::http::problem::Problem;
use crate::platform::Platform;

const PAGE: &str = include_str!("password.html");

/// For who has forgotten the password: a user at a tenant's address, an administrator at the platform's.
pub async fn reset(request: HttpRequest, platform: web::Data<Platform>) -> Result<HttpResponse, Problem> {
    if on_base_domain(&request, &platform).is_ok() {
        return Ok(page("/api/admin/password-resets/confirm"));
    }
    at_tenant(&request).await?;
    Ok(page("/api/password-resets/confirm"))
}

/// For who was asked in.
pub async fn accept(request: HttpRequest) -> Result<HttpResponse, Problem> {
    at_tenant(&request).await?;
    Ok(page("/api/invitations/accept"))
}

/// As the route that the page uses: nobody is shown a form that cannot work.
async fn at_tenant(request: &HttpRequest) -> Result<(), Problem> {
    PublicTenant::<LogIn>::from_request(request, &mut Payload::None)
        .await
        .map(|_| ())
}

fn page(action: &str) -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/html; charset=utf-8")
        .insert_header((CACHE_CONTROL, "no-store"))
        .insert_header((REFERRER_POLICY, "no-referrer"))
        .insert_header((X_FRAME_OPTIONS, "DENY"))
        .insert_header((CONTENT_SECURITY_POLICY, policy()))
        .body(PAGE.replace("<body>", &format!("<body data-action=\"{action}\">")))
}

/// Only the page's own script and style run, and it speaks only to where it came from.
fn policy() -> &'static str {
    static POLICY: OnceLock<String> = OnceLock::new();
    POLICY.get_or_init(|| {
        let hash = |tag: &str| {
            let inside = PAGE.split(&format!("<{tag}>")).nth(1).unwrap_or_default();
            let inside = inside.split(&format!("</{tag}>")).next().unwrap_or_default();
            STANDARD.encode(Sha256::digest(inside.as_bytes()))
        };
        format!(
            "default-src 'none'; connect-src 'self'; script-src 'sha256-{}'; style-src 'sha256-{}'; \
             base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
            hash("script"),
            hash("style"),
        )
    })
}
