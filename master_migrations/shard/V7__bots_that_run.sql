-- Whether some process that lives has this bot of the calling tenant: it may still run, whatever its row says.
create function channel_runs(instance uuid) returns boolean
language sql stable security definer
set search_path = helixai, pg_temp
as $$
    select exists (
        select from channel_instances c
        join channel_workers w on w.worker = c.held_by and w.alive_until > clock_timestamp()
        join tenant_roles t on t.tenant_id = c.tenant_id
        where c.instance_id = channel_runs.instance and t.role_name = current_setting('role'))
$$;

grant execute on function channel_runs(uuid) to public;
