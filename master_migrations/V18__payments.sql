-- How money comes in: accounts at gateways, the attempts to collect through them, what gateways told, cards that may be
-- charged again, and money that goes back. An account and a charge are the platform's own (it collects its invoices) or a
-- tenant's (it collects its customers' dues): one pipeline serves both.

create table gateway_accounts (
    id                 uuid        not null,
    gateway            text        not null,
    -- Whose money it collects. Null: the platform's own.
    tenant_id          uuid,
    name               text        not null,
    credentials_sealed bytea       not null,
    -- The gateway's own id of the account, where it has told: a payment of another one is not believed.
    collector          text,
    status             text        not null,
    version            integer     not null default 1,
    created_at         timestamptz not null,
    updated_at         timestamptz not null,
    constraint gateway_accounts_pkey primary key (id),
    constraint gateway_accounts_tenant_id_fkey foreign key (tenant_id) references tenants (id) on delete cascade,
    constraint gateway_accounts_gateway_check check (gateway in ('mercado_pago', 'stripe', 'asaas')),
    constraint gateway_accounts_name_check check (char_length(name) between 1 and 100),
    constraint gateway_accounts_status_check check (status in ('active', 'disabled')),
    constraint gateway_accounts_version_check check (version > 0)
);

-- One that is in use for each gateway, of the platform and of each tenant.
create unique index gateway_accounts_platform_active_key on gateway_accounts (gateway)
    where tenant_id is null and status = 'active';
create unique index gateway_accounts_tenant_active_key on gateway_accounts (tenant_id, gateway)
    where tenant_id is not null and status = 'active';

-- A card that a tenant lets the platform charge for its subscription: the newest one.
create table saved_cards (
    id           uuid        not null,
    tenant_id    uuid        not null,
    account_id   uuid        not null,
    token_sealed bytea       not null,
    brand        text        not null,
    last4        text        not null,
    created_at   timestamptz not null,
    constraint saved_cards_pkey primary key (id),
    constraint saved_cards_tenant_id_key unique (tenant_id),
    constraint saved_cards_tenant_id_fkey foreign key (tenant_id) references tenants (id) on delete cascade,
    constraint saved_cards_account_id_fkey foreign key (account_id) references gateway_accounts (id) on delete cascade,
    constraint saved_cards_last4_check check (last4 ~ '^[0-9]{4}$')
);

-- One attempt to collect one amount through one account. Its id is the reference that the gateway keeps. No personal data:
-- who pays is read from what the charge is for, whenever the gateway is to know.
create table charges (
    id                 uuid        not null,
    account_id         uuid        not null,
    -- Whom it is about: who pays the platform, or whose customer pays. No foreign key: what was paid to the platform
    -- outlives the tenant. What was paid to the tenant goes with its accounts.
    tenant_id          uuid        not null,
    payee              text        not null,
    -- An invoice of the platform, or a due in the tenant's schema.
    subject_id         uuid        not null,
    method             text        not null,
    -- Counts the charges of one subject and method: with them it makes the key under which the gateway places it once.
    attempt            integer     not null,
    amount_cents       bigint      not null,
    currency           text        not null,
    status             text        not null,
    expires_at         timestamptz not null,
    card_id            uuid,
    -- How often the gateway was asked to place it; more than 0 and not placed: nobody knows what became of that.
    asked              integer     not null default 0,
    -- When the gateway had it.
    placed_at          timestamptz,
    gateway_payment_id text,
    -- When the gateway last changed the payment, as it says.
    payment_updated_at timestamptz,
    pix_code           text,
    pay_url            text,
    barcode            text,
    -- What came in, which may be more than what was asked for.
    paid_cents         bigint,
    settled_at         timestamptz,
    -- What has gone back.
    refunded_cents     bigint      not null default 0,
    -- When whoever is paid had booked what the status says. Null of a final status: still to be done.
    applied_at         timestamptz,
    -- When there is something to be done about it: place it, ask what became of it, have it booked. Null: nothing.
    next_check_at      timestamptz,
    -- How often the gateway was asked what became of it; or, before it has it, failed to take it.
    checks             integer     not null default 0,
    leased_until       timestamptz,
    leased_by          uuid,
    last_error         text,
    created_at         timestamptz not null,
    updated_at         timestamptz not null,
    constraint charges_pkey primary key (id),
    constraint charges_account_id_fkey foreign key (account_id) references gateway_accounts (id) on delete cascade,
    constraint charges_card_id_fkey foreign key (card_id) references saved_cards (id) on delete set null,
    constraint charges_subject_key unique (tenant_id, subject_id, method, attempt),
    constraint charges_account_id_gateway_payment_id_key unique (account_id, gateway_payment_id),
    constraint charges_payee_check check (payee in ('platform', 'tenant')),
    constraint charges_method_check check (method in ('pix', 'checkout', 'boleto', 'card')),
    constraint charges_attempt_check check (attempt > 0),
    constraint charges_amount_cents_check check (amount_cents > 0),
    constraint charges_currency_check check (currency = 'BRL'),
    constraint charges_status_check
        check (status in ('pending', 'in_process', 'rejected', 'canceled', 'paid', 'refunded', 'charged_back')),
    constraint charges_paid_check check (status <> 'paid' or (settled_at is not null and paid_cents is not null)),
    constraint charges_paid_cents_check check (paid_cents > 0),
    constraint charges_refunded_cents_check check (refunded_cents >= 0),
    constraint charges_lease_check check ((leased_until is null) = (leased_by is null))
);

-- What is to be done.
create index charges_next_check_at_idx on charges (next_check_at) where next_check_at is not null;

-- What a gateway told, once each. No body: it is never believed, and may hold personal data.
create table gateway_events (
    account_id         uuid        not null,
    event_id           text        not null,
    gateway_payment_id text        not null,
    received_at        timestamptz not null,
    state              text        not null,
    due_at             timestamptz not null,
    attempts           integer     not null default 0,
    leased_until       timestamptz,
    leased_by          uuid,
    last_error         text,
    done_at            timestamptz,
    constraint gateway_events_pkey primary key (account_id, event_id),
    constraint gateway_events_account_id_fkey foreign key (account_id) references gateway_accounts (id) on delete cascade,
    constraint gateway_events_event_id_check check (char_length(event_id) between 1 and 255),
    constraint gateway_events_state_check check (state in ('received', 'done', 'dead')),
    constraint gateway_events_done_check check ((state = 'done') = (done_at is not null)),
    constraint gateway_events_lease_check check ((leased_until is null) = (leased_by is null))
);

-- What is to be looked into.
create index gateway_events_due_at_idx on gateway_events (due_at) where state = 'received';
-- What is forgotten after a while.
create index gateway_events_done_at_idx on gateway_events (done_at) where state = 'done';

-- Money that goes back, by decision of an administrator: asked of the gateway under its id.
create table refunds (
    id                uuid        not null,
    charge_id         uuid        not null,
    amount_cents      bigint      not null,
    -- What had gone back when it was decided: whether it is among what the gateway has given back is told by the sum.
    before_cents      bigint      not null,
    state             text        not null,
    reason            text,
    gateway_refund_id text,
    due_at            timestamptz not null,
    attempts          integer     not null default 0,
    leased_until      timestamptz,
    leased_by         uuid,
    last_error        text,
    created_at        timestamptz not null,
    updated_at        timestamptz not null,
    constraint refunds_pkey primary key (id),
    constraint refunds_charge_id_fkey foreign key (charge_id) references charges (id) on delete cascade,
    constraint refunds_amount_cents_check check (amount_cents > 0),
    constraint refunds_before_cents_check check (before_cents >= 0),
    constraint refunds_state_check check (state in ('requested', 'done', 'failed')),
    constraint refunds_lease_check check ((leased_until is null) = (leased_by is null))
);

-- What is to be asked for.
create index refunds_due_at_idx on refunds (due_at) where state = 'requested';
-- One at a time.
create unique index refunds_charge_id_requested_key on refunds (charge_id) where state = 'requested';

-- What a gateway says and we did not expect: somebody has to look at it.
create table payment_findings (
    account_id         uuid        not null,
    gateway_payment_id text        not null,
    -- 'amount': less was paid than asked for; 'currency'; 'collector': paid to another account of the gateway; 'account': names
    -- a charge of another account; 'overpaid': more than asked for; 'paid_twice': two payments of one charge; 'superfluous':
    -- paid though nothing was owed any more; 'refunded_again': went back in a further part, which the ledger does not have.
    kind               text        not null,
    charge_id          uuid,
    amount_cents       bigint      not null,
    currency           text        not null,
    noted_at           timestamptz not null,
    resolved_at        timestamptz,
    constraint payment_findings_pkey primary key (account_id, gateway_payment_id, kind),
    constraint payment_findings_account_id_fkey foreign key (account_id) references gateway_accounts (id) on delete cascade,
    constraint payment_findings_kind_check
        check (kind in ('amount', 'currency', 'collector', 'account', 'overpaid', 'paid_twice', 'superfluous',
                        'refunded_again'))
);

-- What nobody has looked at.
create index payment_findings_open_idx on payment_findings (noted_at) where resolved_at is null;
