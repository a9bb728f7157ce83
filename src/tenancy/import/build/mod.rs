//! Rows of ours from rows of the old database: one function for each table, all checks by the types of the domain, which
//! are those of the API.
//!
//! Old numbers are kept in memory only for what other tables name: leads and conversations, not messages.

mod people;
mod stock;
mod talk;

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, SecondsFormat, Utc};
use uuid::Uuid;

use super::fields::Fields;
use super::map::Target;
use crate::db::shard::import::{Filled, Known, Rows, Table};
use crate::domain::invalid::Invalid;
use people::{CONTACTS, LEAD_HISTORY, LEADS};
use stock::VEHICLES;
use talk::{CONVERSATIONS, MESSAGES};

/// What has become of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Built {
    /// A row of its own.
    Row,
    /// Part of one that was there.
    Merged,
}

/// A lead of the old database.
struct KnownLead {
    id: Uuid,
    contact: Option<Uuid>,
    /// Of a lead whose contact is not known yet.
    name: Option<String>,
    email: Option<String>,
}

/// Rows waiting to be sent, and what the rows to come may name.
pub(super) struct Builder {
    known: Known,
    now: DateTime<Utc>,
    contacts: HashMap<String, Uuid>,
    vehicles: HashSet<String>,
    leads: HashMap<String, KnownLead>,
    conversations: HashMap<String, (Uuid, DateTime<Utc>)>,
    /// Leads whose contact their conversations have shown.
    pub links: Vec<(Uuid, Uuid)>,
    /// What contacts lacked, and rows that were merged into them had.
    pub filled: HashMap<Uuid, Filled>,
    /// In the order in which they can be loaded.
    waiting: [Rows; 6],
}

impl Builder {
    /// Rows that fit `known`; what has no date is of `now`.
    pub fn new(known: Known, now: DateTime<Utc>) -> Self {
        Self {
            known,
            now,
            contacts: HashMap::new(),
            vehicles: HashSet::new(),
            leads: HashMap::new(),
            conversations: HashMap::new(),
            links: Vec::new(),
            filled: HashMap::new(),
            waiting: [CONTACTS, VEHICLES, LEADS, LEAD_HISTORY, CONVERSATIONS, MESSAGES].map(Rows::new),
        }
    }

    /// Bytes that wait to be sent.
    pub fn waiting(&self) -> usize {
        self.waiting.iter().map(Rows::len).sum()
    }

    /// The rows that wait, table by table in the order in which they can be loaded.
    pub fn take(&mut self) -> Vec<Rows> {
        let take = |rows: &mut Rows| std::mem::replace(rows, Rows::new(rows.table));
        self.waiting
            .iter_mut()
            .map(take)
            .filter(|rows| !rows.is_empty())
            .collect()
    }

    fn push(&mut self, table: Table, values: &[Option<&str>]) {
        if let Some(rows) = self.waiting.iter_mut().find(|rows| rows.table.name == table.name) {
            rows.push(values);
        }
    }

    /// Makes what the map says of a row; nothing, then with a reason among its problems.
    pub fn row(&mut self, to: Target, fields: &mut Fields<'_>) -> Option<Built> {
        // A row without one cannot be named by another.
        let old = fields.id();
        match to {
            Target::Contacts => self.contact(fields, old),
            Target::Vehicles => self.vehicle(fields, old),
            Target::Leads => self.lead(fields, old),
            Target::Conversations => self.conversation(fields, old),
            Target::Messages => self.message(fields),
        }
    }

    /// When a row was made and last changed; without a date it is of `otherwise`, and that is reported.
    fn times(&self, fields: &mut Fields<'_>, otherwise: DateTime<Utc>) -> (DateTime<Utc>, DateTime<Utc>) {
        let (created, updated) = (fields.time("created_at"), fields.time("updated_at"));
        let Some(first) = created.or(updated) else {
            fields.changed("created_at", "no_date", "has no date, and gets one");
            return (otherwise, otherwise);
        };
        (first, updated.unwrap_or(first).max(first))
    }
}

/// What a row names.
fn reference<T: Copy>(fields: &mut Fields<'_>, field: &str, known: &HashMap<String, T>) -> Option<T> {
    known.get(&name_of(fields, field, known)?).copied()
}

/// The old number of what a row names; one that is not there is invalid.
fn name_of<T>(fields: &mut Fields<'_>, field: &str, known: &HashMap<String, T>) -> Option<String> {
    let is_there = |old: &str| {
        let old = old.trim();
        known.contains_key(old).then(|| old.to_owned()).ok_or_else(|| {
            Invalid::new(
                "unknown_reference",
                "names a row that is not there, or was refused",
            )
        })
    };
    fields.optional(field, is_there)
}

fn refuse_second(fields: &mut Fields<'_>, known: bool) {
    if known {
        fields.refuse(
            "id",
            Invalid::new("duplicate", "is the number of an earlier row"),
            None,
        );
    }
}

fn written(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Micros, true)
}
