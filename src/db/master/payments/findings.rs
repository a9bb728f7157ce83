//! `payment_findings`: what a gateway says and nobody expected. Somebody has to look at it.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::word;
use crate::db::DbError;
use crate::db::master::{MasterDb, MasterTx};
use crate::domain::charge::{FindingKind, FindingStatus, Payee};
use crate::domain::ids::{ChargeId, GatewayAccountId, PaymentFindingId, TenantId};
use crate::domain::money::Cents;
use crate::domain::page::{Cursor, Limit};
use crate::domain::payment::GatewayKind;

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
        "insert into payment_findings (account_id, gateway_payment_id, kind, charge_id, amount_cents, currency, noted_at, id)
         values ($1, $2, $3, $4, $5, $6, $7, $8) on conflict on constraint payment_findings_pkey do nothing",
        found.account.as_uuid(),
        found.payment_id,
        found.kind.as_str(),
        found.charge.as_uuid(),
        found.amount.get(),
        found.currency,
        now,
        PaymentFindingId::new().as_uuid(),
    )
    .execute(tx.connection())
    .await?;
    Ok(inserted.rows_affected() == 1)
}

/// A finding as it is shown.
#[derive(Debug, Clone)]
pub struct FindingRecord {
    /// Its id.
    pub id: PaymentFindingId,
    /// The account whose payment it is.
    pub account: GatewayAccountId,
    /// Where that is.
    pub gateway: GatewayKind,
    /// The payment, as the gateway calls it.
    pub payment_id: String,
    /// What is the matter.
    pub kind: FindingKind,
    /// The charge that it names.
    pub charge: Option<ChargeId>,
    /// Who is to be paid by that.
    pub payee: Option<Payee>,
    /// The invoice or due that it is for.
    pub subject: Option<Uuid>,
    /// Whom it is about, as long as they are there.
    pub tenant: Option<(TenantId, String)>,
    /// Of how much, in cents, as the gateway says.
    pub amount_cents: i64,
    /// Of what, as the gateway says.
    pub currency: String,
    /// When it was found.
    pub noted_at: DateTime<Utc>,
    /// When somebody had looked at it.
    pub resolved_at: Option<DateTime<Utc>>,
    /// What they have written about it.
    pub note: Option<String>,
}

struct Row {
    id: Uuid,
    account_id: Uuid,
    gateway: String,
    gateway_payment_id: String,
    kind: String,
    charge_id: Option<Uuid>,
    payee: Option<String>,
    subject_id: Option<Uuid>,
    tenant_id: Option<Uuid>,
    tenant_key: Option<String>,
    amount_cents: i64,
    currency: String,
    noted_at: DateTime<Utc>,
    resolved_at: Option<DateTime<Utc>>,
    note: Option<String>,
}

impl TryFrom<Row> for FindingRecord {
    type Error = DbError;

    fn try_from(row: Row) -> Result<Self, DbError> {
        let payee = row.payee.map(|payee| word(&payee, "charges.payee"));
        Ok(Self {
            id: PaymentFindingId::from_uuid(row.id),
            account: GatewayAccountId::from_uuid(row.account_id),
            gateway: word(&row.gateway, "gateway_accounts.gateway")?,
            payment_id: row.gateway_payment_id,
            kind: word(&row.kind, "payment_findings.kind")?,
            charge: row.charge_id.map(ChargeId::from_uuid),
            payee: payee.transpose()?,
            subject: row.subject_id,
            tenant: row.tenant_id.map(TenantId::from_uuid).zip(row.tenant_key),
            amount_cents: row.amount_cents,
            currency: row.currency,
            noted_at: row.noted_at,
            resolved_at: row.resolved_at,
            note: row.note,
        })
    }
}

/// Findings of this status, or the one that is named, newest first; one more than the page holds.
async fn read(
    db: &MasterDb,
    only: Option<PaymentFindingId>,
    status: Option<FindingStatus>,
    after: Option<Cursor>,
    limit: Limit,
) -> Result<Vec<FindingRecord>, DbError> {
    let (after_at, after_id) = after.map(|cursor| (cursor.at, cursor.id)).unzip();
    let rows = sqlx::query_as!(
        Row,
        r#"select f.id, f.account_id, a.gateway, f.gateway_payment_id, f.kind, f.charge_id, c.payee as "payee?",
                  c.subject_id as "subject_id?", t.id as "tenant_id?", t.tenant_key as "tenant_key?", f.amount_cents,
                  f.currency, f.noted_at, f.resolved_at, f.note
           from payment_findings f
           join gateway_accounts a on a.id = f.account_id
           left join charges c on c.id = f.charge_id
           left join tenants t on t.id = c.tenant_id
           where ($1::uuid is null or f.id = $1)
             and ($2::text is null or (f.resolved_at is null) = ($2 = 'open'))
             and ($3::timestamptz is null or (f.noted_at, f.id) < ($3, $4))
           order by f.noted_at desc, f.id desc limit $5"#,
        only.map(PaymentFindingId::as_uuid),
        status.map(FindingStatus::as_str),
        after_at,
        after_id,
        limit.rows(),
    )
    .fetch_all(db.pool())
    .await?;
    rows.into_iter().map(FindingRecord::try_from).collect()
}

/// Findings of this status, newest first; one more than the page holds.
///
/// # Errors
/// When the database fails.
pub async fn list_findings(
    db: &MasterDb,
    status: FindingStatus,
    after: Option<Cursor>,
    limit: Limit,
) -> Result<Vec<FindingRecord>, DbError> {
    read(db, None, Some(status), after, limit).await
}

/// A finding.
///
/// # Errors
/// When the database fails.
pub async fn find_finding(db: &MasterDb, id: PaymentFindingId) -> Result<Option<FindingRecord>, DbError> {
    Ok(read(db, Some(id), None, None, Limit::ONE).await?.pop())
}

/// Notes that somebody has looked at a finding; `false` when somebody has before, or there is no such finding.
///
/// # Errors
/// When the database fails.
pub async fn resolve_finding(
    tx: &mut MasterTx,
    id: PaymentFindingId,
    note: &str,
    now: DateTime<Utc>,
) -> Result<bool, DbError> {
    let done = sqlx::query!(
        "update payment_findings set resolved_at = $2, note = $3 where id = $1 and resolved_at is null",
        id.as_uuid(),
        now,
        note,
    )
    .execute(tx.connection())
    .await?;
    Ok(done.rows_affected() == 1)
}
