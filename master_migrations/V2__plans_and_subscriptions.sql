-- What we sell and who has bought it.
-- A price or limit is never changed in place: a new version of the plan is published, and who bought the
-- former one keeps it. The triggers make that true for every program, including psql.

create table plans (
    id         uuid        not null,
    code       text        not null,
    name       text        not null,
    status     text        not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    constraint plans_pkey primary key (id),
    constraint plans_code_key unique (code),
    constraint plans_code_check check (code ~ '^[a-z][a-z0-9_]{1,39}$'),
    constraint plans_name_check check (char_length(name) between 1 and 100),
    constraint plans_status_check check (status in ('active', 'retired'))
);

create table plan_versions (
    id           uuid        not null,
    plan_id      uuid        not null,
    version      integer     not null,
    price_cents  bigint      not null,
    currency     text        not null,
    trial_days   integer     not null,
    -- Null: a draft, free to change and not for sale. Once set, version and limits are fixed for ever.
    published_at timestamptz,
    created_at   timestamptz not null,
    constraint plan_versions_pkey primary key (id),
    constraint plan_versions_plan_id_version_key unique (plan_id, version),
    constraint plan_versions_plan_id_fkey foreign key (plan_id) references plans (id),
    constraint plan_versions_version_check check (version > 0),
    constraint plan_versions_price_cents_check check (price_cents >= 0),
    constraint plan_versions_currency_check check (currency = 'BRL'),
    constraint plan_versions_trial_days_check check (trial_days between 0 and 90)
);

create table plan_limits (
    plan_version_id uuid   not null,
    meter           text   not null,
    -- Per local month for what is consumed (messages, ai_tokens), at any moment for what is held
    -- (instances, flows, templates, users, storage_bytes). Null: no limit. No row: not part of the plan.
    limit_value     bigint,
    constraint plan_limits_pkey primary key (plan_version_id, meter),
    constraint plan_limits_plan_version_id_fkey
        foreign key (plan_version_id) references plan_versions (id) on delete cascade,
    constraint plan_limits_meter_check
        check (meter in ('messages', 'ai_tokens', 'instances', 'flows', 'templates', 'users', 'storage_bytes')),
    constraint plan_limits_limit_value_check check (limit_value >= 0)
);

create function refuse_published_plan_version() returns trigger
    language plpgsql set search_path from current as $$
begin
    if old.published_at is not null then
        raise exception 'plan version % is published and cannot change', old.id
            using errcode = 'restrict_violation', constraint = 'plan_versions_immutable', table = 'plan_versions';
    end if;
    return case tg_op when 'DELETE' then old else new end;
end $$;

create trigger plan_versions_immutable before update or delete on plan_versions
    for each row execute function refuse_published_plan_version();

create function refuse_published_plan_limit() returns trigger
    language plpgsql set search_path from current as $$
declare
    touched uuid;
    published timestamptz;
begin
    foreach touched in array case tg_op
        when 'INSERT' then array[new.plan_version_id]
        when 'DELETE' then array[old.plan_version_id]
        else array[old.plan_version_id, new.plan_version_id] end
    loop
        -- The lock orders this against a publication that has not committed yet.
        select v.published_at into published from plan_versions v where v.id = touched for share;
        if published is not null then
            raise exception 'plan version % is published and its limits cannot change', touched
                using errcode = 'restrict_violation', constraint = 'plan_limits_immutable', table = 'plan_limits';
        end if;
    end loop;
    return case tg_op when 'DELETE' then old else new end;
end $$;

create trigger plan_limits_immutable before insert or update or delete on plan_limits
    for each row execute function refuse_published_plan_limit();

create table subscriptions (
    id                   uuid        not null,
    tenant_id            uuid        not null,
    plan_version_id      uuid        not null,
    -- What is bought from the next period on (a downgrade waits for the period's end).
    next_plan_version_id uuid,
    status               text        not null,
    started_at           timestamptz not null,
    trial_ends_at        timestamptz,
    current_period_start timestamptz not null,
    current_period_end   timestamptz not null,
    -- Local day of the month on which periods begin; kept, and clamped in shorter months.
    anchor_day           smallint    not null,
    past_due_at          timestamptz,
    suspended_at         timestamptz,
    canceled_at          timestamptz,
    cancel_reason        text,
    version              integer     not null default 1,
    created_at           timestamptz not null,
    updated_at           timestamptz not null,
    constraint subscriptions_pkey primary key (id),
    constraint subscriptions_tenant_id_fkey foreign key (tenant_id) references tenants (id) on delete cascade,
    constraint subscriptions_plan_version_id_fkey foreign key (plan_version_id) references plan_versions (id),
    constraint subscriptions_next_plan_version_id_fkey foreign key (next_plan_version_id) references plan_versions (id),
    constraint subscriptions_status_check check (status in ('trialing', 'active', 'past_due', 'suspended', 'canceled')),
    constraint subscriptions_trial_check check (status <> 'trialing' or trial_ends_at is not null),
    constraint subscriptions_period_check check (current_period_end > current_period_start),
    constraint subscriptions_anchor_day_check check (anchor_day between 1 and 31),
    constraint subscriptions_past_due_check check (status <> 'past_due' or past_due_at is not null),
    constraint subscriptions_suspended_check check (status <> 'suspended' or suspended_at is not null),
    constraint subscriptions_canceled_check check ((status = 'canceled') = (canceled_at is not null)),
    constraint subscriptions_version_check check (version > 0)
);

-- At most one living subscription per tenant; it is also how the resolver finds it.
create unique index subscriptions_tenant_id_living_key on subscriptions (tenant_id) where status <> 'canceled';
