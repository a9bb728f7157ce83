//! What failures of the layers below are answered with.

use actix_web::http::StatusCode;

use super::Problem;
use crate::db::{DbError, Refusal};
use crate::domain::invalid::FieldErrors;
use crate::tenancy::resolve::ResolveError;

impl From<DbError> for Problem {
    fn from(error: DbError) -> Self {
        match &error {
            DbError::Refused(Refusal::Credentials) => Self::unauthorized(),
            DbError::Refused(Refusal::Rights) => Self::no_right(),
            DbError::Refused(Refusal::NotFound) => Self::not_found(),
            DbError::Refused(Refusal::Stale) => Self::conflict(
                "stale_version",
                "Somebody has changed this since you read it: read it again and repeat your change.",
            ),
            DbError::Refused(Refusal::LimitReached) => Self::new(
                StatusCode::PAYMENT_REQUIRED,
                Self::LIMIT_EXCEEDED,
                "The plan does not include more: see GET /api/subscription.",
            ),
            DbError::Refused(Refusal::LastOwner) => Self::conflict(
                "last_owner",
                "Nobody else is an active owner: make somebody one first.",
            ),
            DbError::Refused(Refusal::State) => Self::conflict(
                "wrong_state",
                "The state that this is in does not allow it: read it again.",
            ),
            DbError::Refused(Refusal::Locked | Refusal::SchemaUnavailable | Refusal::RoleRevoked) => {
                tracing::warn!(%error, "a tenant's schema cannot be used");
                Self::unavailable(
                    "tenant_unavailable",
                    "This account is being worked on: try again in a moment.",
                )
            }
            DbError::Crowded => Self::tenant_busy(),
            DbError::Unavailable(_) | DbError::Timeout | DbError::Conflict(_) => {
                tracing::warn!(%error, "the database did not answer");
                Self::unavailable(
                    "database_unavailable",
                    "The service is busy or restarting: try again in a moment.",
                )
            }
            DbError::Constraint(_) | DbError::Other { .. } => {
                tracing::error!(%error, "a request failed");
                Self::internal()
            }
        }
    }
}

impl From<ResolveError> for Problem {
    fn from(error: ResolveError) -> Self {
        match error {
            // Whoever knows the request answers a renamed one with its new address.
            ResolveError::Unknown | ResolveError::Renamed(_) => Self::new(
                StatusCode::NOT_FOUND,
                "tenant_not_found",
                "There is no client at this address or of this key.",
            ),
            ResolveError::NotNamed => Self::new(
                StatusCode::NOT_FOUND,
                "tenant_not_named",
                "This route belongs to a client: use its own address, or send the header X-Tenant-Key.",
            ),
            ResolveError::Disagreement => Self::bad_request(
                "tenant_mismatch",
                "The header X-Tenant-Key names another client than the host: send only one of them.",
            ),
            ResolveError::Unavailable(cause) => {
                tracing::warn!(error = %cause, "the registry did not answer");
                Self::unavailable(
                    "database_unavailable",
                    "The service is busy or restarting: try again in a moment.",
                )
            }
        }
    }
}

impl From<FieldErrors> for Problem {
    fn from(errors: FieldErrors) -> Self {
        Self::invalid_fields(errors)
    }
}
