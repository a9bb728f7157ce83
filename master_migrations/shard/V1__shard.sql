-- What each database that holds tenants has of its own, in schema helixai.
-- Applied with search_path = helixai, pg_temp. Nothing here belongs to a tenant.

-- Roles are cluster-wide and databases are many: this prefix keeps the roles of two databases apart.
create table shard (
    singleton   boolean     not null default true,
    role_prefix text        not null,
    created_at  timestamptz not null default now(),
    constraint shard_pkey primary key (singleton),
    constraint shard_singleton_check check (singleton),
    constraint shard_role_prefix_check check (role_prefix ~ '^hx[a-z0-9]{6}$')
);

-- Which role is which tenant, as the security-definer functions below believe it.
create table tenant_roles (
    role_name text not null,
    tenant_id uuid not null,
    constraint tenant_roles_pkey primary key (role_name),
    constraint tenant_roles_tenant_id_key unique (tenant_id)
);

-- The earliest moment at which a tenant has work to do, so that workers read one small table and never all schemas.
create table due_work (
    tenant_id uuid        not null,
    due_at    timestamptz not null,
    constraint due_work_pkey primary key (tenant_id)
);

create index due_work_due_at_idx on due_work (due_at);

-- Ends the statement with one of the program's own SQLSTATEs (HX401, HX403, HX404, HX409, HX423, HX503).
-- Volatile, so that the planner never evaluates it ahead of its CASE.
create function refuse(code text) returns integer
language plpgsql volatile parallel safe
set search_path = pg_catalog
as $$
begin
    raise exception using errcode = code, message = 'refused';
end
$$;

-- Notes that the calling tenant has work at `due_at`. The tenant is the one whose role is set: nothing the caller
-- says can name another's, and a login without a tenant's role notes nothing.
create function note_due(due_at timestamptz) returns void
language sql volatile security definer
set search_path = helixai, pg_temp
as $$
    insert into due_work (tenant_id, due_at)
    select t.tenant_id, note_due.due_at from tenant_roles t where t.role_name = current_setting('role')
    on conflict (tenant_id) do update set due_at = least(due_work.due_at, excluded.due_at)
$$;

grant execute on function refuse(text) to public;
grant execute on function note_due(timestamptz) to public;
