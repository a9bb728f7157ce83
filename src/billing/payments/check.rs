//! Asking a gateway what became of a charge: by the clock, ever more seldom, when no webhook came; when somebody comes back
//! from a checkout page; and when nothing is owed any more, to take an open charge back.

use uuid::Uuid;

use super::apply::{Applied, Because};
use super::verdict::choose;
use super::{Account, PaymentError, Payments};
use crate::billing::gateways::{GatewayError, PaymentSeen};
use crate::db::master::payments::charges::{self, ChargeRecord};
use crate::db::master::payments::turns::Ended;
use crate::domain::charge::next_check;
use crate::domain::payment::{PaymentMethod, PaymentStatus};
use crate::telemetry::payment_metrics::count_payment;

impl Payments {
    /// Asks about a charge whose turn this worker has, and that the gateway has.
    pub(super) async fn check(
        &self,
        charge: ChargeRecord,
        worker: Uuid,
    ) -> Result<ChargeRecord, PaymentError> {
        let Some(account) = self.accounts.find(charge.account).await? else {
            return Err(PaymentError::Unknown);
        };
        let (seen, twice) = match self.look(&account, &charge).await {
            Ok(looked) => looked,
            Err(error) => return self.postpone(&charge, worker, error.into()).await,
        };
        crate::kill_point!("payments.fetched");
        let applied = match &seen {
            Some(seen) => Some(self.apply(&account, seen, twice.as_ref(), Because::Asked).await?),
            None => None,
        };
        let refused = matches!(applied, Some(Applied::Refused(_)));
        let charge = match charges::find_charge(&self.master, charge.id).await? {
            Some(now) if now.is_open() && now.status == charge.status => now,
            // There were news, and nobody has to come again but for what they say; or it was over before.
            Some(now) if now.status == charge.status => {
                return self.end(&now, worker, &Ended::default()).await;
            }
            Some(now) => return Ok(now),
            None => return Err(PaymentError::Unknown),
        };
        self.stay_open(charge, worker, &account, refused).await
    }

    /// All that the gateway says of a charge: the payment that counts, and one that was paid besides.
    pub(super) async fn look(
        &self,
        account: &Account,
        charge: &ChargeRecord,
    ) -> Result<(Option<PaymentSeen>, Option<PaymentSeen>), GatewayError> {
        let seen = match &charge.payment_id {
            None => None,
            Some(id) => match account.gateway.fetch(id).await {
                Ok(seen) => Some(seen),
                Err(GatewayError::Unknown) => None,
                Err(error) => return Err(error),
            },
        };
        self.look_around(account, charge, seen).await
    }

    /// Of several payments of one charge, the one that counts. Where there can be but one nobody is asked.
    pub(super) async fn look_around(
        &self,
        account: &Account,
        charge: &ChargeRecord,
        seen: Option<PaymentSeen>,
    ) -> Result<(Option<PaymentSeen>, Option<PaymentSeen>), GatewayError> {
        let alone = seen
            .as_ref()
            .is_some_and(|seen| charge.payment_id.as_ref() == Some(&seen.payment_id));
        if alone && charge.method != PaymentMethod::Checkout {
            return Ok((seen, None));
        }
        let found = account.gateway.find(charge.id.as_uuid()).await?;
        Ok(choose(charge, seen, found))
    }

    /// Nothing new: it is asked about again, unless nothing is owed any more, or it is too late. `refused`: it was paid otherwise than
    /// was asked for, so that the gateway has nothing that could be taken back.
    async fn stay_open(
        &self,
        charge: ChargeRecord,
        worker: Uuid,
        account: &Account,
        refused: bool,
    ) -> Result<ChargeRecord, PaymentError> {
        let now = self.clock.now();
        let since = charge.placed_at.unwrap_or(now);
        let next = next_check(charge.checks.saturating_add(1), since, charge.expires_at, now);
        // What has expired is over, whoever is paid.
        let is_owed = match next {
            None => false,
            Some(_) => match self.bill(&charge).await {
                Ok(bill) => bill.is_some(),
                Err(error) => return self.postpone(&charge, worker, error).await,
            },
        };
        if is_owed {
            let ended = Ended {
                status: None,
                next_check_at: next,
                checks: charge.checks.saturating_add(1),
                error: None,
            };
            return self.end(&charge, worker, &ended).await;
        }
        let reason = next.map_or("expired", |_| "nothing is owed");
        match self.close(&charge, account).await {
            Ok(()) => {}
            Err(GatewayError::Conflict) if refused => {}
            // It was paid a moment ago.
            Err(error) => return self.postpone(&charge, worker, error.into()).await,
        }
        let ended = Ended {
            status: Some(PaymentStatus::Canceled),
            error: Some(reason),
            ..Ended::default()
        };
        count_payment(charge.gateway, "canceled");
        self.end(&charge, worker, &ended).await
    }

    /// Sees to it that nobody pays a charge any more: neither its payment nor, where that is something else, at its page.
    async fn close(&self, charge: &ChargeRecord, account: &Account) -> Result<(), GatewayError> {
        let is_closed = |done: Result<(), GatewayError>| match done {
            Err(GatewayError::Unknown | GatewayError::Refused { .. }) => Ok(()),
            done => done,
        };
        if let Some(page) = &charge.page_id {
            is_closed(account.gateway.close_page(page, self.clock.now()).await)?;
        }
        match &charge.payment_id {
            Some(id) => is_closed(account.gateway.cancel(id).await),
            None => Ok(()),
        }
    }
}
