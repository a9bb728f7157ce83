//! Contacts and leads: one person, one contact, however the number was written.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{Builder, Built, KnownLead, reference, refuse_second, written};
use crate::db::shard::import::Table;
use crate::domain::email::Email;
use crate::domain::ids::{ContactId, LeadChangeId, LeadId};
use crate::domain::invalid::Invalid;
use crate::domain::lead::{Source, Stage};
use crate::domain::phone::Phone;
use crate::domain::text::{Name, text};
use crate::tenancy::import::fields::Fields;

const NOTES_MAX: usize = 10_000;

pub(super) const CONTACTS: Table = Table {
    name: "contacts",
    columns: &[
        "id",
        "name",
        "phone",
        "email",
        "notes",
        "created_at",
        "updated_at",
    ],
};
pub(super) const LEADS: Table = Table {
    name: "leads",
    columns: &[
        "id",
        "name",
        "phone",
        "email",
        "source",
        "stage",
        "notes",
        "contact_id",
        "created_at",
        "updated_at",
    ],
};
pub(super) const LEAD_HISTORY: Table = Table {
    name: "lead_history",
    columns: &["lead_id", "id", "at", "actor_kind", "field", "to_value"],
};
impl Builder {
    pub(super) fn contact(&mut self, fields: &mut Fields<'_>, old: Option<String>) -> Option<Built> {
        let name = fields.optional("name", Name::parse).map(String::from);
        let phone = fields.optional("phone", Phone::parse).map(String::from);
        let email = fields.optional("email", Email::parse).map(String::from);
        let notes = fields.optional("notes", |notes| text(notes, NOTES_MAX));
        let (created, updated) = self.times(fields, self.now);
        refuse_second(
            fields,
            old.as_ref().is_some_and(|old| self.contacts.contains_key(old)),
        );
        if fields.is_refused(0) {
            return None;
        }
        let known = phone
            .as_ref()
            .and_then(|phone| self.known.phones.get(phone))
            .copied();
        let built = known.map_or(Built::Row, |_| Built::Merged);
        let id = known.unwrap_or_else(|| ContactId::new().as_uuid());
        if built == Built::Row {
            self.push(
                CONTACTS,
                &[
                    Some(&id.to_string()),
                    name.as_deref(),
                    phone.as_deref(),
                    email.as_deref(),
                    notes.as_deref(),
                    Some(&written(created)),
                    Some(&written(updated)),
                ],
            );
            self.known.phones.extend(phone.map(|phone| (phone, id)));
        }
        self.contacts.extend(old.map(|old| (old, id)));
        Some(built)
    }

    /// The contact of a number, made if there is none.
    pub(super) fn contact_of(
        &mut self,
        phone: Option<&str>,
        name: Option<&str>,
        email: Option<&str>,
        at: DateTime<Utc>,
    ) -> Uuid {
        if let Some(id) = phone.and_then(|phone| self.known.phones.get(phone)) {
            return *id;
        }
        let id = ContactId::new().as_uuid();
        let at = written(at);
        self.push(
            CONTACTS,
            &[
                Some(&id.to_string()),
                name,
                phone,
                email,
                None,
                Some(&at),
                Some(&at),
            ],
        );
        self.known
            .phones
            .extend(phone.map(|phone| (phone.to_owned(), id)));
        id
    }

    pub(super) fn lead(&mut self, fields: &mut Fields<'_>, old: Option<String>) -> Option<Built> {
        let contact = reference(fields, "contact", &self.contacts);
        let name = fields.required("name", Name::parse).map(String::from);
        let phone = fields.optional("phone", Phone::parse).map(String::from);
        let email = fields.optional("email", Email::parse).map(String::from);
        let source = fields.optional("source", Source::parse).map(String::from);
        let stages = &self.known.stages;
        let stage = fields.optional("stage", |stage| {
            let stage = Stage::parse(stage)?;
            let is_known = stages.contains(stage.as_str());
            is_known
                .then_some(stage)
                .ok_or_else(|| Invalid::new("unknown_value", "is no stage of this tenant"))
        });
        let notes = fields.optional("notes", |notes| text(notes, NOTES_MAX));
        let (created, updated) = self.times(fields, self.now);
        refuse_second(
            fields,
            old.as_ref().is_some_and(|old| self.leads.contains_key(old)),
        );
        if fields.is_refused(0) {
            return None;
        }
        let name = name?;
        let stage = stage.unwrap_or_else(Stage::first);
        let contact = contact.or_else(|| {
            phone
                .is_some()
                .then(|| self.contact_of(phone.as_deref(), Some(&name), email.as_deref(), created))
        });
        let id = LeadId::new().as_uuid();
        let (shown, at) = (id.to_string(), written(created));
        self.push(
            LEADS,
            &[
                Some(&shown),
                Some(&name),
                phone.as_deref(),
                email.as_deref(),
                source.as_deref(),
                Some(stage.as_str()),
                notes.as_deref(),
                contact.map(|contact| contact.to_string()).as_deref(),
                Some(&at),
                Some(&written(updated)),
            ],
        );
        let change = LeadChangeId::new().to_string();
        self.push(
            LEAD_HISTORY,
            &[
                Some(&shown),
                Some(&change),
                Some(&at),
                Some("system"),
                Some("stage"),
                Some(stage.as_str()),
            ],
        );
        let unknown = contact.is_none();
        let lead = KnownLead {
            id,
            contact,
            name: unknown.then_some(name),
            email: email.filter(|_| unknown),
        };
        self.leads.extend(old.map(|old| (old, lead)));
        Some(Built::Row)
    }
}
