//! Metrics of collecting: as [`metrics`](super::metrics), for what gateways are asked and tell.

use ::metrics::counter;

use crate::domain::payment::GatewayKind;

/// Charges, by `gateway` and `outcome` (`placed`; `postponed`: to be tried again; or the status that one has come to).
pub const PAYMENTS: &str = "helixai_payments_total";
/// Webhooks of gateways, by `gateway` and `outcome` (`stored`, `again`, `ignored`, `refused`; of those stored `done`, `dead`).
pub const GATEWAY_EVENTS: &str = "helixai_gateway_events_total";

/// Counts what has become of a charge.
pub fn count_payment(gateway: GatewayKind, outcome: &'static str) {
    counter!(PAYMENTS, "gateway" => gateway.as_str(), "outcome" => outcome).increment(1);
}

/// Counts what has become of a webhook.
pub fn count_gateway_event(gateway: GatewayKind, outcome: &'static str) {
    counter!(GATEWAY_EVENTS, "gateway" => gateway.as_str(), "outcome" => outcome).increment(1);
}

/// What has not happened yet is 0.
pub(super) fn begin() {
    for gateway in GatewayKind::ALL {
        for outcome in [
            "placed",
            "postponed",
            "paid",
            "rejected",
            "canceled",
            "refunded",
            "charged_back",
        ] {
            counter!(PAYMENTS, "gateway" => gateway.as_str(), "outcome" => outcome).increment(0);
        }
        for outcome in ["stored", "again", "ignored", "refused", "done", "dead"] {
            counter!(GATEWAY_EVENTS, "gateway" => gateway.as_str(), "outcome" => outcome).increment(0);
        }
    }
}
