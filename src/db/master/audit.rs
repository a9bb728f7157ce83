//! `audit_log`: what was done to the platform, in the transaction that did it.

use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

use super::MasterTx;
use crate::db::DbError;
use crate::domain::ids::{AdminId, AuditId, TenantId};

/// Who did it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MasterActor {
    /// An administrator, through the API.
    Admin(AdminId),
    /// Somebody with a shell on the server.
    Cli,
    /// The program.
    System,
}

impl MasterActor {
    fn kind(self) -> &'static str {
        match self {
            Self::Admin(_) => "admin",
            Self::Cli => "cli",
            Self::System => "system",
        }
    }

    fn id(self) -> Option<AdminId> {
        match self {
            Self::Admin(id) => Some(id),
            Self::Cli | Self::System => None,
        }
    }
}

/// What was changed. A new kind of thing is a variant and its word in `entity`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// A tenant.
    Tenant(TenantId),
    /// An administrator.
    Admin(AdminId),
}

impl Subject {
    fn entity(self) -> &'static str {
        match self {
            Self::Tenant(_) => "tenant",
            Self::Admin(_) => "admin",
        }
    }

    fn id(self) -> Uuid {
        match self {
            Self::Tenant(id) => id.as_uuid(),
            Self::Admin(id) => id.as_uuid(),
        }
    }

    fn tenant(self) -> Option<Uuid> {
        match self {
            Self::Tenant(id) => Some(id.as_uuid()),
            Self::Admin(_) => None,
        }
    }
}

/// One line. `details` never holds secrets or personal data.
#[derive(Debug, Clone)]
pub struct MasterAudit {
    /// Who.
    pub actor: MasterActor,
    /// What, e.g. `tenant.suspend`.
    pub action: &'static str,
    /// To what.
    pub subject: Subject,
    /// In which request; `None` outside of one.
    pub request_id: Option<String>,
    /// More of it.
    pub details: Value,
    /// When.
    pub at: DateTime<Utc>,
}

/// Adds a line.
///
/// # Errors
/// When the database fails.
pub async fn insert_audit(tx: &mut MasterTx, line: &MasterAudit) -> Result<(), DbError> {
    sqlx::query!(
        "insert into audit_log (id, at, actor_kind, actor_id, action, entity, entity_id, tenant_id, request_id, details)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        AuditId::new().as_uuid(),
        line.at,
        line.actor.kind(),
        line.actor.id().map(AdminId::as_uuid),
        line.action,
        line.subject.entity(),
        line.subject.id().to_string(),
        line.subject.tenant(),
        line.request_id,
        line.details,
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}
