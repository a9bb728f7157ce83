//! A platform whose time stands still, with a tenant that is billed, and the ways to pay.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use helixai::billing::books::{Books, ChargeOrders};
use helixai::billing::invoices::{Payment, Settled, settle};
use helixai::db::DbError;
use helixai::db::master::invoices::{InvoiceFilter, InvoiceRecord, list_invoices};
use helixai::db::master::subscriptions::{self, SubscriptionRecord};
use helixai::db::master::{MasterDb, MasterTx};
use helixai::domain::billing::invoice::{InvoiceKind, InvoiceStatus};
use helixai::domain::billing::period::Period;
use helixai::domain::clock::Clock;
use helixai::domain::ids::{ChargeId, InvoiceId, TenantId};
use helixai::domain::money::Cents;
use helixai::domain::page::Limit;
use helixai::domain::subscription::SubscriptionStatus;
use helixai::domain::tenant_key::TenantKey;
use tokio_postgres::Client;

use crate::helpers::{Builder, TestPlatform};

/// What was ordered to be collected, in the order in which it was.
#[derive(Default)]
pub struct Orders(Mutex<Vec<InvoiceId>>);

#[async_trait]
impl ChargeOrders for Orders {
    async fn order(
        &self,
        _: &mut MasterTx,
        invoice: &InvoiceRecord,
        _: DateTime<Utc>,
    ) -> Result<(), DbError> {
        self.0.lock().expect("no panic").push(invoice.id);
        Ok(())
    }
}

impl Orders {
    pub fn all(&self) -> Vec<InvoiceId> {
        self.0.lock().expect("no panic").clone()
    }
}

/// A platform with one tenant, and what bills it.
pub struct Shop {
    pub test: TestPlatform,
    pub clock: Clock,
    pub tenant: TenantId,
    pub books: Books,
    pub orders: Arc<Orders>,
    pub admin: Client,
}

pub fn at(text: &str) -> DateTime<Utc> {
    text.parse().expect("a time")
}

impl Shop {
    /// With a trial that began at this moment.
    pub async fn start(begin: &str) -> Self {
        Self::start_with(|builder| builder, begin).await
    }

    pub async fn start_with(change: impl FnOnce(Builder) -> Builder, begin: &str) -> Self {
        let clock = Clock::fixed(at(begin));
        let builder = TestPlatform::builder()
            .clock(clock.clone())
            .set("database.wait_timeout_secs", 120)
            .set("database.lock_timeout_ms", 14_000);
        let test = change(builder).start().await;
        let garage = test.onboard("garage", "cars").await;
        let orders = Arc::new(Orders::default());
        let mut books = test.platform.books.clone();
        books.charges = Some(orders.clone());
        Self {
            admin: test.admin().await,
            tenant: garage.id,
            test,
            clock,
            books,
            orders,
        }
    }

    pub fn master(&self) -> &MasterDb {
        &self.test.platform.master
    }

    /// The clock comes by at this moment.
    pub async fn look(&self, now: &str) -> u64 {
        self.look_at(at(now)).await
    }

    pub async fn look_at(&self, now: DateTime<Utc>) -> u64 {
        self.clock.set(now);
        self.books.run_clock().await.expect("it runs")
    }

    /// All invoices of the tenant, the first first.
    pub async fn invoices(&self) -> Vec<InvoiceRecord> {
        self.invoices_of(self.tenant).await
    }

    pub async fn invoices_of(&self, tenant: TenantId) -> Vec<InvoiceRecord> {
        let filter = InvoiceFilter {
            tenant: Some(tenant),
            ..InvoiceFilter::default()
        };
        let limit = Limit::new(200).expect("a limit");
        let mut found = list_invoices(self.master(), &filter, None, limit)
            .await
            .expect("read");
        found.reverse();
        found
    }

    /// The invoices that are to be paid.
    pub async fn open(&self) -> Vec<InvoiceRecord> {
        let mut found = self.invoices().await;
        found.retain(|invoice| invoice.status == InvoiceStatus::Open);
        found
    }

    /// The one invoice that is to be paid.
    pub async fn only_open(&self) -> InvoiceRecord {
        let mut open = self.open().await;
        assert_eq!(open.len(), 1, "{open:?}");
        open.remove(0)
    }

    /// The periods that were charged and paid, in order.
    pub async fn paid_periods(&self, tenant: TenantId) -> Vec<Period> {
        let mut periods: Vec<Period> = self
            .invoices_of(tenant)
            .await
            .iter()
            .filter(|invoice| invoice.status == InvoiceStatus::Paid && invoice.kind == InvoiceKind::Period)
            .filter_map(|invoice| invoice.period)
            .collect();
        periods.sort_by_key(|period| period.start);
        periods
    }

    /// Pays all of an invoice, by a charge of its own.
    pub async fn pay(&self, invoice: &InvoiceRecord) -> Settled {
        self.pay_by(invoice, ChargeId::new()).await
    }

    pub async fn pay_by(&self, invoice: &InvoiceRecord, charge: ChargeId) -> Settled {
        pay_at(self.master(), invoice, charge, self.clock.now()).await
    }

    pub async fn subscription(&self) -> SubscriptionRecord {
        let key = TenantKey::parse("garage").expect("a key");
        let found = subscriptions::find_newest(self.master(), &key)
            .await
            .expect("read");
        found.expect("a subscription")
    }

    /// As stored, and as it counts at this moment: they must agree.
    pub async fn status(&self) -> SubscriptionStatus {
        let state = self.subscription().await.state;
        assert_eq!(state.at(self.clock.now()), state.status);
        state.status
    }

    /// Invoices, ledger and subscriptions agree.
    pub async fn adds_up(&self) {
        assert_eq!(self.books.check().await.expect("checked"), []);
    }

    /// `kind` and `dedupe_key` of the mails that were decided, in order.
    pub async fn mails(&self) -> Vec<(String, String)> {
        let rows = self
            .admin
            .query(
                "select kind, dedupe_key from master.mails where kind <> 'welcome' order by updated_at, id",
                &[],
            )
            .await
            .expect("read");
        rows.iter().map(|row| (row.get(0), row.get(1))).collect()
    }

    pub async fn number(&self, sql: &str) -> i64 {
        self.admin.query_one(sql, &[]).await.expect("a number").get(0)
    }
}

pub async fn pay_at(
    master: &MasterDb,
    invoice: &InvoiceRecord,
    charge: ChargeId,
    now: DateTime<Utc>,
) -> Settled {
    let payment = payment(invoice.total_cents, charge, now);
    let mut tx = master.begin().await.expect("begun");
    let settled = settle(&mut tx, invoice.id, &payment, now).await.expect("settled");
    tx.commit().await.expect("committed");
    settled
}

pub fn payment(cents: i64, charge: ChargeId, at: DateTime<Utc>) -> Payment {
    Payment {
        charge,
        amount: Cents::parse(cents).expect("an amount"),
        at,
    }
}

/// A moment each `every`, from the first on.
pub fn moments(first: DateTime<Utc>, every: TimeDelta, count: usize) -> impl Iterator<Item = DateTime<Utc>> {
    std::iter::successors(Some(first), move |at| Some(*at + every)).take(count)
}
