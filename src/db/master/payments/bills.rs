//! What a payer reads of an invoice, and who that is: for the gateway, and kept nowhere else; and a tenant that is paid itself.

use chrono::NaiveDate;

use crate::db::DbError;
use crate::db::master::{MasterDb, MasterTx};
use crate::db::tenant::{LaneAddress, TenantHome};
use crate::domain::ids::{ShardId, TenantId};
use uuid::Uuid;

/// An invoice that is to be paid.
#[derive(Clone)]
pub struct InvoiceBill {
    /// Its number.
    pub number: i64,
    /// Who pays.
    pub name: String,
    /// CPF or CNPJ.
    pub document: Option<String>,
    /// Where they are written to.
    pub email: String,
    /// Their key.
    pub tenant_key: String,
    /// The local day by which it should be paid.
    pub due_date: NaiveDate,
}

/// An invoice of a tenant, while it is to be paid and the tenant is there: of who is put away nothing is collected.
///
/// # Errors
/// When the database fails.
pub async fn find_open(
    db: &MasterDb,
    invoice: Uuid,
    tenant: TenantId,
) -> Result<Option<InvoiceBill>, DbError> {
    Ok(sqlx::query_as!(
        InvoiceBill,
        "select i.number, i.customer_name as name, i.customer_document as document, t.owner_email as email, t.tenant_key,
                i.due_date
         from invoices i join tenants t on t.id = i.tenant_id
         where i.id = $1 and i.tenant_id = $2 and i.status = 'open' and t.status in ('active', 'suspended')",
        invoice,
        tenant.as_uuid(),
    )
    .fetch_optional(db.pool())
    .await?)
}

/// Whose an invoice is.
///
/// # Errors
/// When the database fails.
pub async fn find_tenant(db: &MasterDb, invoice: Uuid) -> Result<Option<TenantId>, DbError> {
    let tenant = sqlx::query_scalar!("select tenant_id from invoices where id = $1", invoice)
        .fetch_optional(db.pool())
        .await?;
    Ok(tenant.map(TenantId::from_uuid))
}

/// The number of an invoice, and where whoever pays it is written to; `None` when the tenant is gone.
///
/// # Errors
/// When the database fails.
pub async fn find_payer(tx: &mut MasterTx, invoice: Uuid) -> Result<Option<(i64, String)>, DbError> {
    let row = sqlx::query!(
        "select i.number, t.owner_email from invoices i join tenants t on t.id = i.tenant_id where i.id = $1",
        invoice,
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(row.map(|row| (row.number, row.owner_email)))
}

/// A tenant that is paid by its customers.
#[derive(Clone)]
pub struct PayeeTenant {
    /// Where its dues are.
    pub home: TenantHome,
    /// Its key.
    pub key: String,
    /// Its display name.
    pub name: String,
    /// Where its owner is written to.
    pub owner_email: String,
}

/// A tenant that is served at the moment; `None` while it is not: suspended, being restored, put away.
///
/// # Errors
/// When the database fails.
pub async fn find_payee(db: &MasterDb, tenant: TenantId) -> Result<Option<PayeeTenant>, DbError> {
    let row = sqlx::query!(
        "select t.tenant_key, t.name, t.owner_email, t.schema_name, t.role_name, t.shard_id, l.login
         from tenants t join lanes l on l.shard_id = t.shard_id and l.number = t.lane
         where t.id = $1 and t.status = 'active'",
        tenant.as_uuid(),
    )
    .fetch_optional(db.pool())
    .await?;
    Ok(row.map(|row| PayeeTenant {
        home: TenantHome {
            id: tenant,
            lane: LaneAddress {
                shard: ShardId::from_uuid(row.shard_id),
                login: row.login,
            },
            schema: row.schema_name,
            role: row.role_name,
        },
        key: row.tenant_key,
        name: row.name,
        owner_email: row.owner_email,
    }))
}
