//! Contacts and leads: one person, one contact, however the number was written.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{Builder, Built, KnownLead, reference, refuse_second, written};
use crate::db::shard::import::{Filled, KnownContact, Merged, Table};
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
        if phone
            .as_ref()
            .is_some_and(|phone| self.known.phones.contains_key(phone))
        {
            let id = self.merge(fields, &phone?, [name, email, notes], updated)?;
            self.contacts.extend(old.map(|old| (old, id)));
            return Some(Built::Merged);
        }
        let id = ContactId::new().as_uuid();
        let values = [name.as_deref(), email.as_deref(), notes.as_deref()];
        let [name, email, notes] = values;
        self.push(
            CONTACTS,
            &[
                Some(&id.to_string()),
                name,
                phone.as_deref(),
                email,
                notes,
                Some(&written(created)),
                Some(&written(updated)),
            ],
        );
        let contact = KnownContact::new(id, values);
        self.known.phones.extend(phone.map(|phone| (phone, contact)));
        self.contacts.extend(old.map(|old| (old, id)));
        Some(Built::Row)
    }

    /// Gives the contact of this number what it lacks; what it has already stays, and what the row has instead is reported.
    fn merge(
        &mut self,
        fields: &mut Fields<'_>,
        phone: &str,
        values: [Option<String>; 3],
        updated_at: DateTime<Utc>,
    ) -> Option<Uuid> {
        let contact = self.known.phones.get_mut(phone)?;
        let names = ["name", "email", "notes"];
        for (place, (field, value)) in names.into_iter().zip(values).enumerate() {
            let Some(value) = value else { continue };
            match contact.merge(place, &value) {
                Merged::Same => {}
                Merged::Dropped => fields.dropped(field, value),
                Merged::Filled => {
                    let filled = self.filled.entry(contact.id).or_insert_with(|| Filled {
                        contact: contact.id,
                        values: [None, None, None],
                        updated_at,
                    });
                    filled.updated_at = filled.updated_at.max(updated_at);
                    if let Some(mine) = filled.values.get_mut(place) {
                        *mine = Some(value);
                    }
                }
            }
        }
        Some(contact.id)
    }

    /// The contact of a number, made if there is none.
    pub(super) fn contact_of(
        &mut self,
        phone: Option<&str>,
        name: Option<&str>,
        email: Option<&str>,
        at: DateTime<Utc>,
    ) -> Uuid {
        if let Some(known) = phone.and_then(|phone| self.known.phones.get(phone)) {
            return known.id;
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
            .extend(phone.map(|phone| (phone.to_owned(), KnownContact::new(id, [name, email, None]))));
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
