-- The platform's own money: what tenants owe, what was paid, and when somebody has to look at a subscription next.
-- Invoices and their ledger outlive tenants and subscriptions, hence no foreign keys to them.

-- The number of the last invoice: taken by `update … returning` in the transaction that issues, so that none is left out.
create table invoice_counters (
    issuer      text   not null,
    last_number bigint not null,
    constraint invoice_counters_pkey primary key (issuer),
    constraint invoice_counters_issuer_check check (issuer ~ '^[a-z][a-z0-9_]{0,39}$'),
    constraint invoice_counters_last_number_check check (last_number >= 0)
);

insert into invoice_counters (issuer, last_number) values ('platform', 0);

create table invoices (
    id                uuid        not null,
    number            bigint      not null,
    issuer            text        not null,
    tenant_id         uuid        not null,
    -- Whose it is, as of the day on which it was issued.
    tenant_key        text        not null,
    customer_name     text        not null,
    customer_document text,
    subscription_id   uuid,
    kind              text        not null,
    status            text        not null,
    currency          text        not null,
    total_cents       bigint      not null,
    -- Of the subscription, half-open; of an upgrade, the period that it changes.
    period_start      timestamptz,
    period_end        timestamptz,
    -- Local, in America/Sao_Paulo.
    due_date          date        not null,
    issued_at         timestamptz not null,
    paid_at           timestamptz,
    voided_at         timestamptz,
    refunded_cents    bigint      not null default 0,
    -- What is bought by paying it.
    plan_version_id   uuid,
    version           integer     not null default 1,
    created_at        timestamptz not null,
    updated_at        timestamptz not null,
    constraint invoices_pkey primary key (id),
    constraint invoices_issuer_number_key unique (issuer, number),
    constraint invoices_issuer_fkey foreign key (issuer) references invoice_counters (issuer),
    constraint invoices_plan_version_id_fkey foreign key (plan_version_id) references plan_versions (id),
    constraint invoices_number_check check (number > 0),
    constraint invoices_customer_name_check check (char_length(customer_name) between 1 and 200),
    constraint invoices_customer_document_check check (customer_document ~ '^([0-9]{11}|[0-9A-Z]{12}[0-9]{2})$'),
    constraint invoices_kind_check check (kind in ('period', 'upgrade', 'one_off')),
    constraint invoices_status_check check (status in ('open', 'paid', 'void')),
    constraint invoices_currency_check check (currency = 'BRL'),
    constraint invoices_total_cents_check check (total_cents >= 0),
    constraint invoices_period_check check (
        (period_start is null) = (period_end is null) and (kind = 'one_off') = (period_start is null) and period_end > period_start),
    constraint invoices_subscription_id_check check ((kind = 'one_off') = (subscription_id is null)),
    constraint invoices_plan_version_id_check check ((kind = 'one_off') = (plan_version_id is null)),
    constraint invoices_paid_check check ((status = 'paid') = (paid_at is not null)),
    constraint invoices_voided_check check ((status = 'void') = (voided_at is not null)),
    constraint invoices_refunded_cents_check check (refunded_cents >= 0),
    constraint invoices_version_check check (version > 0)
);

-- A period is charged once.
create unique index invoices_subscription_id_period_start_key on invoices (subscription_id, period_start)
    where kind = 'period' and status <> 'void';
-- One upgrade at a time.
create unique index invoices_subscription_id_upgrade_key on invoices (subscription_id) where kind = 'upgrade' and status = 'open';
-- What does this subscription owe, and what was paid for its period?
create index invoices_subscription_id_idx on invoices (subscription_id) where subscription_id is not null;
-- A tenant's own list, newest first (ids are in order of time); the list of all is read by the primary key.
create index invoices_tenant_id_idx on invoices (tenant_id, id desc);
-- What all tenants owe, newest first.
create index invoices_open_idx on invoices (id desc) where status = 'open';

create table invoice_lines (
    invoice_id   uuid   not null,
    position     integer not null,
    kind         text   not null,
    description  text   not null,
    quantity     integer not null,
    unit_cents   bigint not null,
    -- Negative: a credit.
    amount_cents bigint not null,
    constraint invoice_lines_pkey primary key (invoice_id, position),
    constraint invoice_lines_invoice_id_fkey foreign key (invoice_id) references invoices (id),
    constraint invoice_lines_position_check check (position > 0),
    constraint invoice_lines_kind_check check (kind in ('plan', 'proration_charge', 'proration_credit', 'item')),
    constraint invoice_lines_description_check check (char_length(description) between 1 and 200),
    constraint invoice_lines_quantity_check check (quantity > 0),
    constraint invoice_lines_amount_cents_check check (amount_cents = quantity * unit_cents),
    constraint invoice_lines_sign_check check (kind = 'item' or (kind = 'proration_credit') = (amount_cents < 0) or amount_cents = 0)
);

create trigger invoice_lines_immutable before update or delete or truncate on invoice_lines
    for each statement execute function refuse_rewriting_history();

-- What was said to a customer stays said. (A first payment may move the period of what it pays: it begins then.)
create function refuse_changed_invoice() returns trigger
    language plpgsql set search_path from current as $$
begin
    raise exception 'invoice % is issued and cannot change', old.id
        using errcode = 'restrict_violation', constraint = 'invoices_immutable', table = 'invoices';
end $$;

create trigger invoices_immutable before update on invoices
    for each row when (
        (old.id, old.number, old.issuer, old.tenant_id, old.tenant_key, old.customer_name, old.customer_document,
         old.subscription_id, old.kind, old.currency, old.total_cents, old.due_date, old.issued_at, old.plan_version_id)
        is distinct from
        (new.id, new.number, new.issuer, new.tenant_id, new.tenant_key, new.customer_name, new.customer_document,
         new.subscription_id, new.kind, new.currency, new.total_cents, new.due_date, new.issued_at, new.plan_version_id)
        or (old.status = 'void' and new.status <> 'void')
    ) execute function refuse_changed_invoice();
create trigger invoices_kept before delete or truncate on invoices
    for each statement execute function refuse_rewriting_history();

-- Every cent that is owed or was paid. The sum over an invoice is what is still owed; negative: to be given back.
create table ledger_entries (
    id           uuid        not null,
    at           timestamptz not null,
    tenant_id    uuid        not null,
    invoice_id   uuid        not null,
    -- The attempt by which money moved; null where none did.
    charge_id    uuid,
    kind         text        not null,
    amount_cents bigint      not null,
    constraint ledger_entries_pkey primary key (id),
    constraint ledger_entries_invoice_id_fkey foreign key (invoice_id) references invoices (id),
    constraint ledger_entries_kind_check check (kind in ('invoiced', 'paid', 'voided', 'refunded', 'charged_back')),
    constraint ledger_entries_charge_id_check check ((kind in ('invoiced', 'voided')) = (charge_id is null)),
    constraint ledger_entries_sign_check check (amount_cents = 0 or (kind in ('paid', 'voided')) = (amount_cents < 0))
);

-- However often a gateway tells of a payment, it is booked once.
create unique index ledger_entries_charge_id_kind_key on ledger_entries (charge_id, kind) where charge_id is not null;
create unique index ledger_entries_invoice_id_kind_key on ledger_entries (invoice_id, kind) where kind in ('invoiced', 'voided');
-- What is owed of this invoice?
create index ledger_entries_invoice_id_idx on ledger_entries (invoice_id);

create trigger ledger_entries_append_only before update or delete or truncate on ledger_entries
    for each statement execute function refuse_rewriting_history();

-- What was decided about telling somebody of an invoice: each step once.
create table dunning_steps (
    invoice_id uuid        not null,
    step       text        not null,
    decided_at timestamptz not null,
    outcome    text        not null,
    constraint dunning_steps_pkey primary key (invoice_id, step),
    constraint dunning_steps_invoice_id_fkey foreign key (invoice_id) references invoices (id),
    constraint dunning_steps_step_check check (step in ('d-3', 'd0', 'd3', 'd7')),
    constraint dunning_steps_outcome_check check (outcome in ('mailed', 'skipped'))
);

-- One trial for each CPF or CNPJ, kept when the tenant goes. The digest is keyed: the table tells nobody who it was.
create table trials (
    document_digest bytea       not null,
    tenant_id       uuid        not null,
    started_at      timestamptz not null,
    constraint trials_pkey primary key (document_digest),
    constraint trials_document_digest_check check (octet_length(document_digest) = 32)
);

alter table subscriptions
    add column cancel_at_period_end boolean not null default false,
    -- When the billing clock has to look at it next; null: never. Whoever changes a row need not know: see the trigger.
    add column clock_at timestamptz default 'epoch';

-- What is due? At thousands of tenants only that is read.
create index subscriptions_clock_at_idx on subscriptions (clock_at) where clock_at is not null;

create function look_at_subscription() returns trigger
    language plpgsql set search_path from current as $$
begin
    new.clock_at := 'epoch';
    return new;
end $$;

-- Any change by anybody makes the clock look; only the clock itself says when it will look again.
create trigger subscriptions_clock before update on subscriptions
    for each row when (new.clock_at is not distinct from old.clock_at) execute function look_at_subscription();

-- A copy of a tenant is served for a while, not for free for ever.
update subscriptions s set cancel_at_period_end = true
  from plan_versions v join plans p on p.id = v.plan_id
 where v.id = s.plan_version_id and p.code = 'sandbox';

-- People of a tenant decide about its subscription, too.
alter table audit_log
    drop constraint audit_log_actor_kind_check,
    add constraint audit_log_actor_kind_check check (actor_kind in ('admin', 'system', 'cli', 'user')),
    drop constraint audit_log_actor_check,
    add constraint audit_log_actor_check check (actor_kind not in ('admin', 'user') or actor_id is not null);

-- What the night's check and `helixai doctor` read: where invoices, their ledger and subscriptions disagree. Empty, always.
create function billing_discrepancies(seen_at timestamptz)
    returns table (what text, tenant_key text, subject uuid, expected bigint, found bigint)
    language sql stable set search_path from current as $$
    with booked as (
        select e.invoice_id, sum(e.amount_cents)::bigint as owed,
               coalesce(sum(e.amount_cents) filter (where e.kind in ('refunded', 'charged_back')), 0)::bigint as returned,
               coalesce(sum(e.amount_cents) filter (where e.kind = 'invoiced'), 0)::bigint as invoiced
          from ledger_entries e group by e.invoice_id
    ), billed as (
        select i.id, i.tenant_key, i.status, i.total_cents, i.refunded_cents, coalesce(b.owed, 0) as owed,
               coalesce(b.returned, 0) as returned, coalesce(b.invoiced, 0) as invoiced,
               coalesce((select sum(l.amount_cents)::bigint from invoice_lines l where l.invoice_id = i.id), 0) as lines
          from invoices i left join booked b on b.invoice_id = i.id
    )
    select 'lines', b.tenant_key, b.id, b.total_cents, b.lines from billed b where b.lines <> b.total_cents
    union all
    select 'invoiced', b.tenant_key, b.id, b.total_cents, b.invoiced from billed b where b.invoiced <> b.total_cents
    union all
    select 'owed', b.tenant_key, b.id, 0::bigint, b.owed from billed b where b.status <> 'open' and b.owed <> 0
    union all
    select 'open', b.tenant_key, b.id, b.total_cents, b.owed from billed b where b.status = 'open' and b.owed <= 0
    union all
    select 'returned', b.tenant_key, b.id, b.refunded_cents, b.returned from billed b where b.refunded_cents <> b.returned
    union all
    select 'numbers', null, null, c.last_number, count(i.number)
      from invoice_counters c left join invoices i on i.issuer = c.issuer
     group by c.issuer, c.last_number
    having count(i.number) <> c.last_number or coalesce(max(i.number), 0) <> c.last_number
    union all
    -- Served as if it were paid, although its period has begun unpaid: the clock does not run.
    select 'unpaid', i.tenant_key, s.id, 0::bigint, i.total_cents
      from invoices i join subscriptions s on s.id = i.subscription_id
     where i.status = 'open' and i.kind = 'period' and s.status in ('trialing', 'active')
       and i.period_start < seen_at - interval '1 hour'
    union all
    -- In a period that has a price and was never charged.
    select 'uncharged', t.tenant_key, s.id, v.price_cents, 0::bigint
      from subscriptions s
      join tenants t on t.id = s.tenant_id
      join plan_versions v on v.id = s.plan_version_id
     where s.status = 'active' and v.price_cents > 0 and s.current_period_start > s.started_at
       and not exists (select from invoices i
                        where i.subscription_id = s.id and i.status <> 'void' and i.period_start = s.current_period_start)
$$;
