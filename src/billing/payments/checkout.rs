//! A tenant pays: the invoice that is to be paid, and the ways to pay it. What is decided and ordered is one transaction; the
//! gateways are asked after it, for so long as the request may take. The worker goes on with what they did not do.

use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::task::JoinSet;
use uuid::Uuid;

use super::platform::charge_for;
use super::{NewCharge, PaymentError, Payments, order};
use crate::billing::books::Books;
use crate::billing::subscriptions::{Decision, SubscriptionError};
use crate::db::DbError;
use crate::db::master::MasterTx;
use crate::db::master::invoices::{self, InvoiceRecord};
use crate::db::master::payments::charges::{self, ChargeRecord};
use crate::domain::billing::invoice::InvoiceStatus;
use crate::domain::charge::Payee;
use crate::domain::ids::{ChargeId, InvoiceId, TenantId};
use crate::domain::payment::{GatewayKind, PaymentMethod};
use crate::domain::plan::PlanCode;

/// How somebody wants to pay.
#[derive(Debug, Clone, Default)]
pub struct Checkout {
    /// The plan that is to be had; `None`: the present one.
    pub plan: Option<PlanCode>,
    /// With what; `None`: by PIX or on a page, whatever there is.
    pub method: Option<PaymentMethod>,
    /// Where; `None`: wherever there is an account.
    pub gateway: Option<GatewayKind>,
}

/// Why there is nothing to be paid with.
#[derive(Debug, thiserror::Error)]
pub enum CheckoutError {
    /// The subscription does not allow it.
    #[error(transparent)]
    Subscription(#[from] SubscriptionError),
    /// The tenant has no such invoice.
    #[error("unknown invoice")]
    UnknownInvoice,
    /// Nothing is owed of it.
    #[error("nothing is owed")]
    NothingOwed,
    /// No account collects in this way.
    #[error("no account collects in this way")]
    NoAccount,
    /// The gateway does not do it now, or never will.
    #[error(transparent)]
    Payment(#[from] PaymentError),
    /// The database failed.
    #[error(transparent)]
    Db(#[from] DbError),
}

/// What there is to be paid, and how.
#[derive(Debug)]
pub struct ToPay {
    /// The invoice.
    pub invoice: InvoiceRecord,
    /// The ways to pay it, as far as gateways have answered.
    pub charges: Vec<ChargeRecord>,
    /// Why one of them is not there.
    pub error: Option<PaymentError>,
}

impl Payments {
    /// What a tenant is to pay for its subscription, and the ways to pay it.
    ///
    /// # Errors
    /// See [`CheckoutError`].
    pub async fn check_out(
        &self,
        books: &Books,
        tenant: TenantId,
        wanted: &Checkout,
        decision: &Decision,
        budget: Duration,
    ) -> Result<ToPay, CheckoutError> {
        let mut tx = self.master.begin().await?;
        let changed = match &wanted.plan {
            Some(plan) => books.change_plan(&mut tx, tenant, plan, decision).await?,
            None => None,
        };
        let invoice = match changed {
            Some(invoice) => invoice,
            None => books.to_pay(&mut tx, tenant, decision).await?,
        };
        let ordered = order_ways(&mut tx, &invoice, wanted, decision.now).await?;
        crate::kill_point!("payments.before_ordered");
        tx.commit().await?;
        crate::kill_point!("payments.ordered");
        Ok(self.place_all(invoice, ordered, budget).await?)
    }

    /// The page at which a new tenant can pay; `None` when there is no account for one, nothing is to be paid, or the gateway does
    /// not answer in time.
    pub async fn first_page(
        &self,
        books: &Books,
        tenant: TenantId,
        decision: &Decision,
        budget: Duration,
    ) -> Option<String> {
        let wanted = Checkout {
            method: Some(PaymentMethod::Checkout),
            ..Checkout::default()
        };
        match self.check_out(books, tenant, &wanted, decision, budget).await {
            Ok(to_pay) => to_pay.charges.into_iter().find_map(|charge| charge.pay_url),
            Err(CheckoutError::NoAccount | CheckoutError::Subscription(SubscriptionError::NothingDue)) => {
                None
            }
            Err(error) => {
                tracing::warn!(tenant_id = %tenant, %error, "a new tenant has no page to pay at: {tenant}");
                None
            }
        }
    }

    /// The ways to pay an invoice of a tenant.
    ///
    /// # Errors
    /// See [`CheckoutError`].
    pub async fn pay(
        &self,
        tenant: TenantId,
        invoice: InvoiceId,
        wanted: &Checkout,
        now: DateTime<Utc>,
        budget: Duration,
    ) -> Result<ToPay, CheckoutError> {
        let found = invoices::find_invoice(&self.master, invoice, Some(tenant)).await?;
        let invoice = found.ok_or(CheckoutError::UnknownInvoice)?;
        if invoice.status != InvoiceStatus::Open {
            return Err(CheckoutError::NothingOwed);
        }
        let mut tx = self.master.begin().await?;
        let ordered = order_ways(&mut tx, &invoice, wanted, now).await?;
        tx.commit().await?;
        crate::kill_point!("payments.ordered");
        Ok(self.place_all(invoice, ordered, budget).await?)
    }

    /// The newest charge of an invoice of a tenant that can still be paid by PIX.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn find_pix(
        &self,
        tenant: TenantId,
        invoice: InvoiceId,
    ) -> Result<Option<ChargeRecord>, DbError> {
        self.find_pix_of(tenant, (Payee::Platform, invoice.as_uuid()))
            .await
    }

    /// The newest charge of a subject that can still be paid by PIX.
    pub(super) async fn find_pix_of(
        &self,
        tenant: TenantId,
        (payee, subject): (Payee, Uuid),
    ) -> Result<Option<ChargeRecord>, DbError> {
        let all = charges::list_of_subject(&self.master, tenant, subject, Some(PaymentMethod::Pix)).await?;
        let now = self.clock.now();
        let mut payable = all.into_iter().filter(|charge| charge.payee == payee);
        Ok(payable.find(|charge| charge.is_payable_pix(now)))
    }

    /// Asks the gateways for what was ordered, all at once, for so long as the budget allows. Nobody's hanging up stops it.
    async fn place_all(
        &self,
        invoice: InvoiceRecord,
        ordered: Vec<ChargeId>,
        budget: Duration,
    ) -> Result<ToPay, DbError> {
        let mut asked = JoinSet::new();
        for id in &ordered {
            let (payments, id) = (self.clone(), *id);
            asked.spawn(async move { payments.place(id).await });
        }
        let (mut placed, mut error) = (Vec::new(), None);
        let all = async {
            while let Some(answer) = asked.join_next().await {
                match answer {
                    Ok(Ok(charge)) => placed.push(charge),
                    Ok(Err(refusal)) => error = Some(refusal),
                    // A task that panicked has said so.
                    Err(_) => {}
                }
            }
        };
        let late = tokio::time::timeout(budget, all).await.is_err();
        asked.detach_all();
        if late && error.is_none() {
            error = Some(PaymentError::Busy);
        }
        placed.sort_by_key(|charge| charge.id);
        Ok(ToPay {
            invoice,
            charges: placed,
            error,
        })
    }
}

/// Orders the ways to pay an invoice that were asked for: without a method, PIX and a page, where there are accounts for them.
async fn order_ways(
    tx: &mut MasterTx,
    invoice: &InvoiceRecord,
    wanted: &Checkout,
    now: DateTime<Utc>,
) -> Result<Vec<ChargeId>, CheckoutError> {
    let methods = match wanted.method {
        Some(method) => vec![method],
        None => vec![PaymentMethod::Pix, PaymentMethod::Checkout],
    };
    let mut ordered = Vec::with_capacity(methods.len());
    for method in methods {
        let new = charge_for(tx, invoice, method, now).await?;
        let new = NewCharge {
            gateway: wanted.gateway,
            ..new.ok_or(CheckoutError::NothingOwed)?
        };
        ordered.extend(order(tx, &new).await?);
    }
    match ordered.is_empty() {
        true => Err(CheckoutError::NoAccount),
        false => Ok(ordered),
    }
}
