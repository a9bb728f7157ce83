-- What people who answer write for each other, words that they use again and again, and what they are to look at.

create table conversation_notes (
    id              uuid        not null,
    conversation_id uuid        not null,
    -- Null: a program, or somebody who has since been removed.
    user_id         uuid,
    body            text        not null,
    version         integer     not null default 1,
    created_at      timestamptz not null,
    updated_at      timestamptz not null,
    constraint conversation_notes_pkey primary key (id),
    constraint conversation_notes_conversation_id_fkey foreign key (conversation_id) references conversations (id) on delete cascade,
    constraint conversation_notes_user_id_fkey foreign key (user_id) references users (id) on delete set null,
    constraint conversation_notes_body_check check (char_length(body) between 1 and 4096),
    constraint conversation_notes_version_check check (version > 0)
);

-- Those of a conversation, newest first.
create index conversation_notes_conversation_id_created_at_id_idx on conversation_notes (conversation_id, created_at desc, id desc);

create table canned_replies (
    id         uuid        not null,
    -- What one types to have it.
    shortcut   text        not null,
    body       text        not null,
    version    integer     not null default 1,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    constraint canned_replies_pkey primary key (id),
    constraint canned_replies_shortcut_key unique (shortcut),
    constraint canned_replies_shortcut_check check (shortcut ~ '^[a-z0-9][a-z0-9_-]{0,39}$'),
    constraint canned_replies_body_check check (char_length(body) between 1 and 4096),
    constraint canned_replies_version_check check (version > 0)
);

create table notifications (
    id              uuid        not null,
    user_id         uuid        not null,
    kind            text        not null,
    conversation_id uuid,
    instance_id     uuid,
    created_at      timestamptz not null,
    read_at         timestamptz,
    -- Those of a user, newest first: ids are in order of time.
    constraint notifications_pkey primary key (user_id, id),
    constraint notifications_user_id_fkey foreign key (user_id) references users (id) on delete cascade,
    constraint notifications_conversation_id_fkey foreign key (conversation_id) references conversations (id) on delete cascade,
    constraint notifications_instance_id_fkey foreign key (instance_id) references instances (id) on delete cascade,
    constraint notifications_kind_check check (
        (kind in ('conversation_assigned', 'message_received') and conversation_id is not null and instance_id is null)
        or (kind = 'bot_needs_person' and conversation_id is null and instance_id is not null))
);

-- What somebody has not looked at yet they are told once; also those of a conversation that is removed.
create unique index notifications_unread_key on notifications (conversation_id, instance_id, kind, user_id) nulls not distinct
    where read_at is null;
