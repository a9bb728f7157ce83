-- What people look at is told while it changes: ids and states, by NOTIFY, in the transaction that changes it, and only of tenants
-- of whom somebody has a socket open. A commit that notifies waits for all others of the database that do; one that does not pays
-- for looking into two small tables.

-- The processes that have sockets; one that is not heard of any more has none.
create table socket_processes (
    process     uuid        not null,
    alive_until timestamptz not null,
    constraint socket_processes_pkey primary key (process)
);

create table socket_tenants (
    tenant_id uuid not null,
    process   uuid not null,
    constraint socket_tenants_pkey primary key (tenant_id, process),
    constraint socket_tenants_process_fkey foreign key (process) references socket_processes (process) on delete cascade
);

create index socket_tenants_process_idx on socket_tenants (process);

-- A process has sockets for so many seconds more, by this server's clock, and from now on of these tenants besides, and of those no
-- more. True: it was not known, so that it has to name all its tenants.
create function beat_sockets(beating uuid, lease integer, added uuid[], gone uuid[]) returns boolean
language plpgsql volatile security definer
set search_path = helixai, pg_temp
as $$
declare
    anew boolean := not exists (select from socket_processes p where p.process = beating);
begin
    insert into socket_processes as p (process, alive_until)
    values (beating, clock_timestamp() + make_interval(secs => lease))
    on conflict (process) do update set alive_until = excluded.alive_until;
    delete from socket_tenants s where s.process = beating and s.tenant_id = any (gone);
    insert into socket_tenants (tenant_id, process) select t, beating from unnest(added) t on conflict do nothing;
    delete from socket_processes p where p.alive_until < clock_timestamp() - interval '1 minute' and p.process <> beating;
    return anew;
end
$$;

-- A process ends.
create function end_sockets(ending uuid) returns void
language sql volatile security definer
set search_path = helixai, pg_temp
as $$
    delete from socket_processes p where p.process = end_sockets.ending
$$;

-- Tells those who have sockets of the calling tenant, with the commit. The tenant is the one whose role is set: whatever the caller says, no
-- other hears it, and what an administrator does tells nobody. `audience`: whom alone it concerns, if not everybody. `data`: ids and
-- states, never words. Of a transaction that has more to tell than anybody would look at, only that there was much.
create function tell(kind text, audience jsonb, data jsonb) returns void
language plpgsql volatile security definer
set search_path = helixai, pg_temp
as $$
declare
    most constant integer := 100;
    tenant uuid;
    told integer;
begin
    select t.tenant_id into tenant from tenant_roles t
    where t.role_name = current_setting('role') and exists (
        select from socket_tenants s join socket_processes p on p.process = s.process
        where s.tenant_id = t.tenant_id and p.alive_until > clock_timestamp());
    if not found then
        return;
    end if;
    told := coalesce(nullif(current_setting('helixai.told', true), ''), '0')::integer;
    if told > most then
        return;
    end if;
    perform set_config('helixai.told', (told + 1)::text, true);
    if told = most then
        perform pg_notify('helixai_events', jsonb_build_object('tenant', tenant, 'type', 'resync')::text);
    else
        perform pg_notify('helixai_events',
            jsonb_build_object('tenant', tenant, 'type', kind, 'to', audience, 'data', data)::text);
    end if;
end
$$;

grant execute on function tell(text, jsonb, jsonb) to public;
-- For the logins of lanes, which are granted them by name.
revoke execute on function beat_sockets(uuid, integer, uuid[], uuid[]) from public;
revoke execute on function end_sockets(uuid) from public;
