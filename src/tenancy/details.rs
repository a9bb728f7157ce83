//! Correcting what the registry says of a tenant, without losing what somebody else has corrected meanwhile.

use super::lifecycle::{Lifecycle, Origin};
use crate::db::DbError;
use crate::db::master::audit::{MasterAudit, Subject, insert_audit};
use crate::db::master::tenants::{self, TenantRecord};
use crate::domain::document::Document;
use crate::domain::patch::Patch;
use crate::domain::tenant::TenantStatus;
use crate::domain::tenant_key::TenantKey;
use crate::domain::text::Name;

/// What is to be corrected; what is left out stays.
#[derive(Debug, Default)]
pub struct Details {
    /// Name of the business.
    pub name: Option<Name>,
    /// CPF or CNPJ.
    pub document: Patch<Document>,
    /// The version that was read.
    pub version: Option<i32>,
}

/// Why nothing is corrected.
#[derive(Debug, thiserror::Error)]
pub enum DetailsError {
    /// There is no such tenant.
    #[error("unknown tenant")]
    Unknown,
    /// Somebody has changed it since it was read.
    #[error("the tenant has another version")]
    Stale,
    /// It is being made or removed.
    #[error("a tenant that is {0} cannot be corrected")]
    WrongState(TenantStatus),
    /// The database failed; nothing is changed.
    #[error(transparent)]
    Db(#[from] DbError),
}

impl Lifecycle {
    /// Corrects a tenant's name and document.
    ///
    /// # Errors
    /// See [`DetailsError`].
    pub async fn correct(
        &self,
        key: &TenantKey,
        details: Details,
        origin: Origin,
    ) -> Result<TenantRecord, DetailsError> {
        let now = self.clock.now();
        let mut tx = self.master.begin().await?;
        let mut tenant = tenants::lock_by_key(&mut tx, key)
            .await?
            .ok_or(DetailsError::Unknown)?;
        if details.version.is_some_and(|version| version != tenant.version) {
            return Err(DetailsError::Stale);
        }
        if matches!(
            tenant.status,
            TenantStatus::Provisioning
                | TenantStatus::Failed
                | TenantStatus::Restoring
                | TenantStatus::Deleting
        ) {
            return Err(DetailsError::WrongState(tenant.status));
        }
        let name = details.name.map(String::from);
        let document = details
            .document
            .into_option()
            .map(|document| document.map(String::from));
        let mut changed = Vec::new();
        if name.is_some() {
            changed.push("name");
        }
        if document.is_some() {
            changed.push("document");
        }
        let new_document = document.as_ref().map(Option::as_deref);
        tenants::update_details(&mut tx, tenant.id, name.as_deref(), new_document, now).await?;
        let line = MasterAudit {
            actor: origin.actor,
            action: "tenant.update",
            subject: Subject::Tenant(tenant.id),
            request_id: origin.request_id,
            details: serde_json::json!({ "changed": changed }),
            at: now,
        };
        insert_audit(&mut tx, &line).await?;
        tx.commit().await?;
        tenant.version += 1;
        if let Some(name) = name {
            tenant.name = name;
        }
        if let Some(document) = document {
            tenant.document = document;
        }
        Ok(tenant)
    }
}
