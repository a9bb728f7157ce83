-- What has to happen after a commit, what has happened, and what makes a repeated request harmless.
-- They live beside the rows they speak of, so that a row, its audit and its work commit together.

-- Messages to the outside. The row's id is also the key of its metering reservation.
create table outbox (
    id           uuid        not null,
    kind         text        not null,
    payload      jsonb       not null,
    state        text        not null,
    due_at       timestamptz not null,
    attempts     integer     not null default 0,
    max_attempts integer     not null,
    leased_until timestamptz,
    leased_by    uuid,
    last_error   text,
    created_at   timestamptz not null,
    updated_at   timestamptz not null,
    constraint outbox_pkey primary key (id),
    constraint outbox_kind_check check (kind ~ '^[a-z][a-z0-9_]{1,79}$'),
    constraint outbox_state_check check (state in ('pending', 'sent', 'failed', 'canceled')),
    constraint outbox_attempts_check check (attempts >= 0 and max_attempts > 0),
    constraint outbox_lease_check check ((leased_until is null) = (leased_by is null))
);

create index outbox_due_idx on outbox (due_at) where state = 'pending';

create table jobs (
    id           uuid        not null,
    kind         text        not null,
    payload      jsonb       not null,
    state        text        not null,
    run_at       timestamptz not null,
    attempts     integer     not null default 0,
    max_attempts integer     not null,
    leased_until timestamptz,
    leased_by    uuid,
    last_error   text,
    -- Kept after the job is done, so that two schedulers with one tick enqueue once: recurring work puts
    -- the time of its tick in the key.
    dedupe_key   text,
    created_at   timestamptz not null,
    updated_at   timestamptz not null,
    constraint jobs_pkey primary key (id),
    constraint jobs_dedupe_key_key unique (dedupe_key),
    constraint jobs_kind_check check (kind ~ '^[a-z][a-z0-9_]{1,79}$'),
    constraint jobs_state_check check (state in ('queued', 'done', 'dead')),
    constraint jobs_attempts_check check (attempts >= 0 and max_attempts > 0),
    constraint jobs_lease_check check ((leased_until is null) = (leased_by is null))
);

create index jobs_due_idx on jobs (run_at) where state = 'queued';

create table idempotency_keys (
    -- Who asked and what for, for example `user:<id>:create_lead`: keys of different callers never meet.
    scope           text        not null,
    key             text        not null,
    request_hash    bytea       not null,
    -- Null while the first request is at work.
    status_code     smallint,
    -- The answer, sealed: it may hold a secret that is shown once.
    response_sealed bytea,
    resource_id     uuid,
    created_at      timestamptz not null,
    expires_at      timestamptz not null,
    constraint idempotency_keys_pkey primary key (scope, key),
    constraint idempotency_keys_scope_check check (char_length(scope) between 1 and 200),
    constraint idempotency_keys_key_check check (char_length(key) between 1 and 200),
    constraint idempotency_keys_request_hash_check check (octet_length(request_hash) = 32),
    constraint idempotency_keys_status_code_check check (status_code between 200 and 599),
    constraint idempotency_keys_answer_check check (response_sealed is null or status_code is not null)
);

-- Append-only: the tenant's role may insert and select, nothing else (granted so at provisioning).
-- No foreign keys, since it outlives users; read newest first by its key, ids being in order of time.
create table audit_log (
    id         uuid        not null,
    at         timestamptz not null,
    actor_kind text        not null,
    actor_id   uuid,
    action     text        not null,
    entity     text        not null,
    entity_id  text,
    request_id text,
    details    jsonb       not null default '{}',
    constraint audit_log_pkey primary key (id),
    constraint audit_log_actor_kind_check check (actor_kind in ('user', 'api_key', 'admin', 'bot', 'system')),
    constraint audit_log_action_check check (char_length(action) between 1 and 100),
    constraint audit_log_details_check check (jsonb_typeof(details) = 'object')
);
