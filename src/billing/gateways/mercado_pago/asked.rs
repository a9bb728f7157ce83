//! What Mercado Pago is sent.

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::super::decimal::Reais;
use super::super::order::{Payer, PaymentOrder};
use crate::domain::document::DocumentKind;
use crate::domain::money::Cents;
use crate::domain::month::BOOKS_TZ;

/// `POST /v1/payments`
#[derive(Serialize)]
pub(super) struct NewPayment<'a> {
    transaction_amount: Reais,
    description: &'a str,
    payment_method_id: &'static str,
    external_reference: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    notification_url: Option<String>,
    date_of_expiration: String,
    payer: NewPayer<'a>,
}

#[derive(Serialize)]
struct NewPayer<'a> {
    email: &'a str,
    first_name: &'a str,
    last_name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    identification: Option<Identification<'a>>,
}

#[derive(Serialize)]
struct Identification<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    number: &'a str,
}

impl<'a> NewPayment<'a> {
    pub(super) fn of(order: &'a PaymentOrder) -> Self {
        Self {
            transaction_amount: Reais(order.amount),
            description: &order.description,
            payment_method_id: "pix",
            external_reference: order.reference.to_string(),
            notification_url: notification_url(order),
            date_of_expiration: written(order.expires_at),
            payer: NewPayer::of(&order.payer),
        }
    }
}

impl<'a> NewPayer<'a> {
    fn of(payer: &'a Payer) -> Self {
        let (first_name, last_name) = payer.name.parts();
        Self {
            email: payer.email.as_str(),
            first_name,
            last_name,
            identification: payer.document.as_ref().map(|document| Identification {
                kind: match document.kind() {
                    DocumentKind::Cpf => "CPF",
                    DocumentKind::Cnpj => "CNPJ",
                },
                number: document.as_str(),
            }),
        }
    }
}

/// Without `source_news` the older notices come too, which nobody can verify.
fn notification_url(order: &PaymentOrder) -> Option<String> {
    let url = order.notification_url.as_ref()?;
    let mark = if url.contains('?') { '&' } else { '?' };
    Some(format!("{url}{mark}source_news=webhooks"))
}

/// With milliseconds and the offset of São Paulo, as Mercado Pago wants it.
fn written(time: DateTime<Utc>) -> String {
    time.with_timezone(&BOOKS_TZ)
        .format("%Y-%m-%dT%H:%M:%S%.3f%:z")
        .to_string()
}

/// `POST /checkout/preferences`
#[derive(Serialize)]
pub(super) struct NewPreference<'a> {
    items: [Item<'a>; 1],
    payer: PreferencePayer<'a>,
    back_urls: BackUrls<'a>,
    external_reference: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    notification_url: Option<String>,
    expires: bool,
    expiration_date_to: String,
    date_of_expiration: String,
}

#[derive(Serialize)]
struct Item<'a> {
    id: String,
    title: &'a str,
    quantity: u8,
    currency_id: &'static str,
    unit_price: Reais,
}

#[derive(Serialize)]
struct PreferencePayer<'a> {
    email: &'a str,
}

#[derive(Serialize)]
struct BackUrls<'a> {
    success: &'a str,
    pending: &'a str,
    failure: &'a str,
}

impl<'a> NewPreference<'a> {
    pub(super) fn of(order: &'a PaymentOrder) -> Self {
        let back = order.return_url.as_str();
        Self {
            items: [Item {
                id: order.reference.to_string(),
                title: &order.description,
                quantity: 1,
                currency_id: "BRL",
                unit_price: Reais(order.amount),
            }],
            payer: PreferencePayer {
                email: order.payer.email.as_str(),
            },
            back_urls: BackUrls {
                success: back,
                pending: back,
                failure: back,
            },
            external_reference: order.reference.to_string(),
            notification_url: notification_url(order),
            expires: true,
            expiration_date_to: written(order.expires_at),
            date_of_expiration: written(order.expires_at),
        }
    }
}

/// `PUT /v1/payments/{id}`
#[derive(Serialize)]
pub(super) struct Wish {
    pub(super) status: &'static str,
}

/// `PUT /checkout/preferences/{id}`
#[derive(Serialize)]
pub(super) struct PageEnd {
    expires: bool,
    expiration_date_to: String,
}

impl PageEnd {
    pub(super) fn at(end: DateTime<Utc>) -> Self {
        Self {
            expires: true,
            expiration_date_to: written(end),
        }
    }
}

/// `POST /v1/payments/{id}/refunds`
#[derive(Serialize)]
pub(super) struct NewRefund {
    amount: Reais,
}

impl NewRefund {
    pub(super) fn of(amount: Cents) -> Self {
        Self {
            amount: Reais(amount),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_with_milliseconds_and_offset() {
        let time = DateTime::from_timestamp(1_767_225_600, 0).unwrap();
        assert_eq!(written(time), "2025-12-31T21:00:00.000-03:00");
    }
}
