//! Tenants as payees: a charge is for a due of one of the tenant's customers, collected through the tenant's own account. What has
//! become of it is noted in the registry first, then booked in the tenant's schema, once, by the charge's id ([`Dues`]). While the
//! schema cannot be asked (the tenant is suspended, on its way to another shard, being restored) the charge waits.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use serde_json::json;

use super::order::order_once;
use super::platform::{TenantUrl, payable_until};
use super::settler::{Bill, Booked, News, Settler};
use super::{NewCharge, PaymentError, Payments};
use crate::billing::gateways::{Payer, PayerName};
use crate::db::DbError;
use crate::db::master::audit::{MasterActor, MasterAudit, Origin, Subject, insert_audit};
use crate::db::master::payments::bills::{self, PayeeTenant};
use crate::db::master::payments::charges::{self, ChargeRecord};
use crate::db::master::{MasterDb, MasterTx};
use crate::db::tenant::customers::charges::MadePix;
use crate::db::tenant::customers::{self, clock, payments, reminders};
use crate::db::tenant::{Access, Lanes, TenantDb, settings};
use crate::domain::charge::{AccountStatus, Payee};
use crate::domain::document::Document;
use crate::domain::email::Email;
use crate::domain::ids::{ChargeId, DueId, TenantId};
use crate::domain::money::Cents;
use crate::domain::payment::{PaymentMethod, PaymentStatus};
use crate::domain::settings::Settings;

/// Most characters of a description that a gateway is told.
const DESCRIPTION_MAX: usize = 200;
/// How long who asks for a charge waits for another who is placing it, before asking again.
const PAUSE: Duration = Duration::from_millis(50);
/// For how long a reminder does without a PIX, once a gateway has refused one.
const REFUSED_FOR: TimeDelta = TimeDelta::hours(1);

/// Books what customers of tenants pay.
pub struct Dues {
    /// The registry.
    pub master: MasterDb,
    /// The ways to tenants' schemas.
    pub lanes: Lanes,
    /// Tells the time.
    pub clock: crate::domain::clock::Clock,
    /// Where a payer is led back to.
    pub tenant_url: TenantUrl,
}

impl Dues {
    /// The tenant and its schema; an error while it is not served: whatever is to be done waits.
    async fn open(&self, tenant: TenantId) -> Result<(PayeeTenant, TenantDb), DbError> {
        let payee = bills::find_payee(&self.master, tenant).await?;
        let away = || DbError::Unavailable("the tenant is not served".to_owned());
        let payee = payee.ok_or_else(away)?;
        let db = TenantDb::new(self.lanes.clone(), Arc::new(payee.home.clone()));
        Ok((payee, db))
    }
}

#[async_trait]
impl Settler for Dues {
    async fn bill(&self, charge: &ChargeRecord) -> Result<Option<Bill>, DbError> {
        let (payee, db) = self.open(charge.tenant).await?;
        let find = customers::charges::find_billed(DueId::from_uuid(charge.subject));
        let access = Access::system(self.clock.now());
        let (billed, stored) = db.run(&access, (find, settings::find_all())).await?.output;
        // What was asked for is not what is owed any more: there is nothing to be paid by this charge.
        let billed = billed.filter(|billed| billed.left_cents == charge.amount.get());
        let Some(billed) = billed else {
            return Ok(None);
        };
        // Gateways want an address. Whoever has none is written to at the tenant's own.
        let own = Settings::of(&payee.name, &stored.values).contact_email;
        let known = [billed.email, own, Some(payee.owner_email)];
        let email = known.iter().flatten().find_map(|email| Email::parse(email).ok());
        let email = email.ok_or_else(|| DbError::Other {
            code: "driver".to_owned(),
            message: "tenants.owner_email holds no address".to_owned(),
        })?;
        Ok(Some(Bill {
            description: billed.description.chars().take(DESCRIPTION_MAX).collect(),
            payer: Payer {
                name: PayerName::new(billed.name.as_deref().unwrap_or_default()),
                email,
                document: billed
                    .document
                    .and_then(|document| Document::parse(&document).ok()),
            },
            due_date: billed.due_date,
            return_url: (self.tenant_url)(&payee.key),
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
        let (payee, db) = self.open(charge.tenant).await?;
        let due = DueId::from_uuid(charge.subject);
        let first = (payments::lock(due), settings::find_all());
        let (tx, reply) = db.begin(&Access::system(now), first).await?;
        let (found, stored) = reply.output;
        let Some(paid) = charge.paid.filter(|_| found.is_some()) else {
            tx.rollback().await?;
            tracing::warn!(charge_id = %charge.id, tenant_id = %charge.tenant, "a charge was paid for a due that its tenant does not have: {}", charge.id);
            return Ok(());
        };
        let zone = Settings::of(&payee.name, &stored.values).time_zone.tz();
        let day = |at: DateTime<Utc>| at.with_timezone(&zone).date_naive();
        let (id, method) = (charge.id.as_uuid(), charge.method.as_str());
        let paid_on = day(charge.settled_at.unwrap_or(now));
        let back = (charge.refunded > Cents::ZERO).then(|| {
            let back = payments::reverse(due, id, method, charge.refunded.get(), day(now), now);
            (back, clock::wake(now))
        });
        let batch = (
            payments::settle(due, id, method, paid.get(), paid_on, now),
            back,
            customers::charges::forget_code(due),
            reminders::cancel(due, now),
        );
        crate::kill_point!("dues.before_settled");
        tx.commit(batch).await?;
        crate::kill_point!("dues.settled");
        Ok(())
    }
}

/// A due that is to be paid by PIX.
#[derive(Debug, Clone, Copy)]
pub struct DueToPay {
    /// Whose customer pays.
    pub tenant: TenantId,
    /// Which.
    pub due: DueId,
    /// What is left to be paid.
    pub amount: Cents,
    /// The local day by which it should be paid.
    pub due_date: NaiveDate,
}

/// Why there is nothing to pay a due with.
#[derive(Debug, thiserror::Error)]
pub enum DueError {
    /// The tenant has no account that takes PIX.
    #[error("the tenant has no account that takes PIX")]
    NoAccount,
    /// It is not owed any more, or not so much.
    #[error("nothing is owed")]
    NothingOwed,
    /// The gateway does not do it now, or never will.
    #[error(transparent)]
    Payment(#[from] PaymentError),
    /// The database failed.
    #[error(transparent)]
    Db(#[from] DbError),
}

/// The PIX of a due that somebody is reminded of.
#[derive(Debug)]
pub enum DuePix {
    /// It can be paid by this charge.
    Ready(Box<ChargeRecord>),
    /// It was ordered; the gateway has not answered yet.
    Coming,
    /// There is none: the tenant has no account, or its gateway has refused it.
    Nowhere,
}

/// What a due shows of its PIX charge.
pub fn made_pix(charge: &ChargeRecord) -> Option<MadePix> {
    charge.pix_code.as_ref().map(|code| MadePix {
        charge: charge.id,
        code: code.clone(),
        expires_at: charge.expires_at,
        amount_cents: charge.amount.get(),
    })
}

impl Payments {
    /// The open PIX charge of a due, made now if there is none. Repeated, also after a failure, it answers the same charge.
    ///
    /// # Errors
    /// See [`DueError`]. What the gateway did not do in time the worker goes on with.
    pub async fn charge_due(
        &self,
        wanted: &DueToPay,
        origin: Origin,
        budget: Duration,
    ) -> Result<ChargeRecord, DueError> {
        let ordered = self.order_due(wanted, origin, None).await?;
        let id = ordered.ok_or(DueError::NoAccount)?;
        crate::kill_point!("dues.ordered");
        let charge = match self.place_within(id, budget).await {
            Ok(charge) => charge,
            // A gateway that is away keeps nobody from what it said before.
            Err(error) => match charges::find_charge(&self.master, id).await? {
                Some(charge) if charge.is_payable_pix(self.clock.now()) => charge,
                _ => return Err(error.into()),
            },
        };
        crate::kill_point!("dues.placed");
        if charge.is_payable_pix(self.clock.now()) {
            Ok(charge)
        } else if charge.is_open() {
            Err(PaymentError::Busy.into())
        } else {
            Err(DueError::NothingOwed)
        }
    }

    /// The PIX of a due for a reminder, ordered if there is none. No gateway is asked here: the worker does that, and whoever wants
    /// the PIX comes again.
    ///
    /// # Errors
    /// When the registry fails.
    pub async fn pix_of_due(&self, wanted: &DueToPay) -> Result<DuePix, DbError> {
        let (tenant, subject, now) = (wanted.tenant, wanted.due.as_uuid(), self.clock.now());
        let all = charges::list_of_subject(&self.master, tenant, subject, Some(PaymentMethod::Pix)).await?;
        let of_it = |charge: &&ChargeRecord| charge.amount == wanted.amount;
        let mut same = all.iter().filter(of_it);
        if let Some(ready) = same.clone().find(|charge| charge.is_payable_pix(now)) {
            return Ok(DuePix::Ready(Box::new(ready.clone())));
        }
        let refused = |charge: &ChargeRecord| {
            charge.status == PaymentStatus::Rejected && charge.created_at > now - REFUSED_FOR
        };
        if same.next().is_some_and(refused) {
            return Ok(DuePix::Nowhere);
        }
        let origin = Origin {
            actor: MasterActor::System,
            request_id: None,
        };
        let ordered = self.order_due(wanted, origin, Some(now)).await?;
        crate::kill_point!("dues.pix_ordered");
        self.news.notify_waiters();
        Ok(ordered.map_or(DuePix::Nowhere, |_| DuePix::Coming))
    }

    /// The newest PIX charge of a due, whatever has become of it.
    ///
    /// # Errors
    /// When the registry fails.
    pub async fn find_due_charge(
        &self,
        tenant: TenantId,
        due: DueId,
    ) -> Result<Option<ChargeRecord>, DbError> {
        let of = due.as_uuid();
        let all = charges::list_of_subject(&self.master, tenant, of, Some(PaymentMethod::Pix)).await?;
        Ok(all.into_iter().find(|charge| charge.payee == Payee::Tenant))
    }

    /// The newest charge of a due that can still be paid by PIX.
    ///
    /// # Errors
    /// When the registry fails.
    pub async fn find_due_pix(&self, tenant: TenantId, due: DueId) -> Result<Option<ChargeRecord>, DbError> {
        self.find_pix_of(tenant, (Payee::Tenant, due.as_uuid())).await
    }

    /// Whether a tenant has an account in use that takes PIX.
    ///
    /// # Errors
    /// When the registry fails.
    pub async fn takes_pix(&self, tenant: TenantId) -> Result<bool, DbError> {
        let accounts = self.accounts.list(Some(tenant)).await?;
        Ok(accounts.iter().any(|account| {
            account.status == AccountStatus::Active && account.gateway.offers(PaymentMethod::Pix)
        }))
    }

    /// Another amount is owed of a due, or nothing: its open charges are looked at now, and taken back if they are for another one.
    ///
    /// # Errors
    /// When the registry fails.
    pub async fn recheck_due(&self, tenant: TenantId, due: DueId) -> Result<(), DbError> {
        let mut tx = self.master.begin().await?;
        charges::recheck_subject(&mut tx, tenant, due.as_uuid(), self.clock.now()).await?;
        tx.commit().await?;
        self.news.notify_waiters();
        Ok(())
    }

    /// A charge and the note of who has asked for it, in one transaction; `None` without an account.
    async fn order_due(
        &self,
        wanted: &DueToPay,
        origin: Origin,
        place_at: Option<DateTime<Utc>>,
    ) -> Result<Option<ChargeId>, DbError> {
        let now = self.clock.now();
        let new = NewCharge {
            tenant: wanted.tenant,
            payee: Payee::Tenant,
            subject: wanted.due.as_uuid(),
            method: PaymentMethod::Pix,
            gateway: None,
            amount: wanted.amount,
            expires_at: payable_until(wanted.due_date, now),
            place_at,
            now,
        };
        let mut tx = self.master.begin().await?;
        let Some((id, is_new)) = order_once(&mut tx, &new).await? else {
            return Ok(None);
        };
        if is_new {
            let line = MasterAudit {
                actor: origin.actor,
                action: "due.charge",
                subject: Subject::Tenant(wanted.tenant),
                request_id: origin.request_id,
                details: json!({ "due": wanted.due, "charge": id, "amount_cents": wanted.amount }),
                at: now,
            };
            insert_audit(&mut tx, &line).await?;
        }
        crate::kill_point!("dues.before_ordered");
        tx.commit().await?;
        Ok(Some(id))
    }

    /// As [`Payments::place`], for so long as the budget allows. Nobody's hanging up stops it.
    async fn place_within(&self, id: ChargeId, budget: Duration) -> Result<ChargeRecord, PaymentError> {
        let (payments, until) = (self.clone(), Instant::now() + budget);
        let asked = tokio::spawn(async move {
            loop {
                match payments.place(id).await {
                    // Somebody else is asking the gateway just now.
                    Err(PaymentError::Busy) if Instant::now() < until => tokio::time::sleep(PAUSE).await,
                    answer => return answer,
                }
            }
        });
        match tokio::time::timeout(budget, asked).await {
            Ok(Ok(answer)) => answer,
            _ => Err(PaymentError::Busy),
        }
    }
}
