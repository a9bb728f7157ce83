-- The same words to many, and who wants none of it.

-- Since then the contact gets no broadcasts.
alter table contacts add column opted_out_at timestamptz;

create table broadcasts (
    id              uuid        not null,
    name            text        not null,
    instance_id     uuid        not null,
    -- In whose name; null: a program's, or of somebody who has since been removed.
    user_id         uuid,
    -- With placeholders, which are filled for each recipient.
    body            text        not null,
    variables       jsonb       not null,
    -- Who is meant.
    segment         jsonb       not null,
    pace_per_minute integer     not null,
    state           text        not null,
    -- Why it is paused or canceled, when nobody said so.
    reason          text,
    -- When something is done about it next; null: nothing until somebody says so.
    next_at         timestamptz,
    started_at      timestamptz,
    ended_at        timestamptz,
    -- Contacts up to this one were looked at: who is meant is fixed page by page.
    filled_to       uuid,
    filled          boolean     not null default false,
    -- Up to this moment the pace is used up.
    paced_at        timestamptz,
    -- Of the recipients below, counted where they change.
    total           integer     not null default 0,
    queued          integer     not null default 0,
    sent            integer     not null default 0,
    failed          integer     not null default 0,
    skipped         integer     not null default 0,
    opted_out       integer     not null default 0,
    version         integer     not null default 1,
    created_at      timestamptz not null,
    updated_at      timestamptz not null,
    constraint broadcasts_pkey primary key (id),
    constraint broadcasts_instance_id_fkey foreign key (instance_id) references instances (id),
    constraint broadcasts_user_id_fkey foreign key (user_id) references users (id) on delete set null,
    constraint broadcasts_name_check check (char_length(name) between 1 and 200),
    constraint broadcasts_body_check check (char_length(body) between 1 and 4096),
    constraint broadcasts_variables_check check (jsonb_typeof(variables) = 'object'),
    constraint broadcasts_segment_check check (jsonb_typeof(segment) = 'object'),
    constraint broadcasts_pace_per_minute_check check (pace_per_minute between 1 and 600),
    constraint broadcasts_state_check check (state in ('draft', 'scheduled', 'running', 'paused', 'done', 'canceled')),
    constraint broadcasts_counts_check
        check (queued >= 0 and sent >= 0 and failed >= 0 and skipped >= 0 and opted_out >= 0
               and queued + sent + failed + skipped + opted_out <= total),
    constraint broadcasts_version_check check (version > 0)
);

-- Contacts and conversations may go: what is left says that somebody was told.
create table broadcast_recipients (
    broadcast_id    uuid not null,
    contact_id      uuid not null,
    conversation_id uuid not null,
    state           text not null,
    message_id      uuid,
    constraint broadcast_recipients_pkey primary key (broadcast_id, contact_id),
    constraint broadcast_recipients_broadcast_id_fkey foreign key (broadcast_id) references broadcasts (id) on delete cascade,
    constraint broadcast_recipients_state_check
        check (state in ('pending', 'queued', 'sent', 'failed', 'skipped', 'opted_out'))
);

-- Whose turn it is, and whose message is under way.
create index broadcast_recipients_open_idx on broadcast_recipients (broadcast_id, state, contact_id)
    where state in ('pending', 'queued');
