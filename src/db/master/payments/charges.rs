//! `charges`: what is known of an attempt to collect, and how the news of it are noted.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::word;
use crate::db::DbError;
use crate::db::master::{MasterDb, MasterTx};
use crate::domain::charge::Payee;
use crate::domain::ids::{ChargeId, GatewayAccountId, SavedCardId, TenantId};
use crate::domain::money::Cents;
use crate::domain::payment::{GatewayKind, PaymentMethod, PaymentStatus};

/// One attempt to collect one amount.
#[derive(Debug, Clone)]
pub struct ChargeRecord {
    /// Its id, which is the reference that the gateway keeps.
    pub id: ChargeId,
    /// The account that collects.
    pub account: GatewayAccountId,
    /// Where that is.
    pub gateway: GatewayKind,
    /// Who pays the platform, or whose customer pays.
    pub tenant: TenantId,
    /// Who is paid.
    pub payee: Payee,
    /// The invoice, or the due in the tenant's schema.
    pub subject: Uuid,
    /// How it is to be paid.
    pub method: PaymentMethod,
    /// Counts the charges of one subject and method.
    pub attempt: i32,
    /// What is asked for.
    pub amount: Cents,
    /// `BRL`.
    pub currency: String,
    /// How far it has come.
    pub status: PaymentStatus,
    /// Until when it can be paid.
    pub expires_at: DateTime<Utc>,
    /// The card that is charged.
    pub card: Option<SavedCardId>,
    /// How often the gateway was asked to place it.
    pub asked: i32,
    /// When the gateway had it.
    pub placed_at: Option<DateTime<Utc>>,
    /// The gateway's id of the payment.
    pub payment_id: Option<String>,
    /// When the gateway last changed the payment, as it says.
    pub payment_updated_at: Option<DateTime<Utc>>,
    /// The gateway's id of the page, where that is no payment.
    pub page_id: Option<String>,
    /// The text of a PIX.
    pub pix_code: Option<String>,
    /// A page on which to pay.
    pub pay_url: Option<String>,
    /// The digits of a bank slip.
    pub barcode: Option<String>,
    /// What came in.
    pub paid: Option<Cents>,
    /// When it had come in.
    pub settled_at: Option<DateTime<Utc>>,
    /// What has gone back.
    pub refunded: Cents,
    /// When whoever is paid had booked its status.
    pub applied_at: Option<DateTime<Utc>>,
    /// How often it was asked about; before it is placed, how often that failed.
    pub checks: i32,
    /// Why the last try came to nothing.
    pub last_error: Option<String>,
    /// When it was ordered.
    pub created_at: DateTime<Utc>,
}

impl ChargeRecord {
    /// Whether money may still come in by itself.
    pub fn is_open(&self) -> bool {
        matches!(self.status, PaymentStatus::Pending | PaymentStatus::InProcess)
    }

    /// Whether somebody who has its text can pay it.
    pub fn is_payable_pix(&self, now: DateTime<Utc>) -> bool {
        self.is_open() && self.pix_code.is_some() && self.expires_at > now
    }

    /// Whether whoever is paid has yet to book what has become of it.
    pub fn is_to_be_applied(&self) -> bool {
        use PaymentStatus::{ChargedBack, Paid, Refunded};
        matches!(self.status, Paid | Refunded | ChargedBack) && self.applied_at.is_none()
    }
}

pub(super) struct Row {
    pub id: Uuid,
    pub account_id: Uuid,
    pub gateway: String,
    pub tenant_id: Uuid,
    pub payee: String,
    pub subject_id: Uuid,
    pub method: String,
    pub attempt: i32,
    pub amount_cents: i64,
    pub currency: String,
    pub status: String,
    pub expires_at: DateTime<Utc>,
    pub card_id: Option<Uuid>,
    pub asked: i32,
    pub placed_at: Option<DateTime<Utc>>,
    pub gateway_payment_id: Option<String>,
    pub payment_updated_at: Option<DateTime<Utc>>,
    pub gateway_page_id: Option<String>,
    pub pix_code: Option<String>,
    pub pay_url: Option<String>,
    pub barcode: Option<String>,
    pub paid_cents: Option<i64>,
    pub settled_at: Option<DateTime<Utc>>,
    pub refunded_cents: i64,
    pub applied_at: Option<DateTime<Utc>>,
    pub checks: i32,
    pub last_error: Option<String>,
    pub created_at: DateTime<Utc>,
}

/// Reads whole charges (`c`) with their accounts (`a`): what stands before the columns, what follows them, the arguments.
macro_rules! charges {
    ($before:tt, $after:tt $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            crate::db::master::payments::charges::Row,
            $before + r#" c.id as "id!", c.account_id as "account_id!", a.gateway as "gateway!", c.tenant_id as "tenant_id!",
                  c.payee as "payee!", c.subject_id as "subject_id!", c.method as "method!", c.attempt as "attempt!",
                  c.amount_cents as "amount_cents!", c.currency as "currency!", c.status as "status!",
                  c.expires_at as "expires_at!", c.card_id as "card_id?", c.asked as "asked!", c.placed_at as "placed_at?",
                  c.gateway_payment_id as "gateway_payment_id?", c.payment_updated_at as "payment_updated_at?",
                  c.gateway_page_id as "gateway_page_id?", c.pix_code as "pix_code?", c.pay_url as "pay_url?",
                  c.barcode as "barcode?", c.paid_cents as "paid_cents?", c.settled_at as "settled_at?",
                  c.refunded_cents as "refunded_cents!", c.applied_at as "applied_at?", c.checks as "checks!",
                  c.last_error as "last_error?", c.created_at as "created_at!" "# + $after,
            $($argument),*
        )
    };
}
pub(super) use charges;

impl TryFrom<Row> for ChargeRecord {
    type Error = DbError;

    fn try_from(row: Row) -> Result<Self, DbError> {
        Ok(Self {
            id: ChargeId::from_uuid(row.id),
            account: GatewayAccountId::from_uuid(row.account_id),
            gateway: word(&row.gateway, "gateway_accounts.gateway")?,
            tenant: TenantId::from_uuid(row.tenant_id),
            payee: word(&row.payee, "charges.payee")?,
            subject: row.subject_id,
            method: word(&row.method, "charges.method")?,
            attempt: row.attempt,
            amount: cents(row.amount_cents)?,
            currency: row.currency,
            status: word(&row.status, "charges.status")?,
            expires_at: row.expires_at,
            card: row.card_id.map(SavedCardId::from_uuid),
            asked: row.asked,
            placed_at: row.placed_at,
            payment_id: row.gateway_payment_id,
            payment_updated_at: row.payment_updated_at,
            page_id: row.gateway_page_id,
            pix_code: row.pix_code,
            pay_url: row.pay_url,
            barcode: row.barcode,
            paid: row.paid_cents.map(cents).transpose()?,
            settled_at: row.settled_at,
            refunded: cents(row.refunded_cents)?,
            applied_at: row.applied_at,
            checks: row.checks,
            last_error: row.last_error,
            created_at: row.created_at,
        })
    }
}

pub(super) fn cents(stored: i64) -> Result<Cents, DbError> {
    Cents::parse(stored).map_err(|_| DbError::Other {
        code: "driver".to_owned(),
        message: "charges hold an amount out of range".to_owned(),
    })
}

/// A charge.
///
/// # Errors
/// When the database fails.
pub async fn find_charge(db: &MasterDb, id: ChargeId) -> Result<Option<ChargeRecord>, DbError> {
    let row = charges!(
        "select",
        "from charges c join gateway_accounts a on a.id = c.account_id where c.id = $1",
        id.as_uuid(),
    )
    .fetch_optional(db.pool())
    .await?;
    row.map(ChargeRecord::try_from).transpose()
}

/// The charges of one subject of a tenant, newest first; of a method, where one is given.
///
/// # Errors
/// When the database fails.
pub async fn list_of_subject(
    db: &MasterDb,
    tenant: TenantId,
    subject: Uuid,
    method: Option<PaymentMethod>,
) -> Result<Vec<ChargeRecord>, DbError> {
    let rows = charges!(
        "select",
        "from charges c join gateway_accounts a on a.id = c.account_id
         where c.tenant_id = $1 and c.subject_id = $2 and ($3::text is null or c.method = $3)
         order by c.id desc limit 100",
        tenant.as_uuid(),
        subject,
        method.map(PaymentMethod::as_str),
    )
    .fetch_all(db.pool())
    .await?;
    rows.into_iter().map(ChargeRecord::try_from).collect()
}

/// The charge of this id and account, with all charges of its subject locked in the order of their ids. `None` for a charge of
/// another account: an account never moves another's money.
///
/// # Errors
/// When the database fails.
pub async fn lock(
    tx: &mut MasterTx,
    id: ChargeId,
    account: GatewayAccountId,
) -> Result<Option<ChargeRecord>, DbError> {
    sqlx::query!(
        "select s.id from charges s
         join charges c on c.tenant_id = s.tenant_id and c.subject_id = s.subject_id
         where c.id = $1 and c.account_id = $2
         order by s.id for update of s",
        id.as_uuid(),
        account.as_uuid(),
    )
    .fetch_all(tx.connection())
    .await?;
    let row = charges!(
        "select",
        "from charges c join gateway_accounts a on a.id = c.account_id where c.id = $1 and c.account_id = $2",
        id.as_uuid(),
        account.as_uuid(),
    )
    .fetch_optional(tx.connection())
    .await?;
    row.map(ChargeRecord::try_from).transpose()
}

/// News of a charge that is [locked](lock).
#[derive(Debug)]
pub struct Moved<'a> {
    /// Of which.
    pub id: ChargeId,
    /// How far it has come.
    pub status: PaymentStatus,
    /// The payment that it has come to.
    pub payment_id: &'a str,
    /// When the gateway last changed it.
    pub updated_at: Option<DateTime<Utc>>,
    /// What came in, once it has.
    pub paid: Option<Cents>,
    /// When it came in.
    pub settled_at: Option<DateTime<Utc>>,
    /// What has gone back.
    pub refunded: Cents,
    /// When whoever is paid has booked it.
    pub applied_at: Option<DateTime<Utc>>,
    /// When there is something to be done about it.
    pub next_check_at: Option<DateTime<Utc>>,
}

/// Notes what has become of a charge. Whoever was at work on it has nothing to say about it any more.
///
/// # Errors
/// `charges_account_id_gateway_payment_id_key` when the payment belongs to another charge; or when the database fails.
pub async fn note_moved(tx: &mut MasterTx, moved: &Moved<'_>, now: DateTime<Utc>) -> Result<(), DbError> {
    sqlx::query!(
        "update charges
         set status = $2, gateway_payment_id = $3, payment_updated_at = coalesce($4, payment_updated_at),
             paid_cents = coalesce(paid_cents, $5), settled_at = coalesce(settled_at, $6), refunded_cents = $7,
             applied_at = $8, next_check_at = $9, placed_at = coalesce(placed_at, $10), checks = 0, last_error = null,
             leased_until = null, leased_by = null, updated_at = $10
         where id = $1",
        moved.id.as_uuid(),
        moved.status.as_str(),
        moved.payment_id,
        moved.updated_at,
        moved.paid.map(Cents::get),
        moved.settled_at,
        moved.refunded.get(),
        moved.applied_at,
        moved.next_check_at,
        now,
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Sees to it that the other open charges of a charge's subject are looked at now: nothing is owed any more, or again.
///
/// # Errors
/// When the database fails.
pub async fn recheck_others(
    tx: &mut MasterTx,
    charge: &ChargeRecord,
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    sqlx::query!(
        "update charges set next_check_at = $4, updated_at = $4
         where tenant_id = $1 and subject_id = $2 and id <> $3 and status in ('pending', 'in_process')",
        charge.tenant.as_uuid(),
        charge.subject,
        charge.id.as_uuid(),
        now,
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Sees to it that the open charges of a subject, which is closed without having been paid, are looked at now. One that
/// somebody has just locked is left to them: they hold charges before the subject.
///
/// # Errors
/// When the database fails.
pub async fn recheck_subject(
    tx: &mut MasterTx,
    tenant: TenantId,
    subject: Uuid,
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    sqlx::query!(
        "update charges c set next_check_at = $3, updated_at = $3
         from (select o.id from charges o
               where o.tenant_id = $1 and o.subject_id = $2 and o.status in ('pending', 'in_process')
               order by o.id for update skip locked) due
         where c.id = due.id",
        tenant.as_uuid(),
        subject,
        now,
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// The account of a charge, whatever it is.
///
/// # Errors
/// When the database fails.
pub async fn find_account_of(tx: &mut MasterTx, id: Uuid) -> Result<Option<GatewayAccountId>, DbError> {
    let account = sqlx::query_scalar!("select account_id from charges where id = $1", id)
        .fetch_optional(tx.connection())
        .await?;
    Ok(account.map(GatewayAccountId::from_uuid))
}
