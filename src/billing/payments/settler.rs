//! What a charge is for, and who books what has become of it: an invoice of the platform ([`super::platform::Invoices`]), in the transaction
//! that notes it; or a due in a tenant's schema, afterwards.

use async_trait::async_trait;
use chrono::{DateTime, NaiveDate, Utc};

use crate::billing::gateways::Payer;
use crate::db::DbError;
use crate::db::master::MasterTx;
use crate::db::master::payments::charges::ChargeRecord;
use crate::domain::money::Cents;

/// What a payer is asked for.
#[derive(Debug, Clone)]
pub struct Bill {
    /// What the payer reads. No personal data.
    pub description: String,
    /// Who pays.
    pub payer: Payer,
    /// The local day by which it should be paid.
    pub due_date: NaiveDate,
    /// Where a checkout page leads back to.
    pub return_url: String,
    /// Whether the card with which it is paid is kept for the next time.
    pub save_card: bool,
}

/// News of a charge that somebody has to book.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum News {
    /// So much has come in.
    Paid(Cents),
    /// So much has gone back to the payer.
    Refunded(Cents),
    /// The payer's bank has taken so much back.
    ChargedBack(Cents),
}

/// What has become of news.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Booked {
    /// They are in the books.
    Done,
    /// They are, and more was paid than was owed.
    Superfluous,
    /// They will be: [`Settler::carry_out`] does it.
    Later,
}

/// Who is paid by a charge.
#[async_trait]
pub trait Settler: Send + Sync {
    /// What the payer is asked for; `None` when nothing is owed any more, or never was.
    async fn bill(&self, charge: &ChargeRecord) -> Result<Option<Bill>, DbError>;

    /// Books news at `at`, in the transaction that notes them; repeated, it changes nothing. The charges of the subject are
    /// locked.
    async fn book(
        &self,
        tx: &mut MasterTx,
        charge: &ChargeRecord,
        news: News,
        at: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<Booked, DbError>;

    /// Books what the charge's status says, where [`Settler::book`] could not. It is called until it succeeds, also again
    /// after it has: what is booked is known by the charge.
    async fn carry_out(&self, charge: &ChargeRecord, now: DateTime<Utc>) -> Result<(), DbError>;
}
