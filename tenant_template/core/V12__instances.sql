-- The bots of a tenant, one row for each: what they are called, what they say first, with which credentials they are let in.

create table instances (
    id                 uuid        not null,
    channel            text        not null,
    name               text        not null,
    -- As the provider calls it; it says so when the bot comes in.
    username           text,
    -- Who looks after it; null: somebody who has since been removed.
    owner_id           uuid,
    -- Sealed for this tenant and this row: worthless in any other. Null once removed.
    credentials_sealed bytea,
    initial_message    text,
    vip_link           text,
    is_active          boolean     not null,
    -- What has become of it, as whoever runs it has last seen.
    state              text        not null,
    state_detail       jsonb       not null default '{}',
    state_changed_at   timestamptz not null,
    -- Between two messages, besides what the provider demands.
    message_delay_ms   integer     not null,
    -- How often sending a message is tried.
    max_attempts       integer     not null,
    auto_reconnect     boolean     not null,
    version            integer     not null default 1,
    created_at         timestamptz not null,
    updated_at         timestamptz not null,
    -- Removed: its conversations stay.
    deleted_at         timestamptz,
    constraint instances_pkey primary key (id),
    constraint instances_owner_id_fkey foreign key (owner_id) references users (id) on delete set null,
    constraint instances_channel_check check (channel in ('telegram', 'whatsapp_web', 'whatsapp_cloud')),
    constraint instances_name_check check (char_length(name) between 1 and 100),
    constraint instances_username_check check (char_length(username) between 1 and 100),
    constraint instances_initial_message_check check (char_length(initial_message) between 1 and 4096),
    constraint instances_vip_link_check check (char_length(vip_link) between 1 and 500),
    constraint instances_state_check
        check (state in ('created', 'starting', 'awaiting_qr', 'awaiting_pair_code', 'awaiting_passkey', 'pairing', 'connected', 'reconnecting', 'qr_expired', 'replaced', 'banned', 'outdated', 'logged_out', 'stopped', 'failed')),
    constraint instances_state_detail_check check (jsonb_typeof(state_detail) = 'object'),
    constraint instances_message_delay_ms_check check (message_delay_ms between 0 and 60000),
    constraint instances_max_attempts_check check (max_attempts between 1 and 20),
    constraint instances_version_check check (version > 0),
    constraint instances_deleted_check check (deleted_at is null or (credentials_sealed is null and not is_active))
);

-- What came in and waits for an answer: nothing, but for the moment, or after a crash.
create index messages_unprocessed_idx on messages (instance_id, id) where direction = 'inbound' and processed_at is null;
-- What was said before it in the same conversation, and waits still.
create index messages_queued_in_conversation_idx on messages (conversation_id, id) where status = 'queued';
-- What waits to be sent by a bot, in order.
create index messages_queued_idx on messages (instance_id, id) where status = 'queued';
