-- What bots keep that are linked to a WhatsApp account as a device: the device itself, and the keys with which it reads and writes.
-- Whatever somebody else could make use of is sealed for this tenant, this bot and this row.

-- One row for each bot that was ever run.
create table whatsapp_devices (
    instance_id     uuid        not null,
    -- Who runs it: whoever came last. Others are refused.
    owner           uuid        not null,
    -- The device: its own keys, and the account that it is linked to. Null: there is none.
    state_sealed    bytea,
    -- The last device that was logged out, and when. Its keys are gone.
    archived_sealed bytea,
    archived_at     timestamptz,
    updated_at      timestamptz not null,
    constraint whatsapp_devices_pkey primary key (instance_id),
    constraint whatsapp_devices_instance_id_fkey foreign key (instance_id) references instances (id) on delete cascade,
    constraint whatsapp_devices_archived_check check ((archived_sealed is null) = (archived_at is null))
);

-- What is looked up by a name: keys of conversations and of settings, what is known of others, and what is kept for a while. One
-- table, since tables are a budget and all of it is asked for in the same ways. What each kind is: `src/db/tenant/whatsapp/kind.rs`.
create table whatsapp_keys (
    instance_id  uuid             not null,
    kind         text             not null,
    -- Compared byte by byte, so that what begins alike stands together.
    name         text collate "C" not null,
    value_sealed bytea,
    -- Of a hidden name its number, of a number its hidden name.
    other        text collate "C",
    -- Numbers that are asked for: times in seconds, an order, a flag. Each kind has its own.
    at           bigint,
    also_at      bigint,
    constraint whatsapp_keys_pkey primary key (instance_id, kind, name),
    constraint whatsapp_keys_instance_id_fkey foreign key (instance_id) references whatsapp_devices (instance_id) on delete cascade,
    constraint whatsapp_keys_kind_check
        check (kind in ('identity', 'session', 'prekey', 'signed_prekey', 'sender_key', 'sync_key', 'sync_version', 'mac', 'lid', 'pn', 'base_key', 'device_list', 'group', 'group_device', 'tc_token', 'sent', 'inbound', 'secret')),
    constraint whatsapp_keys_name_check check (octet_length(name) between 1 and 400),
    constraint whatsapp_keys_value_check check (value_sealed is not null or kind in ('pn', 'group_device', 'tc_token'))
);
