-- Who may use this tenant: people, their sessions, and the keys of programs.
-- The request's own pipeline looks a token or key up here, so a logout or a revocation holds at once.

create table users (
    id            uuid        not null,
    email         text        not null,
    name          text        not null,
    password_hash text        not null,
    role          text        not null,
    status        text        not null,
    version       integer     not null default 1,
    created_at    timestamptz not null,
    updated_at    timestamptz not null,
    constraint users_pkey primary key (id),
    constraint users_email_key unique (email),
    constraint users_email_check
        check (email = lower(email) and email ~ '^[^@[:space:]]+@[^@[:space:]]+$' and char_length(email) <= 254),
    constraint users_name_check check (char_length(name) between 1 and 200),
    constraint users_password_hash_check check (password_hash like '$argon2id$%'),
    constraint users_role_check check (role in ('owner', 'manager', 'agent')),
    constraint users_status_check check (status in ('active', 'disabled')),
    constraint users_version_check check (version > 0)
);

create table sessions (
    id         uuid        not null,
    user_id    uuid        not null,
    -- SHA-256 of the whole token; the token itself is kept nowhere.
    token_hash bytea       not null,
    user_agent text,
    created_at timestamptz not null,
    expires_at timestamptz not null,
    constraint sessions_pkey primary key (id),
    constraint sessions_token_hash_key unique (token_hash),
    constraint sessions_user_id_fkey foreign key (user_id) references users (id) on delete cascade,
    constraint sessions_token_hash_check check (octet_length(token_hash) = 32),
    constraint sessions_user_agent_check check (char_length(user_agent) <= 400),
    constraint sessions_expiry_check check (expires_at > created_at)
);

create table api_keys (
    id           uuid        not null,
    name         text        not null,
    -- The eight characters shown in lists, so that a person can tell keys apart.
    prefix       text        not null,
    key_hash     bytea       not null,
    scopes       text[]      not null,
    -- Null: made at onboarding, or by a user who has since been removed.
    created_by   uuid,
    created_at   timestamptz not null,
    last_used_at timestamptz,
    revoked_at   timestamptz,
    constraint api_keys_pkey primary key (id),
    constraint api_keys_key_hash_key unique (key_hash),
    constraint api_keys_created_by_fkey foreign key (created_by) references users (id) on delete set null,
    constraint api_keys_name_check check (char_length(name) between 1 and 100),
    constraint api_keys_prefix_check check (char_length(prefix) = 8),
    constraint api_keys_key_hash_check check (octet_length(key_hash) = 32),
    constraint api_keys_scopes_check check (scopes <@ array['read', 'write'] and cardinality(scopes) between 1 and 2)
) with (fillfactor = 80); -- last_used_at changes in place

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

create table settings (
    key        text        not null,
    value      jsonb       not null,
    updated_at timestamptz not null,
    constraint settings_pkey primary key (key),
    constraint settings_key_check check (key ~ '^[a-z][a-z0-9_.]{0,79}$')
);
