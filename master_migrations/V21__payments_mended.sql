-- Money that goes back in parts, and what is found out about payments.

-- A charge may go back in several parts, before and after its invoice was taken back: each is booked once, told apart by what has
-- gone back with it.
alter table ledger_entries
    add column back_so_far_cents bigint not null default 0,
    add constraint ledger_entries_back_so_far_cents_check
        check (back_so_far_cents >= 0 and (kind not in ('invoiced', 'paid') or back_so_far_cents = 0));

-- However often a gateway tells of a payment, and of what has gone back of it, it is booked once.
drop index ledger_entries_charge_id_kind_key, ledger_entries_invoice_id_kind_key;
create unique index ledger_entries_charge_id_kind_key on ledger_entries (charge_id, kind, back_so_far_cents)
    where charge_id is not null;
create unique index ledger_entries_invoice_id_kind_key on ledger_entries (invoice_id, kind, back_so_far_cents)
    where kind in ('invoiced', 'voided');

-- The gateway's own id of a page at which to pay, where that is no payment: by it the page is closed.
alter table charges add column gateway_page_id text;

-- What was open or paid lately? Made due once a day.
create index charges_lately_idx on charges (coalesce(settled_at, expires_at)) where placed_at is not null and status <> 'refunded';

-- A finding has an id of its own, and what was written about it by who has looked at it. 'chargeback_won': the payer's bank had taken
-- it back and has given it again. 'refunded_again' is noted no more.
alter table payment_findings
    add column id uuid not null default gen_random_uuid(),
    add column note text,
    add constraint payment_findings_id_key unique (id),
    add constraint payment_findings_note_check check (char_length(note) between 1 and 500),
    drop constraint payment_findings_kind_check,
    add constraint payment_findings_kind_check
        check (kind in ('amount', 'currency', 'collector', 'account', 'overpaid', 'paid_twice', 'superfluous',
                        'refunded_again', 'chargeback_won'));

-- What the night's check and `helixai doctor` read: where invoices, their ledger and subscriptions disagree. Empty, always.
create or replace function billing_discrepancies(seen_at timestamptz)
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
                        where i.subscription_id = s.id and i.period_start = s.current_period_start
                          -- What was paid, went back and was then taken back had been charged.
                          and (i.status <> 'void' or i.refunded_cents > 0))
$$;
