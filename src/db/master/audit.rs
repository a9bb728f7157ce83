//! `audit_log`: what was done to the platform, in the transaction that did it.

use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

use super::{MasterDb, MasterTx};
use crate::db::DbError;
use crate::domain::audit::AuditLine;
use crate::domain::ids::{
    AdminId, AuditId, GatewayAccountId, InvoiceId, PaymentFindingId, PlanId, ShardId, SubscriptionId,
    TenantId, UserId,
};
use crate::domain::page::{Cursor, Limit};
use crate::domain::tenant_key::TenantKey;

/// Who did it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MasterActor {
    /// An administrator, through the API.
    Admin(AdminId),
    /// A user of the tenant that it is about, through the API.
    User(UserId),
    /// Somebody with a shell on the server.
    Cli,
    /// The program.
    System,
}

impl MasterActor {
    fn kind(self) -> &'static str {
        match self {
            Self::Admin(_) => "admin",
            Self::User(_) => "user",
            Self::Cli => "cli",
            Self::System => "system",
        }
    }

    fn id(self) -> Option<Uuid> {
        match self {
            Self::Admin(id) => Some(id.as_uuid()),
            Self::User(id) => Some(id.as_uuid()),
            Self::Cli | Self::System => None,
        }
    }
}

/// Who asks for a change, and in which request.
#[derive(Debug, Clone)]
pub struct Origin {
    /// Who.
    pub actor: MasterActor,
    /// In which request; `None` outside of one.
    pub request_id: Option<String>,
}

/// What was changed. A new kind of thing is a variant and its word in `entity`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// A tenant.
    Tenant(TenantId),
    /// An administrator.
    Admin(AdminId),
    /// A plan.
    Plan(PlanId),
    /// A shard.
    Shard(ShardId),
    /// An account at a gateway, of a tenant or of the platform.
    GatewayAccount(GatewayAccountId, Option<TenantId>),
    /// Something about a payment that nobody expected; of a tenant that is still there.
    PaymentFinding(PaymentFindingId, Option<TenantId>),
    /// A subscription of a tenant.
    Subscription(SubscriptionId, TenantId),
    /// An invoice of a tenant.
    Invoice(InvoiceId, TenantId),
}

impl Subject {
    fn entity(self) -> &'static str {
        match self {
            Self::Tenant(_) => "tenant",
            Self::Admin(_) => "admin",
            Self::Plan(_) => "plan",
            Self::Shard(_) => "shard",
            Self::GatewayAccount(..) => "gateway_account",
            Self::PaymentFinding(..) => "payment_finding",
            Self::Subscription(..) => "subscription",
            Self::Invoice(..) => "invoice",
        }
    }

    fn id(self) -> Uuid {
        match self {
            Self::Tenant(id) => id.as_uuid(),
            Self::Admin(id) => id.as_uuid(),
            Self::Plan(id) => id.as_uuid(),
            Self::Shard(id) => id.as_uuid(),
            Self::GatewayAccount(id, _) => id.as_uuid(),
            Self::PaymentFinding(id, _) => id.as_uuid(),
            Self::Subscription(id, _) => id.as_uuid(),
            Self::Invoice(id, _) => id.as_uuid(),
        }
    }

    fn tenant(self) -> Option<Uuid> {
        match self {
            Self::GatewayAccount(_, tenant) | Self::PaymentFinding(_, tenant) => {
                tenant.map(TenantId::as_uuid)
            }
            Self::Tenant(id) | Self::Subscription(_, id) | Self::Invoice(_, id) => Some(id.as_uuid()),
            Self::Admin(_) | Self::Plan(_) | Self::Shard(_) => None,
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
        line.actor.id(),
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

/// Lines, newest first (their ids are in order of time), of all or of the tenant that has this key now or had it when it
/// was deleted; one more than the page holds.
///
/// # Errors
/// When the database fails.
pub async fn list_audit(
    db: &MasterDb,
    tenant: Option<&TenantKey>,
    after: Option<Cursor>,
    limit: Limit,
) -> Result<Vec<AuditLine>, DbError> {
    let rows = sqlx::query!(
        r#"select a.id, a.at, a.actor_kind, a.actor_id, a.action, a.entity, a.entity_id, a.tenant_id,
                  t.tenant_key as "tenant_key?", a.request_id, a.details
           from audit_log a left join tenants t on t.id = a.tenant_id
           where ($1::text is null or a.tenant_id in (
                      select k.id from tenants k where k.tenant_key = $1
                      union all
                      select r.former_tenant_id from tenant_keys_reserved r where r.tenant_key = $1))
             and ($2::uuid is null or a.id < $2)
           order by a.id desc
           limit $3"#,
        tenant.map(TenantKey::as_str),
        after.map(|cursor| cursor.id),
        limit.rows(),
    )
    .fetch_all(db.pool())
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| AuditLine {
            id: AuditId::from_uuid(row.id),
            at: row.at,
            actor_kind: row.actor_kind,
            actor_id: row.actor_id,
            action: row.action,
            entity: row.entity,
            entity_id: row.entity_id,
            tenant_id: row.tenant_id.map(TenantId::from_uuid),
            tenant_key: row.tenant_key,
            request_id: row.request_id,
            details: row.details,
        })
        .collect())
}
