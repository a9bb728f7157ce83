//! Asking a gateway to collect. The charge is there before it is asked and noted after it has answered; a process that dies in
//! between leaves a lease that ends, and whoever takes the turn then asks the same under the same key.

use uuid::Uuid;

use super::apply::Because;
use super::settler::Bill;
use super::{Account, LEASE, PaymentError, Payments};
use crate::billing::gateways::{CardToken, GatewayError, PaymentOrder, PaymentSeen, Placed};
use crate::db::DbError;
use crate::db::master::payments::charges::{self, ChargeRecord};
use crate::db::master::payments::orders::{self, PlacedCharge};
use crate::db::master::payments::turns::{self, Ended};
use crate::db::master::payments::{accounts, cards};
use crate::domain::charge::{GIVEN_UP_AFTER_EXPIRY, backoff, idempotency_key, next_check};
use crate::domain::ids::{ChargeId, SavedCardId, TenantId};
use crate::domain::month::BOOKS_TZ;
use crate::domain::payment::{PaymentMethod, PaymentStatus};
use crate::telemetry::payment_metrics::count_payment;

impl Payments {
    /// Sees to it that the gateway has a charge, and answers what it said: the text of the PIX, the page. Of one that it has
    /// already and that is open, it is asked whether it was paid meanwhile. May be repeated, by anybody, at any time.
    ///
    /// # Errors
    /// See [`PaymentError`]. The worker goes on with what may still succeed.
    pub async fn place(&self, id: ChargeId) -> Result<ChargeRecord, PaymentError> {
        let (worker, now) = (Uuid::now_v7(), self.clock.now());
        match turns::claim(&self.master, id, worker, now + LEASE, now).await? {
            Some(charge) => self.take_turn(charge, worker).await,
            // Somebody is at it: what they have made of it so far.
            None => match charges::find_charge(&self.master, id).await? {
                Some(charge) if charge.placed_at.is_some() || !charge.is_open() => Ok(charge),
                Some(_) => Err(PaymentError::Busy),
                None => Err(PaymentError::Unknown),
            },
        }
    }

    /// Does what is to be done about a charge whose turn this worker has.
    pub(super) async fn take_turn(
        &self,
        charge: ChargeRecord,
        worker: Uuid,
    ) -> Result<ChargeRecord, PaymentError> {
        crate::kill_point!("payments.turn");
        if charge.is_to_be_applied() {
            self.carry_out(&charge, worker).await?;
            Ok(charges::find_charge(&self.master, charge.id)
                .await?
                .unwrap_or(charge))
        } else if charge.placed_at.is_some() {
            self.check(charge, worker).await
        } else if charge.is_open() {
            self.ask(charge, worker).await
        } else {
            self.end(&charge, worker, &Ended::default()).await
        }
    }

    async fn ask(&self, charge: ChargeRecord, worker: Uuid) -> Result<ChargeRecord, PaymentError> {
        // What has expired is over, whoever is paid.
        let over = charge.expires_at <= self.clock.now();
        let bill = match over {
            true => Ok(None),
            false => self.bill(&charge).await,
        };
        let bill = match bill {
            Ok(bill) => bill,
            Err(error) => return self.postpone(&charge, worker, error).await,
        };
        let Some(account) = self.accounts.find(charge.account).await? else {
            return Err(PaymentError::Unknown);
        };
        let Some(bill) = bill else {
            return self.give_up(charge, worker, &account, over).await;
        };
        let order = self.order_of(&charge, &account, &bill);
        // A gateway does not know a key for ever: a card that may have been charged is looked for, not charged again.
        if charge.card.is_some() && charge.asked > 1 {
            match account.gateway.find(charge.id.as_uuid()).await {
                Ok(found) if found.is_empty() => {}
                Ok(_) => return self.adopt(charge, worker, &account).await,
                Err(error) => return self.postpone(&charge, worker, error.into()).await,
            }
        }
        crate::kill_point!("payments.before_create");
        let asked = match charge.card {
            _ if charge.method != PaymentMethod::Card => {
                account.gateway.create(&order).await.map(Answer::Placed)
            }
            Some(card) => self.charge_card(&charge, &account, &order, card).await?,
            None => Err(no_card()),
        };
        crate::kill_point!("payments.created");
        match asked {
            Ok(Answer::Placed(placed)) => self.note_placed(&charge, worker, &placed).await,
            Ok(Answer::Charged(seen)) => self.note_charged(charge, worker, &account, &seen).await,
            // It stands against us that we asked before, with another e-mail of the payer, say: then it is there.
            Err(GatewayError::Conflict) => self.adopt(charge, worker, &account).await,
            Err(error @ GatewayError::Refused { .. }) => self.refused(&charge, worker, error).await,
            Err(error) => self.postpone(&charge, worker, error.into()).await,
        }
    }

    fn order_of(&self, charge: &ChargeRecord, account: &Account, bill: &Bill) -> PaymentOrder {
        PaymentOrder {
            reference: charge.id.as_uuid(),
            idempotency_key: idempotency_key(charge.tenant, charge.subject, charge.method, charge.attempt),
            method: charge.method,
            amount: charge.amount,
            description: bill.description.clone(),
            payer: bill.payer.clone(),
            notification_url: Some(self.hook_url(&account.record)),
            return_url: bill.return_url.clone(),
            expires_at: charge.expires_at,
            // A gateway takes no day that is over.
            due_date: bill
                .due_date
                .max(self.clock.now().with_timezone(&BOOKS_TZ).date_naive()),
            save_card: bill.save_card,
        }
    }

    /// Where the gateway tells its news of an account.
    pub fn hook_url(&self, account: &accounts::AccountRecord) -> String {
        let gateway = account.gateway.as_str().replace('_', "-");
        format!("{}/hooks/{gateway}/{}", self.hooks, account.id)
    }

    async fn charge_card(
        &self,
        charge: &ChargeRecord,
        account: &Account,
        order: &PaymentOrder,
        card: SavedCardId,
    ) -> Result<Result<Answer, GatewayError>, DbError> {
        let sealed = cards::find_token(&self.master, card, charge.tenant, charge.account).await?;
        let opened = sealed.and_then(|sealed| self.key.open(&card_context(card, charge.tenant), &sealed));
        let token = opened.and_then(|token| String::from_utf8(token.to_vec()).ok());
        let Some(token) = token else {
            return Ok(Err(no_card()));
        };
        let seen = account.gateway.charge_card(order, &CardToken::new(token)).await;
        Ok(seen.map(Answer::Charged))
    }

    async fn note_placed(
        &self,
        charge: &ChargeRecord,
        worker: Uuid,
        placed: &Placed,
    ) -> Result<ChargeRecord, PaymentError> {
        let now = self.clock.now();
        let expires_at = placed.expires_at.unwrap_or(charge.expires_at);
        // What is not merely waiting for the payer is looked into at once.
        let next = match placed.status {
            PaymentStatus::Pending => next_check(0, now, expires_at, now),
            _ => Some(now),
        };
        let noted = PlacedCharge {
            id: charge.id,
            worker,
            payment_id: placed.payment_id.as_deref(),
            page_id: placed.page_id.as_deref(),
            pix_code: placed.pix_code.as_deref(),
            pay_url: placed.pay_url.as_deref(),
            barcode: placed.barcode.as_deref(),
            expires_at: placed.expires_at,
            next_check_at: next,
        };
        let charge = orders::note_placed(&self.master, &noted, now).await?;
        crate::kill_point!("payments.placed");
        let charge = charge.ok_or(PaymentError::Unknown)?;
        count_payment(charge.gateway, "placed");
        Ok(charge)
    }

    /// A card's answer is there at once: it is judged as any other.
    async fn note_charged(
        &self,
        charge: ChargeRecord,
        worker: Uuid,
        account: &Account,
        seen: &PaymentSeen,
    ) -> Result<ChargeRecord, PaymentError> {
        let placed = Placed {
            payment_id: Some(seen.payment_id.clone()),
            page_id: None,
            status: PaymentStatus::Pending,
            pix_code: None,
            pay_url: None,
            barcode: None,
            expires_at: None,
        };
        let charge = self.note_placed(&charge, worker, &placed).await?;
        let own = PaymentSeen {
            reference: Some(charge.id.to_string()),
            ..seen.clone()
        };
        self.apply(account, &own, None, Because::Asked).await?;
        Ok(charges::find_charge(&self.master, charge.id)
            .await?
            .unwrap_or(charge))
    }

    /// Takes what the gateway has under the charge's reference for what it was asked for.
    async fn adopt(
        &self,
        charge: ChargeRecord,
        worker: Uuid,
        account: &Account,
    ) -> Result<ChargeRecord, PaymentError> {
        match account.gateway.find(charge.id.as_uuid()).await {
            Ok(found) if !found.is_empty() => {
                let (chosen, _) = super::verdict::choose(&charge, None, found);
                match chosen {
                    Some(seen) => self.note_charged(charge, worker, account, &seen).await,
                    None => {
                        self.postpone(&charge, worker, GatewayError::Conflict.into())
                            .await
                    }
                }
            }
            Ok(_) => {
                self.postpone(&charge, worker, GatewayError::Conflict.into())
                    .await
            }
            Err(error) => self.postpone(&charge, worker, error.into()).await,
        }
    }

    /// Nothing is owed, or it is too late. What an earlier try may have placed is taken back.
    async fn give_up(
        &self,
        charge: ChargeRecord,
        worker: Uuid,
        account: &Account,
        over: bool,
    ) -> Result<ChargeRecord, PaymentError> {
        if charge.asked > 1 {
            let found = match account.gateway.find(charge.id.as_uuid()).await {
                Ok(found) => found,
                Err(error) => return self.postpone(&charge, worker, error.into()).await,
            };
            if !found.is_empty() {
                return self.adopt(charge, worker, account).await;
            }
        }
        let ended = Ended {
            status: Some(PaymentStatus::Canceled),
            error: Some(if over { "expired" } else { "nothing is owed" }),
            ..Ended::default()
        };
        count_payment(charge.gateway, "canceled");
        self.end(&charge, worker, &ended).await
    }

    /// The gateway never will. Instead of a card, the payer is asked.
    async fn refused(
        &self,
        charge: &ChargeRecord,
        worker: Uuid,
        error: GatewayError,
    ) -> Result<ChargeRecord, PaymentError> {
        let now = self.clock.now();
        let text = error.to_string();
        let ended = Ended {
            status: Some(PaymentStatus::Rejected),
            error: Some(&text),
            ..Ended::default()
        };
        let mut tx = self.master.begin().await?;
        if turns::end(&mut tx, charge.id, worker, &ended, now)
            .await?
            .is_some()
            && charge.method == PaymentMethod::Card
        {
            self.ask_instead(&mut tx, charge, now).await?;
        }
        tx.commit().await?;
        count_payment(charge.gateway, "rejected");
        tracing::warn!(charge_id = %charge.id, error = %text, "a gateway refuses a charge: {}", charge.id);
        Err(error.into())
    }

    /// It may succeed later: the turn is given back, and the failure is told. What may be paid no more, and long since, is given up.
    pub(super) async fn postpone(
        &self,
        charge: &ChargeRecord,
        worker: Uuid,
        error: PaymentError,
    ) -> Result<ChargeRecord, PaymentError> {
        let wait = match &error {
            PaymentError::Gateway(GatewayError::Busy {
                retry_after: Some(asked),
            }) => chrono::TimeDelta::from_std(*asked).unwrap_or_default(),
            _ => chrono::TimeDelta::zero(),
        };
        let text = error.to_string();
        let now = self.clock.now();
        let over = charge.is_open() && now >= charge.expires_at + GIVEN_UP_AFTER_EXPIRY;
        let ended = Ended {
            status: over.then_some(PaymentStatus::Canceled),
            next_check_at: (!over).then(|| now + backoff(charge.checks).max(wait)),
            checks: charge.checks.saturating_add(1),
            error: Some(&text),
        };
        count_payment(charge.gateway, if over { "canceled" } else { "postponed" });
        self.end(charge, worker, &ended).await?;
        Err(error)
    }

    /// Ends a turn that brought no news.
    pub(super) async fn end(
        &self,
        charge: &ChargeRecord,
        worker: Uuid,
        ended: &Ended<'_>,
    ) -> Result<ChargeRecord, PaymentError> {
        let mut tx = self.master.begin().await?;
        let left = turns::end(&mut tx, charge.id, worker, ended, self.clock.now()).await?;
        tx.commit().await?;
        match left {
            Some(charge) => Ok(charge),
            None => charges::find_charge(&self.master, charge.id)
                .await?
                .ok_or(PaymentError::Unknown),
        }
    }
}

/// What a gateway said to an order.
enum Answer {
    Placed(Placed),
    Charged(PaymentSeen),
}

fn no_card() -> GatewayError {
    GatewayError::Refused {
        code: "no_card".to_owned(),
        message: crate::billing::gateways::Said::default(),
    }
}

/// What the token of a card is sealed for.
pub(super) fn card_context(card: SavedCardId, tenant: TenantId) -> String {
    format!("saved_card:{card}:{tenant}")
}
