//! A tenant that has another key now: its former address leads to the present one, its former key is served for a while.

use std::sync::Arc;

use actix_web::{HttpMessage as _, HttpRequest};

use super::client::host;
use crate::http::observe::FormerKey;
use crate::http::problem::Problem;
use crate::platform::Platform;
use crate::tenancy::resolve::{ResolveError, Resolved, ResolvedTenant};

/// The tenant that a request's host and this `X-Tenant-Key` name.
///
/// # Errors
/// What the resolver refuses; 308 at a former address.
pub(super) async fn resolve(
    request: &HttpRequest,
    platform: &Platform,
    key: Option<&str>,
) -> Result<Arc<ResolvedTenant>, Problem> {
    let resolved = platform.resolver.resolve(host(request)?, key).await;
    let Resolved { tenant, former_until } = resolved.map_err(|error| match error {
        ResolveError::Renamed(key) => {
            let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
            let address = platform.settings.server.tenant_url(key.as_str());
            Problem::moved(format!("{address}{path}"))
        }
        other => other.into(),
    })?;
    if let Some(until) = former_until {
        let key = tenant.key.clone();
        request.extensions_mut().insert(FormerKey { key, until });
    }
    Ok(tenant)
}
