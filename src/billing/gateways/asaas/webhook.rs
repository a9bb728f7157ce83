//! Webhooks of Asaas: nothing is signed; a token that only Asaas and we know comes along.

use serde::Deserialize;
use subtle::ConstantTimeEq;

use super::super::event::{Delivery, EventRefused, GatewayEvent};
use super::super::lenient;

#[derive(Deserialize)]
struct Event {
    id: String,
    #[serde(default)]
    payment: Option<Payment>,
}

#[derive(Deserialize)]
struct Payment {
    #[serde(default, deserialize_with = "lenient::id")]
    id: Option<String>,
}

pub(super) fn read(token: &str, delivery: &Delivery<'_>) -> Result<GatewayEvent, EventRefused> {
    let given = delivery.header("asaas-access-token").unwrap_or_default();
    if token.is_empty() || !bool::from(token.as_bytes().ct_eq(given.as_bytes())) {
        return Err(EventRefused::Signature);
    }
    let event: Event = serde_json::from_slice(delivery.body).map_err(|_| EventRefused::Unreadable)?;
    Ok(GatewayEvent {
        event_id: event.id,
        payment_id: event.payment.and_then(|payment| payment.id),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "a-token-of-thirty-two-characters";

    fn read_as(token: Option<&str>, body: &str) -> Result<GatewayEvent, EventRefused> {
        let headers: Vec<_> = token.iter().map(|token| ("Asaas-Access-Token", *token)).collect();
        let delivery = Delivery {
            query: "",
            headers: &headers,
            body: body.as_bytes(),
        };
        read(TOKEN, &delivery)
    }

    #[test]
    fn only_the_token_opens() {
        let body = r#"{"id":"evt_1&2","event":"PAYMENT_RECEIVED","payment":{"id":"pay_1","value":10}}"#;
        let event = read_as(Some(TOKEN), body).unwrap();
        assert_eq!(
            (event.event_id.as_str(), event.payment_id.as_deref()),
            ("evt_1&2", Some("pay_1"))
        );
        for token in [None, Some(""), Some("another"), Some(&TOKEN[1..])] {
            assert_eq!(read_as(token, body), Err(EventRefused::Signature));
        }
    }

    #[test]
    fn events_about_something_else_are_no_payment_s() {
        let event = read_as(
            Some(TOKEN),
            r#"{"id":"evt_1","event":"TRANSFER_DONE","transfer":{}}"#,
        )
        .unwrap();
        assert_eq!(event.payment_id, None);
        for body in ["", "{}", r#"{"event":"PAYMENT_RECEIVED"}"#] {
            assert_eq!(read_as(Some(TOKEN), body), Err(EventRefused::Unreadable));
        }
    }
}
