//! Asaas: PIX, bank slips, invoices that the payer pays as he likes, and saved cards.
//!
//! Asaas has no idempotency keys. So a payment is looked up by our reference before it is made, and a refund by its key, which
//! stands in its description; and what may have been made is never made again at once: whoever repeats the call looks again.

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
use super::order::{CardToken, Payer, PaymentOrder, PaymentSeen, Placed};
use super::{Gateway, GatewayError};
use crate::domain::money::Cents;
use crate::domain::payment::{PaymentMethod, PaymentStatus};

/// An account.
pub(super) struct Asaas {
    pub(super) http: Http,
    pub(super) api_key: SecretString,
    pub(super) webhook_token: SecretString,
}

impl Asaas {
    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http
            .request(method, path)
            .header("access_token", self.api_key.expose_secret())
    }

    async fn get<T: DeserializeOwned>(&self, path: &str, query: &[(&str, &str)]) -> Result<T, GatewayError> {
        let request = self.request(Method::GET, path).query(query);
        let reply = self.http.send(request, Repeat::Safe).await?;
        reply.read(body::error_of)
    }

    async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &(impl Serialize + Sync),
    ) -> Result<T, GatewayError> {
        let request = self.request(Method::POST, path).json(body);
        let reply = self.http.send(request, Repeat::Untouched).await?;
        reply.read(body::error_of)
    }

    async fn payment(&self, payment_id: &str) -> Result<body::Payment, GatewayError> {
        self.get(&format!("/payments/{}", path_part(payment_id)?), &[])
            .await
    }

    async fn search(&self, reference: Uuid) -> Result<Vec<body::Payment>, GatewayError> {
        let reference = reference.to_string();
        let found: body::List<body::Payment> = self
            .get("/payments", &[("externalReference", reference.as_str())])
            .await?;
        Ok(found.data)
    }

    /// The payment of this order, when it has been made already.
    async fn made(&self, order: &PaymentOrder) -> Result<Option<body::Payment>, GatewayError> {
        let found = self.search(order.reference).await?;
        match found.into_iter().find(|payment| !payment.is_deleted()) {
            Some(payment) if !payment.is_of(order) => Err(GatewayError::Conflict),
            found => Ok(found),
        }
    }

    async fn make(
        &self,
        order: &PaymentOrder,
        customer: &str,
        card: Option<&str>,
    ) -> Result<body::Payment, GatewayError> {
        let body = body::NewPayment::of(order, customer, card);
        match self.post("/payments", &body).await {
            // It may have been made; if not yet, it may be still.
            Err(error) if error.may_be_repeated() => match self.made(order).await {
                Ok(Some(payment)) => Ok(payment),
                Ok(None) | Err(_) => Err(error),
            },
            outcome => outcome,
        }
    }

    /// The customer with the payer's document. Two at once may make two, which Asaas allows.
    async fn customer(&self, payer: &Payer) -> Result<String, GatewayError> {
        let new =
            body::NewCustomer::of(payer).ok_or_else(|| GatewayError::refused("payer_document_required"))?;
        let document = payer.document.as_ref().map(|document| document.as_str());
        let found: body::List<body::Named> = self
            .get("/customers", &[("cpfCnpj", document.unwrap_or_default())])
            .await?;
        match found.data.into_iter().next() {
            Some(customer) => Ok(customer.id),
            None => Ok(self.post::<body::Named>("/customers", &new).await?.id),
        }
    }

    /// Adds what a payer needs to pay.
    async fn shown(&self, method: PaymentMethod, payment: &body::Payment) -> Result<Placed, GatewayError> {
        let mut placed = payment.placed();
        // Of what is paid or over there is nothing to show.
        if placed.status != PaymentStatus::Pending {
            return Ok(placed);
        }
        let id = path_part(&payment.id)?;
        match method {
            PaymentMethod::Pix => {
                let code: body::PixCode = self.get(&format!("/payments/{id}/pixQrCode"), &[]).await?;
                placed.pix_code = Some(code.payload);
                placed.expires_at = code.expiration_date;
            }
            PaymentMethod::Boleto => {
                let digits: body::Digits = self
                    .get(&format!("/payments/{id}/identificationField"), &[])
                    .await?;
                placed.barcode = Some(digits.identification_field);
            }
            PaymentMethod::Checkout | PaymentMethod::Card => {}
        }
        Ok(placed)
    }
}

#[async_trait]
impl Gateway for Asaas {
    async fn create(&self, order: &PaymentOrder) -> Result<Placed, GatewayError> {
        if order.method == PaymentMethod::Card {
            return Err(GatewayError::not_offered());
        }
        let payment = match self.made(order).await? {
            Some(payment) => payment,
            None => {
                let customer = self.customer(&order.payer).await?;
                self.make(order, &customer, None).await?
            }
        };
        self.shown(order.method, &payment).await
    }

    async fn charge_card(&self, order: &PaymentOrder, card: &CardToken) -> Result<PaymentSeen, GatewayError> {
        let (customer, token) = body::card_parts(card)?;
        let payment = match self.made(order).await? {
            Some(payment) => payment,
            None => self.make(order, customer, Some(token)).await?,
        };
        Ok(payment.seen())
    }

    async fn fetch(&self, payment_id: &str) -> Result<PaymentSeen, GatewayError> {
        Ok(self.payment(payment_id).await?.seen())
    }

    async fn find(&self, reference: Uuid) -> Result<Vec<PaymentSeen>, GatewayError> {
        let found = self.search(reference).await?;
        Ok(found.into_iter().map(body::Payment::seen).collect())
    }

    async fn cancel(&self, payment_id: &str) -> Result<(), GatewayError> {
        let path = format!("/payments/{}", path_part(payment_id)?);
        // Deleting twice is deleting once.
        let request = self.request(Method::DELETE, &path);
        let reply = self.http.send(request, Repeat::Safe).await?;
        match reply.succeeded(body::error_of) {
            Err(GatewayError::Refused { .. } | GatewayError::Conflict | GatewayError::Unknown) => {
                match self.fetch(payment_id).await?.status {
                    PaymentStatus::Canceled => Ok(()),
                    _ => Err(GatewayError::Conflict),
                }
            }
            outcome => outcome,
        }
    }

    async fn refund(&self, payment_id: &str, amount: Cents, key: Uuid) -> Result<String, GatewayError> {
        if !self.payment(payment_id).await?.has_refund(key) {
            let path = format!("/payments/{}/refund", path_part(payment_id)?);
            let body = body::NewRefund::of(amount, key);
            let _refunded: body::Named = self.post(&path, &body).await?;
        }
        // Asaas gives refunds no id of their own.
        Ok(key.to_string())
    }

    async fn identify(&self) -> Result<Option<String>, GatewayError> {
        let _any: body::List<body::Named> = self.get("/payments", &[("limit", "1")]).await?;
        // Payments do not name their account.
        Ok(None)
    }

    fn read_event(&self, delivery: &Delivery<'_>, _now: DateTime<Utc>) -> Result<GatewayEvent, EventRefused> {
        webhook::read(self.webhook_token.expose_secret(), delivery)
    }
}
