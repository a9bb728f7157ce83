-- What somebody sends along with a message is fetched after the message was stored. Null in `file_state`: nothing came along, or
-- nothing that can be fetched.

alter table messages add column file_state text;
-- Why it will not come.
alter table messages add column file_error text;
-- What its first bytes say that it is, whatever the sender says; once stored.
alter table messages add column file_type text;
-- How long it is; once stored.
alter table messages add column file_bytes bigint;
-- How often fetching it was tried.
alter table messages add column file_attempts integer not null default 0;
-- When it is tried next; while pending.
alter table messages add column file_due_at timestamptz;

alter table messages add constraint messages_file_state_check check (file_state in ('pending', 'stored', 'too_large', 'failed'));
alter table messages add constraint messages_file_check
    check ((coalesce(file_state, '') = 'pending') = (file_due_at is not null)
       and (coalesce(file_state, '') = 'stored') = (file_type is not null and file_bytes is not null)
       and (coalesce(file_state, '') = 'failed') = (file_error is not null));

-- What each bot has to fetch, in order: nothing, but for the moment, or while a provider is away.
create index messages_pending_file_idx on messages (instance_id, file_due_at) where file_state = 'pending';
