//! What everything that is billed with needs.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::db::DbError;
use crate::db::master::invoices::InvoiceRecord;
use crate::db::master::{MasterDb, MasterTx};
use crate::domain::clock::Clock;
use crate::domain::platform_key::PlatformKey;

/// Collects by itself what was invoiced: by a saved card, else with a PIX that the customer is told of.
#[async_trait]
pub trait ChargeOrders: Send + Sync {
    /// Notes, in the transaction that issues `invoice`, that it is to be collected. The gateway is asked after the commit.
    ///
    /// # Errors
    /// When the database fails.
    async fn order(
        &self,
        tx: &mut MasterTx,
        invoice: &InvoiceRecord,
        now: DateTime<Utc>,
    ) -> Result<(), DbError>;
}

/// The platform's own books. Cheap to clone.
#[derive(Clone)]
pub struct Books {
    /// The registry.
    pub master: MasterDb,
    /// Seals mails.
    pub key: PlatformKey,
    /// Tells the time.
    pub clock: Clock,
    /// Who collects; `None`: invoices wait until their customers pay.
    pub charges: Option<Arc<dyn ChargeOrders>>,
}

impl Books {
    /// Books that are kept from here on.
    pub fn new(
        master: &MasterDb,
        key: &PlatformKey,
        clock: &Clock,
        charges: Option<Arc<dyn ChargeOrders>>,
    ) -> Self {
        Self {
            master: master.clone(),
            key: key.clone(),
            clock: clock.clone(),
            charges,
        }
    }

    pub(super) async fn collect(
        &self,
        tx: &mut MasterTx,
        invoice: &InvoiceRecord,
        now: DateTime<Utc>,
    ) -> Result<(), DbError> {
        match &self.charges {
            Some(charges) => charges.order(tx, invoice, now).await,
            None => Ok(()),
        }
    }
}
