//! What is read of Stripe's answers. Amounts are whole cents.

use chrono::DateTime;
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny};
use serde_json::Value;

use super::super::error::GatewayError;
use super::super::lenient;
use super::super::order::{CardToken, PaymentSeen, Placed, SavedCardSeen};
use crate::domain::money::Cents;
use crate::domain::payment::{PaymentMethod, PaymentStatus};

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

/// `GET /checkout/sessions/{id}`
#[derive(Deserialize)]
pub(super) struct Session {
    id: String,
    #[serde(default, deserialize_with = "lenient::text")]
    status: Option<String>,
    #[serde(default)]
    amount_total: Option<Cents>,
    #[serde(default, deserialize_with = "lenient::text")]
    currency: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    client_reference_id: Option<String>,
    /// Expanded; there is none before somebody pays.
    #[serde(default)]
    pub(super) payment_intent: Option<Intent>,
}

/// A session just made, whose payment intent may be an id only.
#[derive(Deserialize)]
pub(super) struct NewSession {
    id: String,
    url: String,
    #[serde(default)]
    expires_at: Option<i64>,
}

impl NewSession {
    pub(super) fn placed(self) -> Placed {
        Placed {
            payment_id: Some(self.id),
            page_id: None,
            status: PaymentStatus::Pending,
            pix_code: None,
            pay_url: Some(self.url),
            barcode: None,
            expires_at: self.expires_at.and_then(|at| DateTime::from_timestamp(at, 0)),
        }
    }
}

impl Session {
    /// The payment under the session's id.
    pub(super) fn seen(self, disputed: bool) -> Result<PaymentSeen, GatewayError> {
        let open = self.status.as_deref() == Some("open");
        let expired = self.status.as_deref() == Some("expired");
        let Some(intent) = self.payment_intent else {
            return Ok(PaymentSeen {
                payment_id: self.id,
                reference: self.client_reference_id,
                collector: None,
                status: match (open, expired) {
                    (true, _) => PaymentStatus::Pending,
                    (_, true) => PaymentStatus::Canceled,
                    _ => PaymentStatus::InProcess,
                },
                amount: self.amount_total.ok_or(GatewayError::Unreadable)?,
                refunded: Cents::ZERO,
                currency: upper(self.currency)?,
                method: Some(PaymentMethod::Checkout),
                updated_at: None,
                card: None,
            });
        };
        let mut seen = intent.seen(disputed)?;
        seen.status = match seen.status {
            // The page lets the payer try again, until it is closed.
            PaymentStatus::Rejected | PaymentStatus::Pending if open => PaymentStatus::Pending,
            PaymentStatus::Rejected | PaymentStatus::Pending if expired => PaymentStatus::Canceled,
            status => status,
        };
        seen.payment_id = self.id;
        seen.reference = self.client_reference_id.or(seen.reference);
        Ok(seen)
    }
}

/// `GET /payment_intents/{id}`
#[derive(Deserialize)]
pub(super) struct Intent {
    pub(super) id: String,
    status: String,
    amount: Cents,
    #[serde(default)]
    amount_received: Option<Cents>,
    #[serde(default, deserialize_with = "lenient::text")]
    currency: Option<String>,
    #[serde(default)]
    metadata: Metadata,
    #[serde(default, deserialize_with = "lenient::text")]
    customer: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    payment_method: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    setup_future_usage: Option<String>,
    #[serde(default, deserialize_with = "present")]
    last_payment_error: bool,
    /// Expanded.
    #[serde(default, deserialize_with = "expanded")]
    latest_charge: Option<Charge>,
}

#[derive(Deserialize, Default)]
struct Metadata {
    #[serde(default, deserialize_with = "lenient::text")]
    reference: Option<String>,
}

#[derive(Deserialize)]
struct Charge {
    #[serde(default)]
    amount_refunded: Cents,
    #[serde(default)]
    refunded: bool,
    #[serde(default)]
    disputed: bool,
    #[serde(default)]
    payment_method_details: Option<MethodDetails>,
}

#[derive(Deserialize)]
struct MethodDetails {
    #[serde(default)]
    card: Option<Card>,
}

#[derive(Deserialize)]
struct Card {
    #[serde(default, deserialize_with = "lenient::text")]
    brand: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    last4: Option<String>,
}

impl Intent {
    /// Whether somebody disputes it, or has: how that stands, its disputes tell.
    pub(super) fn is_disputed(&self) -> bool {
        self.latest_charge.as_ref().is_some_and(|charge| charge.disputed)
    }

    /// The payment under the intent's id; `disputed`: the money is away because of a dispute.
    pub(super) fn seen(self, disputed: bool) -> Result<PaymentSeen, GatewayError> {
        let status = self.status(disputed);
        let amount = match status {
            PaymentStatus::Paid | PaymentStatus::Refunded | PaymentStatus::ChargedBack => {
                self.amount_received.unwrap_or(self.amount)
            }
            _ => self.amount,
        };
        let card = self.saved_card();
        let charge = self.latest_charge.as_ref();
        Ok(PaymentSeen {
            payment_id: self.id,
            reference: self.metadata.reference,
            collector: None,
            status,
            amount,
            refunded: charge.map_or(Cents::ZERO, |charge| charge.amount_refunded),
            currency: upper(self.currency)?,
            method: charge
                .and_then(|charge| charge.payment_method_details.as_ref())
                .and_then(|details| details.card.as_ref())
                .map(|_| PaymentMethod::Card),
            updated_at: None,
            card,
        })
    }

    fn status(&self, disputed: bool) -> PaymentStatus {
        match self.status.as_str() {
            "requires_payment_method" if self.last_payment_error => PaymentStatus::Rejected,
            "requires_payment_method" | "requires_confirmation" | "requires_action" => PaymentStatus::Pending,
            "succeeded" if disputed => PaymentStatus::ChargedBack,
            "succeeded" if self.latest_charge.as_ref().is_some_and(|charge| charge.refunded) => {
                PaymentStatus::Refunded
            }
            "succeeded" => PaymentStatus::Paid,
            "canceled" => PaymentStatus::Canceled,
            _ => PaymentStatus::InProcess,
        }
    }

    fn saved_card(&self) -> Option<SavedCardSeen> {
        if self.status != "succeeded" || self.setup_future_usage.as_deref() != Some("off_session") {
            return None;
        }
        let card = self
            .latest_charge
            .as_ref()?
            .payment_method_details
            .as_ref()?
            .card
            .as_ref()?;
        Some(SavedCardSeen {
            token: card_token(self.customer.as_deref()?, self.payment_method.as_deref()?),
            brand: card.brand.clone().unwrap_or_default(),
            last4: card.last4.clone().unwrap_or_default(),
        })
    }
}

/// A card is charged by its customer and its method.
fn card_token(customer: &str, method: &str) -> CardToken {
    CardToken::new(format!("{customer}:{method}"))
}

/// The customer and the method of a token.
pub(super) fn card_parts(token: &CardToken) -> Result<(&str, &str), GatewayError> {
    let parts = token.expose().split_once(':');
    parts.ok_or_else(|| GatewayError::refused("card_token_unreadable"))
}

/// `GET /disputes`
#[derive(Deserialize)]
pub(super) struct Dispute {
    status: String,
}

impl Dispute {
    /// Whether the money is away: not when it was only asked about, and not when it came back.
    pub(super) fn took_money(&self) -> bool {
        self.status != "won" && !self.status.starts_with("warning_") && self.status != "prevented"
    }
}

/// A declined charge is an error that holds the payment intent.
#[derive(Deserialize)]
pub(super) struct Declined {
    pub(super) error: DeclinedError,
}

/// See [`Declined`].
#[derive(Deserialize)]
pub(super) struct DeclinedError {
    pub(super) payment_intent: Intent,
}

/// `{error: {type, code, decline_code, message}}`
pub(super) fn error_of(body: &[u8]) -> (Option<String>, String) {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let word = |name: &str| body.get("error")?.get(name)?.as_str().map(str::to_owned);
    let code = word("decline_code")
        .or_else(|| word("code"))
        .or_else(|| word("type"));
    (code, word("message").unwrap_or_default())
}

fn upper(currency: Option<String>) -> Result<String, GatewayError> {
    let currency = currency.ok_or(GatewayError::Unreadable)?;
    Ok(currency.to_ascii_uppercase())
}

/// Whether there is anything but null.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    Option::<IgnoredAny>::deserialize(deserializer).map(|found| found.is_some())
}

/// An object; an id only is none.
fn expanded<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Charge>, D::Error> {
    let value = Value::deserialize(deserializer)?;
    Ok(serde_json::from_value(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn intent(json: Value) -> PaymentSeen {
        let mut whole = serde_json::json!({"id": "pi_1", "amount": 4990, "currency": "brl"});
        whole
            .as_object_mut()
            .unwrap()
            .extend(json.as_object().unwrap().clone());
        serde_json::from_value::<Intent>(whole)
            .unwrap()
            .seen(false)
            .unwrap()
    }

    #[test]
    fn each_status_has_a_meaning() {
        use PaymentStatus::{Canceled, InProcess, Paid, Pending, Refunded, Rejected};
        for (json, expected) in [
            (serde_json::json!({"status": "requires_payment_method"}), Pending),
            (
                serde_json::json!({"status": "requires_payment_method", "last_payment_error": {"code": "x"}}),
                Rejected,
            ),
            (
                serde_json::json!({"status": "requires_action", "last_payment_error": null}),
                Pending,
            ),
            (
                serde_json::json!({"status": "processing", "latest_charge": "ch_1"}),
                InProcess,
            ),
            (serde_json::json!({"status": "requires_capture"}), InProcess),
            (serde_json::json!({"status": "canceled"}), Canceled),
            (serde_json::json!({"status": "succeeded"}), Paid),
            (
                serde_json::json!({"status": "succeeded", "latest_charge": {"refunded": true, "amount_refunded": 4990}}),
                Refunded,
            ),
            (serde_json::json!({"status": "invented_tomorrow"}), InProcess),
        ] {
            assert_eq!(intent(json.clone()).status, expected, "{json}");
        }
    }

    #[test]
    fn what_was_received_is_what_was_paid() {
        let seen = intent(serde_json::json!({
            "status": "succeeded", "amount_received": 4000, "metadata": {"reference": "r"},
            "latest_charge": {"amount_refunded": 100}
        }));
        assert_eq!((seen.amount.get(), seen.refunded.get()), (4000, 100));
        assert_eq!(
            (seen.reference.as_deref(), seen.currency.as_str()),
            (Some("r"), "BRL")
        );
        assert_eq!(seen.card, None);
    }

    #[test]
    fn a_card_is_seen_only_when_it_may_be_charged_again() {
        let paid = serde_json::json!({
            "status": "succeeded", "customer": "cus_1", "payment_method": "pm_1",
            "latest_charge": {"payment_method_details": {"card": {"brand": "visa", "last4": "4242"}}}
        });
        assert_eq!(intent(paid.clone()).card, None);
        let mut kept = paid;
        kept["setup_future_usage"] = "off_session".into();
        let card = intent(kept).card.unwrap();
        assert_eq!((card.brand.as_str(), card.last4.as_str()), ("visa", "4242"));
        assert_eq!(card_parts(&card.token).unwrap(), ("cus_1", "pm_1"));
        assert!(!format!("{card:?}").contains("pm_1"));
    }

    #[test]
    fn only_a_dispute_that_took_money_counts() {
        for (status, expected) in [
            ("needs_response", true),
            ("under_review", true),
            ("lost", true),
            ("won", false),
            ("warning_needs_response", false),
            ("warning_closed", false),
        ] {
            let dispute: Dispute = serde_json::from_value(serde_json::json!({"status": status})).unwrap();
            assert_eq!(dispute.took_money(), expected, "{status}");
        }
    }
}
