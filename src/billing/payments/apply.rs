//! What a gateway says of a payment goes into the books: in one transaction the charge, what it pays, what somebody has to
//! look at, and that the event is done. Whatever is told again, or late, changes nothing.

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::place::card_context;
use super::settler::{Booked, News};
use super::verdict::{Move, Verdict, judge};
use super::{Account, NewCharge, PaymentError, Payments, order_first};
use crate::billing::gateways::{PaymentSeen, SavedCardSeen};
use crate::db::DbError;
use crate::db::master::MasterTx;
use crate::db::master::payments::applied;
use crate::db::master::payments::cards::{self, NewCard};
use crate::db::master::payments::charges::{self, ChargeRecord, Moved};
use crate::db::master::payments::events::{self, EventRecord};
use crate::db::master::payments::findings::{self, NewFinding};
use crate::db::master::payments::refunds;
use crate::db::master::payments::turns::{self, Ended};
use crate::domain::charge::{FindingKind, Payee, backoff};
use crate::domain::ids::{ChargeId, RefundId, SavedCardId};
use crate::domain::money::Cents;
use crate::domain::payment::{PaymentMethod, PaymentStatus};
use crate::telemetry::payment_metrics::count_payment;

/// A webhook that brings nothing new may be ahead of what the gateway shows: it is asked again after this.
const SHOWN_AFTER: TimeDelta = TimeDelta::minutes(1);
/// For how long a payer may pay what a card did not.
const INSTEAD: TimeDelta = TimeDelta::days(7);

/// Why a gateway was asked.
#[derive(Debug, Clone, Copy)]
pub(super) enum Because<'a> {
    /// It was time.
    Asked,
    /// It had told.
    Told(&'a EventRecord),
    /// It has given money back, by this decision; and how it calls that.
    GivenBack(RefundId, Option<&'a str>),
}

/// What has come of a payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Applied {
    /// It is not ours, or another account's.
    Foreign,
    /// It was known.
    Known,
    /// It is not what was asked for: somebody has to look at it.
    Refused(FindingKind),
    /// The charge has come to this.
    Moved(PaymentStatus),
}

impl Payments {
    /// Books what `account`'s gateway has answered; `twice`: another payment of the same charge. What it was asked for is done
    /// with it.
    pub(super) async fn apply(
        &self,
        account: &Account,
        seen: &PaymentSeen,
        twice: Option<&PaymentSeen>,
        because: Because<'_>,
    ) -> Result<Applied, DbError> {
        let now = self.clock.now();
        let mut tx = self.master.begin().await?;
        let reference = seen.reference.as_deref();
        let reference = reference.and_then(|text| text.parse::<ChargeId>().ok());
        let (applied, later) = match reference {
            None => (Applied::Foreign, None),
            Some(id) => match charges::lock(&mut tx, id, account.record.id).await? {
                None => (self.foreign(&mut tx, account, id, seen, now).await?, None),
                Some(charge) => {
                    if let Some(twice) = twice {
                        note(&mut tx, &charge, twice, FindingKind::PaidTwice, now).await?;
                    }
                    let told = matches!(because, Because::Told(_));
                    self.carry(&mut tx, account, charge, seen, told, now).await?
                }
            },
        };
        match because {
            Because::Asked => {}
            Because::Told(event) => events::note_done(&mut tx, event, now).await?,
            Because::GivenBack(refund, known_as) => {
                refunds::note_done(&mut tx, refund, known_as, now).await?;
            }
        }
        crate::kill_point!("payments.before_booked");
        tx.commit().await?;
        crate::kill_point!("payments.booked");
        if let Some(charge) = later {
            self.carry_out_now(charge).await;
        }
        Ok(applied)
    }

    /// A payment that names a charge which is not this account's: nobody's money moves.
    async fn foreign(
        &self,
        tx: &mut MasterTx,
        account: &Account,
        id: ChargeId,
        seen: &PaymentSeen,
        now: DateTime<Utc>,
    ) -> Result<Applied, DbError> {
        if charges::find_account_of(tx, id.as_uuid()).await?.is_none() {
            return Ok(Applied::Foreign);
        }
        let found = NewFinding {
            account: account.record.id,
            payment_id: &seen.payment_id,
            kind: FindingKind::Account,
            charge: id,
            amount: seen.amount,
            currency: &seen.currency,
        };
        findings::insert_finding(tx, &found, now).await?;
        tracing::warn!(charge_id = %id, account_id = %account.record.id, "a payment names a charge of another account: {id}");
        Ok(Applied::Refused(FindingKind::Account))
    }

    async fn carry(
        &self,
        tx: &mut MasterTx,
        account: &Account,
        charge: ChargeRecord,
        seen: &PaymentSeen,
        told: bool,
        now: DateTime<Utc>,
    ) -> Result<(Applied, Option<ChargeId>), DbError> {
        match judge(&charge, account.record.collector.as_deref(), seen) {
            Verdict::Nothing => {
                if told {
                    turns::look_again(tx, charge.id, now + SHOWN_AFTER, now).await?;
                }
                Ok((Applied::Known, None))
            }
            Verdict::Refused(kind) => {
                note(tx, &charge, seen, kind, now).await?;
                tracing::warn!(charge_id = %charge.id, kind = kind.as_str(), "a payment is not what was expected: {}", charge.id);
                Ok((Applied::Refused(kind), None))
            }
            Verdict::Moved(moved) => {
                let later = self.book(tx, &charge, seen, moved, now).await?;
                count_payment(charge.gateway, moved.status.as_str());
                let later = later.then_some(charge.id);
                Ok((Applied::Moved(moved.status), later))
            }
        }
    }

    /// Whether there is something left to be carried out.
    async fn book(
        &self,
        tx: &mut MasterTx,
        charge: &ChargeRecord,
        seen: &PaymentSeen,
        moved: Move,
        now: DateTime<Utc>,
    ) -> Result<bool, DbError> {
        let at = seen.updated_at.unwrap_or(now).min(now);
        let settler = self.settler(charge.payee)?;
        let back = match moved.status {
            PaymentStatus::ChargedBack => News::ChargedBack,
            _ => News::Refunded,
        };
        let news = [moved.paid.map(News::Paid), moved.returned.map(back)];
        let mut later = false;
        for news in news.into_iter().flatten() {
            match settler.book(tx, charge, news, at, now).await? {
                Booked::Done => {}
                Booked::Superfluous => note(tx, charge, seen, FindingKind::Superfluous, now).await?,
                Booked::Later => later = true,
            }
        }
        let over = !matches!(moved.status, PaymentStatus::Pending | PaymentStatus::InProcess);
        let noted = Moved {
            id: charge.id,
            status: moved.status,
            payment_id: &seen.payment_id,
            updated_at: seen.updated_at,
            paid: moved.paid,
            settled_at: moved.paid.map(|_| at),
            refunded: sum(charge.refunded, moved.returned),
            applied_at: (!later && over).then_some(now),
            next_check_at: (later || !over).then_some(now + SHOWN_AFTER),
        };
        charges::note_moved(tx, &noted, now).await?;
        if moved.paid.is_some() {
            self.note_paid(tx, charge, seen, now).await?;
        }
        if moved.status == PaymentStatus::Rejected && charge.method == PaymentMethod::Card {
            self.ask_instead(tx, charge, now).await?;
        }
        Ok(later)
    }

    async fn note_paid(
        &self,
        tx: &mut MasterTx,
        charge: &ChargeRecord,
        seen: &PaymentSeen,
        now: DateTime<Utc>,
    ) -> Result<(), DbError> {
        charges::recheck_others(tx, charge, now).await?;
        if seen.amount > charge.amount {
            note(tx, charge, seen, FindingKind::Overpaid, now).await?;
        }
        match &seen.card {
            Some(card) if charge.payee == Payee::Platform && charge.method != PaymentMethod::Card => {
                self.save_card(tx, charge, card, now).await
            }
            _ => Ok(()),
        }
    }

    async fn save_card(
        &self,
        tx: &mut MasterTx,
        charge: &ChargeRecord,
        card: &SavedCardSeen,
        now: DateTime<Utc>,
    ) -> Result<(), DbError> {
        // What a gateway writes elsewise is shown to nobody, and no card is refused for it.
        let digits = card.last4.len() == 4 && card.last4.bytes().all(|byte| byte.is_ascii_digit());
        let id = SavedCardId::new();
        let new = NewCard {
            id,
            tenant: charge.tenant,
            account: charge.account,
            token_sealed: self
                .key
                .seal(&card_context(id, charge.tenant), card.token.expose().as_bytes()),
            brand: card.brand.chars().take(40).collect(),
            last4: if digits {
                card.last4.clone()
            } else {
                "0000".to_owned()
            },
        };
        cards::save_card(tx, &new, now).await
    }

    /// A card did not pay: the payer is asked, by PIX or on a page.
    pub(super) async fn ask_instead(
        &self,
        tx: &mut MasterTx,
        charge: &ChargeRecord,
        now: DateTime<Utc>,
    ) -> Result<(), DbError> {
        let new = NewCharge {
            tenant: charge.tenant,
            payee: charge.payee,
            subject: charge.subject,
            method: PaymentMethod::Pix,
            gateway: None,
            amount: charge.amount,
            expires_at: charge.expires_at.max(now + INSTEAD),
            place_at: Some(now),
            now,
        };
        let asked = order_first(tx, &new, &[PaymentMethod::Pix, PaymentMethod::Checkout]).await?;
        if asked.is_none() {
            tracing::error!(charge_id = %charge.id, "a card did not pay, and no account takes anything else: {}", charge.id);
        }
        Ok(())
    }

    /// Has a tenant's charge booked in its schema; when that fails the worker goes on with it.
    async fn carry_out_now(&self, id: ChargeId) {
        let (worker, now) = (Uuid::now_v7(), self.clock.now());
        let done = async {
            match turns::claim(&self.master, id, worker, now + super::LEASE, now).await? {
                Some(charge) if charge.is_to_be_applied() => self.carry_out(&charge, worker).await,
                _ => Ok(()),
            }
        };
        if let Err(error) = done.await {
            tracing::info!(charge_id = %id, %error, "a paid charge is booked later: {id}");
        }
    }

    /// Has a charge booked by whoever is paid, and notes that it was.
    pub(super) async fn carry_out(&self, charge: &ChargeRecord, worker: Uuid) -> Result<(), PaymentError> {
        let now = self.clock.now();
        crate::kill_point!("payments.before_carried_out");
        let done = self.settler(charge.payee)?.carry_out(charge, now).await;
        crate::kill_point!("payments.carried_out");
        match done {
            Ok(()) => {
                let of = (charge.id, worker);
                applied::note_applied(&self.master, of, charge.status, charge.refunded, now).await?;
                Ok(())
            }
            Err(error) => {
                let text = error.to_string();
                let ended = Ended {
                    status: None,
                    next_check_at: Some(now + backoff(charge.checks)),
                    checks: charge.checks.saturating_add(1),
                    error: Some(&text),
                };
                self.end(charge, worker, &ended).await?;
                // Whoever is paid is away, not the registry: the others' turns go on.
                tracing::info!(charge_id = %charge.id, error = text, "a paid charge is booked later: {}", charge.id);
                Ok(())
            }
        }
    }
}

async fn note(
    tx: &mut MasterTx,
    charge: &ChargeRecord,
    seen: &PaymentSeen,
    kind: FindingKind,
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    let found = NewFinding {
        account: charge.account,
        payment_id: &seen.payment_id,
        kind,
        charge: charge.id,
        amount: seen.amount,
        currency: &seen.currency,
    };
    findings::insert_finding(tx, &found, now).await?;
    Ok(())
}

/// What has gone back with `more`.
pub(super) fn sum(known: Cents, more: Option<Cents>) -> Cents {
    let more = more.unwrap_or_default().get();
    Cents::parse(known.get() + more).unwrap_or(known)
}
