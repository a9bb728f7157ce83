-- What each tenant has consumed, exact under concurrency: reserve, then settle or release.
-- Reserve:  update usage_counters set reserved = reserved + n
--            where … and (limit_value is null or used + reserved + n <= limit_value) — no row means refused.
-- Settle:   held -> settled (reserved - n, used + actual, one event); release: held -> released.
-- A late settle after expiry still books what was used, so `used` may pass the limit: no check forbids it.

create table usage_counters (
    tenant_id    uuid        not null,
    meter        text        not null,
    -- First day of the month in America/Sao_Paulo. A new month is a new row, made on first use.
    period_start date        not null,
    -- Copied from the plan when the row is made, and changed with the plan. Null: no limit.
    limit_value  bigint,
    used         bigint      not null default 0,
    reserved     bigint      not null default 0,
    created_at   timestamptz not null,
    updated_at   timestamptz not null,
    constraint usage_counters_pkey primary key (tenant_id, meter, period_start),
    constraint usage_counters_tenant_id_fkey foreign key (tenant_id) references tenants (id) on delete cascade,
    constraint usage_counters_meter_check check (meter in ('messages', 'ai_tokens')),
    constraint usage_counters_period_start_check check (extract(day from period_start) = 1),
    constraint usage_counters_limit_value_check check (limit_value >= 0),
    constraint usage_counters_used_check check (used >= 0),
    constraint usage_counters_reserved_check check (reserved >= 0)
) with (fillfactor = 70); -- one hot row per tenant and meter: room for updates in place

create table usage_reservations (
    tenant_id      uuid        not null,
    meter          text        not null,
    -- The caller's, for example the outbox row's id: one key, one effect.
    key            text        not null,
    -- Holds settle into the period they were made in.
    period_start   date        not null,
    amount         bigint      not null,
    state          text        not null,
    settled_amount bigint,
    expires_at     timestamptz not null,
    created_at     timestamptz not null,
    updated_at     timestamptz not null,
    constraint usage_reservations_pkey primary key (tenant_id, meter, key),
    constraint usage_reservations_counter_fkey foreign key (tenant_id, meter, period_start)
        references usage_counters (tenant_id, meter, period_start) on delete cascade,
    constraint usage_reservations_key_check check (char_length(key) between 1 and 200),
    constraint usage_reservations_amount_check check (amount > 0),
    constraint usage_reservations_state_check check (state in ('held', 'settled', 'released', 'expired')),
    constraint usage_reservations_settled_amount_check
        check ((state = 'settled') = (settled_amount is not null) and settled_amount >= 0)
);

-- The sweeper of forgotten holds.
create index usage_reservations_expiry_idx on usage_reservations (expires_at) where state = 'held';

-- The ledger the counters are checked against. It outlives its tenant, hence no foreign key.
create table usage_events (
    tenant_id    uuid        not null,
    meter        text        not null,
    key          text        not null,
    period_start date        not null,
    amount       bigint      not null,
    occurred_at  timestamptz not null,
    constraint usage_events_pkey primary key (tenant_id, meter, key),
    constraint usage_events_meter_check check (meter in ('messages', 'ai_tokens')),
    constraint usage_events_amount_check check (amount >= 0)
);

create function refuse_rewriting_history() returns trigger
    language plpgsql set search_path from current as $$
begin
    raise exception '% is append-only', tg_table_name
        using errcode = 'restrict_violation', constraint = tg_name, table = tg_table_name;
end $$;

create trigger usage_events_append_only before update or delete or truncate on usage_events
    for each statement execute function refuse_rewriting_history();

-- One row per tenant and month: messages and tokens.
create view usage_monthly with (security_invoker = true) as
select
    tenant_id,
    period_start,
    to_char(period_start, 'YYYY-MM') as month,
    coalesce(sum(used) filter (where meter = 'messages'), 0)::bigint as messages_used,
    coalesce(sum(used) filter (where meter = 'ai_tokens'), 0)::bigint as tokens_used
from usage_counters
group by tenant_id, period_start;
