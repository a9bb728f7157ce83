//! Hosts of tenants outside of the platform's own domain.
//!
//! A host counts only once it is verified: whoever adds a name that is not theirs gets none of its visitors. The proof is
//! a TXT record; an administrator looks at it and says so, which is audited.

use super::lifecycle::{Lifecycle, Origin};
use crate::db::DbError;
use crate::db::master::MasterTx;
use crate::db::master::audit::{MasterAudit, Subject, insert_audit};
use crate::db::master::domains::{self, DomainRecord};
use crate::db::master::tenants;
use crate::domain::host::HostName;
use crate::domain::ids::TenantId;
use crate::domain::random;
use crate::domain::tenant_key::TenantKey;

/// Why a host does not change.
#[derive(Debug, thiserror::Error)]
pub enum DomainError {
    /// There is no such tenant, or it has no such host.
    #[error("unknown")]
    Unknown,
    /// Another tenant has this host.
    #[error("another tenant has this host")]
    Taken,
    /// The database failed; nothing is changed.
    #[error(transparent)]
    Db(#[from] DbError),
}

impl Lifecycle {
    /// The hosts of a tenant.
    ///
    /// # Errors
    /// See [`DomainError`].
    pub async fn list_domains(&self, key: &TenantKey) -> Result<Vec<DomainRecord>, DomainError> {
        let tenant = tenants::find_record(&self.master, key).await?;
        let tenant = tenant.ok_or(DomainError::Unknown)?;
        Ok(domains::list(&self.master, tenant.id).await?)
    }

    /// Adds a host, not verified yet. Adding it again changes nothing.
    ///
    /// # Errors
    /// See [`DomainError`].
    pub async fn add_domain(
        &self,
        key: &TenantKey,
        host: &HostName,
        origin: Origin,
    ) -> Result<DomainRecord, DomainError> {
        let mut tx = self.master.begin().await?;
        let tenant = lock_tenant(&mut tx, key).await?;
        let token = verification_token();
        let now = self.clock.now();
        let domain = match domains::insert(&mut tx, tenant, host.as_str(), &token, now).await? {
            Some(domain) => {
                self.audit(&mut tx, tenant, "domain.add", host.as_str(), origin)
                    .await?;
                domain
            }
            None => domains::lock(&mut tx, tenant, host.as_str())
                .await?
                .ok_or(DomainError::Taken)?,
        };
        tx.commit().await?;
        Ok(domain)
    }

    /// Says that the host is the tenant's: its requests are the tenant's from now on.
    ///
    /// # Errors
    /// See [`DomainError`].
    pub async fn verify_domain(
        &self,
        key: &TenantKey,
        host: &HostName,
        origin: Origin,
    ) -> Result<DomainRecord, DomainError> {
        let mut tx = self.master.begin().await?;
        let tenant = lock_tenant(&mut tx, key).await?;
        let domain = domains::lock(&mut tx, tenant, host.as_str()).await?;
        let mut domain = domain.ok_or(DomainError::Unknown)?;
        if domain.verified_at.is_none() {
            let now = self.clock.now();
            domains::set_verified(&mut tx, domain.id, now).await?;
            self.audit(&mut tx, tenant, "domain.verify", host.as_str(), origin)
                .await?;
            domain.verified_at = Some(now);
        }
        tx.commit().await?;
        Ok(domain)
    }

    /// Removes a host: nobody answers to it from now on.
    ///
    /// # Errors
    /// See [`DomainError`].
    pub async fn remove_domain(
        &self,
        key: &TenantKey,
        host: &HostName,
        origin: Origin,
    ) -> Result<(), DomainError> {
        let mut tx = self.master.begin().await?;
        let tenant = lock_tenant(&mut tx, key).await?;
        let domain = domains::lock(&mut tx, tenant, host.as_str()).await?;
        let domain = domain.ok_or(DomainError::Unknown)?;
        domains::delete(&mut tx, domain.id).await?;
        self.audit(&mut tx, tenant, "domain.remove", host.as_str(), origin)
            .await?;
        Ok(tx.commit().await?)
    }

    async fn audit(
        &self,
        tx: &mut MasterTx,
        tenant: TenantId,
        action: &'static str,
        host: &str,
        origin: Origin,
    ) -> Result<(), DbError> {
        let line = MasterAudit {
            actor: origin.actor,
            action,
            subject: Subject::Tenant(tenant),
            request_id: origin.request_id,
            details: serde_json::json!({ "host": host }),
            at: self.clock.now(),
        };
        insert_audit(tx, &line).await
    }
}

/// What a TXT record of a host is to say.
pub(super) fn verification_token() -> String {
    random::letters(32, b"abcdefghijklmnopqrstuvwxyz0123456789")
}

async fn lock_tenant(tx: &mut MasterTx, key: &TenantKey) -> Result<TenantId, DomainError> {
    let tenant = tenants::lock_by_key(tx, key).await?;
    Ok(tenant.ok_or(DomainError::Unknown)?.id)
}
