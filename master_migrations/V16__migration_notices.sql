-- Which versions of the template a tenant has is now something that the resolver knows: a tenant older than the program
-- serves is refused until its migration is done, in every process at once.

create function notice_tenant_version() returns trigger
    language plpgsql set search_path from current as $$
begin
    perform pg_notify('helixai_tenants', t.tenant_key) from tenants t where t.id = new.tenant_id;
    return null;
end $$;

create trigger tenant_migrations_notice after insert on tenant_migrations
    for each row execute function notice_tenant_version();
create trigger tenant_migrations_notice_update after update on tenant_migrations
    for each row when (old.version is distinct from new.version)
    execute function notice_tenant_version();
