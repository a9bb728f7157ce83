-- Work of the platform itself, and which template version each tenant has.

create table jobs (
    id           uuid        not null,
    kind         text        not null,
    payload      jsonb       not null,
    tenant_id    uuid,
    state        text        not null,
    run_at       timestamptz not null,
    attempts     integer     not null default 0,
    max_attempts integer     not null,
    -- A claim is a short lease, never a long transaction.
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
    constraint jobs_tenant_id_fkey foreign key (tenant_id) references tenants (id) on delete cascade,
    constraint jobs_kind_check check (kind ~ '^[a-z][a-z0-9_]{1,79}$'),
    constraint jobs_state_check check (state in ('queued', 'done', 'dead')),
    constraint jobs_attempts_check check (attempts >= 0 and max_attempts > 0),
    constraint jobs_lease_check check ((leased_until is null) = (leased_by is null))
);

create index jobs_due_idx on jobs (run_at) where state = 'queued';

-- A mirror of the two histories in each tenant's schema, so that "who is behind?" is one query here.
create table tenant_migrations (
    tenant_id   uuid        not null,
    -- `core`, or the name of the niche.
    ledger      text        not null,
    -- The version reached; 0 before the first.
    version     integer     not null,
    status      text        not null,
    error       text,
    duration_ms bigint,
    applied_at  timestamptz,
    updated_at  timestamptz not null,
    constraint tenant_migrations_pkey primary key (tenant_id, ledger),
    constraint tenant_migrations_tenant_id_fkey foreign key (tenant_id) references tenants (id) on delete cascade,
    constraint tenant_migrations_ledger_check check (ledger ~ '^[a-z][a-z0-9_]{0,39}$'),
    constraint tenant_migrations_version_check check (version >= 0),
    constraint tenant_migrations_status_check check (status in ('pending', 'applied', 'failed')),
    constraint tenant_migrations_error_check check ((status = 'failed') = (error is not null)),
    constraint tenant_migrations_duration_ms_check check (duration_ms >= 0)
);
