//! How a gateway proves that news are its own, rightly and in each wrong way.

use chrono::{DateTime, TimeDelta, Utc};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use uuid::Uuid;

use super::Kind;
use super::event::{Event, Variant};

/// A delivery as it goes out.
pub struct Signed {
    pub query: String,
    pub headers: Vec<(&'static str, String)>,
    pub body: String,
}

/// Longer than anybody tolerates.
const LONG: TimeDelta = TimeDelta::days(30);

pub fn signed(kind: Kind, secret: &str, event: &Event, variant: Variant, now: DateTime<Utc>) -> Signed {
    let now = match variant {
        Variant::Stale => now - LONG,
        Variant::Future => now + LONG,
        _ => now,
    };
    let secret = if variant == Variant::WrongSecret {
        "another-secret-than-that-of-the-account"
    } else {
        secret
    };
    match kind {
        Kind::MercadoPago => mercado_pago(secret, event, variant, now),
        Kind::Stripe => stripe(secret, event, variant, now),
        Kind::Asaas => asaas(secret, event, variant),
    }
}

fn mercado_pago(secret: &str, event: &Event, variant: Variant, now: DateTime<Utc>) -> Signed {
    let time = match variant {
        Variant::Milliseconds => now.timestamp_millis(),
        _ => now.timestamp(),
    };
    let request = Uuid::new_v4().to_string();
    let mut manifest = format!("id:{};", event.payment_id);
    let mut headers = Vec::new();
    if variant != Variant::WithoutRequestId {
        manifest.push_str(&format!("request-id:{request};"));
        headers.push(("x-request-id", request));
    }
    manifest.push_str(&format!("ts:{time};"));
    if variant != Variant::Unsigned {
        let signature = signatures(secret, &manifest, variant);
        headers.push(("x-signature", format!("ts={time},{signature}")));
    }
    let (mut id, mut body) = (event.payment_id.clone(), event.body.clone());
    if variant == Variant::Tampered {
        id.push('0');
        body = body.replace(&event.payment_id, &id);
    }
    Signed {
        query: format!("data.id={id}&type=payment"),
        headers,
        body,
    }
}

fn stripe(secret: &str, event: &Event, variant: Variant, now: DateTime<Utc>) -> Signed {
    let time = now.timestamp();
    let signature = signatures(secret, &format!("{time}.{}", event.body), variant);
    let mut body = event.body.clone();
    if variant == Variant::Tampered {
        body = body.replacen("evt_", "evt_9", 1);
    }
    Signed {
        query: String::new(),
        headers: if variant == Variant::Unsigned {
            Vec::new()
        } else {
            vec![("Stripe-Signature", format!("t={time},{signature}"))]
        },
        body,
    }
}

fn asaas(secret: &str, event: &Event, variant: Variant) -> Signed {
    Signed {
        query: String::new(),
        headers: if variant == Variant::Unsigned {
            Vec::new()
        } else {
            vec![("asaas-access-token", secret.to_owned())]
        },
        body: event.body.clone(),
    }
}

fn signatures(secret: &str, text: &str, variant: Variant) -> String {
    let good = hmac(secret, text);
    match variant {
        Variant::BadHex => format!("v1={}", "zz".repeat(32)),
        Variant::TwoSignatures => format!("v1={},v1={good}", hmac("the-former-secret", text)),
        _ => format!("v1={good}"),
    }
}

fn hmac(secret: &str, text: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("keys of any length");
    mac.update(text.as_bytes());
    let signature = mac.finalize().into_bytes();
    signature.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    // The vectors of the protocols.
    #[test]
    fn signatures_are_those_of_the_real_gateways() {
        assert_eq!(
            hmac(
                "nexo-test-secret-0001",
                "id:1320459876;request-id:7f9f1c2e-6a2b-4c55-9f6e-0d1c2b3a4f50;ts:1767225600;"
            ),
            "5a5650922ff9e0d5cf3473d3774852250e5eac3df6e9303242161279df2418d2"
        );
        assert_eq!(
            hmac(
                "whsec_nexo_test_0001",
                r#"1767225600.{"id":"evt_test_1","object":"event","type":"invoice.paid"}"#
            ),
            "47cfe077a36fe2357443f0d0c90d5a7a41f7db9c61b9f90eabe0e86ec32a2860"
        );
    }
}
