-- Who our clients are and where each one lives.
-- A shard is one database; a lane is one login role of a shard, shared by a bounded number of tenants;
-- a tenant is one schema and one role on a lane. Names of schemas and roles are stored here at creation
-- and never derived again, so that a rename touches the key and the host only.

create table shards (
    id                  uuid        not null,
    name                text        not null,
    kind                text        not null,
    -- Address of a remote server, sealed with the platform key. Null: the database this table lives in.
    database_url_sealed bytea,
    role_prefix         text        not null,
    status              text        not null,
    -- Bounds the sum of the lanes' capacities; checked when a lane is opened.
    max_tenants         integer     not null,
    -- Raised when the address or the credentials change: pools of an older epoch are dropped.
    epoch               bigint      not null default 1,
    created_at          timestamptz not null,
    updated_at          timestamptz not null,
    constraint shards_pkey primary key (id),
    constraint shards_name_key unique (name),
    constraint shards_role_prefix_key unique (role_prefix),
    constraint shards_name_check check (name ~ '^[a-z][a-z0-9-]{0,38}[a-z0-9]$'),
    constraint shards_kind_check check (kind in ('local', 'remote')),
    constraint shards_address_check check ((kind = 'remote') = (database_url_sealed is not null)),
    constraint shards_role_prefix_check check (role_prefix ~ '^[a-z][a-z0-9]{3,15}$'),
    constraint shards_status_check check (status in ('open', 'closed')),
    constraint shards_max_tenants_check check (max_tenants > 0),
    constraint shards_epoch_check check (epoch > 0)
);

create table lanes (
    shard_id      uuid        not null,
    number        integer     not null,
    login         text        not null,
    status        text        not null,
    -- Set role gets slower with the number of memberships of a login, so a lane is bounded.
    capacity      integer     not null default 250,
    -- Exact: taken and given back in the transaction that places or removes a tenant, by one guarded
    -- update (`set tenants_count = tenants_count + 1 where … and tenants_count < capacity`).
    tenants_count integer     not null default 0,
    created_at    timestamptz not null,
    updated_at    timestamptz not null,
    constraint lanes_pkey primary key (shard_id, number),
    constraint lanes_login_key unique (login),
    constraint lanes_shard_id_fkey foreign key (shard_id) references shards (id),
    constraint lanes_number_check check (number > 0),
    constraint lanes_login_check check (login ~ '^[a-z][a-z0-9_]{0,62}$'),
    constraint lanes_status_check check (status in ('open', 'closed')),
    constraint lanes_capacity_check check (capacity > 0),
    constraint lanes_tenants_count_check check (tenants_count between 0 and capacity)
);

create table tenants (
    id               uuid        not null,
    tenant_key       text        not null,
    name             text        not null,
    niche            text        not null,
    schema_name      text        not null,
    role_name        text        not null,
    shard_id         uuid        not null,
    lane             integer     not null,
    -- Raised by each move and swap; a request that resolved an older epoch resolves again.
    epoch            bigint      not null default 1,
    status           text        not null,
    document         text,
    owner_email      text        not null,
    -- What the onboarding needs to go on after a crash, sealed with the platform key; gone once it is complete.
    onboarding_sealed bytea,
    -- Who is working on this row (provisioning, deleting, moving) and until when; expired: the reconciler's.
    lease_owner      uuid,
    lease_expires_at timestamptz,
    created_at       timestamptz not null,
    updated_at       timestamptz not null,
    activated_at     timestamptz,
    suspended_at     timestamptz,
    suspended_reason text,
    constraint tenants_pkey primary key (id),
    constraint tenants_tenant_key_key unique (tenant_key),
    constraint tenants_shard_id_schema_name_key unique (shard_id, schema_name),
    -- Roles are cluster-wide: two tenants with one role would read each other.
    constraint tenants_role_name_key unique (role_name),
    constraint tenants_lane_fkey foreign key (shard_id, lane) references lanes (shard_id, number),
    constraint tenants_tenant_key_check check (tenant_key ~ '^[a-z][a-z0-9-]{1,38}[a-z0-9]$' and tenant_key !~ '^xn--'),
    constraint tenants_name_check check (char_length(name) between 1 and 200),
    constraint tenants_niche_check check (niche ~ '^[a-z][a-z0-9_]{0,39}$'),
    constraint tenants_schema_name_check check (schema_name ~ '^[a-z][a-z0-9_]{0,62}$' and schema_name !~ '^pg_'),
    constraint tenants_role_name_check check (role_name ~ '^[a-z][a-z0-9_]{0,62}$' and role_name !~ '^pg_'),
    constraint tenants_epoch_check check (epoch > 0),
    constraint tenants_status_check
        check (status in ('provisioning', 'active', 'suspended', 'archived', 'deleting', 'failed')),
    -- CPF: 11 digits. CNPJ: 12 letters or digits, then 2 check digits.
    constraint tenants_document_check check (document ~ '^([0-9]{11}|[0-9A-Z]{12}[0-9]{2})$'),
    constraint tenants_owner_email_check
        check (owner_email = lower(owner_email) and owner_email ~ '^[^@[:space:]]+@[^@[:space:]]+$' and char_length(owner_email) <= 254),
    constraint tenants_onboarding_sealed_check check (onboarding_sealed is null or status = 'provisioning'),
    constraint tenants_lease_check check ((lease_owner is null) = (lease_expires_at is null)),
    constraint tenants_suspended_check check (status <> 'suspended' or suspended_at is not null)
);

-- The administrators' list: newest first, by cursor.
create index tenants_created_at_id_idx on tenants (created_at desc, id desc);
-- The reconciler's start-up question; nearly always empty.
create index tenants_unfinished_idx on tenants (lease_expires_at) where status in ('provisioning', 'deleting');

-- Keys nobody may take for now: the former key of a renamed tenant (its links still lead here) and the key
-- of a deleted one. Checked after the insert into tenants, in the same transaction: before it, a rename
-- that commits in between would go unseen.
create table tenant_keys_reserved (
    tenant_key     text        not null,
    -- The tenant that had it; null once that one is gone.
    tenant_id      uuid,
    reason         text        not null,
    reserved_until timestamptz not null,
    created_at     timestamptz not null,
    constraint tenant_keys_reserved_pkey primary key (tenant_key),
    constraint tenant_keys_reserved_tenant_id_fkey foreign key (tenant_id) references tenants (id) on delete set null,
    constraint tenant_keys_reserved_reason_check check (reason in ('renamed', 'deleted'))
);

create table domains (
    id                 uuid        not null,
    host               text        not null,
    tenant_id          uuid        not null,
    verification_token text        not null,
    -- Null: asked for, not proven; such a host resolves to nobody.
    verified_at        timestamptz,
    created_at         timestamptz not null,
    updated_at         timestamptz not null,
    constraint domains_pkey primary key (id),
    constraint domains_host_key unique (host),
    constraint domains_tenant_id_fkey foreign key (tenant_id) references tenants (id) on delete cascade,
    -- Lower case, at least one dot, no port, no trailing dot. The dot also tells a host from a key in notices.
    constraint domains_host_check
        check (char_length(host) <= 253 and host ~ '^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$'),
    constraint domains_verification_token_check check (char_length(verification_token) >= 16)
);
