//! The words of invoices and their ledger.

use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::text_enum::text_enum;

text_enum! {
    /// What an invoice is for.
    pub enum InvoiceKind {
        /// A period of a subscription.
        Period = "period",
        /// The rest of a period under a larger plan.
        Upgrade = "upgrade",
        /// Something that was sold once.
        OneOff = "one_off",
    }
}

text_enum! {
    /// What has become of an invoice.
    pub enum InvoiceStatus {
        /// To be paid.
        Open = "open",
        /// Paid.
        Paid = "paid",
        /// Taken back; its number stays its own.
        Void = "void",
    }
}

text_enum! {
    /// What a line of an invoice is about.
    pub enum LineKind {
        /// A period of a plan.
        Plan = "plan",
        /// What is left of a period, under the new plan.
        ProrationCharge = "proration_charge",
        /// What is left of a period, under the old plan: negative.
        ProrationCredit = "proration_credit",
        /// Something else.
        Item = "item",
    }
}

text_enum! {
    /// Why something is in the ledger.
    pub enum LedgerKind {
        /// It is owed from now on.
        Invoiced = "invoiced",
        /// It was paid: negative.
        Paid = "paid",
        /// It is not owed any more: negative.
        Voided = "voided",
        /// It was given back.
        Refunded = "refunded",
        /// The payer's bank took it back.
        ChargedBack = "charged_back",
    }
}

text_enum! {
    /// How money that was paid went away again.
    pub enum Reversal {
        /// We gave it back.
        Refunded = "refunded",
        /// The payer's bank took it back.
        ChargedBack = "charged_back",
    }
}

impl From<Reversal> for LedgerKind {
    fn from(reversal: Reversal) -> Self {
        match reversal {
            Reversal::Refunded => Self::Refunded,
            Reversal::ChargedBack => Self::ChargedBack,
        }
    }
}

/// A line of an invoice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct InvoiceLine {
    /// What it is about.
    pub kind: LineKind,
    /// In Portuguese, as the customer reads it.
    pub description: String,
    /// How many.
    pub quantity: i32,
    /// Of one; negative for a credit.
    pub unit_cents: i64,
    /// Quantity times unit.
    pub amount_cents: i64,
}

impl InvoiceLine {
    /// A line of one thing.
    pub fn one(kind: LineKind, description: String, cents: i64) -> Self {
        Self {
            kind,
            description,
            quantity: 1,
            unit_cents: cents,
            amount_cents: cents,
        }
    }
}
