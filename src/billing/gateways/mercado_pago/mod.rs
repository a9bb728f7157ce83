//! Mercado Pago: PIX payments (`/v1/payments`) and checkout pages (`/checkout/preferences`).
//!
//! Every write has an idempotency key. A checkout page has no payment before somebody pays, and then possibly several.

mod asked;
mod body;
mod webhook;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use reqwest::{Method, RequestBuilder};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::event::{Delivery, EventRefused, GatewayEvent};
use super::http::{Http, Repeat, path_part};
use super::order::{CardToken, PaymentOrder, PaymentSeen, Placed};
use super::{Gateway, GatewayError};
use crate::domain::money::Cents;
use crate::domain::payment::{PaymentMethod, PaymentStatus};

/// The header of idempotency keys.
const KEY: &str = "X-Idempotency-Key";

/// An account.
pub(super) struct MercadoPago {
    pub(super) http: Http,
    pub(super) access_token: SecretString,
    pub(super) webhook_secret: SecretString,
}

impl MercadoPago {
    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http
            .request(method, path)
            .bearer_auth(self.access_token.expose_secret())
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, GatewayError> {
        let reply = self
            .http
            .send(self.request(Method::GET, path), Repeat::Safe)
            .await?;
        reply.read(body::error_of)
    }

    async fn write<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        key: Uuid,
        body: &(impl Serialize + Sync),
    ) -> Result<T, GatewayError> {
        let request = self
            .request(method, path)
            .header(KEY, key.to_string())
            // A refund that takes its time is answered as one in progress, and not as an error.
            .header("X-Render-In-Process-Refunds", "true")
            .json(body);
        self.http.send(request, Repeat::Safe).await?.read(body::error_of)
    }

    async fn payment(&self, payment_id: &str) -> Result<body::Payment, GatewayError> {
        self.get(&format!("/v1/payments/{}", path_part(payment_id)?))
            .await
    }

    async fn search(&self, reference: Uuid) -> Result<Vec<body::Payment>, GatewayError> {
        let found: body::Found = self
            .get(&format!(
                "/v1/payments/search?external_reference={reference}&sort=date_created&criteria=desc"
            ))
            .await?;
        Ok(found.results)
    }

    async fn create_pix(&self, order: &PaymentOrder) -> Result<Placed, GatewayError> {
        let body = asked::NewPayment::of(order);
        let made = self
            .write(Method::POST, "/v1/payments", order.idempotency_key, &body)
            .await;
        let payment: body::Payment = match made {
            // The key was used with another body: for this very order, if it is known by its reference.
            Err(GatewayError::Conflict) => {
                let known = self.search(order.reference).await?.into_iter().next();
                known.ok_or(GatewayError::Conflict)?
            }
            made => made?,
        };
        payment.placed()
    }

    async fn create_page(&self, order: &PaymentOrder) -> Result<Placed, GatewayError> {
        let body = asked::NewPreference::of(order);
        let made: body::Preference = self
            .write(
                Method::POST,
                "/checkout/preferences",
                order.idempotency_key,
                &body,
            )
            .await?;
        Ok(Placed {
            payment_id: None,
            page_id: made.id,
            status: PaymentStatus::Pending,
            pix_code: None,
            pay_url: Some(made.init_point),
            barcode: None,
            expires_at: Some(order.expires_at),
        })
    }
}

#[async_trait]
impl Gateway for MercadoPago {
    async fn create(&self, order: &PaymentOrder) -> Result<Placed, GatewayError> {
        match order.method {
            PaymentMethod::Pix => self.create_pix(order).await,
            PaymentMethod::Checkout => self.create_page(order).await,
            PaymentMethod::Boleto | PaymentMethod::Card => Err(GatewayError::not_offered()),
        }
    }

    async fn charge_card(
        &self,
        _order: &PaymentOrder,
        _card: &CardToken,
    ) -> Result<PaymentSeen, GatewayError> {
        Err(GatewayError::not_offered())
    }

    async fn fetch(&self, payment_id: &str) -> Result<PaymentSeen, GatewayError> {
        self.payment(payment_id).await?.seen()
    }

    async fn find(&self, reference: Uuid) -> Result<Vec<PaymentSeen>, GatewayError> {
        let found = self.search(reference).await?;
        found.into_iter().map(body::Payment::seen).collect()
    }

    async fn cancel(&self, payment_id: &str) -> Result<(), GatewayError> {
        let path = format!("/v1/payments/{}", path_part(payment_id)?);
        // The same wish is the same key, so that a repeat is none.
        let key = Uuid::new_v5(&Uuid::NAMESPACE_URL, format!("cancel:{payment_id}").as_bytes());
        let wish = asked::Wish { status: "cancelled" };
        let done: Result<body::Payment, _> = self.write(Method::PUT, &path, key, &wish).await;
        match done {
            Ok(_) => Ok(()),
            Err(GatewayError::Refused { .. } | GatewayError::Conflict) => {
                match self.fetch(payment_id).await?.status {
                    PaymentStatus::Canceled | PaymentStatus::Rejected => Ok(()),
                    _ => Err(GatewayError::Conflict),
                }
            }
            Err(error) => Err(error),
        }
    }

    async fn close_page(&self, page_id: &str, now: DateTime<Utc>) -> Result<(), GatewayError> {
        let path = format!("/checkout/preferences/{}", path_part(page_id)?);
        let end = asked::PageEnd::at(now);
        let key = Uuid::new_v5(&Uuid::NAMESPACE_URL, format!("close:{page_id}:{now}").as_bytes());
        let _closed: serde::de::IgnoredAny = self.write(Method::PUT, &path, key, &end).await?;
        Ok(())
    }

    async fn refund(&self, payment_id: &str, amount: Cents, key: Uuid) -> Result<String, GatewayError> {
        let path = format!("/v1/payments/{}/refunds", path_part(payment_id)?);
        let body = asked::NewRefund::of(amount);
        let made: body::Refund = self.write(Method::POST, &path, key, &body).await?;
        made.id.ok_or(GatewayError::Unreadable)
    }

    async fn identify(&self) -> Result<Option<String>, GatewayError> {
        let me: body::Account = self.get("/users/me").await?;
        me.id.map(Some).ok_or(GatewayError::Unreadable)
    }

    fn read_event(&self, delivery: &Delivery<'_>, now: DateTime<Utc>) -> Result<GatewayEvent, EventRefused> {
        webhook::read(self.webhook_secret.expose_secret(), delivery, now)
    }
}
