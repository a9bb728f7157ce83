//! `[billing]`: the platform's own money.

use std::time::Duration;

use serde::Deserialize;

use super::error::Problems;
use super::values;
use crate::domain::billing::issuer::Issuer;

/// The billing clock.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BillingSettings {
    /// Whether the background work of this process runs it.
    pub clock: bool,
    /// The time between two looks.
    #[serde(rename = "every_secs", deserialize_with = "values::seconds")]
    pub every: Duration,
    /// Who sends invoices.
    pub issuer_name: String,
    /// Its CPF or CNPJ, as it is to be shown.
    #[serde(deserialize_with = "values::optional")]
    pub issuer_document: Option<String>,
    /// Its address, in one line.
    #[serde(deserialize_with = "values::optional")]
    pub issuer_address: Option<String>,
}

impl BillingSettings {
    /// What stands at the head of each invoice.
    pub fn issuer(&self) -> Issuer {
        Issuer {
            name: self.issuer_name.clone(),
            document: self.issuer_document.clone(),
            address: self.issuer_address.clone(),
        }
    }

    pub(super) fn check(&self, problems: &mut Problems) {
        problems.range("billing.every_secs", self.every.as_secs(), 1..=3600);
    }
}
