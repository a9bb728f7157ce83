//! What is sent to Asaas and read of its answers.

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::super::decimal::Reais;
use super::super::error::GatewayError;
use super::super::lenient;
use super::super::order::{CardToken, Payer, PaymentOrder, PaymentSeen, Placed, SavedCardSeen};
use crate::domain::money::Cents;
use crate::domain::payment::{PaymentMethod, PaymentStatus};

/// `POST /customers`. Asaas writes to nobody: reminders are ours.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct NewCustomer<'a> {
    name: &'a str,
    cpf_cnpj: &'a str,
    email: &'a str,
    notification_disabled: bool,
}

impl<'a> NewCustomer<'a> {
    /// None without a document, which Asaas asks for.
    pub(super) fn of(payer: &'a Payer) -> Option<Self> {
        Some(Self {
            name: payer.name.as_str(),
            cpf_cnpj: payer.document.as_ref()?.as_str(),
            email: payer.email.as_str(),
            notification_disabled: true,
        })
    }
}

/// `POST /payments`
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct NewPayment<'a> {
    customer: &'a str,
    billing_type: &'static str,
    value: Reais,
    due_date: NaiveDate,
    description: &'a str,
    external_reference: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    credit_card_token: Option<&'a str>,
}

impl<'a> NewPayment<'a> {
    /// Paid with the card of this token, when there is one.
    pub(super) fn of(order: &'a PaymentOrder, customer: &'a str, card: Option<&'a str>) -> Self {
        Self {
            customer,
            billing_type: match order.method {
                PaymentMethod::Pix => "PIX",
                PaymentMethod::Boleto => "BOLETO",
                PaymentMethod::Card => "CREDIT_CARD",
                PaymentMethod::Checkout => "UNDEFINED",
            },
            value: Reais(order.amount),
            due_date: order.due_date,
            description: &order.description,
            external_reference: order.reference.to_string(),
            credit_card_token: card,
        }
    }
}

/// `POST /payments/{id}/refund`. Asaas has no idempotency keys: the description holds ours.
#[derive(Serialize)]
pub(super) struct NewRefund {
    value: Reais,
    description: String,
}

impl NewRefund {
    pub(super) fn of(amount: Cents, key: Uuid) -> Self {
        Self {
            value: Reais(amount),
            description: key.to_string(),
        }
    }
}

/// An object of which the id matters.
#[derive(Deserialize)]
pub(super) struct Named {
    pub(super) id: String,
}

/// A list.
#[derive(Deserialize)]
pub(super) struct List<T> {
    pub(super) data: Vec<T>,
}

/// `GET /payments/{id}/pixQrCode`
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PixCode {
    pub(super) payload: String,
    #[serde(default, deserialize_with = "lenient::time")]
    pub(super) expiration_date: Option<DateTime<Utc>>,
}

/// `GET /payments/{id}/identificationField`
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Digits {
    pub(super) identification_field: String,
}

/// A payment.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Payment {
    pub(super) id: String,
    status: String,
    value: Reais,
    #[serde(default, deserialize_with = "lenient::text")]
    customer: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    external_reference: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    billing_type: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    invoice_url: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    bank_slip_url: Option<String>,
    #[serde(default)]
    deleted: Option<bool>,
    #[serde(default)]
    refunds: Option<Vec<Refund>>,
    #[serde(default)]
    credit_card: Option<CreditCard>,
}

#[derive(Deserialize)]
struct Refund {
    #[serde(default, deserialize_with = "lenient::text")]
    status: Option<String>,
    value: Reais,
    #[serde(default, deserialize_with = "lenient::text")]
    description: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CreditCard {
    #[serde(default, deserialize_with = "lenient::text")]
    credit_card_number: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    credit_card_brand: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    credit_card_token: Option<String>,
}

impl Payment {
    /// Whether it is what was ordered: who finds another amount has found another order's.
    pub(super) fn is_of(&self, order: &PaymentOrder) -> bool {
        self.value.0 == order.amount
    }

    pub(super) fn is_deleted(&self) -> bool {
        self.deleted == Some(true)
    }

    /// Whether a refund with this key was asked for.
    pub(super) fn has_refund(&self, key: Uuid) -> bool {
        let key = key.to_string();
        self.refunds.iter().flatten().any(|refund| {
            !refund.has_status("CANCELLED") && refund.description.as_deref() == Some(key.as_str())
        })
    }

    pub(super) fn placed(&self) -> Placed {
        Placed {
            payment_id: Some(self.id.clone()),
            page_id: None,
            status: self.status(),
            pix_code: None,
            pay_url: self.bank_slip_url.clone().or_else(|| self.invoice_url.clone()),
            barcode: None,
            expires_at: None,
        }
    }

    pub(super) fn seen(self) -> PaymentSeen {
        let status = self.status();
        let given_back = self
            .refunds
            .iter()
            .flatten()
            .filter(|refund| refund.has_status("DONE"))
            .try_fold(0i64, |sum, refund| sum.checked_add(refund.value.0.get()))
            .and_then(|sum| Cents::parse(sum).ok())
            .unwrap_or(Cents::ZERO);
        PaymentSeen {
            refunded: if status == PaymentStatus::Refunded {
                self.value.0
            } else {
                given_back
            },
            method: match self.billing_type.as_deref() {
                Some("PIX") => Some(PaymentMethod::Pix),
                Some("BOLETO") => Some(PaymentMethod::Boleto),
                Some("CREDIT_CARD") => Some(PaymentMethod::Card),
                Some("UNDEFINED") => Some(PaymentMethod::Checkout),
                _ => None,
            },
            card: self
                .credit_card
                .as_ref()
                .and_then(|card| card.saved(self.customer.as_deref()?))
                .filter(|_| status == PaymentStatus::Paid),
            payment_id: self.id,
            reference: self.external_reference,
            collector: None,
            status,
            amount: self.value.0,
            // Asaas knows no other.
            currency: "BRL".to_owned(),
            updated_at: None,
        }
    }

    /// A word that is not known moves nothing on: the payment is asked about again.
    fn status(&self) -> PaymentStatus {
        match self.status.as_str() {
            // PIX is received at once; a card is confirmed a month before it is.
            "RECEIVED" | "CONFIRMED" | "RECEIVED_IN_CASH" | "DUNNING_RECEIVED" => PaymentStatus::Paid,
            "REFUND_REQUESTED" | "REFUND_IN_PROGRESS" => PaymentStatus::Paid,
            "REFUNDED" => PaymentStatus::Refunded,
            "CHARGEBACK_REQUESTED" | "CHARGEBACK_DISPUTE" | "AWAITING_CHARGEBACK_REVERSAL" => {
                PaymentStatus::ChargedBack
            }
            _ if self.is_deleted() => PaymentStatus::Canceled,
            // What is overdue can still be paid.
            "PENDING" | "OVERDUE" | "DUNNING_REQUESTED" => PaymentStatus::Pending,
            _ => PaymentStatus::InProcess,
        }
    }
}

impl Refund {
    fn has_status(&self, status: &str) -> bool {
        self.status.as_deref() == Some(status)
    }
}

impl CreditCard {
    /// A token is good for one customer only, so it is kept with it.
    fn saved(&self, customer: &str) -> Option<SavedCardSeen> {
        let token = self.credit_card_token.as_deref()?;
        Some(SavedCardSeen {
            token: CardToken::new(format!("{customer}:{token}")),
            brand: self
                .credit_card_brand
                .as_deref()
                .unwrap_or_default()
                .to_ascii_lowercase(),
            last4: self.credit_card_number.clone().unwrap_or_default(),
        })
    }
}

/// The customer and the token of a card.
pub(super) fn card_parts(token: &CardToken) -> Result<(&str, &str), GatewayError> {
    let parts = token.expose().split_once(':');
    parts.ok_or_else(|| GatewayError::refused("card_token_unreadable"))
}

/// `{"errors":[{code,description}]}`
pub(super) fn error_of(body: &[u8]) -> (Option<String>, String) {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let first = body.get("errors").and_then(|errors| errors.get(0));
    let word = |name: &str| first?.get(name)?.as_str().map(str::to_owned);
    (word("code"), word("description").unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payment(more: &str) -> Payment {
        let json = format!(r#"{{"id":"pay_1","value":129.9{more}}}"#);
        serde_json::from_str(&json).unwrap()
    }

    #[test]
    fn each_status_has_a_meaning() {
        use PaymentStatus::{Canceled, ChargedBack, InProcess, Paid, Pending, Refunded};
        for (json, expected) in [
            (r#","status":"PENDING""#, Pending),
            (r#","status":"PENDING","deleted":true"#, Canceled),
            (r#","status":"OVERDUE""#, Pending),
            (r#","status":"RECEIVED""#, Paid),
            (r#","status":"RECEIVED","deleted":true"#, Paid),
            (r#","status":"CONFIRMED""#, Paid),
            (r#","status":"RECEIVED_IN_CASH""#, Paid),
            (r#","status":"REFUND_IN_PROGRESS""#, Paid),
            (r#","status":"REFUNDED""#, Refunded),
            (r#","status":"CHARGEBACK_DISPUTE""#, ChargedBack),
            (r#","status":"AWAITING_RISK_ANALYSIS""#, InProcess),
            (r#","status":"INVENTED_TOMORROW""#, InProcess),
        ] {
            assert_eq!(payment(json).seen().status, expected, "{json}");
        }
    }

    #[test]
    fn parts_that_went_back_are_added() {
        let key = Uuid::from_u128(7);
        let payment = payment(&format!(
            r#","status":"RECEIVED","refunds":[{{"status":"DONE","value":2.00}},{{"status":"DONE","value":0.5,"description":"{key}"}},
            {{"status":"CANCELLED","value":9,"description":"x"}}]"#
        ));
        assert!(payment.has_refund(key) && !payment.has_refund(Uuid::from_u128(8)));
        let seen = payment.seen();
        assert_eq!((seen.amount.get(), seen.refunded.get()), (12_990, 250));
        assert_eq!(payment_refunded().get(), 12_990);
    }

    fn payment_refunded() -> Cents {
        payment(r#","status":"REFUNDED","refunds":null"#).seen().refunded
    }

    #[test]
    fn a_card_is_kept_with_its_customer_once_it_has_paid() {
        let card = r#","customer":"cus_1","billingType":"CREDIT_CARD","creditCard":{"creditCardNumber":"8829","creditCardBrand":"MASTERCARD","creditCardToken":"tok"}"#;
        let seen = payment(&format!(r#"{card},"status":"CONFIRMED""#)).seen();
        let saved = seen.card.unwrap();
        assert_eq!(
            (saved.brand.as_str(), saved.last4.as_str()),
            ("mastercard", "8829")
        );
        assert_eq!(card_parts(&saved.token).unwrap(), ("cus_1", "tok"));
        assert_eq!(
            payment(&format!(r#"{card},"status":"PENDING""#)).seen().card,
            None
        );
    }

    #[test]
    fn errors_are_read() {
        assert_eq!(
            error_of(br#"{"errors":[{"code":"invalid_value","description":"no"}]}"#),
            (Some("invalid_value".to_owned()), "no".to_owned())
        );
        assert_eq!(error_of(b"<html>"), (None, String::new()));
    }
}
