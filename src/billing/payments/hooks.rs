//! Webhooks: verified on the body as it came in, stored once, and answered; nothing that they say is believed. The worker asks
//! the gateway itself.

use std::sync::Arc;

use uuid::Uuid;

use super::apply::Because;
use super::{Account, Payments};
use crate::billing::gateways::{Delivery, EventRefused, GatewayError, GatewayEvent};
use crate::db::DbError;
use crate::db::master::payments::charges;
use crate::db::master::payments::events::{self, EventRecord, Fate};
use crate::domain::charge::backoff;
use crate::domain::ids::{ChargeId, GatewayAccountId};
use crate::domain::payment::GatewayKind;
use crate::telemetry::payment_metrics::count_gateway_event;

/// Longest name of an event; no gateway's is.
const NAME_MAX: usize = 255;
/// A payment that its gateway does not know was never one: somebody tried the hook out.
const UNKNOWN_TRIES: i32 = 8;
/// How often an event is looked into: for some four days.
const TRIES: i32 = 24;

/// Why a webhook is not taken.
#[derive(Debug, thiserror::Error)]
pub enum HookError {
    /// It is not signed by the account's gateway.
    #[error("the signature is missing, wrong or too old")]
    Signature,
    /// It is signed, and yet it makes no sense.
    #[error("the event cannot be read")]
    Unreadable,
    /// The account is gone.
    #[error("unknown account")]
    Unknown,
    /// It could not be stored: the gateway will send it again.
    #[error(transparent)]
    Db(DbError),
}

impl From<EventRefused> for HookError {
    fn from(refused: EventRefused) -> Self {
        match refused {
            EventRefused::Signature => Self::Signature,
            EventRefused::Unreadable => Self::Unreadable,
        }
    }
}

impl From<DbError> for HookError {
    fn from(error: DbError) -> Self {
        if error.is_constraint("gateway_events_account_id_fkey") {
            Self::Unknown
        } else {
            Self::Db(error)
        }
    }
}

impl Payments {
    /// The account whose hook this is; one that is no longer used for new charges is heard still.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn find_hook(
        &self,
        gateway: GatewayKind,
        id: GatewayAccountId,
    ) -> Result<Option<Arc<Account>>, DbError> {
        let account = self.accounts.find(id).await?;
        Ok(account.filter(|account| account.record.gateway == gateway))
    }

    /// Stores what a gateway tells, once; the worker goes on with it.
    ///
    /// # Errors
    /// See [`HookError`]; nothing is stored then.
    pub async fn receive(&self, account: &Account, delivery: &Delivery<'_>) -> Result<(), HookError> {
        let gateway = account.record.gateway;
        let event = match self.verify(account, delivery).await {
            Ok(event) => event,
            Err(error) => {
                count_gateway_event(gateway, "refused");
                return Err(error);
            }
        };
        let Some(payment) = event.payment_id else {
            count_gateway_event(gateway, "ignored");
            return Ok(());
        };
        let fits = |text: &str| (1..=NAME_MAX).contains(&text.chars().count()) && !text.contains('\0');
        if !fits(&event.event_id) || !fits(&payment) {
            return Err(HookError::Unreadable);
        }
        let now = self.clock.now();
        let new =
            events::insert_event(&self.master, account.record.id, &event.event_id, &payment, now).await?;
        crate::kill_point!("payments.stored");
        count_gateway_event(gateway, if new { "stored" } else { "again" });
        if new {
            self.news.notify_waiters();
        }
        Ok(())
    }

    /// With the credentials at hand, or with those that another process has been given meanwhile.
    async fn verify(&self, account: &Account, delivery: &Delivery<'_>) -> Result<GatewayEvent, HookError> {
        let now = self.clock.now();
        match account.gateway.read_event(delivery, now) {
            Err(EventRefused::Signature) => match self.accounts.find_newer(account).await? {
                Some(newer) => Ok(newer.gateway.read_event(delivery, now)?),
                None => Err(HookError::Signature),
            },
            read => Ok(read?),
        }
    }

    /// Asks the gateway about a payment that it has told of, and books the answer.
    pub(super) async fn look_into(&self, event: EventRecord, worker: Uuid) -> Result<(), DbError> {
        let Some(account) = self.accounts.find(event.account).await? else {
            return Ok(());
        };
        let gateway = account.record.gateway;
        let fate = match self.ask_about(&account, &event).await {
            Ok(()) => {
                count_gateway_event(gateway, "done");
                return Ok(());
            }
            Err(Asked::Db(error)) => self.fate(&event, &error.to_string(), TRIES, Fate::Dead),
            Err(Asked::Gateway(error)) => match &error {
                GatewayError::Unknown => self.fate(&event, &error.to_string(), UNKNOWN_TRIES, Fate::Done),
                _ => self.fate(&event, &error.to_string(), TRIES, Fate::Dead),
            },
        };
        let (error, fate) = fate;
        if fate == Fate::Dead {
            count_gateway_event(gateway, "dead");
            tracing::error!(account_id = %event.account, %error, "an event was given up: `helixai payments replay`");
        }
        events::note_failed(&self.master, &event, worker, &error, fate, self.clock.now()).await
    }

    fn fate(&self, event: &EventRecord, error: &str, tries: i32, last: Fate) -> (String, Fate) {
        let fate = if event.attempts >= tries {
            last
        } else {
            Fate::Again(self.clock.now() + backoff(event.attempts))
        };
        (error.to_owned(), fate)
    }

    async fn ask_about(&self, account: &Account, event: &EventRecord) -> Result<(), Asked> {
        let seen = account.gateway.fetch(&event.payment_id).await?;
        crate::kill_point!("payments.fetched");
        let reference = seen.reference.as_deref();
        let charge = match reference.and_then(|text| text.parse::<ChargeId>().ok()) {
            None => None,
            Some(id) => charges::find_charge(&self.master, id).await?,
        };
        let own = charge.filter(|charge| charge.account == account.record.id);
        let (chosen, twice) = match &own {
            None => (Some(seen.clone()), None),
            Some(charge) => self.look_around(account, charge, Some(seen.clone())).await?,
        };
        let chosen = chosen.unwrap_or(seen);
        self.apply(account, &chosen, twice.as_ref(), Because::Told(event))
            .await?;
        Ok(())
    }
}

/// Why an event could not be looked into.
enum Asked {
    Gateway(GatewayError),
    Db(DbError),
}

impl From<GatewayError> for Asked {
    fn from(error: GatewayError) -> Self {
        Self::Gateway(error)
    }
}

impl From<DbError> for Asked {
    fn from(error: DbError) -> Self {
        Self::Db(error)
    }
}
