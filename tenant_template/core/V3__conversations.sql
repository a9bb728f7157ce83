-- What was said, on every channel, and whether the bot or a person is speaking.

create table conversations (
    id              uuid        not null,
    contact_id      uuid        not null,
    channel         text        not null,
    -- The bot (a number, an account) this conversation is held with.
    instance_id     uuid        not null,
    -- The provider's name of the chat. With the instance it makes one conversation, whatever arrives twice.
    external_id     text        not null,
    status          text        not null,
    assigned_to     uuid,
    -- Set when a person answers: the bot is silent until then.
    bot_paused_until timestamptz,
    unread_count    integer     not null default 0,
    last_message_at timestamptz not null,
    version         integer     not null default 1,
    created_at      timestamptz not null,
    updated_at      timestamptz not null,
    constraint conversations_pkey primary key (id),
    constraint conversations_instance_id_external_id_key unique (instance_id, external_id),
    constraint conversations_contact_id_fkey foreign key (contact_id) references contacts (id),
    constraint conversations_assigned_to_fkey foreign key (assigned_to) references users (id) on delete set null,
    constraint conversations_channel_check check (channel in ('telegram', 'whatsapp_web', 'whatsapp_cloud')),
    constraint conversations_external_id_check check (char_length(external_id) between 1 and 200),
    constraint conversations_status_check check (status in ('open', 'pending', 'closed')),
    constraint conversations_unread_count_check check (unread_count >= 0),
    constraint conversations_version_check check (version > 0)
);

-- The inbox: latest word first, by cursor.
create index conversations_last_message_at_id_idx on conversations (last_message_at desc, id desc);

create table messages (
    id                  uuid        not null,
    conversation_id     uuid        not null,
    instance_id         uuid        not null,
    direction           text        not null,
    author              text        not null,
    user_id             uuid,
    kind                text        not null,
    body                text,
    -- What a kind carries besides text: buttons, media references, coordinates.
    payload             jsonb       not null default '{}',
    -- Null until the provider has accepted an outbound message.
    provider_message_id text,
    status              text        not null,
    error               text,
    created_at          timestamptz not null,
    -- Inbound: when its effects were committed. Stored but not processed is done again after a crash.
    processed_at        timestamptz,
    constraint messages_pkey primary key (id),
    -- A redelivery is seen here, not in a cache.
    constraint messages_instance_id_provider_message_id_key unique (instance_id, provider_message_id),
    constraint messages_conversation_id_fkey foreign key (conversation_id) references conversations (id) on delete cascade,
    constraint messages_user_id_fkey foreign key (user_id) references users (id) on delete set null,
    constraint messages_direction_check check (direction in ('inbound', 'outbound')),
    constraint messages_author_check check (author in ('contact', 'bot', 'user')),
    constraint messages_direction_author_check check ((direction = 'inbound') = (author = 'contact')),
    constraint messages_kind_check
        check (kind in ('text', 'image', 'audio', 'video', 'document', 'sticker', 'location', 'contact', 'buttons', 'list', 'other')),
    constraint messages_body_check check (char_length(body) <= 65536),
    constraint messages_payload_check check (jsonb_typeof(payload) = 'object'),
    constraint messages_status_check check (status in ('received', 'queued', 'sent', 'delivered', 'read', 'failed')),
    constraint messages_direction_status_check check ((direction = 'inbound') = (status = 'received'))
);

-- One conversation, in order, by cursor.
create index messages_conversation_id_created_at_idx on messages (conversation_id, created_at desc, id desc);
