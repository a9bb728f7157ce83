//! Money that an administrator gives back: decided and audited in one transaction, asked of the gateway after it under the
//! decision's id, and booked together with its end.

use chrono::TimeDelta;
use uuid::Uuid;

use super::apply::Because;
use super::{LEASE, PaymentError, Payments};
use crate::billing::gateways::{GatewayError, PaymentSeen};
use crate::db::DbError;
use crate::db::master::audit::{MasterAudit, Origin, Subject, insert_audit};
use crate::db::master::idempotency::{self, IdempotencyRecord};
use crate::db::master::payments::bills;
use crate::db::master::payments::charges::{self, ChargeRecord};
use crate::db::master::payments::refunds::{self, RefundRecord};
use crate::domain::charge::{RefundState, backoff};
use crate::domain::ids::{InvoiceId, RefundId};
use crate::domain::money::Cents;
use crate::domain::payment::{GatewayKind, PaymentStatus};

/// How often a gateway is asked: for some four days.
const TRIES: i32 = 24;
/// How long a repeated request is known.
const REMEMBERED: TimeDelta = TimeDelta::hours(24);

/// Money to go back.
#[derive(Debug, Clone)]
pub struct RefundOrder {
    /// What was paid.
    pub invoice: InvoiceId,
    /// How much of it; `None`: all that is left.
    pub amount: Option<Cents>,
    /// For the platform's own people.
    pub reason: Option<String>,
    /// Repeats with the same scope and key are one request; SHA-256 of what it says.
    pub repeat: Option<(String, String, [u8; 32])>,
}

/// Why no money goes back.
#[derive(Debug, thiserror::Error)]
pub enum RefundError {
    /// There is no such invoice.
    #[error("unknown invoice")]
    Unknown,
    /// Nothing was paid, or all of it went back.
    #[error("nothing was paid that could go back")]
    NothingPaid,
    /// Less than that is left.
    #[error("no more than {0} can go back")]
    TooMuch(Cents),
    /// An earlier decision is being carried out.
    #[error("an earlier refund is being carried out")]
    UnderWay,
    /// The key belongs to another request.
    #[error("the idempotency key was used for another request")]
    KeyReused,
    /// The database failed; nothing has changed.
    #[error(transparent)]
    Db(DbError),
}

impl From<DbError> for RefundError {
    fn from(error: DbError) -> Self {
        if error.is_constraint("refunds_charge_id_requested_key") {
            Self::UnderWay
        } else {
            Self::Db(error)
        }
    }
}

impl Payments {
    /// Gives back what was paid for an invoice and asks the gateway at once; when that does not answer the worker goes on.
    ///
    /// # Errors
    /// See [`RefundError`].
    pub async fn refund(&self, order: &RefundOrder, origin: Origin) -> Result<RefundRecord, RefundError> {
        let (refund, gateway) = self.decide(order, origin).await?;
        crate::kill_point!("payments.refund_decided");
        if refund.state == RefundState::Requested
            && let Err(error) = self.give_back_due(gateway, Some(refund.id)).await
        {
            tracing::warn!(refund_id = %refund.id, %error, "a refund is asked for later: {}", refund.id);
        }
        let now = refunds::find_refund(&self.master, refund.id).await?;
        Ok(now.map_or(refund, |(refund, _)| refund))
    }

    async fn decide(
        &self,
        order: &RefundOrder,
        origin: Origin,
    ) -> Result<(RefundRecord, GatewayKind), RefundError> {
        let (id, now) = (RefundId::new(), self.clock.now());
        let tenant = bills::find_tenant(&self.master, order.invoice.as_uuid()).await?;
        let tenant = tenant.ok_or(RefundError::Unknown)?;
        let mut tx = self.master.begin().await?;
        if let Some((scope, key, hash)) = &order.repeat {
            let until = now + REMEMBERED;
            if let Some(known) =
                idempotency::claim(&mut tx, scope, key, hash, id.as_uuid(), until, now).await?
            {
                drop(tx);
                return self.known(known, hash).await;
            }
        }
        let found = refunds::find_refundable(&mut tx, tenant, order.invoice.as_uuid()).await?;
        let (charge, account) = found.ok_or(RefundError::NothingPaid)?;
        let charge = charges::lock(&mut tx, charge, account).await?;
        let charge = charge.ok_or(RefundError::NothingPaid)?;
        let left = charge.paid.unwrap_or_default().get() - charge.refunded.get();
        let left = Cents::parse(left).ok().filter(|left| *left > Cents::ZERO);
        let left = left.ok_or(RefundError::NothingPaid)?;
        let amount = order.amount.unwrap_or(left);
        if amount > left {
            return Err(RefundError::TooMuch(left));
        }
        let refund = RefundRecord {
            id,
            charge: charge.id,
            amount,
            before: charge.refunded,
            state: RefundState::Requested,
            attempts: 0,
            last_error: None,
            created_at: now,
        };
        refunds::insert_refund(&mut tx, &refund, order.reason.as_deref(), now).await?;
        let line = MasterAudit {
            actor: origin.actor,
            action: "invoice.refund",
            subject: Subject::Tenant(tenant),
            request_id: origin.request_id,
            details: serde_json::json!({
                "invoice": order.invoice, "charge": charge.id, "refund": id, "amount_cents": amount,
            }),
            at: now,
        };
        insert_audit(&mut tx, &line).await?;
        tx.commit().await?;
        Ok((refund, charge.gateway))
    }

    /// What an earlier request with the same key has decided.
    async fn known(
        &self,
        known: IdempotencyRecord,
        hash: &[u8; 32],
    ) -> Result<(RefundRecord, GatewayKind), RefundError> {
        if known.request_hash != hash {
            return Err(RefundError::KeyReused);
        }
        let id = known.resource_id.map(RefundId::from_uuid);
        let id = id.ok_or(RefundError::UnderWay)?;
        let found = refunds::find_refund(&self.master, id).await?;
        found.ok_or(RefundError::UnderWay)
    }

    /// Asks a gateway for the refunds that are due, or for this one; how many there were.
    pub(super) async fn give_back_due(
        &self,
        gateway: GatewayKind,
        only: Option<RefundId>,
    ) -> Result<usize, DbError> {
        let (worker, now) = (Uuid::now_v7(), self.clock.now());
        let due = refunds::claim_due(&self.master, gateway, only, worker, now + LEASE, now).await?;
        let count = due.len();
        for refund in due {
            self.give_back(refund, worker).await?;
        }
        Ok(count)
    }

    async fn give_back(&self, refund: RefundRecord, worker: Uuid) -> Result<(), DbError> {
        let Err(error) = self.ask_back(&refund).await else {
            return Ok(());
        };
        let now = self.clock.now();
        let never = matches!(
            &error,
            PaymentError::Unknown
                | PaymentError::Gateway(GatewayError::Refused { .. } | GatewayError::Unknown)
        );
        let again = (!never && refund.attempts < TRIES).then(|| now + backoff(refund.attempts));
        let text = error.to_string();
        tracing::warn!(refund_id = %refund.id, error = %text, "a refund did not succeed: {}", refund.id);
        refunds::note_failed(&self.master, refund.id, worker, &text, again, now).await
    }

    async fn ask_back(&self, refund: &RefundRecord) -> Result<(), PaymentError> {
        let charge = charges::find_charge(&self.master, refund.charge).await?;
        let charge = charge.ok_or(PaymentError::Unknown)?;
        let payment = charge.payment_id.clone().ok_or(PaymentError::Unknown)?;
        let account = self.accounts.find(charge.account).await?;
        let account = account.ok_or(PaymentError::Unknown)?;
        let whole = refund.before.get() + refund.amount.get();
        // Who asked before does not know what became of it.
        let before = match refund.attempts {
            ..=1 => None,
            _ => Some(account.gateway.fetch(&payment).await?),
        };
        let known_as = match &before {
            Some(seen) if seen.refunded.get() >= whole => None,
            _ => {
                let key = refund.id.as_uuid();
                Some(account.gateway.refund(&payment, refund.amount, key).await?)
            }
        };
        crate::kill_point!("payments.given_back");
        let seen = given_back(&charge, account.gateway.fetch(&payment).await?, whole);
        let because = Because::GivenBack(refund.id, known_as.as_deref());
        self.apply(&account, &seen, None, because).await?;
        Ok(())
    }
}

/// The payment as it must be now, whatever the gateway still shows.
fn given_back(charge: &ChargeRecord, shown: PaymentSeen, whole: i64) -> PaymentSeen {
    let mut seen = PaymentSeen {
        reference: Some(charge.id.to_string()),
        ..shown
    };
    if seen.refunded.get() < whole {
        seen.refunded = Cents::parse(whole).unwrap_or(seen.refunded);
    }
    if seen.status == PaymentStatus::Paid && charge.paid.is_some_and(|paid| seen.refunded >= paid) {
        seen.status = PaymentStatus::Refunded;
    }
    seen
}
