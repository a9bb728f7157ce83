-- Tell every process what its cache of tenants must forget.
-- Channel `helixai_tenants`; the payload is a tenant key, a host (it has a dot) or `*` for everything. It only
-- names what to drop and is never believed: whoever hears it reads again. Only columns that the resolver
-- uses send a notice, so that counting, leasing and billing dates stay quiet.

create function notice_tenant() returns trigger
    language plpgsql set search_path from current as $$
begin
    if tg_op <> 'INSERT' then
        perform pg_notify('helixai_tenants', old.tenant_key);
    end if;
    -- After a rename both keys are wrong in somebody's cache; the same notice twice is sent once.
    if tg_op <> 'DELETE' then
        perform pg_notify('helixai_tenants', new.tenant_key);
    end if;
    return null;
end $$;

create trigger tenants_notice after insert or delete on tenants
    for each row execute function notice_tenant();
create trigger tenants_notice_update after update on tenants
    for each row when (
        (old.tenant_key, old.name, old.niche, old.schema_name, old.role_name, old.shard_id, old.lane, old.epoch, old.status)
        is distinct from
        (new.tenant_key, new.name, new.niche, new.schema_name, new.role_name, new.shard_id, new.lane, new.epoch, new.status)
    ) execute function notice_tenant();

create trigger tenant_keys_reserved_notice after insert or update or delete on tenant_keys_reserved
    for each row execute function notice_tenant();

create function notice_domain() returns trigger
    language plpgsql set search_path from current as $$
begin
    if tg_op <> 'INSERT' then
        perform pg_notify('helixai_tenants', old.host);
    end if;
    if tg_op <> 'DELETE' then
        perform pg_notify('helixai_tenants', new.host);
    end if;
    return null;
end $$;

create trigger domains_notice after insert or delete on domains
    for each row execute function notice_domain();
create trigger domains_notice_update after update on domains
    for each row when ((old.host, old.tenant_id, old.verified_at) is distinct from (new.host, new.tenant_id, new.verified_at))
    execute function notice_domain();

create function notice_subscription() returns trigger
    language plpgsql set search_path from current as $$
begin
    perform pg_notify('helixai_tenants', t.tenant_key)
       from tenants t
      where t.id = case tg_op when 'DELETE' then old.tenant_id else new.tenant_id end;
    return null;
end $$;

create trigger subscriptions_notice after insert or delete on subscriptions
    for each row execute function notice_subscription();
create trigger subscriptions_notice_update after update on subscriptions
    for each row when (
        (old.status, old.plan_version_id, old.trial_ends_at, old.past_due_at)
        is distinct from
        (new.status, new.plan_version_id, new.trial_ends_at, new.past_due_at)
    ) execute function notice_subscription();

create function notice_everything() returns trigger
    language plpgsql set search_path from current as $$
begin
    perform pg_notify('helixai_tenants', '*');
    return null;
end $$;

create trigger shards_notice_update after update on shards
    for each row when (
        (old.kind, old.database_url_sealed, old.role_prefix, old.status, old.epoch)
        is distinct from
        (new.kind, new.database_url_sealed, new.role_prefix, new.status, new.epoch)
    ) execute function notice_everything();
create trigger shards_notice_delete after delete on shards
    for each row execute function notice_everything();

create trigger lanes_notice_update after update on lanes
    for each row when ((old.login, old.status) is distinct from (new.login, new.status))
    execute function notice_everything();
create trigger lanes_notice_delete after delete on lanes
    for each row execute function notice_everything();
