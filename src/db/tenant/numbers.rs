//! Conversations with a number, whoever has it: found, or made with their contact.

use chrono::{DateTime, Utc};

use super::inbound::LOCK_INSTANCE;
use super::query::Query;
use crate::domain::conversation::Channel;
use crate::domain::ids::{ContactId, ConversationId, InstanceId};
use crate::domain::phone::Phone;

const ENSURE_CONTACT: &str = "\
insert into contacts (id, phone, created_at, updated_at) select $1, $2, $3, $3
where not exists (select from conversations where instance_id = $4 and external_id = $5)
on conflict on constraint contacts_phone_key do nothing";

// One that was begun here and that no bot holds is this bot's from now on.
const ADOPT: &str = "\
update conversations c set instance_id = $1, external_id = $2, updated_at = $5 from contacts k
where k.phone = $3 and c.contact_id = k.id and c.channel = $4 and c.instance_id is null
  and not exists (select from conversations o where o.instance_id = $1 and (o.contact_id = k.id or o.external_id = $2))";

const ENSURE_CONVERSATION: &str = "\
insert into conversations (id, contact_id, channel, instance_id, external_id, status, last_message_at, created_at, updated_at)
select $1, k.id, $2, $3, $4, 'open', $5, $5, $5 from contacts k
where k.phone = $6 and not exists (select from conversations o where o.instance_id = $3 and (o.contact_id = k.id or o.external_id = $4))";

/// What there has to be before something can be said: the bot, the contact, the conversation.
pub type Ensured = (Query<u64>, Query<u64>, Query<u64>, Query<u64>);

/// Sees to it that the bot has a conversation of this name, which is that with whoever has this number; under another form of the number, or
/// with a contact whose number was changed since, it may have one already.
/// Refuses when there is no such bot.
pub fn ensure(
    instance: InstanceId,
    channel: Channel,
    chat: String,
    phone: &Phone,
    now: DateTime<Utc>,
) -> Ensured {
    let phone = String::from(phone.clone());
    let lock = Query::execute(LOCK_INSTANCE).bind(instance.as_uuid());
    let contact = Query::execute(ENSURE_CONTACT)
        .bind(ContactId::new().as_uuid())
        .bind(phone.clone())
        .bind(now)
        .bind(instance.as_uuid())
        .bind(chat.clone());
    let adopt = Query::execute(ADOPT)
        .bind(instance.as_uuid())
        .bind(chat.clone())
        .bind(phone.clone())
        .bind(channel.as_str())
        .bind(now);
    let conversation = Query::execute(ENSURE_CONVERSATION)
        .bind(ConversationId::new().as_uuid())
        .bind(channel.as_str())
        .bind(instance.as_uuid())
        .bind(chat)
        .bind(now)
        .bind(phone);
    (lock, contact, adopt, conversation)
}
