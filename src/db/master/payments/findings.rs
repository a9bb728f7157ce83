//! `payment_findings`: what a gateway says and nobody expected. Somebody has to look at it.

use chrono::{DateTime, Utc};

use crate::db::DbError;
use crate::db::master::MasterTx;
use crate::domain::charge::FindingKind;
use crate::domain::ids::{ChargeId, GatewayAccountId};
use crate::domain::money::Cents;

/// Something about a payment.
#[derive(Debug)]
pub struct NewFinding<'a> {
    /// The account whose payment it is.
    pub account: GatewayAccountId,
    /// The payment.
    pub payment_id: &'a str,
    /// What is the matter.
    pub kind: FindingKind,
    /// The charge that it names.
    pub charge: ChargeId,
    /// Of how much, as the gateway says.
    pub amount: Cents,
    /// Of what, as the gateway says.
    pub currency: &'a str,
}

/// Notes a finding; once, however often it is found. What was looked at stays so.
///
/// # Errors
/// When the database fails.
pub async fn insert_finding(
    tx: &mut MasterTx,
    found: &NewFinding<'_>,
    now: DateTime<Utc>,
) -> Result<bool, DbError> {
    let inserted = sqlx::query!(
        "insert into payment_findings (account_id, gateway_payment_id, kind, charge_id, amount_cents, currency, noted_at)
         values ($1, $2, $3, $4, $5, $6, $7) on conflict on constraint payment_findings_pkey do nothing",
        found.account.as_uuid(),
        found.payment_id,
        found.kind.as_str(),
        found.charge.as_uuid(),
        found.amount.get(),
        found.currency,
        now,
    )
    .execute(tx.connection())
    .await?;
    Ok(inserted.rows_affected() == 1)
}
