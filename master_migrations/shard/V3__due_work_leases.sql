-- Workers share the tenants that have work: each is taken by one of them at a time, under a lease.

alter table due_work
    -- The worker; then `due_at` is the end of its lease, at which another takes the tenant over.
    add column leased_by uuid,
    -- The earliest moment that was noted since it was taken. What was noted before, the worker sees.
    add column noted_at timestamptz;

create or replace function note_due(due_at timestamptz) returns void
language sql volatile security definer
set search_path = helixai, pg_temp
as $$
    insert into due_work (tenant_id, due_at)
    select t.tenant_id, note_due.due_at from tenant_roles t where t.role_name = current_setting('role')
    on conflict (tenant_id) do update set
        due_at = case when due_work.leased_by is null then least(due_work.due_at, excluded.due_at) else due_work.due_at end,
        noted_at = case when due_work.leased_by is null then null else least(due_work.noted_at, excluded.due_at) end
$$;

-- Takes at most `most` tenants that are due at `at`, those first that have waited longest, and answers whose they are.
create function take_due(worker uuid, at timestamptz, until timestamptz, most integer) returns setof uuid
language sql volatile security definer
set search_path = helixai, pg_temp
as $$
    update due_work d set leased_by = take_due.worker, due_at = take_due.until, noted_at = null
    from (select w.tenant_id from due_work w where w.due_at <= take_due.at
          order by w.due_at limit take_due.most for update skip locked) c
    where d.tenant_id = c.tenant_id
    returning d.tenant_id
$$;

-- Gives a tenant back that is due again at `next_due`, or whenever something was noted meanwhile; null: has no work that the
-- worker knows of. Nothing, when another worker has taken it over.
create function end_due(of_tenant uuid, worker uuid, next_due timestamptz) returns void
language plpgsql volatile security definer
set search_path = helixai, pg_temp
as $$
begin
    update due_work d set leased_by = null, due_at = coalesce(least(d.noted_at, next_due), 'infinity'), noted_at = null
    where d.tenant_id = of_tenant and d.leased_by = worker;
    -- Whoever notes something waits for the row, and finds it gone or due.
    delete from due_work d where d.tenant_id = of_tenant and d.leased_by is null and d.due_at = 'infinity';
end
$$;

-- For the logins of lanes, which are granted them by name: no tenant's role may know or touch another's work.
revoke execute on function take_due(uuid, timestamptz, timestamptz, integer) from public;
revoke execute on function end_due(uuid, uuid, timestamptz) from public;
