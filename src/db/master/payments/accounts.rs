//! `gateway_accounts`: whose money is collected where, and with which credentials.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::word;
use crate::db::DbError;
use crate::db::master::{MasterDb, MasterTx};
use crate::domain::charge::AccountStatus;
use crate::domain::ids::{GatewayAccountId, TenantId};
use crate::domain::payment::GatewayKind;

/// An account at a gateway.
#[derive(Debug, Clone)]
pub struct AccountRecord {
    /// Its id, which is also its hook's address.
    pub id: GatewayAccountId,
    /// Where.
    pub gateway: GatewayKind,
    /// Whose money it collects; `None`: the platform's.
    pub tenant: Option<TenantId>,
    /// What people call it.
    pub name: String,
    /// Sealed for this account and owner.
    pub credentials_sealed: Vec<u8>,
    /// The gateway's own id of the account, where it has told.
    pub collector: Option<String>,
    /// Whether new charges use it.
    pub status: AccountStatus,
    /// Counts its changes.
    pub version: i32,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
}

struct Row {
    id: Uuid,
    gateway: String,
    tenant_id: Option<Uuid>,
    name: String,
    credentials_sealed: Vec<u8>,
    collector: Option<String>,
    status: String,
    version: i32,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl TryFrom<Row> for AccountRecord {
    type Error = DbError;

    fn try_from(row: Row) -> Result<Self, DbError> {
        Ok(Self {
            id: GatewayAccountId::from_uuid(row.id),
            gateway: word(&row.gateway, "gateway_accounts.gateway")?,
            tenant: row.tenant_id.map(TenantId::from_uuid),
            name: row.name,
            credentials_sealed: row.credentials_sealed,
            collector: row.collector,
            status: word(&row.status, "gateway_accounts.status")?,
            version: row.version,
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}

/// Adds an account.
///
/// # Errors
/// `gateway_accounts_platform_active_key` or `gateway_accounts_tenant_active_key` when its owner has an active one at that
/// gateway; `gateway_accounts_tenant_id_fkey`; or when the database fails.
pub async fn insert_account(tx: &mut MasterTx, new: &AccountRecord) -> Result<(), DbError> {
    sqlx::query!(
        "insert into gateway_accounts (id, gateway, tenant_id, name, credentials_sealed, collector, status, version,
                                       created_at, updated_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        new.id.as_uuid(),
        new.gateway.as_str(),
        new.tenant.map(TenantId::as_uuid),
        new.name,
        new.credentials_sealed,
        new.collector,
        new.status.as_str(),
        new.version,
        new.created_at,
        new.updated_at,
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Changes an account's name, credentials, collector and status, and counts the change.
///
/// # Errors
/// As [`insert_account`].
pub async fn update_account(tx: &mut MasterTx, changed: &AccountRecord) -> Result<(), DbError> {
    sqlx::query!(
        "update gateway_accounts
         set name = $2, credentials_sealed = $3, collector = $4, status = $5, version = version + 1, updated_at = $6
         where id = $1",
        changed.id.as_uuid(),
        changed.name,
        changed.credentials_sealed,
        changed.collector,
        changed.status.as_str(),
        changed.updated_at,
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Forgets an account that never collected anything; `false` when it has, or has saved a card.
///
/// # Errors
/// When the database fails.
pub async fn delete_account(tx: &mut MasterTx, id: GatewayAccountId) -> Result<bool, DbError> {
    let deleted = sqlx::query!(
        "delete from gateway_accounts a
         where a.id = $1 and not exists (select from charges c where c.account_id = a.id)
           and not exists (select from saved_cards s where s.account_id = a.id)",
        id.as_uuid(),
    )
    .execute(tx.connection())
    .await?;
    Ok(deleted.rows_affected() == 1)
}

/// Whether anything was ordered through an account, and the newest payment that the gateway has of it.
///
/// # Errors
/// When the database fails.
pub async fn find_use(db: &MasterDb, account: GatewayAccountId) -> Result<Option<Option<String>>, DbError> {
    let row = sqlx::query!(
        r#"select exists (select from charges where account_id = $1) as "used!",
                  (select gateway_payment_id from charges
                   where account_id = $1 and gateway_payment_id is not null order by id desc limit 1) as payment"#,
        account.as_uuid(),
    )
    .fetch_one(db.pool())
    .await?;
    Ok(row.used.then_some(row.payment))
}

/// An account, whoever owns it: for its hook and for whoever carries charges out.
///
/// # Errors
/// When the database fails.
pub async fn find_account(db: &MasterDb, id: GatewayAccountId) -> Result<Option<AccountRecord>, DbError> {
    let row = sqlx::query_as!(
        Row,
        "select id, gateway, tenant_id, name, credentials_sealed, collector, status, version, created_at, updated_at
         from gateway_accounts where id = $1",
        id.as_uuid(),
    )
    .fetch_optional(db.pool())
    .await?;
    row.map(AccountRecord::try_from).transpose()
}

/// An account of this owner (`None`: the platform), locked.
///
/// # Errors
/// When the database fails.
pub async fn lock_account(
    tx: &mut MasterTx,
    owner: Option<TenantId>,
    id: GatewayAccountId,
) -> Result<Option<AccountRecord>, DbError> {
    let row = sqlx::query_as!(
        Row,
        "select id, gateway, tenant_id, name, credentials_sealed, collector, status, version, created_at, updated_at
         from gateway_accounts where id = $1 and tenant_id is not distinct from $2 for update",
        id.as_uuid(),
        owner.map(TenantId::as_uuid),
    )
    .fetch_optional(tx.connection())
    .await?;
    row.map(AccountRecord::try_from).transpose()
}

/// The accounts of an owner (`None`: the platform), newest first. They are few.
///
/// # Errors
/// When the database fails.
pub async fn list_accounts(db: &MasterDb, owner: Option<TenantId>) -> Result<Vec<AccountRecord>, DbError> {
    let rows = sqlx::query_as!(
        Row,
        "select id, gateway, tenant_id, name, credentials_sealed, collector, status, version, created_at, updated_at
         from gateway_accounts where tenant_id is not distinct from $1 order by id desc limit 200",
        owner.map(TenantId::as_uuid),
    )
    .fetch_all(db.pool())
    .await?;
    rows.into_iter().map(AccountRecord::try_from).collect()
}

/// The accounts that an owner (`None`: the platform) collects new charges with, at most one of each gateway.
///
/// # Errors
/// When the database fails.
pub async fn list_active(
    tx: &mut MasterTx,
    owner: Option<TenantId>,
) -> Result<Vec<(GatewayAccountId, GatewayKind)>, DbError> {
    let rows = sqlx::query!(
        "select id, gateway from gateway_accounts
         where tenant_id is not distinct from $1 and status = 'active'",
        owner.map(TenantId::as_uuid),
    )
    .fetch_all(tx.connection())
    .await?;
    rows.into_iter()
        .map(|row| {
            let gateway = word(&row.gateway, "gateway_accounts.gateway")?;
            Ok((GatewayAccountId::from_uuid(row.id), gateway))
        })
        .collect()
}
