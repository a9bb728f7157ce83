-- Snapshots that are made by the clock, and whose turn it is.

-- When a tenant is due again. A process takes a turn with a lease; several share them.
create table tenant_backup_turns (
    tenant_id    uuid        not null,
    due_at       timestamptz not null,
    -- Since the last snapshot that came to be: each makes the next wait longer.
    failures     integer     not null default 0,
    leased_until timestamptz,
    leased_by    uuid,
    constraint tenant_backup_turns_pkey primary key (tenant_id),
    constraint tenant_backup_turns_tenant_id_fkey foreign key (tenant_id) references tenants (id) on delete cascade,
    constraint tenant_backup_turns_failures_check check (failures >= 0),
    constraint tenant_backup_turns_lease_check check ((leased_until is null) = (leased_by is null))
);

-- Whose turn it is.
create index tenant_backup_turns_due_at_idx on tenant_backup_turns (due_at);

-- A snapshot in the folder of backups, or why there is none. No foreign key: snapshots outlive their tenant, for a while.
create table tenant_backups (
    tenant_id   uuid        not null,
    id          uuid        not null,
    -- In the tenant's folder. Null: it came to no file.
    file_name   text,
    bytes       bigint,
    -- Of the file.
    sha256      bytea,
    rows        bigint,
    -- The moment whose rows these are.
    taken_at    timestamptz not null,
    -- When it was restored into a scratch schema and compared.
    verified_at timestamptz,
    encrypted   boolean     not null,
    -- Why it is not to be trusted, or was not made.
    error       text,
    constraint tenant_backups_pkey primary key (tenant_id, id),
    constraint tenant_backups_file_name_check check (file_name ~ '^[0-9TZ]+\.snapshot$'),
    constraint tenant_backups_sha256_check check (octet_length(sha256) = 32),
    constraint tenant_backups_file_check
        check ((file_name is null) = (bytes is null) and (file_name is null) = (sha256 is null)
               and (file_name is null) = (rows is null)),
    constraint tenant_backups_error_check check (error is not null or file_name is not null),
    constraint tenant_backups_verified_at_check check (verified_at is null or error is null)
);
