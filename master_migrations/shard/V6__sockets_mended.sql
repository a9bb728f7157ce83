-- A process that has not been heard of for a while has missed what was told meanwhile, also when nobody has cleared it away yet.

-- As before; true also when it was not believed to live any more.
create or replace function beat_sockets(beating uuid, lease integer, added uuid[], gone uuid[]) returns boolean
language plpgsql volatile security definer
set search_path = helixai, pg_temp
as $$
declare
    anew boolean := not exists (
        select from socket_processes p where p.process = beating and p.alive_until > clock_timestamp());
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
