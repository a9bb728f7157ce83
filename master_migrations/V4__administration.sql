-- Who runs the platform, what was done, and what makes a repeated request harmless.
-- Credentials of a tenant's own users live in that tenant's schema, never here.

create table admins (
    id            uuid        not null,
    email         text        not null,
    name          text        not null,
    password_hash text        not null,
    status        text        not null,
    version       integer     not null default 1,
    created_at    timestamptz not null,
    updated_at    timestamptz not null,
    constraint admins_pkey primary key (id),
    constraint admins_email_key unique (email),
    constraint admins_email_check
        check (email = lower(email) and email ~ '^[^@[:space:]]+@[^@[:space:]]+$' and char_length(email) <= 254),
    constraint admins_name_check check (char_length(name) between 1 and 200),
    constraint admins_password_hash_check check (password_hash like '$argon2id$%'),
    constraint admins_status_check check (status in ('active', 'disabled')),
    constraint admins_version_check check (version > 0)
);

create table admin_sessions (
    id         uuid        not null,
    admin_id   uuid        not null,
    -- SHA-256 of the whole token; the token itself is kept nowhere.
    token_hash bytea       not null,
    user_agent text,
    created_at timestamptz not null,
    expires_at timestamptz not null,
    constraint admin_sessions_pkey primary key (id),
    constraint admin_sessions_token_hash_key unique (token_hash),
    constraint admin_sessions_admin_id_fkey foreign key (admin_id) references admins (id) on delete cascade,
    constraint admin_sessions_token_hash_check check (octet_length(token_hash) = 32),
    constraint admin_sessions_expiry_check check (expires_at > created_at)
);

-- Failed logins per key (a digest of an e-mail or an address), shared by all processes.
create table login_throttle (
    key               text        not null,
    failures          integer     not null,
    window_started_at timestamptz not null,
    blocked_until     timestamptz,
    constraint login_throttle_pkey primary key (key),
    constraint login_throttle_key_check check (char_length(key) between 1 and 200),
    constraint login_throttle_failures_check check (failures >= 0)
);

-- A bot token belongs to one tenant of the whole platform: two pollers of one bot steal each other's messages.
create table bot_tokens (
    token_hash  bytea       not null,
    tenant_id   uuid        not null,
    instance_id uuid        not null,
    created_at  timestamptz not null,
    constraint bot_tokens_pkey primary key (token_hash),
    constraint bot_tokens_instance_id_key unique (instance_id),
    constraint bot_tokens_tenant_id_fkey foreign key (tenant_id) references tenants (id) on delete cascade,
    constraint bot_tokens_token_hash_check check (octet_length(token_hash) = 32)
);

create table idempotency_keys (
    -- Who asked and what for, for example `admin:<id>:create_tenant`: keys of different callers never meet.
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

-- It outlives tenants and administrators, hence no foreign keys.
create table audit_log (
    id         uuid        not null,
    at         timestamptz not null,
    actor_kind text        not null,
    actor_id   uuid,
    action     text        not null,
    entity     text        not null,
    entity_id  text,
    tenant_id  uuid,
    request_id text,
    details    jsonb       not null default '{}',
    constraint audit_log_pkey primary key (id),
    constraint audit_log_actor_kind_check check (actor_kind in ('admin', 'system', 'cli')),
    constraint audit_log_actor_check check (actor_kind <> 'admin' or actor_id is not null),
    constraint audit_log_action_check check (char_length(action) between 1 and 100),
    constraint audit_log_details_check check (jsonb_typeof(details) = 'object')
);

-- One tenant's history, newest first (ids are in order of time); the whole log is read by the primary key.
create index audit_log_tenant_id_idx on audit_log (tenant_id, id desc) where tenant_id is not null;

create trigger audit_log_append_only before update or delete or truncate on audit_log
    for each statement execute function refuse_rewriting_history();
