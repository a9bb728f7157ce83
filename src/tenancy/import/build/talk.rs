//! Conversations and messages: history, of which nothing is sent or answered.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{Builder, Built, name_of, reference, refuse_second, written};
use crate::db::shard::import::Table;
use crate::domain::conversation::{Channel, ConversationStatus};
use crate::domain::ids::{ConversationId, MessageId};
use crate::domain::invalid::Invalid;
use crate::domain::message::{Author, MessageKind};
use crate::domain::phone::Phone;
use crate::domain::text::{Name, text};
use crate::tenancy::import::fields::Fields;

/// What the table takes; what is sent may be shorter only.
const BODY_MAX: usize = 65_536;

pub(super) const CONVERSATIONS: Table = Table {
    name: "conversations",
    columns: &[
        "id",
        "contact_id",
        "channel",
        "status",
        "last_message_at",
        "created_at",
        "updated_at",
    ],
};
pub(super) const MESSAGES: Table = Table {
    name: "messages",
    columns: &[
        "id",
        "conversation_id",
        "direction",
        "author",
        "kind",
        "body",
        "status",
        "created_at",
        "processed_at",
    ],
};

impl Builder {
    pub(super) fn conversation(&mut self, fields: &mut Fields<'_>, old: Option<String>) -> Option<Built> {
        let lead = name_of(fields, "lead", &self.leads);
        let contact = reference(fields, "contact", &self.contacts);
        let name = fields.optional("name", Name::parse).map(String::from);
        let phone = fields.optional("phone", Phone::parse).map(String::from);
        let channel = fields
            .optional("channel", Channel::parse)
            .unwrap_or(Channel::WhatsappWeb);
        let status = fields
            .optional("status", ConversationStatus::parse)
            .unwrap_or(ConversationStatus::Closed);
        let (created, updated) = self.times(fields, self.now);
        refuse_second(
            fields,
            old.as_ref()
                .is_some_and(|old| self.conversations.contains_key(old)),
        );
        if lead.is_none() && contact.is_none() && phone.is_none() && !fields.is_refused(0) {
            let nobody = Invalid::new("required", "names neither a lead nor a contact nor a number");
            fields.refuse("lead", nobody, None);
        }
        if fields.is_refused(0) {
            return None;
        }
        let contact = match contact {
            Some(contact) => contact,
            None => self.partner(lead.as_deref(), phone.as_deref(), name.as_deref(), created),
        };
        let chat = (contact, channel.as_str().to_owned());
        if let Some(known) = self.known.conversations.get(&chat) {
            self.conversations.extend(old.map(|old| (old, (*known, created))));
            return Some(Built::Merged);
        }
        let id = ConversationId::new().as_uuid();
        let at = written(created);
        self.push(
            CONVERSATIONS,
            &[
                Some(&id.to_string()),
                Some(&contact.to_string()),
                Some(channel.as_str()),
                Some(status.as_str()),
                Some(&at),
                Some(&at),
                Some(&written(updated)),
            ],
        );
        self.known.conversations.insert(chat, id);
        self.conversations.extend(old.map(|old| (old, (id, created))));
        Some(Built::Row)
    }

    /// With whom a conversation is held: its lead's contact, who is made when there is none yet, else the number's.
    fn partner(
        &mut self,
        lead: Option<&str>,
        phone: Option<&str>,
        name: Option<&str>,
        at: DateTime<Utc>,
    ) -> Uuid {
        let known = lead.and_then(|lead| self.leads.get(lead));
        if let Some(contact) = known.and_then(|lead| lead.contact) {
            return contact;
        }
        let of_lead = known.map(|lead| (lead.id, lead.name.clone(), lead.email.clone()));
        let (id, lead_name, lead_email) = match of_lead {
            Some((id, name, email)) => (Some(id), name, email),
            None => (None, None, None),
        };
        let contact = self.contact_of(phone, name.or(lead_name.as_deref()), lead_email.as_deref(), at);
        if let Some(known) = lead.and_then(|lead| self.leads.get_mut(lead)) {
            known.contact = Some(contact);
        }
        self.links.extend(id.map(|id| (id, contact)));
        contact
    }

    pub(super) fn message(&mut self, fields: &mut Fields<'_>) -> Option<Built> {
        let conversation = reference(fields, "conversation", &self.conversations);
        if conversation.is_none() && !fields.is_refused(0) {
            fields.refuse("conversation", Invalid::required(), None);
        }
        let author = fields.required("author", Author::parse);
        let kind = fields
            .optional("kind", MessageKind::parse)
            .unwrap_or(MessageKind::Text);
        let body = fields.optional("body", |body| text(body, BODY_MAX));
        if kind == MessageKind::Text && body.is_none() && !fields.is_refused(0) {
            fields.refuse("body", Invalid::required(), None);
        }
        let begun = conversation.map_or(self.now, |(_, begun)| begun);
        let (created, _) = self.times(fields, begun);
        if fields.is_refused(0) {
            return None;
        }
        let at = written(created);
        let is_inbound = author? == Author::Contact;
        // Read long ago: what is not processed would be answered now.
        let processed = is_inbound.then_some(at.as_str());
        self.push(
            MESSAGES,
            &[
                Some(&MessageId::new().to_string()),
                Some(&conversation?.0.to_string()),
                Some(if is_inbound { "inbound" } else { "outbound" }),
                author.map(Author::as_str),
                Some(kind.as_str()),
                body.as_deref(),
                Some(if is_inbound { "received" } else { "sent" }),
                Some(&at),
                processed,
            ],
        );
        Some(Built::Row)
    }
}
