//! What is read of Mercado Pago's answers. What is not needed is not read, so that a new word breaks nothing.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::Value;

use super::super::decimal::Reais;
use super::super::error::GatewayError;
use super::super::lenient;
use super::super::order::{PaymentSeen, Placed};
use crate::domain::money::Cents;
use crate::domain::payment::{PaymentMethod, PaymentStatus};

/// The answer to `POST /checkout/preferences`.
#[derive(Deserialize)]
pub(super) struct Preference {
    #[serde(default, deserialize_with = "lenient::id")]
    pub(super) id: Option<String>,
    pub(super) init_point: String,
}

/// The answer to `POST /v1/payments/{id}/refunds`.
#[derive(Deserialize)]
pub(super) struct Refund {
    #[serde(default, deserialize_with = "lenient::id")]
    pub(super) id: Option<String>,
}

/// `GET /users/me`
#[derive(Deserialize)]
pub(super) struct Account {
    #[serde(default, deserialize_with = "lenient::id")]
    pub(super) id: Option<String>,
}

/// `GET /v1/payments/search`
#[derive(Deserialize)]
pub(super) struct Found {
    pub(super) results: Vec<Payment>,
}

/// A payment.
#[derive(Deserialize)]
pub(super) struct Payment {
    #[serde(default, deserialize_with = "lenient::id")]
    id: Option<String>,
    status: String,
    #[serde(default, deserialize_with = "lenient::text")]
    status_detail: Option<String>,
    transaction_amount: Reais,
    #[serde(default)]
    transaction_amount_refunded: Option<Reais>,
    #[serde(default, deserialize_with = "lenient::text")]
    currency_id: Option<String>,
    #[serde(default, deserialize_with = "lenient::id")]
    external_reference: Option<String>,
    #[serde(default, deserialize_with = "lenient::id")]
    collector_id: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    payment_method_id: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    payment_type_id: Option<String>,
    #[serde(default, deserialize_with = "lenient::time")]
    date_last_updated: Option<DateTime<Utc>>,
    #[serde(default, deserialize_with = "lenient::time")]
    date_of_expiration: Option<DateTime<Utc>>,
    #[serde(default)]
    point_of_interaction: Option<PointOfInteraction>,
}

#[derive(Deserialize)]
struct PointOfInteraction {
    #[serde(default)]
    transaction_data: Option<TransactionData>,
}

#[derive(Deserialize)]
struct TransactionData {
    #[serde(default, deserialize_with = "lenient::text")]
    qr_code: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    ticket_url: Option<String>,
}

impl Payment {
    /// A PIX that was asked for.
    pub(super) fn placed(self) -> Result<Placed, GatewayError> {
        let status = self.status();
        let shown = self.point_of_interaction.and_then(|point| point.transaction_data);
        let (pix_code, pay_url) = shown.map_or((None, None), |shown| (shown.qr_code, shown.ticket_url));
        Ok(Placed {
            payment_id: Some(self.id.ok_or(GatewayError::Unreadable)?),
            page_id: None,
            status,
            pix_code,
            pay_url,
            barcode: None,
            expires_at: self.date_of_expiration,
        })
    }

    pub(super) fn seen(self) -> Result<PaymentSeen, GatewayError> {
        let status = self.status();
        let method = self.method();
        Ok(PaymentSeen {
            payment_id: self.id.ok_or(GatewayError::Unreadable)?,
            reference: self.external_reference,
            collector: self.collector_id,
            status,
            amount: self.transaction_amount.0,
            refunded: self
                .transaction_amount_refunded
                .map_or(Cents::ZERO, |refunded| refunded.0),
            currency: self
                .currency_id
                .ok_or(GatewayError::Unreadable)?
                .to_ascii_uppercase(),
            method,
            updated_at: self.date_last_updated,
            card: None,
        })
    }

    /// A word that is not known moves nothing on: the payment is asked about again.
    fn status(&self) -> PaymentStatus {
        match self.status.as_str() {
            "pending" => PaymentStatus::Pending,
            // In mediation the payer disputes what is paid: until that is decided it is.
            "approved" | "in_mediation" => PaymentStatus::Paid,
            "rejected" => PaymentStatus::Rejected,
            "cancelled" => PaymentStatus::Canceled,
            "refunded" => PaymentStatus::Refunded,
            "charged_back" if self.status_detail.as_deref() == Some("reimbursed") => PaymentStatus::Paid,
            "charged_back" => PaymentStatus::ChargedBack,
            _ => PaymentStatus::InProcess,
        }
    }

    fn method(&self) -> Option<PaymentMethod> {
        match (self.payment_method_id.as_deref(), self.payment_type_id.as_deref()) {
            (Some("pix"), _) => Some(PaymentMethod::Pix),
            (_, Some("ticket")) => Some(PaymentMethod::Boleto),
            (_, Some("credit_card" | "debit_card" | "prepaid_card")) => Some(PaymentMethod::Card),
            _ => None,
        }
    }
}

/// `{message, error, status, cause}`; `cause` is a list, an object or nothing, with a `code` of any kind.
pub(super) fn error_of(body: &[u8]) -> (Option<String>, String) {
    let error: Value = serde_json::from_slice(body).unwrap_or_default();
    let cause = error.get("cause").map(|cause| cause.get(0).unwrap_or(cause));
    let code = cause
        .and_then(|cause| cause.get("code"))
        .or_else(|| error.get("error"))
        .and_then(|code| match code {
            Value::String(code) => Some(code.clone()),
            Value::Number(code) => Some(code.to_string()),
            _ => None,
        });
    let message = error.get("message").and_then(Value::as_str).unwrap_or_default();
    (code, message.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payment(more: &str) -> Payment {
        let json = format!(r#"{{"id":1320459876,"status":"pending","transaction_amount":10.5{more}}}"#);
        serde_json::from_str(&json).unwrap()
    }

    #[test]
    fn a_payment_is_read_from_little_and_strange() {
        let seen = payment(
            r#","currency_id":"brl","external_reference":7,"collector_id":"99","card":{"x":[]},
            "transaction_amount_refunded":null,"payment_method_id":"visa","payment_type_id":"credit_card",
            "date_last_updated":"2026-07-31T17:04:28.717-04:00","point_of_interaction":{"type":"CHECKOUT"}"#,
        )
        .seen()
        .unwrap();
        assert_eq!(
            (seen.payment_id.as_str(), seen.amount.get()),
            ("1320459876", 1050)
        );
        assert_eq!((seen.currency.as_str(), seen.refunded), ("BRL", Cents::ZERO));
        assert_eq!(seen.reference.as_deref(), Some("7"));
        assert_eq!(seen.collector.as_deref(), Some("99"));
        assert_eq!(seen.method, Some(PaymentMethod::Card));
        assert!(seen.updated_at.is_some());
        assert!(matches!(payment("").seen(), Err(GatewayError::Unreadable)));
    }

    #[test]
    fn each_status_has_a_meaning() {
        use PaymentStatus::{Canceled, ChargedBack, InProcess, Paid, Pending, Refunded, Rejected};
        for (word, detail, expected) in [
            ("pending", "", Pending),
            ("authorized", "", InProcess),
            ("in_process", "", InProcess),
            ("in_mediation", "", Paid),
            ("approved", "partially_refunded", Paid),
            ("rejected", "cc_rejected_high_risk", Rejected),
            ("cancelled", "expired", Canceled),
            ("refunded", "", Refunded),
            ("charged_back", "in_process", ChargedBack),
            ("charged_back", "reimbursed", Paid),
            ("invented_tomorrow", "", InProcess),
        ] {
            let json =
                format!(r#"{{"id":1,"status":"{word}","status_detail":"{detail}","transaction_amount":1}}"#);
            let payment: Payment = serde_json::from_str(&json).unwrap();
            assert_eq!(payment.status(), expected, "{word} {detail}");
        }
    }

    #[test]
    fn errors_are_read_in_all_their_forms() {
        for (body, code, message) in [
            (
                r#"{"message":"no","error":"bad_request","cause":[{"code":2067,"description":"x"}]}"#,
                Some("2067"),
                "no",
            ),
            (r#"{"message":"no","cause":{"code":"c1"}}"#, Some("c1"), "no"),
            (r#"{"error":"bad_request","cause":null}"#, Some("bad_request"), ""),
            (r#"{"error":"bad_request","cause":[]}"#, Some("bad_request"), ""),
            ("<html>", None, ""),
            ("[]", None, ""),
        ] {
            assert_eq!(
                error_of(body.as_bytes()),
                (code.map(str::to_owned), message.to_owned())
            );
        }
    }
}
