-- Which bots of this shard's tenants are to run, and which process runs each. A process says that it lives by one row, however many
-- bots it has; those of one that is not heard of any more are free.

create table channel_workers (
    worker      uuid        not null,
    alive_until timestamptz not null,
    constraint channel_workers_pkey primary key (worker)
);

create table channel_instances (
    instance_id uuid    not null,
    tenant_id   uuid    not null,
    -- Not: whoever has it stops it and forgets the row.
    wanted      boolean not null,
    -- Raised whenever something of it has changed, or waits to be sent.
    revision    bigint  not null,
    -- The revision that whoever holds it has heard of.
    heard       bigint  not null,
    held_by     uuid,
    constraint channel_instances_pkey primary key (instance_id)
);

create index channel_instances_tenant_id_idx on channel_instances (tenant_id);
create index channel_instances_free_idx on channel_instances (instance_id) where held_by is null;
create index channel_instances_held_by_idx on channel_instances (held_by) where held_by is not null;
create index channel_instances_news_idx on channel_instances (held_by) where revision > heard;

-- Says that a bot of the calling tenant is to run, or not, and that its row has changed. The tenant is the one whose role is set; a
-- bot of another tenant is left alone.
create function note_channel(instance uuid, runs boolean) returns void
language sql volatile security definer
set search_path = helixai, pg_temp
as $$
    insert into channel_instances as c (instance_id, tenant_id, wanted, revision, heard)
    select note_channel.instance, t.tenant_id, note_channel.runs, 1, 0
    from tenant_roles t where t.role_name = current_setting('role')
    on conflict (instance_id) do update set wanted = excluded.wanted, revision = c.revision + 1
        where c.tenant_id = excluded.tenant_id
$$;

-- Says that a bot of the calling tenant has something to send. Whoever holds it hears of each revision.
create function wake_channel(instance uuid) returns void
language sql volatile security definer
set search_path = helixai, pg_temp
as $$
    update channel_instances c set revision = c.revision + 1
    from tenant_roles t
    where t.role_name = current_setting('role') and c.instance_id = wake_channel.instance and c.tenant_id = t.tenant_id
$$;

-- The heartbeat of a process: it lives for so many seconds more, by this server's clock, takes free bots, at most `most` of them, and
-- is told of those it has: the ones it has just taken, and those with news. It is told again until it says that it has heard
-- (`instances` and `revisions`, as it was told), so that an answer which is lost loses nothing. `anew`: it had been taken for dead, and has nothing of what it had before.
create function beat_channels(beating uuid, lease integer, most integer, instances uuid[], revisions bigint[])
returns table (anew boolean, instance_id uuid, tenant_id uuid, wanted boolean, revision bigint)
language plpgsql volatile security definer
set search_path = helixai, pg_temp
as $$
declare
    begun boolean;
begin
    -- A row that a tenant's transaction holds keeps nobody waiting: it is freed, or heard, with a later beat.
    update channel_instances c set held_by = null
    where c.instance_id in (
        select d.instance_id from channel_instances d join channel_workers w on w.worker = d.held_by
        where w.alive_until <= clock_timestamp() and w.worker <> beating for update of d skip locked);
    delete from channel_workers w
    where w.alive_until <= clock_timestamp() and w.worker <> beating
      and not exists (select from channel_instances c where c.held_by = w.worker);
    begun := not exists (select from channel_workers w where w.worker = beating and w.alive_until > clock_timestamp());
    if begun then
        -- What others have not taken yet it is told of anew.
        update channel_instances c set heard = -1 where c.held_by = beating;
    end if;
    insert into channel_workers as w (worker, alive_until)
    values (beating, clock_timestamp() + make_interval(secs => lease))
    on conflict (worker) do update set alive_until = excluded.alive_until;
    update channel_instances c set heard = h.revision
    from (select f.instance_id, f.revision from unnest(instances, revisions) as f (instance_id, revision)
          join channel_instances o on o.instance_id = f.instance_id for update of o skip locked) h
    where c.instance_id = h.instance_id and c.held_by = beating and c.heard < h.revision;
    update channel_instances c set held_by = beating, heard = -1
    where c.instance_id in (
        select f.instance_id from channel_instances f where f.held_by is null
        order by f.instance_id limit beat_channels.most for update skip locked);
    return query
        select begun, c.instance_id, c.tenant_id, c.wanted, c.revision from channel_instances c
        where c.held_by = beating and c.revision > c.heard
        union all select begun, null::uuid, null::uuid, null::boolean, null::bigint;
end
$$;

-- A process has stopped these bots: the ones that are to run are free for others, the others are forgotten.
create function leave_channels(leaving uuid, instances uuid[]) returns void
language plpgsql volatile security definer
set search_path = helixai, pg_temp
as $$
begin
    delete from channel_instances c where c.instance_id = any (instances) and c.held_by = leaving and not c.wanted;
    update channel_instances c set held_by = null where c.instance_id = any (instances) and c.held_by = leaving;
end
$$;

-- A process ends: whatever it has is free at once.
create function end_channels(ending uuid) returns void
language plpgsql volatile security definer
set search_path = helixai, pg_temp
as $$
begin
    update channel_instances c set held_by = null where c.held_by = ending;
    delete from channel_workers w where w.worker = ending;
end
$$;

-- How many bots there are to run, and how many processes to run them: who has more than their share gives some away.
create function count_channels(counting uuid) returns table (held bigint, wanted bigint, workers bigint)
language sql stable security definer
set search_path = helixai, pg_temp
as $$
    select (select count(*) from channel_instances c where c.held_by = counting),
           (select count(*) from channel_instances c),
           (select count(*) from channel_workers w where w.alive_until > clock_timestamp())
$$;

grant execute on function note_channel(uuid, boolean) to public;
grant execute on function wake_channel(uuid) to public;
-- For the logins of lanes, which are granted them by name: no tenant's role may know or touch another's bots.
revoke execute on function beat_channels(uuid, integer, integer, uuid[], bigint[]) from public;
revoke execute on function leave_channels(uuid, uuid[]) from public;
revoke execute on function end_channels(uuid) from public;
revoke execute on function count_channels(uuid) from public;
