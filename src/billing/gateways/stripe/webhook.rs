//! Webhooks of Stripe: the time and the raw body are signed, possibly with two secrets while one is exchanged.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;
use serde_json::Value;

use super::super::event::{Delivery, EventRefused, GatewayEvent};
use super::super::signature::{is_signed, values};

/// How far the signed time may be from ours, on either side.
const TOLERANCE: TimeDelta = TimeDelta::seconds(300);

#[derive(Deserialize)]
struct Event {
    id: String,
    #[serde(default)]
    data: Data,
}

#[derive(Deserialize, Default)]
struct Data {
    #[serde(default)]
    object: Value,
}

pub(super) fn read(
    secret: &str,
    delivery: &Delivery<'_>,
    now: DateTime<Utc>,
) -> Result<GatewayEvent, EventRefused> {
    verify(secret, delivery, now)?;
    let event: Event = serde_json::from_slice(delivery.body).map_err(|_| EventRefused::Unreadable)?;
    Ok(GatewayEvent {
        event_id: event.id,
        payment_id: payment_of(&event.data.object),
    })
}

fn verify(secret: &str, delivery: &Delivery<'_>, now: DateTime<Utc>) -> Result<(), EventRefused> {
    let header = delivery
        .header("stripe-signature")
        .ok_or(EventRefused::Signature)?;
    let time = values(header, "t").next().ok_or(EventRefused::Signature)?;
    let at = time
        .parse()
        .ok()
        .and_then(|seconds| DateTime::from_timestamp(seconds, 0))
        .ok_or(EventRefused::Signature)?;
    if (now - at).abs() > TOLERANCE {
        return Err(EventRefused::Signature);
    }
    let parts = [time.as_bytes(), b".", delivery.body];
    if values(header, "v1").any(|signature| is_signed(secret, &parts, signature)) {
        Ok(())
    } else {
        Err(EventRefused::Signature)
    }
}

/// The checkout session or payment intent that an event is about; charges, refunds and disputes name their intent.
fn payment_of(object: &Value) -> Option<String> {
    let intent = object.get("payment_intent");
    let id = match object.get("object")?.as_str()? {
        "checkout.session" | "payment_intent" => object.get("id"),
        "charge" | "refund" | "dispute" => intent.map(|intent| intent.get("id").unwrap_or(intent)),
        _ => None,
    };
    id?.as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "whsec_nexo_test_0001";
    const BODY: &str = r#"{"id":"evt_test_1","object":"event","type":"invoice.paid"}"#;
    const GOOD: &str = "47cfe077a36fe2357443f0d0c90d5a7a41f7db9c61b9f90eabe0e86ec32a2860";

    fn read_as(header: &str, body: &str, offset: i64) -> Result<GatewayEvent, EventRefused> {
        let headers = [("Stripe-Signature", header)];
        let delivery = Delivery {
            query: "",
            headers: &headers,
            body: body.as_bytes(),
        };
        let now = DateTime::from_timestamp(1_767_225_600 + offset, 0).unwrap();
        read(SECRET, &delivery, now)
    }

    #[test]
    fn the_vector_is_good_within_five_minutes() {
        let header = format!("t=1767225600,v1={GOOD}");
        for offset in [0, 300, -300] {
            let event = read_as(&header, BODY, offset).unwrap();
            assert_eq!((event.event_id.as_str(), event.payment_id), ("evt_test_1", None));
        }
        for offset in [301, -301] {
            assert_eq!(read_as(&header, BODY, offset), Err(EventRefused::Signature));
        }
    }

    #[test]
    fn any_of_several_signatures_is_enough() {
        let wrong = "0".repeat(64);
        for header in [
            format!("t=1767225600,v1={wrong},v1={GOOD}"),
            format!("t=1767225600,v1={GOOD},v1=short,v0={wrong}"),
        ] {
            assert!(read_as(&header, BODY, 0).is_ok(), "{header}");
        }
    }

    #[test]
    fn whatever_is_changed_is_refused() {
        let refused = Err(EventRefused::Signature);
        let good = format!("t=1767225600,v1={GOOD}");
        assert_eq!(read_as(&good, &BODY.replace("paid", "void"), 0), refused);
        assert_eq!(read_as(&good, &format!("{BODY} "), 0), refused);
        for header in [
            "",
            "t=1767225600",
            &format!("v1={GOOD}"),
            &format!("t=1767225601,v1={GOOD}"),
            &format!("t=soon,v1={GOOD}"),
            &format!("t=1767225600,v0={GOOD}"),
            &format!("t=1767225600,v1={}", GOOD.replace('4', "5")),
            "t=1767225600,v1=not hexadecimal",
        ] {
            assert_eq!(read_as(header, BODY, 0), refused, "{header}");
        }
    }

    #[test]
    fn the_payment_is_found_in_each_kind_of_object() {
        for (object, expected) in [
            (
                r#"{"object":"checkout.session","id":"cs_1","payment_intent":"pi_1"}"#,
                Some("cs_1"),
            ),
            (r#"{"object":"payment_intent","id":"pi_1"}"#, Some("pi_1")),
            (
                r#"{"object":"charge","id":"ch_1","payment_intent":"pi_1"}"#,
                Some("pi_1"),
            ),
            (
                r#"{"object":"dispute","id":"du_1","payment_intent":{"id":"pi_1"}}"#,
                Some("pi_1"),
            ),
            (r#"{"object":"charge","id":"ch_1","payment_intent":null}"#, None),
            (r#"{"object":"customer","id":"cus_1"}"#, None),
            ("7", None),
        ] {
            let object: Value = serde_json::from_str(object).unwrap();
            assert_eq!(payment_of(&object).as_deref(), expected, "{object}");
        }
    }
}
