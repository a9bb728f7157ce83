-- Words that are said later, once or again and again.

create table scheduled_messages (
    id              uuid        not null,
    conversation_id uuid        not null,
    -- In whose name; null: a program's, or of somebody who has since been removed.
    user_id         uuid,
    -- With placeholders, which are filled when it is said.
    body            text        not null,
    -- What fills them, besides what is known of the contact by then.
    variables       jsonb       not null,
    time_zone       text        not null,
    -- Null: once.
    recurrence      jsonb,
    state           text        not null,
    -- When it is said next; null when it is said no more.
    next_at         timestamptz,
    -- How often it was said.
    told            integer     not null default 0,
    -- The moment that was decided last, and what was decided.
    last_at         timestamptz,
    last_outcome    text,
    last_reason     text,
    last_message_id uuid,
    -- It was due before a restore: what was said since then is not known here, so it is passed over.
    restored        boolean     not null default false,
    version         integer     not null default 1,
    created_at      timestamptz not null,
    updated_at      timestamptz not null,
    constraint scheduled_messages_pkey primary key (id),
    constraint scheduled_messages_conversation_id_fkey foreign key (conversation_id) references conversations (id) on delete cascade,
    constraint scheduled_messages_user_id_fkey foreign key (user_id) references users (id) on delete set null,
    constraint scheduled_messages_body_check check (char_length(body) between 1 and 4096),
    constraint scheduled_messages_variables_check check (jsonb_typeof(variables) = 'object'),
    constraint scheduled_messages_recurrence_check check (jsonb_typeof(recurrence) = 'object'),
    constraint scheduled_messages_state_check check (state in ('scheduled', 'done', 'canceled')),
    constraint scheduled_messages_next_at_check check ((state = 'scheduled') = (next_at is not null)),
    constraint scheduled_messages_last_outcome_check check (last_outcome in ('queued', 'skipped')),
    constraint scheduled_messages_version_check check (version > 0)
);

-- What is due, and when the next one is.
create index scheduled_messages_next_at_idx on scheduled_messages (next_at) where state = 'scheduled';
