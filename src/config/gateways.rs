//! `[gateways]`: where payments are collected, and how long the gateways are waited for.

use std::time::Duration;

use serde::Deserialize;

use super::error::Problems;
use super::values;

/// Addresses and waits.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GatewaySettings {
    /// Base address of Mercado Pago's API.
    pub mercado_pago_url: String,
    /// Base address of Stripe's API.
    pub stripe_url: String,
    /// Version of Stripe's API.
    pub stripe_version: String,
    /// Base address of Asaas' API.
    pub asaas_url: String,
    /// The longest wait for one answer.
    #[serde(rename = "timeout_ms", deserialize_with = "values::milliseconds")]
    pub timeout: Duration,
    /// How long one call is repeated.
    #[serde(rename = "patience_ms", deserialize_with = "values::milliseconds")]
    pub patience: Duration,
}

impl GatewaySettings {
    pub(super) fn check(&self, problems: &mut Problems) {
        for (key, url) in [
            ("gateways.mercado_pago_url", &self.mercado_pago_url),
            ("gateways.stripe_url", &self.stripe_url),
            ("gateways.asaas_url", &self.asaas_url),
        ] {
            check_url(key, url, problems);
        }
        if self.stripe_version.is_empty() || !self.stripe_version.bytes().all(|byte| byte.is_ascii_graphic())
        {
            problems.add("gateways.stripe_version", "must be a version such as 2024-06-20");
        }
        problems.range("gateways.timeout_ms", self.timeout.as_millis(), 100..=60_000);
        problems.range("gateways.patience_ms", self.patience.as_millis(), 0..=30_000);
    }
}

/// Secrets go to this address: in clear only to this machine.
pub(super) fn check_url(key: &'static str, url: &str, problems: &mut Problems) {
    let host = url.strip_prefix("https://").or_else(|| {
        url.strip_prefix("http://")
            .filter(|host| host.starts_with("127.0.0.1:") || host.starts_with("localhost:"))
    });
    if host.is_none_or(str::is_empty) {
        problems.add(
            key,
            "must begin with https://; http:// goes to 127.0.0.1 or localhost, with a port, only",
        );
    }
}
