//! `saved_cards`: the card that a tenant's subscription is renewed with.

use chrono::{DateTime, Utc};

use super::word;
use crate::db::DbError;
use crate::db::master::{MasterDb, MasterTx};
use crate::domain::ids::{GatewayAccountId, SavedCardId, TenantId};
use crate::domain::payment::GatewayKind;

/// A card to be kept.
#[derive(Debug)]
pub struct NewCard {
    /// Its id.
    pub id: SavedCardId,
    /// Whose.
    pub tenant: TenantId,
    /// The account that may charge it.
    pub account: GatewayAccountId,
    /// What charges it, sealed for this card and tenant.
    pub token_sealed: Vec<u8>,
    /// As the gateway writes it.
    pub brand: String,
    /// The last four digits.
    pub last4: String,
}

/// A card that may be charged.
#[derive(Debug, Clone)]
pub struct ChargeableCard {
    /// Its id.
    pub id: SavedCardId,
    /// The account that may charge it: of the platform, and in use.
    pub account: GatewayAccountId,
    /// Where that is.
    pub gateway: GatewayKind,
}

/// Keeps a card instead of the one that the tenant had. Of a tenant that is gone nothing is kept.
///
/// # Errors
/// When the database fails.
pub async fn save_card(tx: &mut MasterTx, new: &NewCard, now: DateTime<Utc>) -> Result<(), DbError> {
    // Charges that name the former card forget it: what was not taken from it yet is collected otherwise.
    sqlx::query!(
        "delete from saved_cards where tenant_id = $1",
        new.tenant.as_uuid()
    )
    .execute(tx.connection())
    .await?;
    sqlx::query!(
        "insert into saved_cards (id, tenant_id, account_id, token_sealed, brand, last4, created_at)
         select $1, t.id, $3, $4, $5, $6, $7 from tenants t where t.id = $2
         on conflict (tenant_id) do nothing",
        new.id.as_uuid(),
        new.tenant.as_uuid(),
        new.account.as_uuid(),
        new.token_sealed,
        new.brand,
        new.last4,
        now,
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// The card that a tenant may be charged with; `None` when there is none, or its account is no longer used.
///
/// # Errors
/// When the database fails.
pub async fn find_chargeable(tx: &mut MasterTx, tenant: TenantId) -> Result<Option<ChargeableCard>, DbError> {
    let row = sqlx::query!(
        "select s.id, a.id as account_id, a.gateway from saved_cards s
         join gateway_accounts a on a.id = s.account_id and a.tenant_id is null and a.status = 'active'
         where s.tenant_id = $1",
        tenant.as_uuid(),
    )
    .fetch_optional(tx.connection())
    .await?;
    row.map(|row| {
        Ok(ChargeableCard {
            id: SavedCardId::from_uuid(row.id),
            account: GatewayAccountId::from_uuid(row.account_id),
            gateway: word(&row.gateway, "gateway_accounts.gateway")?,
        })
    })
    .transpose()
}

/// The sealed token of a card of this tenant and account.
///
/// # Errors
/// When the database fails.
pub async fn find_token(
    db: &MasterDb,
    id: SavedCardId,
    tenant: TenantId,
    account: GatewayAccountId,
) -> Result<Option<Vec<u8>>, DbError> {
    Ok(sqlx::query_scalar!(
        "select token_sealed from saved_cards where id = $1 and tenant_id = $2 and account_id = $3",
        id.as_uuid(),
        tenant.as_uuid(),
        account.as_uuid(),
    )
    .fetch_optional(db.pool())
    .await?)
}
