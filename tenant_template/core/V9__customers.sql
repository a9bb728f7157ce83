-- The tenant's own customers: what they have agreed to pay, what they owe and when, what was paid, and how they are reminded.
-- Who a customer is says the contact: nothing of the person is written twice.
-- Days are days of the tenant's own time zone: what is due "on the fifth" has no hour. Amounts are bounded so that no sum overflows.

create table customer_plans (
    id          uuid        not null,
    name        text        not null,
    description text,
    price_cents bigint      not null,
    status      text        not null,
    version     integer     not null default 1,
    created_at  timestamptz not null,
    updated_at  timestamptz not null,
    constraint customer_plans_pkey primary key (id),
    constraint customer_plans_name_check check (char_length(name) between 1 and 200),
    constraint customer_plans_description_check check (char_length(description) <= 10000),
    constraint customer_plans_price_cents_check check (price_cents between 0 and 100000000000),
    constraint customer_plans_status_check check (status in ('active', 'archived')),
    constraint customer_plans_version_check check (version > 0)
);

create table customers (
    id               uuid        not null,
    contact_id       uuid        not null,
    customer_plan_id uuid,
    -- Instead of the plan's price.
    price_cents      bigint,
    -- Null: nothing is owed by the month. Longer than the month: its last day.
    due_day          smallint,
    -- No monthly due falls on a day before this one.
    starts_on        date,
    status           text        not null,
    -- CPF or CNPJ: some gateways ask for it.
    document         text,
    notes            text,
    -- The day of the next monthly due that is to be made. Null: to be found out, from today on.
    next_due         date,
    version          integer     not null default 1,
    created_at       timestamptz not null,
    updated_at       timestamptz not null,
    constraint customers_pkey primary key (id),
    constraint customers_contact_id_key unique (contact_id),
    constraint customers_contact_id_fkey foreign key (contact_id) references contacts (id),
    constraint customers_customer_plan_id_fkey foreign key (customer_plan_id) references customer_plans (id),
    constraint customers_price_cents_check check (price_cents between 0 and 100000000000),
    constraint customers_due_day_check check (due_day between 1 and 31),
    -- What is owed by the month has a price.
    constraint customers_monthly_check check (due_day is null or customer_plan_id is not null or price_cents is not null),
    constraint customers_status_check check (status in ('active', 'paused', 'canceled')),
    constraint customers_document_check check (char_length(document) between 11 and 14),
    constraint customers_notes_check check (char_length(notes) <= 10000),
    constraint customers_version_check check (version > 0)
);

-- The list: newest first, by cursor.
create index customers_created_at_id_idx on customers (created_at desc, id desc);

create table orders (
    id          uuid        not null,
    customer_id uuid        not null,
    status      text        not null,
    total_cents bigint      not null,
    notes       text,
    version     integer     not null default 1,
    created_at  timestamptz not null,
    updated_at  timestamptz not null,
    constraint orders_pkey primary key (id),
    constraint orders_customer_id_fkey foreign key (customer_id) references customers (id),
    constraint orders_status_check check (status in ('open', 'done', 'canceled')),
    constraint orders_total_cents_check check (total_cents between 1 and 100000000000),
    constraint orders_notes_check check (char_length(notes) <= 10000),
    constraint orders_version_check check (version > 0)
);

-- The list: newest first, by cursor.
create index orders_created_at_id_idx on orders (created_at desc, id desc);

create table order_lines (
    order_id     uuid    not null,
    position     integer not null,
    description  text    not null,
    quantity     integer not null,
    unit_cents   bigint  not null,
    amount_cents bigint  not null generated always as (quantity * unit_cents) stored,
    constraint order_lines_pkey primary key (order_id, position),
    constraint order_lines_order_id_fkey foreign key (order_id) references orders (id) on delete cascade,
    constraint order_lines_description_check check (char_length(description) between 1 and 200),
    constraint order_lines_quantity_check check (quantity between 1 and 1000000),
    constraint order_lines_unit_cents_check check (unit_cents between 0 and 100000000000)
);

-- What a customer owes on a day: of a month of their plan, of an order, or for itself. One that is late is `open` and says so by
-- its day.
create table dues (
    id             uuid        not null,
    customer_id    uuid        not null,
    kind           text        not null,
    order_id       uuid,
    -- The first day of the month that it is for. A canceled one keeps its month, so that it is not made again.
    month          date,
    description    text        not null,
    amount_cents   bigint      not null,
    -- What was paid of it, and not taken back. More than it was when it was paid twice.
    paid_cents     bigint      not null default 0,
    due_date       date        not null,
    status         text        not null,
    -- The day on which all of it was paid.
    paid_on        date,
    -- The newest charge that was made for it, and what is paid it by.
    charge_id      uuid,
    pix_code       text,
    pix_expires_at timestamptz,
    version        integer     not null default 1,
    created_at     timestamptz not null,
    updated_at     timestamptz not null,
    constraint dues_pkey primary key (id),
    -- Each month of a customer once, whoever makes it and however often. Also: the dues of a customer.
    constraint dues_customer_id_month_key unique (customer_id, month),
    constraint dues_order_id_key unique (order_id),
    constraint dues_customer_id_fkey foreign key (customer_id) references customers (id),
    constraint dues_order_id_fkey foreign key (order_id) references orders (id),
    constraint dues_kind_check check (kind in ('monthly', 'order', 'single')),
    constraint dues_of_check check ((kind = 'monthly') = (month is not null) and (kind = 'order') = (order_id is not null)),
    constraint dues_month_check check (extract(day from month) = 1),
    constraint dues_description_check check (char_length(description) between 1 and 300),
    constraint dues_amount_cents_check check (amount_cents between 1 and 100000000000),
    constraint dues_paid_cents_check check (paid_cents >= 0
        and case status when 'open' then paid_cents < amount_cents when 'paid' then paid_cents >= amount_cents else true end),
    constraint dues_status_check check (status in ('open', 'paid', 'canceled')),
    constraint dues_paid_on_check check ((status = 'paid') = (paid_on is not null)),
    constraint dues_pix_code_check check (char_length(pix_code) between 1 and 1000),
    constraint dues_version_check check (version > 0)
);

-- The list: latest day first, by cursor; a month of them; those whose reminder may be due.
create index dues_due_date_id_idx on dues (due_date desc, id desc);

-- Money that came in for a due, or went back. A charge at a gateway comes in once and goes back once.
create table due_payments (
    due_id       uuid        not null,
    id           uuid        not null,
    kind         text        not null,
    method       text        not null,
    amount_cents bigint      not null,
    paid_on      date        not null,
    -- Null: written down by hand.
    charge_id    uuid,
    created_at   timestamptz not null,
    constraint due_payments_pkey primary key (due_id, id),
    constraint due_payments_charge_id_kind_key unique (charge_id, kind),
    constraint due_payments_due_id_fkey foreign key (due_id) references dues (id),
    constraint due_payments_kind_check check (kind in ('paid', 'reversed')),
    constraint due_payments_method_check
        check (method in ('cash', 'transfer', 'pix', 'card', 'boleto', 'checkout', 'other')),
    constraint due_payments_amount_cents_check check (amount_cents between 1 and 100000000000)
);

-- What came in within a month.
create index due_payments_paid_on_idx on due_payments (paid_on);

-- Words that the tenant uses again and again, with placeholders for what differs.
create table message_templates (
    id         uuid        not null,
    name       text        not null,
    -- Of an e-mail; chats have none.
    subject    text,
    body       text        not null,
    version    integer     not null default 1,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    constraint message_templates_pkey primary key (id),
    constraint message_templates_name_check check (char_length(name) between 1 and 200),
    constraint message_templates_subject_check check (char_length(subject) between 1 and 200),
    constraint message_templates_body_check check (char_length(body) between 1 and 4096),
    constraint message_templates_version_check check (version > 0)
);

-- When customers are reminded of what they owe: so many days after its day, or before it.
create table reminder_rules (
    id          uuid        not null,
    days        smallint    not null,
    template_id uuid        not null,
    active      boolean     not null,
    version     integer     not null default 1,
    created_at  timestamptz not null,
    updated_at  timestamptz not null,
    constraint reminder_rules_pkey primary key (id),
    constraint reminder_rules_days_key unique (days),
    constraint reminder_rules_template_id_fkey foreign key (template_id) references message_templates (id),
    constraint reminder_rules_days_check check (days between -10 and 90),
    constraint reminder_rules_version_check check (version > 0)
);

-- What was decided about a step of a due: once, whatever becomes of its rule.
create table reminders (
    due_id     uuid        not null,
    days       smallint    not null,
    -- The message. Null: the customer could not be reached.
    outbox_id  uuid,
    decided_at timestamptz not null,
    constraint reminders_pkey primary key (due_id, days),
    constraint reminders_due_id_fkey foreign key (due_id) references dues (id) on delete cascade
);
