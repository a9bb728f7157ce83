//! Collecting: charges are ordered in the transaction that decides about them, placed at a gateway after it, and settled when
//! the gateway says that they were paid. One pipeline serves the platform, which collects its invoices, and tenants, which
//! collect their customers' dues.
//!
//! - [`fn@order`] writes a charge. [`Payments::place`] asks the gateway at once; else the worker does. The gateway is asked under
//!   the same key however often, so that one charge is one payment, wherever a process dies.
//! - A webhook is verified and stored ([`hooks`]); the worker ([`background`]) then asks the gateway itself what became of
//!   the payment. What it says is judged (`verdict`) and booked in one transaction ([`apply`]).
//! - Whoever heard nothing asks by the clock, ever more seldom ([`check`]).
//! - What a charge is for is a [`Settler`]'s business: the platform's invoices ([`platform`]) or a tenant's dues ([`dues`]).
//!
//! No gateway is asked inside a transaction, and no webhook is believed.

pub mod accounts;
mod apply;
pub mod background;
mod check;
pub mod checkout;
pub mod dues;
mod findings;
pub mod hooks;
pub mod order;
mod place;
pub mod platform;
pub mod refunds;
pub mod settler;
mod verdict;

use std::sync::Arc;

use chrono::TimeDelta;
use tokio::sync::Notify;

pub use self::accounts::{Account, AccountError, Accounts, NewAccount};
pub use self::checkout::{Checkout, CheckoutError};
pub use self::dues::{DueError, DuePix, DueToPay};
pub use self::order::{NewCharge, order, order_first};
pub use self::refunds::RefundError;
pub use self::settler::{Bill, Booked, News, Settler};
use crate::billing::gateways::GatewayError;
use crate::db::DbError;
use crate::db::master::MasterDb;
use crate::db::master::payments::charges::ChargeRecord;
use crate::domain::charge::Payee;
use crate::domain::clock::Clock;
use crate::domain::platform_key::PlatformKey;

/// How long a worker may be at one charge: longer than a gateway is waited for, with repeats.
const LEASE: TimeDelta = TimeDelta::minutes(2);

/// Collects. Cheap to clone.
#[derive(Clone)]
pub struct Payments {
    /// The accounts through which it does.
    pub accounts: Accounts,
    master: MasterDb,
    key: PlatformKey,
    clock: Clock,
    /// Where gateways tell their news: the base domain, without a final slash.
    hooks: String,
    platform: Arc<dyn Settler>,
    tenants: Option<Arc<dyn Settler>>,
    /// An event was stored.
    news: Arc<Notify>,
}

/// Why a charge is not placed, or what became of it is not known.
#[derive(Debug, thiserror::Error)]
pub enum PaymentError {
    /// There is no such charge.
    #[error("unknown charge")]
    Unknown,
    /// Somebody else is at it.
    #[error("the charge is being worked on")]
    Busy,
    /// Whoever is paid cannot be asked now what for.
    #[error("whoever is paid is away: {0}")]
    PayeeAway(DbError),
    /// The gateway does not do it now, or never will.
    #[error(transparent)]
    Gateway(#[from] GatewayError),
    /// A database failed; nothing is lost.
    #[error(transparent)]
    Db(#[from] DbError),
}

impl Payments {
    /// Collects for the platform. `hooks` is the address of the base domain, without a final slash.
    pub fn new(
        accounts: Accounts,
        master: MasterDb,
        key: PlatformKey,
        clock: Clock,
        hooks: String,
        platform: Arc<dyn Settler>,
    ) -> Self {
        Self {
            accounts,
            master,
            key,
            clock,
            hooks,
            platform,
            tenants: None,
            news: Arc::default(),
        }
    }

    /// As served at this address of the base domain.
    #[must_use]
    pub fn served_at(mut self, hooks: String) -> Self {
        self.hooks = hooks;
        self
    }

    /// And for tenants.
    #[must_use]
    pub fn with_tenants(mut self, tenants: Arc<dyn Settler>) -> Self {
        self.tenants = Some(tenants);
        self
    }

    /// What a payer is asked for. A tenant's schema that cannot be asked says nothing against its charge, nor against others'.
    async fn bill(&self, charge: &ChargeRecord) -> Result<Option<Bill>, PaymentError> {
        let asked = self.settler(charge.payee)?.bill(charge).await;
        asked.map_err(|error| match charge.payee {
            Payee::Platform => PaymentError::Db(error),
            Payee::Tenant => PaymentError::PayeeAway(error),
        })
    }

    /// Who is paid.
    fn settler(&self, payee: Payee) -> Result<&dyn Settler, DbError> {
        let settler = match payee {
            Payee::Platform => Some(&self.platform),
            Payee::Tenant => self.tenants.as_ref(),
        };
        settler.map(AsRef::as_ref).ok_or_else(|| DbError::Other {
            code: "payments".to_owned(),
            message: "this program does not collect for tenants".to_owned(),
        })
    }
}
