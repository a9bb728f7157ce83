//! Charges to be: what has been ordered and how the gateway's answer is noted.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::charges::{ChargeRecord, charges};
use crate::db::DbError;
use crate::db::master::{MasterDb, MasterTx};
use crate::domain::charge::Payee;
use crate::domain::ids::{ChargeId, GatewayAccountId, SavedCardId, TenantId};
use crate::domain::money::Cents;
use crate::domain::payment::PaymentMethod;

/// A charge to be.
#[derive(Debug, Clone)]
pub struct ChargeOrder {
    /// The account that is to collect.
    pub account: GatewayAccountId,
    /// Who pays the platform, or whose customer pays.
    pub tenant: TenantId,
    /// Who is paid.
    pub payee: Payee,
    /// The invoice, or the due in the tenant's schema.
    pub subject: Uuid,
    /// How it is to be paid.
    pub method: PaymentMethod,
    /// What is asked for.
    pub amount: Cents,
    /// Until when it can be paid.
    pub expires_at: DateTime<Utc>,
    /// The card that is to be charged.
    pub card: Option<SavedCardId>,
    /// When it is placed, if nobody has done so before.
    pub place_at: DateTime<Utc>,
}

/// The newest charge that asks for the same, in the same way and through the same account, and can still be paid at `usable`. A
/// PIX whose text nobody knows (its gateway had it, and would not say it again) can be paid by nobody.
///
/// # Errors
/// When the database fails.
pub async fn find_same(
    tx: &mut MasterTx,
    order: &ChargeOrder,
    usable: DateTime<Utc>,
) -> Result<Option<ChargeId>, DbError> {
    let id = sqlx::query_scalar!(
        "select id from charges
         where tenant_id = $1 and subject_id = $2 and method = $3 and account_id = $4 and amount_cents = $5 and payee = $6
           and status in ('pending', 'in_process') and expires_at > $7
           and (method <> 'pix' or placed_at is null or pix_code is not null)
         order by attempt desc limit 1",
        order.tenant.as_uuid(),
        order.subject,
        order.method.as_str(),
        order.account.as_uuid(),
        order.amount.get(),
        order.payee.as_str(),
        usable,
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(id.map(ChargeId::from_uuid))
}

/// Orders a charge, as the next attempt of its subject and method; `None` when somebody else has done so meanwhile. The account
/// must be its payee's own, or nothing is ordered.
///
/// # Errors
/// When the database fails.
pub async fn insert_charge(
    tx: &mut MasterTx,
    order: &ChargeOrder,
    now: DateTime<Utc>,
) -> Result<Option<ChargeId>, DbError> {
    let id = ChargeId::new();
    let inserted = sqlx::query!(
        "insert into charges (id, account_id, tenant_id, payee, subject_id, method, attempt, amount_cents, currency, status,
                              expires_at, card_id, next_check_at, created_at, updated_at)
         select $1, a.id, $3, $4, $5, $6,
                (select coalesce(max(o.attempt), 0) + 1 from charges o
                 where o.tenant_id = $3 and o.subject_id = $5 and o.method = $6),
                $7, 'BRL', 'pending', $8, $9, $10, $11, $11
         from gateway_accounts a
         where a.id = $2 and a.tenant_id is not distinct from case $4 when 'tenant' then $3::uuid end
         on conflict on constraint charges_subject_key do nothing",
        id.as_uuid(),
        order.account.as_uuid(),
        order.tenant.as_uuid(),
        order.payee.as_str(),
        order.subject,
        order.method.as_str(),
        order.amount.get(),
        order.expires_at,
        order.card.map(SavedCardId::as_uuid),
        order.place_at,
        now,
    )
    .execute(tx.connection())
    .await?;
    Ok((inserted.rows_affected() == 1).then_some(id))
}

/// What a gateway has answered to an order.
#[derive(Debug)]
pub struct PlacedCharge<'a> {
    /// Which.
    pub id: ChargeId,
    /// Who asked.
    pub worker: Uuid,
    /// The gateway's id, if it has one yet.
    pub payment_id: Option<&'a str>,
    /// The gateway's id of the page, where that is no payment.
    pub page_id: Option<&'a str>,
    /// The text of a PIX.
    pub pix_code: Option<&'a str>,
    /// A page on which to pay.
    pub pay_url: Option<&'a str>,
    /// The digits of a bank slip.
    pub barcode: Option<&'a str>,
    /// Until when it can be paid, as far as the gateway says.
    pub expires_at: Option<DateTime<Utc>>,
    /// When it is asked about.
    pub next_check_at: Option<DateTime<Utc>>,
}

/// Notes a gateway's answer. What has become of the payment meanwhile, by a webhook that was faster, stays.
///
/// # Errors
/// `charges_account_id_gateway_payment_id_key` when the payment belongs to another charge; or when the database fails.
pub async fn note_placed(
    db: &MasterDb,
    placed: &PlacedCharge<'_>,
    now: DateTime<Utc>,
) -> Result<Option<ChargeRecord>, DbError> {
    let row = charges!(
        "update charges c
         set placed_at = coalesce(c.placed_at, $9), gateway_payment_id = coalesce(c.gateway_payment_id, $3),
             gateway_page_id = coalesce(c.gateway_page_id, $10), pix_code = coalesce(c.pix_code, $4), pay_url = coalesce(c.pay_url, $5), barcode = coalesce(c.barcode, $6),
             expires_at = coalesce($7, c.expires_at),
             next_check_at = case when c.leased_by = $2 then $8 else c.next_check_at end,
             checks = case when c.leased_by = $2 then 0 else c.checks end,
             last_error = case when c.leased_by = $2 then null else c.last_error end,
             leased_until = case when c.leased_by = $2 then null else c.leased_until end,
             leased_by = case when c.leased_by = $2 then null else c.leased_by end,
             updated_at = $9
         from gateway_accounts a where a.id = c.account_id and c.id = $1 returning",
        "",
        placed.id.as_uuid(),
        placed.worker,
        placed.payment_id,
        placed.pix_code,
        placed.pay_url,
        placed.barcode,
        placed.expires_at,
        placed.next_check_at,
        now,
        placed.page_id,
    )
    .fetch_optional(db.pool())
    .await?;
    row.map(ChargeRecord::try_from).transpose()
}
