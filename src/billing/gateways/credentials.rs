//! What an account at a gateway is used with: a key for calls, a secret that proves webhooks.

use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};

use crate::domain::invalid::{FieldErrors, Invalid};
use crate::domain::payment::GatewayKind;

/// The credentials of one account. `Debug` shows none of them.
#[derive(Debug, Clone)]
pub enum Credentials {
    /// Of an application of Mercado Pago.
    MercadoPago {
        /// `APP_USR-…`
        access_token: SecretString,
        /// Of the application's webhooks.
        webhook_secret: SecretString,
    },
    /// Of a Stripe account.
    Stripe {
        /// `sk_…`, or a restricted one, `rk_…`.
        secret_key: SecretString,
        /// Of the endpoint, `whsec_…`.
        webhook_secret: SecretString,
    },
    /// Of an Asaas account.
    Asaas {
        /// `$aact_…`
        api_key: SecretString,
        /// The token that Asaas sends along with each webhook; whoever sets the webhook up makes it up.
        webhook_token: SecretString,
    },
}

/// Gateways have short keys; nothing longer is one.
const LONGEST: usize = 500;
/// Whoever guesses a token may try as often as he likes.
const SHORTEST_TOKEN: usize = 32;

impl Credentials {
    /// The names of the two texts that an account of this gateway is given as.
    pub const fn fields(kind: GatewayKind) -> [&'static str; 2] {
        match kind {
            GatewayKind::MercadoPago => ["access_token", "webhook_secret"],
            GatewayKind::Stripe => ["secret_key", "webhook_secret"],
            GatewayKind::Asaas => ["api_key", "webhook_token"],
        }
    }

    /// Reads an object that has [`Credentials::fields`] and nothing else; refusals show nothing of the values.
    ///
    /// # Errors
    /// What is missing, not known, or cannot be a key of that gateway.
    pub fn parse(kind: GatewayKind, object: &Map<String, Value>) -> Result<Self, FieldErrors> {
        let [key_name, webhook_name] = Self::fields(kind);
        let mut errors = FieldErrors::new();
        for name in object.keys() {
            if name != key_name && name != webhook_name {
                let refusal = Invalid::new("unknown_field", "is no credential of this gateway");
                errors.push(name, refusal);
            }
        }
        let key = errors.require(key_name, object.get(key_name), |value| {
            secret(kind, key_name, value)
        });
        let webhook = errors.require(webhook_name, object.get(webhook_name), |value| {
            secret(kind, webhook_name, value)
        });
        errors.finish(|| Some(Self::of(kind, key?, webhook?)))
    }

    fn of(kind: GatewayKind, key: SecretString, webhook: SecretString) -> Self {
        match kind {
            GatewayKind::MercadoPago => Self::MercadoPago {
                access_token: key,
                webhook_secret: webhook,
            },
            GatewayKind::Stripe => Self::Stripe {
                secret_key: key,
                webhook_secret: webhook,
            },
            GatewayKind::Asaas => Self::Asaas {
                api_key: key,
                webhook_token: webhook,
            },
        }
    }

    /// Whose they are.
    pub const fn kind(&self) -> GatewayKind {
        match self {
            Self::MercadoPago { .. } => GatewayKind::MercadoPago,
            Self::Stripe { .. } => GatewayKind::Stripe,
            Self::Asaas { .. } => GatewayKind::Asaas,
        }
    }

    /// As [`Credentials::parse`] reads them, to be sealed.
    pub fn to_json(&self) -> Zeroizing<Vec<u8>> {
        let [key_name, webhook_name] = Self::fields(self.kind());
        let (key, webhook) = match self {
            Self::MercadoPago {
                access_token: key,
                webhook_secret: webhook,
            }
            | Self::Stripe {
                secret_key: key,
                webhook_secret: webhook,
            }
            | Self::Asaas {
                api_key: key,
                webhook_token: webhook,
            } => (key.expose_secret(), webhook.expose_secret()),
        };
        Zeroizing::new(
            serde_json::json!({ key_name: key, webhook_name: webhook })
                .to_string()
                .into_bytes(),
        )
    }
}

fn secret(kind: GatewayKind, field: &str, value: &Value) -> Result<SecretString, Invalid> {
    let text = value.as_str().map(str::trim).unwrap_or_default();
    if text.is_empty() {
        return Err(Invalid::required());
    }
    if text.len() > LONGEST {
        return Err(Invalid::too_long(LONGEST));
    }
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Invalid::format(
            "must be letters, digits and signs, without spaces",
        ));
    }
    let starts: &[&str] = match (kind, field) {
        (GatewayKind::Stripe, "secret_key") => &["sk_", "rk_"],
        (GatewayKind::Stripe, "webhook_secret") => &["whsec_"],
        _ => &[],
    };
    if !starts.is_empty() && !starts.iter().any(|start| text.starts_with(start)) {
        return Err(Invalid::format(format!(
            "must begin with {}",
            starts.join(" or ")
        )));
    }
    if field == "webhook_token" && text.len() < SHORTEST_TOKEN {
        return Err(Invalid::too_short(SHORTEST_TOKEN));
    }
    Ok(text.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn parse(kind: GatewayKind, value: &Value) -> Result<Credentials, Vec<(String, &'static str)>> {
        Credentials::parse(kind, value.as_object().expect("an object")).map_err(|errors| {
            errors
                .into_iter()
                .map(|error| (error.field, error.code))
                .collect()
        })
    }

    fn good(kind: GatewayKind) -> Value {
        match kind {
            GatewayKind::MercadoPago => json!({"access_token": "APP_USR-1", "webhook_secret": "hush"}),
            GatewayKind::Stripe => json!({"secret_key": "sk_test_1", "webhook_secret": "whsec_1"}),
            GatewayKind::Asaas => json!({"api_key": "$aact_1", "webhook_token": "t".repeat(32)}),
        }
    }

    #[test]
    fn what_is_sealed_is_read_back_and_never_shown() {
        for kind in GatewayKind::ALL {
            let credentials = parse(*kind, &good(*kind)).unwrap();
            assert_eq!(credentials.kind(), *kind);
            let json = credentials.to_json();
            assert_eq!(serde_json::from_slice::<Value>(&json).unwrap(), good(*kind));
            let shown = format!("{credentials:?}");
            for secret in ["APP_USR", "hush", "sk_test", "whsec", "aact", "ttt"] {
                assert!(!shown.contains(secret), "{shown}");
            }
        }
    }

    #[test]
    fn what_cannot_be_a_key_is_refused() {
        let refused = parse(
            GatewayKind::Stripe,
            &json!({"secret_key": "pk_test_1", "webhook_secret": 7, "api_key": "x"}),
        );
        assert_eq!(
            refused.unwrap_err(),
            [
                ("api_key".to_owned(), "unknown_field"),
                ("secret_key".to_owned(), "invalid_format"),
                ("webhook_secret".to_owned(), "required"),
            ]
        );
        let short = parse(
            GatewayKind::Asaas,
            &json!({"api_key": "a b", "webhook_token": "short"}),
        );
        assert_eq!(
            short.unwrap_err(),
            [
                ("api_key".to_owned(), "invalid_format"),
                ("webhook_token".to_owned(), "too_short"),
            ]
        );
    }
}
