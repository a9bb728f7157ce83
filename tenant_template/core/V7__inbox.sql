-- What people do with a conversation: they begin one themselves, label it, and put it off until later.

-- Null, both: begun here with somebody who has not written. The bot that sends the first message takes the conversation
-- over; so does the first message that comes in from this contact on this channel.
alter table conversations alter column instance_id drop not null;
alter table conversations alter column external_id drop not null;
alter table messages alter column instance_id drop not null;

-- The tenant's own words.
alter table conversations add column labels text[] not null default '{}';
-- Out of sight until then.
alter table conversations add column snoozed_until timestamptz;

alter table conversations add constraint conversations_instance_id_external_id_check
    check ((instance_id is null) = (external_id is null));
alter table conversations add constraint conversations_labels_check
    check (cardinality(labels) <= 20 and array_position(labels, null) is null);

-- The conversations of a contact, asked before a contact is removed, too; and of those that no bot holds yet one per
-- channel, whoever begins them at the same moment.
alter table conversations add constraint conversations_contact_id_channel_instance_id_external_id_key
    unique nulls not distinct (contact_id, channel, instance_id, external_id);
