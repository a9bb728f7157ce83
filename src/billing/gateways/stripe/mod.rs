//! Stripe: checkout sessions, and payment intents for cards that were saved there.
//!
//! A payment goes by the id of its session (`cs_…`) or of its payment intent (`pi_…`); both are understood everywhere.
//! Stripe keeps the first answer to an idempotency key, even an error of its own: whoever gets [`GatewayError::Busy`] again and
//! again needs a further attempt, with another key.

mod asked;
mod body;
mod webhook;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use reqwest::{Method, RequestBuilder, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::event::{Delivery, EventRefused, GatewayEvent};
use super::http::{Http, Repeat, Reply, path_part};
use super::order::{CardToken, PaymentOrder, PaymentSeen, Placed};
use super::{Gateway, GatewayError};
use crate::domain::money::Cents;
use crate::domain::payment::{PaymentMethod, PaymentStatus};

/// How a checkout session's id begins.
const SESSION: &str = "cs_";

/// An account.
pub(super) struct Stripe {
    pub(super) http: Http,
    pub(super) version: String,
    pub(super) secret_key: SecretString,
    pub(super) webhook_secret: SecretString,
}

impl Stripe {
    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http
            .request(method, path)
            .bearer_auth(self.secret_key.expose_secret())
            .header("Stripe-Version", &self.version)
    }

    async fn get<T: DeserializeOwned>(&self, path: &str, query: &[(&str, &str)]) -> Result<T, GatewayError> {
        let request = self.request(Method::GET, path).query(query);
        let reply = self.http.send(request, Repeat::Safe).await?;
        reply.read(body::error_of)
    }

    async fn post(&self, path: &str, key: &str, form: &asked::Form) -> Result<Reply, GatewayError> {
        let request = self
            .request(Method::POST, path)
            .header("Idempotency-Key", key)
            .form(form);
        self.http.send(request, Repeat::Safe).await
    }

    async fn session(&self, id: &str) -> Result<body::Session, GatewayError> {
        let expand = [("expand[]", "payment_intent.latest_charge")];
        self.get(&format!("/checkout/sessions/{}", path_part(id)?), &expand)
            .await
    }

    async fn intent(&self, id: &str) -> Result<body::Intent, GatewayError> {
        let expand = [("expand[]", "latest_charge")];
        self.get(&format!("/payment_intents/{}", path_part(id)?), &expand)
            .await
    }

    async fn seen(&self, intent: body::Intent) -> Result<PaymentSeen, GatewayError> {
        let disputed = self.is_disputed(&intent).await?;
        intent.seen(disputed)
    }

    /// A charge that was ever disputed says so for ever; its disputes say how that ended.
    async fn is_disputed(&self, intent: &body::Intent) -> Result<bool, GatewayError> {
        if !intent.is_disputed() {
            return Ok(false);
        }
        let of = [("payment_intent", intent.id.as_str())];
        let disputes: body::List<body::Dispute> = self.get("/disputes", &of).await?;
        Ok(disputes.data.iter().any(body::Dispute::took_money))
    }
}

#[async_trait]
impl Gateway for Stripe {
    async fn create(&self, order: &PaymentOrder) -> Result<Placed, GatewayError> {
        if order.method != PaymentMethod::Checkout {
            return Err(GatewayError::not_offered());
        }
        let key = order.idempotency_key.to_string();
        let reply = self
            .post("/checkout/sessions", &key, &asked::new_session(order))
            .await?;
        let session: body::NewSession = reply.read(body::error_of).map_err(conflict)?;
        Ok(session.placed())
    }

    async fn charge_card(&self, order: &PaymentOrder, card: &CardToken) -> Result<PaymentSeen, GatewayError> {
        let (customer, method) = body::card_parts(card)?;
        let form = asked::new_intent(order, customer, method);
        let key = order.idempotency_key.to_string();
        let reply = self.post("/payment_intents", &key, &form).await?;
        if reply.status == StatusCode::PAYMENT_REQUIRED
            && let Ok(declined) = serde_json::from_slice::<body::Declined>(reply.body())
        {
            return declined.error.payment_intent.seen(false);
        }
        let intent: body::Intent = reply.read(body::error_of).map_err(conflict)?;
        self.seen(intent).await
    }

    async fn fetch(&self, payment_id: &str) -> Result<PaymentSeen, GatewayError> {
        if !payment_id.starts_with(SESSION) {
            let intent = self.intent(payment_id).await?;
            return self.seen(intent).await;
        }
        let session = self.session(payment_id).await?;
        let disputed = match &session.payment_intent {
            Some(intent) => self.is_disputed(intent).await?,
            None => false,
        };
        session.seen(disputed)
    }

    /// A session that nobody has paid at is not found: create it again, and it is the same one.
    async fn find(&self, reference: Uuid) -> Result<Vec<PaymentSeen>, GatewayError> {
        let wanted = format!("metadata['reference']:'{reference}'");
        let query = [("query", wanted.as_str()), ("expand[]", "data.latest_charge")];
        let found: body::List<body::Intent> = self.get("/payment_intents/search", &query).await?;
        let mut payments = Vec::with_capacity(found.data.len());
        for intent in found.data {
            payments.push(self.seen(intent).await?);
        }
        Ok(payments)
    }

    async fn cancel(&self, payment_id: &str) -> Result<(), GatewayError> {
        let id = path_part(payment_id)?;
        let path = if id.starts_with(SESSION) {
            format!("/checkout/sessions/{id}/expire")
        } else {
            format!("/payment_intents/{id}/cancel")
        };
        let reply = self.post(&path, &format!("cancel-{id}"), &Vec::new()).await?;
        match reply.succeeded(body::error_of) {
            Err(GatewayError::Refused { .. } | GatewayError::Conflict) => {
                match self.fetch(payment_id).await?.status {
                    PaymentStatus::Canceled => Ok(()),
                    _ => Err(GatewayError::Conflict),
                }
            }
            outcome => outcome,
        }
    }

    async fn refund(&self, payment_id: &str, amount: Cents, key: Uuid) -> Result<String, GatewayError> {
        let intent = if payment_id.starts_with(SESSION) {
            let paid = self.session(payment_id).await?.payment_intent;
            paid.ok_or(GatewayError::Conflict)?.id
        } else {
            path_part(payment_id)?.to_owned()
        };
        let form = asked::new_refund(&intent, amount);
        let reply = self.post("/refunds", &key.to_string(), &form).await?;
        let refund: body::Named = reply.read(body::error_of).map_err(conflict)?;
        Ok(refund.id)
    }

    async fn identify(&self) -> Result<Option<String>, GatewayError> {
        let _account: body::Named = self.get("/account", &[]).await?;
        // Payments do not name it.
        Ok(None)
    }

    fn read_event(&self, delivery: &Delivery<'_>, now: DateTime<Utc>) -> Result<GatewayEvent, EventRefused> {
        webhook::read(self.webhook_secret.expose_secret(), delivery, now)
    }
}

/// A key that was used for another order is refused as a bad request; two requests with one key at once are a 409, which
/// passes.
fn conflict(error: GatewayError) -> GatewayError {
    match error {
        GatewayError::Refused { code, .. } if code == "idempotency_error" => GatewayError::Conflict,
        GatewayError::Conflict => GatewayError::Busy { retry_after: None },
        other => other,
    }
}
