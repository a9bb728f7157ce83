//! What a payer reads of an invoice, and who that is: for the gateway, and kept nowhere else.

use chrono::NaiveDate;

use crate::db::DbError;
use crate::db::master::{MasterDb, MasterTx};
use crate::domain::ids::TenantId;
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
