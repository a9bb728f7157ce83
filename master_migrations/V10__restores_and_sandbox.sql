-- Restoring and deleting tenants, and the plan of a copy.

-- A restore under way. Its id is also noted on the shard, in the transaction that loads the rows: whoever finds a row
-- here whose worker is gone asks the shard whether that transaction was committed, and finishes or undoes the rest.
create table tenant_restores (
    id               uuid        not null,
    tenant_id        uuid        not null,
    -- `new`: the tenant's row was made for it and goes with it. `over`: the tenant lives, and is served meanwhile.
    mode             text        not null,
    -- What the registry will say when the rows are there: versions, subscription, audit. No secrets.
    outcome          jsonb       not null,
    lease_expires_at timestamptz not null,
    created_at       timestamptz not null,
    constraint tenant_restores_pkey primary key (id),
    constraint tenant_restores_tenant_id_key unique (tenant_id),
    constraint tenant_restores_tenant_id_fkey foreign key (tenant_id) references tenants (id) on delete cascade,
    constraint tenant_restores_mode_check check (mode in ('new', 'over')),
    constraint tenant_restores_outcome_check check (jsonb_typeof(outcome) = 'object')
);

-- Who had a deleted key: that tenant alone may be restored under it, and the audit is still found by it.
-- No foreign key: the row it names is gone.
alter table tenant_keys_reserved add column former_tenant_id uuid;

-- What a copy of a tenant has: everything may be looked at, nothing is sent. Not for sale, hence retired.
insert into plans (id, code, name, status, created_at, updated_at) values
    ('01900000-0000-7000-8000-000000000004', 'sandbox', 'Sandbox', 'retired', '2026-01-01T00:00:00Z', '2026-01-01T00:00:00Z');

insert into plan_versions (id, plan_id, version, price_cents, currency, trial_days, published_at, created_at) values
    ('01900000-0000-7000-8000-000000000104', '01900000-0000-7000-8000-000000000004', 1, 0, 'BRL', 30, null, '2026-01-01T00:00:00Z');

insert into plan_limits (plan_version_id, meter, limit_value) values
    ('01900000-0000-7000-8000-000000000104', 'messages', 0),
    ('01900000-0000-7000-8000-000000000104', 'ai_tokens', 0),
    ('01900000-0000-7000-8000-000000000104', 'instances', 0),
    ('01900000-0000-7000-8000-000000000104', 'flows', null),
    ('01900000-0000-7000-8000-000000000104', 'templates', null),
    ('01900000-0000-7000-8000-000000000104', 'users', null),
    ('01900000-0000-7000-8000-000000000104', 'storage_bytes', null);

update plan_versions set published_at = '2026-01-01T00:00:00Z' where id = '01900000-0000-7000-8000-000000000104';
