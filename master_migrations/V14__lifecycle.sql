-- Renaming, archiving and deleting tenants, and what brings them back.

alter table tenants
    drop constraint tenants_status_check,
    add constraint tenants_status_check
        check (status in ('provisioning', 'active', 'suspended', 'archiving', 'archived', 'restoring', 'deleting', 'failed'));

-- The reconciler's start-up question, with what is new to it; still nearly always empty.
drop index tenants_unfinished_idx;
create index tenants_unfinished_idx on tenants (lease_expires_at)
    where status in ('provisioning', 'archiving', 'restoring', 'deleting');

-- Until when requests for the former key of a renamed tenant are led to it; null for the key of a deleted one.
-- `reserved_until` of a former key is infinity: it stays the tenant's for as long as there is one, because the names of
-- its schema and role were made from a key.
alter table tenant_keys_reserved add column redirects_until timestamptz;

-- A tenant that is put away, is being put away, or is being brought back. A row whose tenant is served again only waits
-- for its file to be removed.
create table tenant_archives (
    tenant_id   uuid        not null,
    -- When all of it is removed for good; null: kept.
    purge_at    timestamptz,
    -- Name of the snapshot in the folder of archives; null until it is on the disk and was read back to its end.
    file        text,
    sha256      bytea,
    size_bytes  bigint,
    row_count   bigint,
    made_at     timestamptz,
    -- Whether the tenant is counted by its lane. While it is put away its row only remembers where it was.
    holds_place boolean     not null,
    -- Why the last attempt did not succeed; no row's values.
    error       text,
    created_at  timestamptz not null,
    updated_at  timestamptz not null,
    constraint tenant_archives_pkey primary key (tenant_id),
    constraint tenant_archives_tenant_id_fkey foreign key (tenant_id) references tenants (id) on delete cascade,
    constraint tenant_archives_file_check check (file ~ '^[0-9a-f-]{36}\.[0-9a-f]{32}\.snapshot$'),
    constraint tenant_archives_sha256_check check (octet_length(sha256) = 32),
    constraint tenant_archives_snapshot_check check (num_nulls(file, sha256, size_bytes, row_count, made_at) in (0, 5)),
    -- Nobody loses the place, and with it the schema, without a snapshot.
    constraint tenant_archives_place_check check (holds_place or file is not null),
    constraint tenant_archives_error_check check (char_length(error) <= 1000)
);

-- The background's question: whose time is up?
create index tenant_archives_purge_at_idx on tenant_archives (purge_at) where purge_at is not null;

-- `archived`: the tenant's row was there and stays when the restore comes to nothing.
alter table tenant_restores
    drop constraint tenant_restores_mode_check,
    add constraint tenant_restores_mode_check check (mode in ('new', 'over', 'archived'));
