-- Metering that outlives its reservations: a key that the ledger knows stays settled when the reservation itself is gone, with
-- a tenant that was deleted and restored or swept after two months. Alerts once for each limit of a month. A night's check
-- that reads two months instead of all time. Work that one process does for all.

-- A limit that has changed is another limit: what is left of it may be told again.
alter table usage_alerts
    drop constraint usage_alerts_pkey,
    add constraint usage_alerts_pkey primary key (tenant_id, meter, period_start, limit_value, threshold);

create or replace function write_usage_alerts() returns trigger
    language plpgsql set search_path from current as $$
declare
    -- The highest threshold of the present limit that was passed.
    reached smallint := case when not coalesce(new.limit_value > 0, false) then 0
                             when new.used >= new.limit_value then 100
                             when new.used::numeric * 100 >= new.limit_value::numeric * 80 then 80
                             else 0 end;
begin
    if new.limit_value is distinct from old.limit_value then
        new.alerted := 0;
    end if;
    insert into usage_alerts (tenant_id, meter, period_start, threshold, used, limit_value, state, due_at, created_at, updated_at)
    select new.tenant_id, new.meter, new.period_start, passed.threshold, new.used, new.limit_value, 'pending',
           new.updated_at, new.updated_at, new.updated_at
      from unnest(array[80, 100]) as passed (threshold)
     where passed.threshold > new.alerted and passed.threshold <= reached
    -- A limit that the month has had before.
    on conflict on constraint usage_alerts_pkey do nothing;
    new.alerted := greatest(new.alerted, reached);
    return new;
end $$;

drop trigger usage_counters_alerts on usage_counters;
create trigger usage_counters_alerts before update on usage_counters
    for each row when (
        new.limit_value is distinct from old.limit_value
        or (new.limit_value > 0 and new.alerted < 100
            and new.used::numeric * 100 >= new.limit_value::numeric * case new.alerted when 0 then 80 else 100 end)
    ) execute function write_usage_alerts();

-- A key of the ledger, by both of its meters, so that the primary key finds it.
create function booked_usage(of_tenant uuid, of_key text, out its_meter text, out its_amount bigint, out its_period date,
    out its_time timestamptz)
    language sql stable set search_path from current as $$
    select e.meter, e.amount, e.period_start, e.occurred_at from usage_events e
     where e.tenant_id = of_tenant and e.meter = any (array['messages', 'ai_tokens']) and e.key = of_key
     order by e.occurred_at limit 1
$$;

-- As before, and: a key that the ledger alone knows is settled, with what was booked, whatever was reserved; a hold that is over
-- and asked for again holds on. Known keys need no counter's lock.
create or replace function reserve_usage(
    of_tenant uuid, of_meter text, of_key text, wanted bigint, of_period date, at timestamptz, until timestamptz,
    out outcome text, out its_state text, out its_settled bigint, out its_period date, out its_expiry timestamptz,
    out its_limit bigint, out its_used bigint, out its_reserved bigint
) language plpgsql set search_path from current as $$
declare
    known record;
    made_room boolean := false;
begin
    its_used := 0;
    its_reserved := 0;
    loop
        -- Locked before any counter is, as everywhere; under the counter's lock there is only what has just been added.
        if made_room then
            select r.meter, r.amount, r.state, r.settled_amount, r.period_start, r.expires_at into known
              from usage_reservations r where r.tenant_id = of_tenant and r.key = of_key;
        else
            select r.meter, r.amount, r.state, r.settled_amount, r.period_start, r.expires_at into known
              from usage_reservations r where r.tenant_id = of_tenant and r.key = of_key for update;
        end if;
        if found then
            if known.state = 'held' and known.expires_at <= at and not made_room
               and known.meter = of_meter and known.amount = wanted then
                update usage_reservations r set expires_at = until, updated_at = at
                 where r.tenant_id = of_tenant and r.key = of_key;
                known.expires_at := until;
            end if;
            outcome := case when known.meter = of_meter and known.amount = wanted then 'again' else 'reused' end;
            its_state := known.state;
            its_settled := known.settled_amount;
            its_period := known.period_start;
            its_expiry := known.expires_at;
            return;
        end if;
        select b.its_meter, b.its_amount, b.its_period, b.its_time into known from booked_usage(of_tenant, of_key) b;
        if known.its_meter is not null then
            outcome := case when known.its_meter = of_meter then 'again' else 'reused' end;
            its_state := 'settled';
            its_settled := known.its_amount;
            its_period := known.its_period;
            its_expiry := known.its_time;
            return;
        end if;
        if not made_room then
            select l.its_limit, l.its_used, l.its_reserved into its_limit, its_used, its_reserved
              from lock_usage_counter(of_tenant, of_meter, of_period, at) l;
            made_room := true;
            -- Whoever had the lock may have added this key.
            continue;
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

create or replace function settle_usage(
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
        select b.its_meter, greatest(b.its_amount, 1), b.its_amount, b.its_period, b.its_time
          into its_meter, its_amount, its_settled, its_period, its_expiry from booked_usage(of_tenant, of_key) b;
        if its_meter is null then
            outcome := 'unknown';
            return;
        end if;
        its_state := 'settled';
    end if;
    if its_state = 'released' then
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

create or replace function release_usage(
    of_tenant uuid, of_key text, at timestamptz,
    out outcome text, out its_meter text, out its_amount bigint, out its_state text, out its_settled bigint, out its_period date,
    out its_expiry timestamptz
) language plpgsql set search_path from current as $$
begin
    select r.meter, r.amount, r.state, r.settled_amount, r.period_start, r.expires_at
      into its_meter, its_amount, its_state, its_settled, its_period, its_expiry
      from usage_reservations r where r.tenant_id = of_tenant and r.key = of_key for update;
    if not found then
        outcome := case when exists (select 1 from booked_usage(of_tenant, of_key) b where b.its_meter is not null)
                        then 'settled' else 'unknown' end;
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

create or replace function record_usage(
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
        if not found then
            select b.its_meter as meter, b.its_amount as settled_amount, b.its_period as period_start into known
              from booked_usage(of_tenant, of_key) b;
        end if;
        if known.meter is not null then
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

-- The reservations of months that are long over: what the sweep removes. Few values, so a small index.
create index usage_reservations_period_start_idx on usage_reservations (period_start);
-- The ledger of the last two months: what the night's check reads. It is written in the order of time, so its pages say enough.
create index usage_events_period_start_idx on usage_events using brin (period_start) with (autosummarize = on);

-- Counters of months from `since` on that are not what the ledger and the holds add up to: empty, always. The view
-- `usage_discrepancies` says it of all time, to a person with time.
create function usage_discrepancies_since(since date) returns table (
    tenant_key text, tenant_id uuid, meter text, period_start date, used bigint, booked bigint, reserved bigint, held bigint
) language sql stable set search_path from current as $$
with booked as (
    select e.tenant_id, e.meter, e.period_start, sum(e.amount)::bigint as amount
      from usage_events e where e.period_start >= since group by e.tenant_id, e.meter, e.period_start
), held as (
    select r.tenant_id, r.meter, r.period_start, sum(r.amount)::bigint as amount
      from usage_reservations r where r.state = 'held' and r.period_start >= since group by r.tenant_id, r.meter, r.period_start
), compared as (
    select tenant_id, meter, period_start,
           coalesce(c.used, 0) as used, coalesce(b.amount, 0) as booked, coalesce(c.reserved, 0) as reserved, coalesce(h.amount, 0) as held
      from (select u.tenant_id, u.meter, u.period_start, u.used, u.reserved from usage_counters u where u.period_start >= since) c
      full join booked b using (tenant_id, meter, period_start)
      full join held h using (tenant_id, meter, period_start)
)
select t.tenant_key, c.tenant_id, c.meter, c.period_start, c.used, c.booked, c.reserved, c.held
  from compared c join tenants t on t.id = c.tenant_id
 where c.used <> c.booked or c.reserved <> c.held
 order by t.tenant_key, c.period_start, c.meter
$$;

-- Work that comes up again and again and that one process does for all: whose turn it is, and what came of the last one.
create table duties (
    name         text        not null,
    -- The latest turn that was done: the moment that it was due.
    done_turn    timestamptz,
    -- What was found, as a number that the duty knows.
    result       bigint,
    -- Until then whoever has taken the turn is at work, or its failure is fresh.
    leased_until timestamptz not null,
    -- Of the turn that is not done yet; each has twice the lease of the one before.
    attempts     integer     not null,
    updated_at   timestamptz not null,
    constraint duties_pkey primary key (name),
    constraint duties_name_check check (char_length(name) between 1 and 40),
    constraint duties_attempts_check check (attempts >= 0)
);
