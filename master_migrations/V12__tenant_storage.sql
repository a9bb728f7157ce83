-- What each tenant takes on disks, as it was last measured: the plan's `storage_bytes` is compared with it.

create table tenant_storage (
    tenant_id    uuid        not null,
    -- Its schema, with indexes and long values.
    schema_bytes bigint      not null,
    -- Its files.
    file_bytes   bigint      not null,
    measured_at  timestamptz not null,
    constraint tenant_storage_pkey primary key (tenant_id),
    constraint tenant_storage_tenant_id_fkey foreign key (tenant_id) references tenants (id) on delete cascade,
    constraint tenant_storage_schema_bytes_check check (schema_bytes >= 0),
    constraint tenant_storage_file_bytes_check check (file_bytes >= 0)
);
