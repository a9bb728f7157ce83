//! What a snapshot says of itself before its rows.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::domain::ids::TenantId;
use crate::domain::subscription::SubscriptionStatus;

/// The beginning of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// The moment whose rows these are.
    pub made_at: DateTime<Utc>,
    /// Version of the program that wrote it.
    pub program: String,
    /// Whose rows.
    pub tenant: HeaderTenant,
    /// Version of each part of the template: `core` and the niche.
    pub template: BTreeMap<String, i32>,
    /// The tables, in the order in which they follow and can be loaded.
    pub tables: Vec<HeaderTable>,
    /// Tables of the schema whose rows are in no snapshot.
    pub left_out: Vec<String>,
}

/// The tenant, as the registry knew it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeaderTenant {
    /// Its id.
    pub id: TenantId,
    /// Its key.
    pub key: String,
    /// Its display name.
    pub name: String,
    /// Its niche.
    pub niche: String,
    /// CPF or CNPJ.
    pub document: Option<String>,
    /// Address of its first user.
    pub owner_email: String,
    /// What it had bought; `None` for nothing.
    pub subscription: Option<HeaderSubscription>,
    /// Why it was suspended, if it was.
    #[serde(default)]
    pub suspended_reason: Option<String>,
    /// Hosts that it had proven to be its own.
    #[serde(default)]
    pub domains: Vec<String>,
}

/// A subscription, by the plan's code: ids differ between platforms.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeaderSubscription {
    /// Code of the plan.
    pub plan: String,
    /// Version of the plan.
    pub version: i32,
    /// What was last decided.
    pub status: SubscriptionStatus,
    /// When the trial ends.
    pub trial_ends_at: Option<DateTime<Utc>>,
    /// Since when payment is due.
    pub past_due_at: Option<DateTime<Utc>>,
    /// Begin of the period.
    pub period_start: DateTime<Utc>,
    /// End of the period.
    pub period_end: DateTime<Utc>,
}

/// A table of the snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeaderTable {
    /// Its name.
    pub name: String,
    /// The columns of its rows, in order.
    pub columns: Vec<String>,
}

/// The end of a table.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct TableEnd {
    pub(super) rows: u64,
}

/// The beginning of a file.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct FileHead {
    pub(super) name: String,
    pub(super) length: u64,
}
