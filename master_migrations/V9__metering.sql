-- Metering: what the program does to the tables of V3, one function for each operation, so that each is one statement, one
-- round trip and one transaction. Every lock is taken in the same order: a reservation's row that exists, then the
-- counter's; a new reservation is added under its counter's lock.

-- A key names one effect on a tenant, whatever the meter: settling and releasing name nothing else. Keys of the tenant's own
-- programs carry a prefix, so that none of them can touch what the platform has reserved for its own work.
alter table usage_reservations
    drop constraint usage_reservations_pkey,
    add constraint usage_reservations_pkey primary key (tenant_id, key),
    drop constraint usage_reservations_key_check,
    add constraint usage_reservations_key_check check (char_length(key) between 1 and 220);

-- The highest percentage of the limit that an alert has been written for.
alter table usage_counters
    add column alerted smallint not null default 0,
    add constraint usage_counters_alerted_check check (alerted in (0, 80, 100));

-- What has to be said to a tenant about its consumption, in the transaction that made it so: an outbox of which each row
-- exists once.
create table usage_alerts (
    tenant_id    uuid        not null,
    meter        text        not null,
    period_start date        not null,
    -- Percent of the limit.
    threshold    smallint    not null,
    -- As they were when the threshold was reached.
    used         bigint      not null,
    limit_value  bigint      not null,
    state        text        not null,
    due_at       timestamptz not null,
    attempts     integer     not null default 0,
    leased_until timestamptz,
    leased_by    uuid,
    last_error   text,
    created_at   timestamptz not null,
    updated_at   timestamptz not null,
    constraint usage_alerts_pkey primary key (tenant_id, meter, period_start, threshold),
    constraint usage_alerts_counter_fkey foreign key (tenant_id, meter, period_start)
        references usage_counters (tenant_id, meter, period_start) on delete cascade,
    constraint usage_alerts_threshold_check check (threshold in (80, 100)),
    constraint usage_alerts_state_check check (state in ('pending', 'sent', 'failed', 'canceled')),
    constraint usage_alerts_attempts_check check (attempts >= 0),
    constraint usage_alerts_lease_check check ((leased_until is null) = (leased_by is null))
);

-- What is to be sent.
create index usage_alerts_due_idx on usage_alerts (due_at) where state = 'pending';

-- By a trigger, so that whatever moves `used` or the limit writes them: a booking, a plan that has become smaller.
create function write_usage_alerts() returns trigger
    language plpgsql set search_path from current as $$
declare
    reached smallint := case when new.used >= new.limit_value then 100 else 80 end;
begin
    insert into usage_alerts (tenant_id, meter, period_start, threshold, used, limit_value, state, due_at, created_at, updated_at)
    select new.tenant_id, new.meter, new.period_start, passed.threshold, new.used, new.limit_value, 'pending',
           new.updated_at, new.updated_at, new.updated_at
      from unnest(array[80, 100]) as passed (threshold)
     where passed.threshold > new.alerted and passed.threshold <= reached;
    new.alerted := reached;
    return new;
end $$;

create trigger usage_counters_alerts before update on usage_counters
    for each row when (
        new.limit_value > 0
        and new.used::numeric * 100 >= new.limit_value::numeric * case new.alerted when 0 then 80 else 100 end
        and new.alerted < 100
    ) execute function write_usage_alerts();

-- What the living subscription of a tenant includes. Null: no limit; 0: not part of the plan, or no plan.
create function usage_limit(of_tenant uuid, of_meter text) returns bigint
    language sql stable set search_path from current as $$
    select case when l.meter is null then 0 else l.limit_value end
      from (values (true)) as request (one)
      left join subscriptions s on s.tenant_id = of_tenant and s.status <> 'canceled'
      left join plan_limits l on l.plan_version_id = s.plan_version_id and l.meter = of_meter
$$;

-- Counters follow the plan. The tenant's row is locked against a counter that is being made with the former limit.
create function follow_plan() returns trigger
    language plpgsql set search_path from current as $$
declare
    of_tenant uuid := case tg_op when 'DELETE' then old.tenant_id else new.tenant_id end;
    at timestamptz := case tg_op when 'DELETE' then old.updated_at else new.updated_at end;
    -- Months that are over keep the limit that they had.
    since date := date_trunc('month', at at time zone 'America/Sao_Paulo')::date;
begin
    perform 1 from tenants t where t.id = of_tenant for no key update;
    perform 1 from usage_counters c where c.tenant_id = of_tenant and c.period_start >= since
      order by c.meter, c.period_start for no key update;
    update usage_counters c set limit_value = usage_limit(c.tenant_id, c.meter), updated_at = greatest(c.updated_at, at)
     where c.tenant_id = of_tenant and c.period_start >= since
       and c.limit_value is distinct from usage_limit(c.tenant_id, c.meter);
    return null;
end $$;

create trigger subscriptions_limits after insert or delete on subscriptions
    for each row execute function follow_plan();
create trigger subscriptions_limits_update after update on subscriptions
    for each row when (
        (old.tenant_id, old.plan_version_id, old.status = 'canceled')
        is distinct from
        (new.tenant_id, new.plan_version_id, new.status = 'canceled')
    ) execute function follow_plan();

-- Locks a counter until the transaction ends, making it if this is the month's first use.
create function lock_usage_counter(
    of_tenant uuid, of_meter text, of_period date, at timestamptz, out its_limit bigint, out its_used bigint, out its_reserved bigint
) language plpgsql set search_path from current as $$
begin
    loop
        select c.limit_value, c.used, c.reserved into its_limit, its_used, its_reserved from usage_counters c
         where c.tenant_id = of_tenant and c.meter = of_meter and c.period_start = of_period for no key update;
        exit when found;
        perform 1 from tenants t where t.id = of_tenant for share;
        insert into usage_counters (tenant_id, meter, period_start, limit_value, created_at, updated_at)
        values (of_tenant, of_meter, of_period, usage_limit(of_tenant, of_meter), at, at)
        on conflict on constraint usage_counters_pkey do nothing;
    end loop;
end $$;

-- Counts what was used and gives back what was reserved for it; returns how many alerts that has written.
create function book_usage(
    of_tenant uuid, of_meter text, of_period date, of_key text, actual bigint, freed bigint, at timestamptz
) returns integer
    language plpgsql set search_path from current as $$
declare
    before smallint;
    after smallint;
begin
    select c.alerted into before from usage_counters c
     where c.tenant_id = of_tenant and c.meter = of_meter and c.period_start = of_period for no key update;
    update usage_counters c set used = c.used + actual, reserved = c.reserved - freed, updated_at = at
     where c.tenant_id = of_tenant and c.meter = of_meter and c.period_start = of_period
    returning c.alerted into after;
    insert into usage_events (tenant_id, meter, key, period_start, amount, occurred_at)
    values (of_tenant, of_meter, of_key, of_period, actual, at);
    return (before < 80 and after >= 80)::integer + (before < 100 and after = 100)::integer;
end $$;

-- Outcomes: `reserved`; `again`, with what the key has become since; `reused`, of another meter or amount; `refused`, with the
-- counter that has no room for it.
create function reserve_usage(
    of_tenant uuid, of_meter text, of_key text, wanted bigint, of_period date, at timestamptz, until timestamptz,
    out outcome text, out its_state text, out its_settled bigint, out its_period date, out its_expiry timestamptz,
    out its_limit bigint, out its_used bigint, out its_reserved bigint
) language plpgsql set search_path from current as $$
declare
    known record;
begin
    select l.its_limit, l.its_used, l.its_reserved into its_limit, its_used, its_reserved
      from lock_usage_counter(of_tenant, of_meter, of_period, at) l;
    loop
        select r.meter, r.amount, r.state, r.settled_amount, r.period_start, r.expires_at into known
          from usage_reservations r where r.tenant_id = of_tenant and r.key = of_key;
        if found then
            outcome := case when known.meter = of_meter and known.amount = wanted then 'again' else 'reused' end;
            its_state := known.state;
            its_settled := known.settled_amount;
            its_period := known.period_start;
            its_expiry := known.expires_at;
            return;
        end if;
        if its_used + its_reserved + wanted > its_limit then
            outcome := 'refused';
            return;
        end if;
        insert into usage_reservations (tenant_id, meter, key, period_start, amount, state, expires_at, created_at, updated_at)
        values (of_tenant, of_meter, of_key, of_period, wanted, 'held', until, at, at)
        on conflict on constraint usage_reservations_pkey do nothing;
        -- Else the key was taken under another counter's lock, that of the month before: it can be read now.
        exit when found;
    end loop;
    update usage_counters c set reserved = c.reserved + wanted, updated_at = at
     where c.tenant_id = of_tenant and c.meter = of_meter and c.period_start = of_period;
    outcome := 'reserved';
    its_state := 'held';
    its_period := of_period;
    its_expiry := until;
end $$;

-- Outcomes: `settled`; `again`; `other_amount`, when it was settled with another; `released`, when there is nothing to settle;
-- `unknown`. What has expired is booked all the same: it was used.
create function settle_usage(
    of_tenant uuid, of_key text, actual bigint, at timestamptz,
    out outcome text, out its_meter text, out its_amount bigint, out its_state text, out its_settled bigint, out its_period date,
    out its_expiry timestamptz, out alerts integer
) language plpgsql set search_path from current as $$
begin
    alerts := 0;
    select r.meter, r.amount, r.state, r.settled_amount, r.period_start, r.expires_at
      into its_meter, its_amount, its_state, its_settled, its_period, its_expiry
      from usage_reservations r where r.tenant_id = of_tenant and r.key = of_key for update;
    if not found then
        outcome := 'unknown';
    elsif its_state = 'released' then
        outcome := 'released';
    elsif its_state = 'settled' then
        outcome := case when its_settled = actual then 'again' else 'other_amount' end;
    else
        update usage_reservations r set state = 'settled', settled_amount = actual, updated_at = at
         where r.tenant_id = of_tenant and r.key = of_key;
        alerts := book_usage(of_tenant, its_meter, its_period, of_key, actual,
                             case its_state when 'held' then its_amount else 0 end, at);
        outcome := 'settled';
        its_state := 'settled';
        its_settled := actual;
    end if;
end $$;

-- Outcomes: `released`, also of what has expired; `again`; `settled`, when it was used; `unknown`.
create function release_usage(
    of_tenant uuid, of_key text, at timestamptz,
    out outcome text, out its_meter text, out its_amount bigint, out its_state text, out its_settled bigint, out its_period date,
    out its_expiry timestamptz
) language plpgsql set search_path from current as $$
begin
    select r.meter, r.amount, r.state, r.settled_amount, r.period_start, r.expires_at
      into its_meter, its_amount, its_state, its_settled, its_period, its_expiry
      from usage_reservations r where r.tenant_id = of_tenant and r.key = of_key for update;
    if not found then
        outcome := 'unknown';
    elsif its_state = 'released' then
        outcome := 'again';
    elsif its_state = 'settled' then
        outcome := 'settled';
    else
        update usage_reservations r set state = 'released', updated_at = at where r.tenant_id = of_tenant and r.key = of_key;
        if its_state = 'held' then
            update usage_counters c set reserved = c.reserved - its_amount, updated_at = at
             where c.tenant_id = of_tenant and c.meter = its_meter and c.period_start = its_period;
        end if;
        outcome := 'released';
        its_state := 'released';
    end if;
end $$;

-- Books what was used without asking first. Outcomes: `recorded`; `again`; `reused`, when the key means something else.
create function record_usage(
    of_tenant uuid, of_meter text, of_key text, actual bigint, of_period date, at timestamptz,
    out outcome text, out its_period date, out alerts integer
) language plpgsql set search_path from current as $$
declare
    known record;
begin
    alerts := 0;
    perform 1 from lock_usage_counter(of_tenant, of_meter, of_period, at);
    loop
        select r.meter, r.settled_amount, r.period_start into known
          from usage_reservations r where r.tenant_id = of_tenant and r.key = of_key;
        if found then
            outcome := case when known.meter = of_meter and known.settled_amount = actual then 'again' else 'reused' end;
            its_period := known.period_start;
            return;
        end if;
        insert into usage_reservations (tenant_id, meter, key, period_start, amount, state, settled_amount, expires_at,
                                        created_at, updated_at)
        values (of_tenant, of_meter, of_key, of_period, actual, 'settled', actual, at, at, at)
        on conflict on constraint usage_reservations_pkey do nothing;
        exit when found;
    end loop;
    alerts := book_usage(of_tenant, of_meter, of_period, of_key, actual, 0, at);
    outcome := 'recorded';
    its_period := of_period;
end $$;

-- Lets go of a tenant's holds that are over and that nobody has settled, released or extended meanwhile: how many of each meter.
create function expire_usage(of_tenant uuid, of_keys text[], at timestamptz) returns table (its_meter text, holds bigint)
    language plpgsql set search_path from current as $$
declare
    let_go record;
begin
    perform 1 from usage_reservations r
      where r.tenant_id = of_tenant and r.key = any (of_keys) and r.state = 'held' and r.expires_at <= at
      order by r.key for update;
    for let_go in
        with expired as (
            update usage_reservations r set state = 'expired', updated_at = at
             where r.tenant_id = of_tenant and r.key = any (of_keys) and r.state = 'held' and r.expires_at <= at
            returning r.meter, r.period_start, r.amount)
        select e.meter, e.period_start, count(*) as holds, sum(e.amount)::bigint as amount from expired e
         group by e.meter, e.period_start order by e.meter, e.period_start
    loop
        update usage_counters c set reserved = c.reserved - let_go.amount, updated_at = at
         where c.tenant_id = of_tenant and c.meter = let_go.meter and c.period_start = let_go.period_start;
        its_meter := let_go.meter;
        holds := let_go.holds;
        return next;
    end loop;
end $$;

-- Counters that are not what the ledger and the holds add up to: empty, always.
create view usage_discrepancies with (security_invoker = true) as
with booked as (
    select e.tenant_id, e.meter, e.period_start, sum(e.amount)::bigint as amount
      from usage_events e group by e.tenant_id, e.meter, e.period_start
), held as (
    select r.tenant_id, r.meter, r.period_start, sum(r.amount)::bigint as amount
      from usage_reservations r where r.state = 'held' group by r.tenant_id, r.meter, r.period_start
), compared as (
    select tenant_id, meter, period_start,
           coalesce(c.used, 0) as used, coalesce(b.amount, 0) as booked, coalesce(c.reserved, 0) as reserved, coalesce(h.amount, 0) as held
      from usage_counters c
      full join booked b using (tenant_id, meter, period_start)
      full join held h using (tenant_id, meter, period_start)
)
select t.tenant_key, c.tenant_id, c.meter, c.period_start, c.used, c.booked, c.reserved, c.held
  from compared c join tenants t on t.id = c.tenant_id
 where c.used <> c.booked or c.reserved <> c.held;

-- Makes a counter what the ledger and the holds say, also while the tenant is at work.
create function recount_usage(of_tenant uuid, of_meter text, of_period date) returns void
    language plpgsql set search_path from current as $$
begin
    perform 1 from lock_usage_counter(of_tenant, of_meter, of_period, now());
    update usage_counters c
       set used = (select coalesce(sum(e.amount), 0) from usage_events e
                    where e.tenant_id = of_tenant and e.meter = of_meter and e.period_start = of_period),
           reserved = (select coalesce(sum(r.amount), 0) from usage_reservations r
                        where r.tenant_id = of_tenant and r.meter = of_meter and r.period_start = of_period and r.state = 'held'),
           updated_at = now()
     where c.tenant_id = of_tenant and c.meter = of_meter and c.period_start = of_period;
end $$;
