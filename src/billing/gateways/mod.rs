//! Whoever collects money for the platform and for tenants, behind one trait: [`Gateway`].
//!
//! Nothing here knows the database: an adapter speaks HTTP, turns the gateway's words and amounts into ours, and holds no
//! state. Whoever calls decides when, outside of any transaction, and believes a webhook only after [`Gateway::fetch`].
//! Amounts are exact: no adapter has a float.
//!
//! To add a gateway: a word in `domain::payment::GatewayKind`, a folder here, its credentials in [`Credentials`], its
//! address in `[gateways]`, a fake of it in `fakes/`, and an arm in [`Gateways::connect`].

mod asaas;
mod credentials;
mod decimal;
mod error;
mod event;
mod http;
mod lenient;
mod mercado_pago;
mod order;
pub(crate) mod signature;
mod stripe;

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use reqwest::Client;
use uuid::Uuid;

use crate::domain::money::Cents;

pub use credentials::Credentials;
pub use error::{GatewayError, Said};
pub use event::{Delivery, EventRefused, GatewayEvent};
pub use order::{CardToken, Payer, PayerName, PaymentOrder, PaymentSeen, Placed, SavedCardSeen};

/// One account at a gateway.
///
/// Each call may take as long as the configured timeout, and a few repeats of what is safe to repeat.
#[async_trait]
pub trait Gateway: Send + Sync {
    /// Asks for a payment by PIX, checkout page or bank slip. Called again with the same order, it places nothing new and
    /// answers the same payment: whoever does not know what became of a call repeats it.
    async fn create(&self, order: &PaymentOrder) -> Result<Placed, GatewayError>;

    /// Takes the amount from a saved card, without the payer. May be repeated like [`Gateway::create`]. A card that is
    /// declined is a payment seen `rejected`, or [`GatewayError::Refused`] where the gateway made no payment of it.
    async fn charge_card(&self, order: &PaymentOrder, card: &CardToken) -> Result<PaymentSeen, GatewayError>;

    /// What has become of a payment, by [`Placed::payment_id`] or [`GatewayEvent::payment_id`]. One that the account does
    /// not have is [`GatewayError::Unknown`].
    async fn fetch(&self, payment_id: &str) -> Result<PaymentSeen, GatewayError>;

    /// The payments of one order. There may be several: a checkout page lets a payer try again, and nobody keeps one from
    /// paying twice. What was placed a moment ago may be missing still.
    async fn find(&self, reference: Uuid) -> Result<Vec<PaymentSeen>, GatewayError>;

    /// Sees to it that a payment can no longer be paid. One that can no longer be is canceled already, unless it was
    /// paid: that is [`GatewayError::Conflict`].
    async fn cancel(&self, payment_id: &str) -> Result<(), GatewayError>;

    /// Sees to it that nobody can pay any more at a page that is no payment, by [`Placed::page_id`]; it may be closed already.
    async fn close_page(&self, _page_id: &str, _now: DateTime<Utc>) -> Result<(), GatewayError> {
        Ok(())
    }

    /// Gives `amount` back to the payer; the same `key` again gives nothing more. Answers the gateway's id of the refund.
    async fn refund(&self, payment_id: &str, amount: Cents, key: Uuid) -> Result<String, GatewayError>;

    /// Whose credentials these are: what [`PaymentSeen::collector`] will say, where the gateway says it at all. Also tells
    /// whether they are good: [`GatewayError::Credentials`].
    async fn identify(&self) -> Result<Option<String>, GatewayError>;

    /// Reads a webhook, once its signature has proven good. What it says besides is not believed.
    fn read_event(&self, delivery: &Delivery<'_>, now: DateTime<Utc>) -> Result<GatewayEvent, EventRefused>;
}

/// Where the gateways are, and how long they are waited for.
#[derive(Debug, Clone)]
pub struct Endpoints {
    /// Of Mercado Pago; like the others without `/` at its end.
    pub mercado_pago: String,
    /// Of Stripe.
    pub stripe: String,
    /// Of Asaas.
    pub asaas: String,
    /// The version of Stripe's API that is asked for.
    pub stripe_version: String,
    /// The longest wait for one answer.
    pub timeout: Duration,
    /// No repeat begins when so much time has passed since the beginning of a call.
    pub patience: Duration,
}

/// The gateways of this platform. Cheap to clone; all clones share their connections.
#[derive(Clone)]
pub struct Gateways {
    client: Client,
    endpoints: Endpoints,
}

impl Gateways {
    /// Connects to nobody yet.
    ///
    /// # Errors
    /// When this machine has no means for TLS.
    pub fn new(endpoints: Endpoints) -> std::io::Result<Self> {
        Ok(Self {
            client: http::client(endpoints.timeout).map_err(std::io::Error::other)?,
            endpoints,
        })
    }

    /// The account that these credentials open, good or not: [`Gateway::identify`] tells.
    pub fn connect(&self, credentials: &Credentials) -> Box<dyn Gateway> {
        match credentials {
            Credentials::MercadoPago {
                access_token,
                webhook_secret,
            } => Box::new(mercado_pago::MercadoPago {
                http: self.http(&self.endpoints.mercado_pago),
                access_token: access_token.clone(),
                webhook_secret: webhook_secret.clone(),
            }),
            Credentials::Stripe {
                secret_key,
                webhook_secret,
            } => Box::new(stripe::Stripe {
                http: self.http(&self.endpoints.stripe),
                version: self.endpoints.stripe_version.clone(),
                secret_key: secret_key.clone(),
                webhook_secret: webhook_secret.clone(),
            }),
            Credentials::Asaas {
                api_key,
                webhook_token,
            } => Box::new(asaas::Asaas {
                http: self.http(&self.endpoints.asaas),
                api_key: api_key.clone(),
                webhook_token: webhook_token.clone(),
            }),
        }
    }

    fn http(&self, base_url: &str) -> http::Http {
        http::Http {
            client: self.client.clone(),
            base_url: base_url.trim_end_matches('/').to_owned(),
            patience: self.endpoints.patience,
        }
    }
}
