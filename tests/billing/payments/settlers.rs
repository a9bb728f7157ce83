//! A tenant that collects its own dues: the same pipeline, another payee. What was paid is booked in the tenant's schema
//! afterwards, once, whatever fails in between.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use helixai::billing::gateways::{Credentials, Payer, PayerName};
use helixai::billing::payments::{
    Bill, Booked, NewAccount, NewCharge, News, PaymentError, Payments, Settler, order,
};
use helixai::db::DbError;
use helixai::db::master::MasterTx;
use helixai::db::master::payments::charges::ChargeRecord;
use helixai::db::tenant::{Access, Query, TenantDb};
use helixai::domain::charge::Payee;
use helixai::domain::email::Email;
use helixai::domain::ids::{ChargeId, TenantId};
use helixai::domain::money::Cents;
use helixai::domain::payment::{GatewayKind, PaymentMethod};
use helixai_fakes::gateways::{Change, Kind, Variant};
use uuid::Uuid;

use super::till::{Client, Till, account_at, credentials};
use crate::helpers::{cli_origin, tenant_db_of};

/// Dues in a table of the tenant's schema.
struct Dues {
    db: TenantDb,
    clock: helixai::domain::clock::Clock,
    /// So often its schema cannot be asked.
    away: AtomicUsize,
}

impl Dues {
    fn is_away(&self) -> Result<(), DbError> {
        let left = self
            .away
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        match left {
            Ok(_) => Err(DbError::Unavailable("the shard is away".to_owned())),
            Err(_) => Ok(()),
        }
    }
}

#[async_trait]
impl Settler for Dues {
    async fn bill(&self, charge: &ChargeRecord) -> Result<Option<Bill>, DbError> {
        self.is_away()?;
        let open = Query::optional(
            "select cents from till_dues where id = $1 and paid_by is null",
            |mut row| row.next::<i64>(),
        );
        let found = self
            .db
            .run(&Access::system(self.clock.now()), open.bind(charge.subject))
            .await?;
        Ok(found.output.map(|_| Bill {
            description: "Mensalidade".to_owned(),
            payer: Payer {
                name: PayerName::new("Ana"),
                email: Email::parse("ana@example.com").expect("an address"),
                document: None,
            },
            due_date: self.clock.now().date_naive(),
            return_url: "http://localhost/".to_owned(),
            save_card: false,
        }))
    }

    async fn book(
        &self,
        _: &mut MasterTx,
        _: &ChargeRecord,
        _: News,
        _: DateTime<Utc>,
        _: DateTime<Utc>,
    ) -> Result<Booked, DbError> {
        Ok(Booked::Later)
    }

    async fn carry_out(&self, charge: &ChargeRecord, now: DateTime<Utc>) -> Result<(), DbError> {
        self.is_away()?;
        let book = Query::execute(
            "update till_dues set paid_by = $2, times = times + 1 where id = $1 and paid_by is distinct from $2",
        );
        let book = book.bind(charge.subject).bind(charge.id.as_uuid());
        self.db.run(&Access::system(now), book).await?;
        Ok(())
    }
}

/// A tenant that collects, with one due of R$ 50,00.
struct Collecting {
    till: Till,
    payments: Payments,
    dues: Arc<Dues>,
    tenant: Client,
    due: Uuid,
}

impl Collecting {
    async fn open() -> Self {
        let till = Till::open_by_hand().await;
        let tenant = till.client.clone();
        let key = "APP_USR-academia";
        till.gateway
            .add_account(account_at(Kind::MercadoPago, key, 500, None));
        let given = credentials(Kind::MercadoPago, key);
        let new = NewAccount {
            owner: Some(TenantId::from_uuid(tenant.id)),
            name: "Academia".to_owned(),
            credentials: Credentials::parse(GatewayKind::MercadoPago, given.as_object().expect("an object"))
                .expect("credentials"),
        };
        let platform = &till.app.test.platform;
        platform
            .payments
            .accounts
            .create(&new, cli_origin())
            .await
            .expect("an account");
        let admin = till.app.test.admin().await;
        let sql =
            "create table tenant_garage.till_dues (id uuid primary key, cents bigint not null, paid_by uuid,
                       times integer not null default 0)";
        admin.batch_execute(sql).await.expect("a table");
        let role: String = admin
            .query_one(
                "select role_name from master.tenants where id = $1",
                &[&tenant.id],
            )
            .await
            .expect("the tenant")
            .get(0);
        admin
            .batch_execute(&format!(
                "grant select, insert, update on tenant_garage.till_dues to {role}"
            ))
            .await
            .expect("granted");
        let dues = Arc::new(Dues {
            db: tenant_db_of(platform, &tenant.key).await,
            clock: till.clock.clone(),
            away: AtomicUsize::new(0),
        });
        let payments = platform
            .payments
            .clone()
            .with_tenants(Arc::clone(&dues) as Arc<dyn Settler>);
        Self {
            payments,
            dues,
            tenant,
            due: Uuid::now_v7(),
            till,
        }
    }

    /// What the tenant's own transaction commits, after the charge was ordered.
    async fn commit_due(&self) {
        let admin = self.till.app.test.admin().await;
        admin
            .execute(
                "insert into tenant_garage.till_dues (id, cents) values ($1, 5000)",
                &[&self.due],
            )
            .await
            .expect("a due");
    }

    async fn order(&self) -> ChargeId {
        let now = self.till.clock.now();
        let new = NewCharge {
            tenant: TenantId::from_uuid(self.tenant.id),
            payee: Payee::Tenant,
            subject: self.due,
            method: PaymentMethod::Pix,
            gateway: None,
            amount: Cents::parse(5000).expect("an amount"),
            expires_at: now + TimeDelta::days(3),
            place_at: None,
            now,
        };
        let mut tx = self
            .till
            .app
            .test
            .platform
            .master
            .begin()
            .await
            .expect("a transaction");
        let id = order(&mut tx, &new).await.expect("ordered").expect("an account");
        tx.commit().await.expect("committed");
        id
    }

    async fn work(&self) {
        self.payments
            .work(GatewayKind::MercadoPago)
            .await
            .expect("worked");
    }

    /// How often the due was booked, and by which charge.
    async fn booked(&self) -> (i32, Option<Uuid>) {
        let admin = self.till.app.test.admin().await;
        let row = admin
            .query_one(
                "select times, paid_by from tenant_garage.till_dues where id = $1",
                &[&self.due],
            )
            .await
            .expect("the due");
        (row.get(0), row.get(1))
    }

    async fn applied(&self, charge: ChargeId) -> bool {
        self.till
            .column(
                "select applied_at is not null from master.charges where id = $1",
                charge.as_uuid(),
            )
            .await
    }
}

#[tokio::test]
async fn a_due_is_booked_in_the_tenants_schema_once() {
    let test = Collecting::open().await;
    let charge = test.order().await;
    test.commit_due().await;
    let placed = test.payments.place(charge).await.expect("placed");
    assert!(placed.pix_code.is_some());
    assert_eq!(test.order().await, charge, "the same again");
    let payment = test.till.gateway.payment(&charge.to_string());
    // Its shard is away when the payment is known: the worker goes on with it.
    test.till
        .gateway
        .change(&payment.id, Change::Pay)
        .await
        .expect("paid");
    let mut event = test.till.gateway.events().pop().expect("an event");
    let account: Uuid = test
        .till
        .column(
            "select account_id from master.charges where id = $1",
            charge.as_uuid(),
        )
        .await;
    let port = test.till.app.address.port();
    event.url = Some(format!(
        "http://{}:{port}/hooks/mercado-pago/{account}",
        super::till::HOST
    ));
    let told = test.till.gateway.send(&event, 1, false, Variant::Good).await;
    assert_eq!(told, [200]);
    test.dues.away.store(2, Ordering::SeqCst);
    test.work().await;
    assert_eq!(test.till.charge_status(charge.as_uuid()).await, "paid");
    assert_eq!(
        (test.booked().await, test.applied(charge).await),
        ((0, None), false)
    );
    for _ in 0..4 {
        test.till.advance(TimeDelta::minutes(10));
        test.work().await;
    }
    assert_eq!(test.booked().await, (1, Some(charge.as_uuid())));
    assert!(test.applied(charge).await);
    let ledger: i64 = test
        .till
        .column(
            "select count(*) from master.ledger_entries where charge_id = $1",
            charge.as_uuid(),
        )
        .await;
    assert_eq!(ledger, 0, "the platform's books have nothing of it");
}

/// The tenant's own row was never committed: nobody is asked to pay, and nothing is placed.
#[tokio::test]
async fn a_charge_without_its_row_is_voided_before_it_is_placed() {
    let test = Collecting::open().await;
    let charge = test.order().await;
    test.work().await;
    assert_eq!(
        test.till.charge_status(charge.as_uuid()).await,
        "pending",
        "its row may come yet"
    );
    test.till.advance(TimeDelta::minutes(3));
    test.work().await;
    assert_eq!(test.till.charge_status(charge.as_uuid()).await, "canceled");
    let placed = test.till.pix_payments();
    assert!(
        placed
            .iter()
            .all(|payment| payment.reference != charge.to_string())
    );
}

/// Its schema cannot be asked: whoever orders is told so, and the worker goes on with the others and comes back.
#[tokio::test]
async fn a_payee_that_is_away_stops_nobody_else() {
    let test = Collecting::open().await;
    let charge = test.order().await;
    test.commit_due().await;
    test.dues.away.store(1, Ordering::SeqCst);
    let placed = test.payments.place(charge).await;
    assert!(matches!(placed, Err(PaymentError::PayeeAway(_))), "{placed:?}");
    let (_, other, _) = test.till.pix().await;
    test.dues.away.store(1, Ordering::SeqCst);
    test.till.advance(TimeDelta::minutes(5));
    test.till
        .gateway
        .change(&other.to_string(), Change::Pay)
        .await
        .expect("paid");
    test.till
        .app
        .until("the other is paid", || async {
            test.work().await;
            test.till.charge_status(other).await == "paid"
        })
        .await;
    let placed = test.payments.place(charge).await.expect("placed");
    assert!(placed.pix_code.is_some());
    // Nor when it is asked what became of it.
    test.dues.away.store(1, Ordering::SeqCst);
    test.till.advance(TimeDelta::minutes(5));
    test.work().await;
    assert_eq!(test.till.charge_status(charge.as_uuid()).await, "pending");
}

/// A charge is placed through its payee's own account, or not at all.
#[tokio::test]
async fn nobody_collects_through_anothers_account() {
    let test = Collecting::open().await;
    let other = test.till.onboard("outra").await;
    let now = test.till.clock.now();
    let new = |tenant: &Client, payee| NewCharge {
        tenant: TenantId::from_uuid(tenant.id),
        payee,
        subject: Uuid::now_v7(),
        method: PaymentMethod::Pix,
        gateway: None,
        amount: Cents::parse(100).expect("an amount"),
        expires_at: now + TimeDelta::days(1),
        place_at: None,
        now,
    };
    let mut tx = test
        .till
        .app
        .test
        .platform
        .master
        .begin()
        .await
        .expect("a transaction");
    let of_other = order(&mut tx, &new(&other, Payee::Tenant)).await.expect("asked");
    assert_eq!(of_other, None, "it has no account");
    let platforms = order(&mut tx, &new(&other, Payee::Platform))
        .await
        .expect("asked")
        .expect("an account");
    let own = order(&mut tx, &new(&test.tenant, Payee::Tenant))
        .await
        .expect("asked")
        .expect("an account");
    tx.commit().await.expect("committed");
    let account = async |charge: ChargeId| -> Uuid {
        test.till
            .column(
                "select account_id from master.charges where id = $1",
                charge.as_uuid(),
            )
            .await
    };
    assert_eq!(account(platforms).await, test.till.account);
    assert_ne!(account(own).await, test.till.account);
}
