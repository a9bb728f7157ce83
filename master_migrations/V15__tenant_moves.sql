-- Moves of tenants from one shard to another. Each phase is written here before anything of it is done, so that whoever
-- finds a move whose worker is gone knows how far it may have come: before `switched` it is taken back, from there on it
-- is finished.

create table tenant_moves (
    id           uuid        not null,
    tenant_id    uuid        not null,
    phase        text        not null,
    -- Where the tenant lived, and where it goes. The place on the other lane is counted there from the beginning, the
    -- one on this lane until the end.
    from_shard   uuid        not null,
    from_lane    integer     not null,
    from_role    text        not null,
    to_shard     uuid        not null,
    to_lane      integer     not null,
    to_role      text        not null,
    -- What was moved: known when it was compared.
    tables_moved integer,
    rows_moved   bigint,
    bytes_moved  bigint,
    -- How long nothing could be written; known when it was over.
    pause_ms     double precision,
    -- Why the last attempt to take it back or to finish it failed.
    error        text,
    created_at   timestamptz not null,
    updated_at   timestamptz not null,
    ended_at     timestamptz,
    constraint tenant_moves_pkey primary key (id),
    constraint tenant_moves_tenant_id_fkey foreign key (tenant_id) references tenants (id) on delete cascade,
    constraint tenant_moves_from_fkey foreign key (from_shard, from_lane) references lanes (shard_id, number),
    constraint tenant_moves_to_fkey foreign key (to_shard, to_lane) references lanes (shard_id, number),
    constraint tenant_moves_elsewhere_check check (from_shard <> to_shard),
    constraint tenant_moves_phase_check
        check (phase in ('claimed', 'preparing', 'copying', 'catching_up', 'fencing', 'switched', 'undoing', 'done', 'undone')),
    constraint tenant_moves_ended_check check ((phase in ('done', 'undone')) = (ended_at is not null))
);

-- One at a time for each tenant; nearly always empty.
create unique index tenant_moves_unended_key on tenant_moves (tenant_id) where ended_at is null;

-- A tenant on its way is neither restored, archived nor deleted. Whoever does so has the tenant's row locked, as the move
-- had when it began. The state is that of a lock that is not free: the same step may succeed later.
create function refuse_while_moving() returns trigger
    language plpgsql set search_path from current as $$
declare
    tenant uuid := (to_jsonb(new) ->> tg_argv[0])::uuid;
begin
    if exists (select from tenant_moves m where m.tenant_id = tenant and m.ended_at is null) then
        raise exception using errcode = '55P03', message = 'the tenant is being moved';
    end if;
    return new;
end $$;

create trigger tenants_not_while_moving before update of status on tenants
    for each row when (old.status is distinct from new.status and new.status not in ('active', 'suspended'))
    execute function refuse_while_moving('id');
create trigger tenant_restores_not_while_moving before insert on tenant_restores
    for each row execute function refuse_while_moving('tenant_id');
