//! Webhooks of Mercado Pago: what is signed is the id in the query, the request's id and a time, not the body.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;

use super::super::event::{Delivery, EventRefused, GatewayEvent};
use super::super::lenient;
use super::super::signature::{is_signed, values};

/// Deliveries are repeated for days; what is older, or comes from the future, was kept by somebody.
const TOLERANCE: TimeDelta = TimeDelta::days(7);
/// A time of so many digits is in milliseconds.
const MILLISECONDS: usize = 13;

#[derive(Deserialize)]
struct Notification {
    #[serde(default, deserialize_with = "lenient::id")]
    id: Option<String>,
    #[serde(default, rename = "type", deserialize_with = "lenient::text")]
    kind: Option<String>,
    #[serde(default)]
    data: Option<Data>,
}

#[derive(Deserialize)]
struct Data {
    #[serde(default, deserialize_with = "lenient::id")]
    id: Option<String>,
}

pub(super) fn read(
    secret: &str,
    delivery: &Delivery<'_>,
    now: DateTime<Utc>,
) -> Result<GatewayEvent, EventRefused> {
    let id = delivery.asked("data.id").filter(|id| !id.is_empty());
    verify(secret, delivery, id.as_deref(), now)?;
    let body: Notification = serde_json::from_slice(delivery.body).map_err(|_| EventRefused::Unreadable)?;
    let told = body.data.and_then(|data| data.id);
    // The body is not signed: where it names another payment than the query, somebody has written it anew.
    if let (Some(id), Some(told)) = (&id, &told)
        && !id.eq_ignore_ascii_case(told)
    {
        return Err(EventRefused::Unreadable);
    }
    let kind = delivery.asked("type").or(body.kind);
    Ok(GatewayEvent {
        event_id: body.id.ok_or(EventRefused::Unreadable)?,
        payment_id: id.or(told).filter(|_| kind.as_deref() == Some("payment")),
    })
}

fn verify(
    secret: &str,
    delivery: &Delivery<'_>,
    id: Option<&str>,
    now: DateTime<Utc>,
) -> Result<(), EventRefused> {
    let header = delivery.header("x-signature").ok_or(EventRefused::Signature)?;
    let time = values(header, "ts").next().ok_or(EventRefused::Signature)?;
    let at = parse_time(time).ok_or(EventRefused::Signature)?;
    if (now - at).abs() > TOLERANCE {
        return Err(EventRefused::Signature);
    }
    let request = delivery.header("x-request-id").filter(|id| !id.is_empty());
    let lower = id.map(str::to_ascii_lowercase);
    // Mercado Pago has signed the id now as it sends it, now in lower case.
    let manifests = [
        manifest(id, request, time),
        manifest(lower.as_deref(), request, time),
    ];
    let good = values(header, "v1").any(|signature| {
        manifests
            .iter()
            .any(|manifest| is_signed(secret, &[manifest.as_bytes()], signature))
    });
    if good {
        Ok(())
    } else {
        Err(EventRefused::Signature)
    }
}

/// `id:…;request-id:…;ts:…;`, without the pairs that have no value.
fn manifest(id: Option<&str>, request: Option<&str>, time: &str) -> String {
    let pairs = [("id", id), ("request-id", request), ("ts", Some(time))];
    pairs
        .iter()
        .filter_map(|(name, value)| value.map(|value| format!("{name}:{value};")))
        .collect()
}

fn parse_time(text: &str) -> Option<DateTime<Utc>> {
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number = text.parse().ok()?;
    if text.len() >= MILLISECONDS {
        DateTime::from_timestamp_millis(number)
    } else {
        DateTime::from_timestamp(number, 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "nexo-test-secret-0001";
    const REQUEST: &str = "7f9f1c2e-6a2b-4c55-9f6e-0d1c2b3a4f50";
    const QUERY: &str = "data.id=1320459876&type=payment";
    const BODY: &str = r#"{"id":777,"type":"payment","action":"payment.updated","data":{"id":"1320459876"}}"#;
    const SECONDS: &str = "ts=1767225600,v1=5a5650922ff9e0d5cf3473d3774852250e5eac3df6e9303242161279df2418d2";
    const MILLIS: &str =
        "ts=1767225600000,v1=2fdb356ea5ab3ff1a846c26d2733de2d519e70671e2a40b2d7da558daced1e3b";
    const NO_REQUEST: &str =
        "ts=1767225600000,v1=69e4cbcfe4e951b8dbb7168b7899ce6a671265e900a4ed0166f7408ed76d68e9";

    fn at(offset: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_767_225_600 + offset, 0).unwrap()
    }

    fn read_as(
        query: &str,
        signature: &str,
        request: Option<&str>,
        body: &str,
    ) -> Result<GatewayEvent, EventRefused> {
        let mut headers = vec![("X-Signature", signature)];
        headers.extend(request.map(|id| ("x-request-id", id)));
        let delivery = Delivery {
            query,
            headers: &headers,
            body: body.as_bytes(),
        };
        read(SECRET, &delivery, at(60))
    }

    #[test]
    fn the_vectors_are_good() {
        let event = Ok(GatewayEvent {
            event_id: "777".to_owned(),
            payment_id: Some("1320459876".to_owned()),
        });
        assert_eq!(read_as(QUERY, SECONDS, Some(REQUEST), BODY), event);
        assert_eq!(read_as(QUERY, MILLIS, Some(REQUEST), BODY), event);
        assert_eq!(read_as(QUERY, NO_REQUEST, None, BODY), event);
        assert_eq!(read_as(QUERY, NO_REQUEST, Some(""), BODY), event);
        assert_eq!(
            read_as("type=payment&data.id=1320459876", SECONDS, Some(REQUEST), BODY),
            event
        );
    }

    #[test]
    fn whatever_is_changed_is_refused() {
        let refused = Err(EventRefused::Signature);
        let other = QUERY.replace("1320459876", "1320459877");
        assert_eq!(read_as(&other, SECONDS, Some(REQUEST), BODY), refused);
        assert_eq!(read_as("type=payment", SECONDS, Some(REQUEST), BODY), refused);
        assert_eq!(read_as(QUERY, SECONDS, None, BODY), refused);
        assert_eq!(read_as(QUERY, SECONDS, Some("other"), BODY), refused);
        for signature in [
            "",
            "v1=5a56",
            "ts=1767225600",
            "ts=1767225600,v1=",
            "ts=1767225601,v1=5a5650922ff9e0d5cf3473d3774852250e5eac3df6e9303242161279df2418d2",
            "ts=-1767225600,v1=5a5650922ff9e0d5cf3473d3774852250e5eac3df6e9303242161279df2418d2",
            "ts=1767225600,v1=5a5650922ff9e0d5cf3473d3774852250e5eac3df6e9303242161279df2418d200",
            "ts=99999999999999999999,v1=5a5650922ff9e0d5cf3473d3774852250e5eac3df6e9303242161279df2418d2",
        ] {
            assert_eq!(
                read_as(QUERY, signature, Some(REQUEST), BODY),
                refused,
                "{signature}"
            );
        }
    }

    #[test]
    fn what_is_kept_too_long_is_refused() {
        let headers = [("x-signature", SECONDS), ("x-request-id", REQUEST)];
        let delivery = Delivery {
            query: QUERY,
            headers: &headers,
            body: BODY.as_bytes(),
        };
        let week = TOLERANCE.num_seconds();
        assert!(read(SECRET, &delivery, at(week)).is_ok() && read(SECRET, &delivery, at(-week)).is_ok());
        for offset in [week + 1, -week - 1] {
            assert_eq!(read(SECRET, &delivery, at(offset)), Err(EventRefused::Signature));
        }
    }

    #[test]
    fn the_body_says_nothing_but_its_own_id() {
        let unreadable = Err(EventRefused::Unreadable);
        let another = BODY.replace("1320459876", "1");
        for body in ["", "<html>", "[]", r#"{"type":"payment"}"#, &another] {
            assert_eq!(read_as(QUERY, SECONDS, Some(REQUEST), body), unreadable, "{body}");
        }
        // The query says what it is about.
        let plan = QUERY.replace("type=payment", "type=plan");
        let event = read_as(&plan, SECONDS, Some(REQUEST), BODY).unwrap();
        assert_eq!(event.payment_id, None);
    }
}
